"""The same work on engines other than the one that is built in."""
