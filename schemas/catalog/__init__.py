"""The catalog that the operator writes: its models, how they are read, what looks wrong in it."""
