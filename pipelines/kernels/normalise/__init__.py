"""The columns of a source file become one canonical batch of flows."""
