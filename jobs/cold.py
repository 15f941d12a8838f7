"""A word before a wait: the first job after an installation compiles the kernels."""

from v6share.jobs import console
from v6share.pipelines import kernels_are_cold


def say_if_cold() -> None:
    """Say so where it is so; loads nothing heavy."""
    if kernels_are_cold():
        console.say("compiling the kernels, once after an installation; takes up to a minute")
