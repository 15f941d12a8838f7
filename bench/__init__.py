"""The benchmark: one job, several engines, whole processes. Not part of the installed package."""
