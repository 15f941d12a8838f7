"""Plausibility: what published numbers are expected to look like, judged by Great Expectations."""
