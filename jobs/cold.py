"""A word before a wait: the first job after an installation compiles the kernels."""

import os

from v6share.jobs import console
from v6share.pipelines import kernels_are_cold, kernels_can_be_kept
from v6share.schemas.errors import UserError


def say_if_cold() -> None:
    """Say so where it is so; loads nothing heavy. Raises UserError where they cannot be kept."""
    if kernels_are_cold():
        if not kernels_can_be_kept():
            raise UserError(
                f"{os.environ['NUMBA_CACHE_DIR']}: cannot be written, and compiled kernels are "
                "kept there; set NUMBA_CACHE_DIR to a folder that this user may write, and nobody "
                "else"
            )
        console.say("compiling the kernels, once after an installation; takes up to a minute")
