"""The command line: commands, the steps that they share, and the terminal."""
