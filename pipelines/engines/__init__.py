"""Runners other than the one of this process: they hand inputs to workers and collect outcomes.

No other room imports the library of such a runner, and each is imported only when it is asked for.
"""
