"""The command line: each module parses, configures, wires and runs one job, and holds no logic."""
