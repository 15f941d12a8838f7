"""Fragments are read, folded together and merged into the tables."""
