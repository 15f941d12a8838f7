"""Flows become the sums, sketches and accounts of one input."""
