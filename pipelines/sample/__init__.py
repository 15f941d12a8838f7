"""The sample: a fictional rollout as flow files, with its catalog and the planted truth.

The defaults load at once; ``write_sample`` loads NumPy and Arrow when it is first asked for, so
that the command line can show the defaults without them.
"""

from typing import TYPE_CHECKING

from v6share.pipelines.sample.story import (
    DEFAULT_DAYS,
    DEFAULT_FLOWS,
    DEFAULT_SEED,
    DEFAULT_START,
)

if TYPE_CHECKING:
    from v6share.pipelines.sample.write import SampleReport, write_sample

__all__ = [
    "DEFAULT_DAYS",
    "DEFAULT_FLOWS",
    "DEFAULT_SEED",
    "DEFAULT_START",
    "SampleReport",
    "write_sample",
]


def __getattr__(name: str) -> object:
    if name in ("SampleReport", "write_sample"):
        from v6share.pipelines.sample import write

        return getattr(write, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
