"""Exit codes: the one place that gives them numbers. Scripts rely on these; they never change."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    INPUT_FAILED = 1
    USAGE = 2
    GATE = 3
    LOCKED = 4
    NO_INPUT = 5
    TOO_OLD = 6
    INTERNAL = 70
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What the docs say about it."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    ExitCode.DONE: "everything found is committed, now or before (rejected rows are still 0)",
    ExitCode.INPUT_FAILED: "an input was newly quarantined, failed or had to be left out; the good "
    "ones are committed",
    ExitCode.USAGE: "a mistake in usage (also a named file that is not there, beside others that "
    "are), settings or "
    "catalog, a path that may not be made, read or written, or a state that is damaged or lost; "
    "the message says where",
    ExitCode.GATE: "a check failed, or the gate could not judge; nothing was published",
    ExitCode.LOCKED: "another run holds the workspace",
    ExitCode.NO_INPUT: "no input matched at all",
    ExitCode.TOO_OLD: "`check --max-age`: the newest record is older; nothing else is amiss",
    ExitCode.INTERNAL: "a full disk, or an error that v6share did not expect; "
    "`v6share -v ...` shows where",
    ExitCode.INTERRUPTED: "interrupted by SIGINT, SIGTERM or SIGHUP, as of a closed terminal; "
    "no workspace is left half done",
}


class JobStopped(Exception):  # noqa: N818 - it may be no error: an empty directory is a fact
    """A job ends early, for a reason that has an exit code of its own."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
