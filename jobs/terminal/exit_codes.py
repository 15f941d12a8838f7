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


# README.md says the same, with links; a test compares them.
_MEANINGS: Final = {
    ExitCode.DONE: "all found files are committed, now or before; rejected rows are no failure",
    ExitCode.INPUT_FAILED: "a file was newly quarantined, and the next run skips it; or a file or "
    "folder could not be read or had to be left out, which is tried again each time. The good ones "
    "are committed. With `run --strict` and `check --strict` also while any quarantined file is "
    "not acknowledged",
    ExitCode.USAGE: "a mistake in usage, settings or catalog; a path that may not be made, read or "
    "written; a state that is damaged, lost or not mounted: nothing is published over what is "
    "good; or a named file that is not there, beside others that are: nothing is counted then. "
    "The message says where",
    ExitCode.GATE: "a check failed, or the gate could not judge; readers keep the state before",
    ExitCode.LOCKED: "another run or a stream holds the workspace; `--wait S` waits for it, and a "
    "stream gives way between two batches",
    ExitCode.NO_INPUT: "no input at all: nothing matched, or no file that is named is there. A "
    "glob or a folder without files, beside others, is a warning",
    ExitCode.TOO_OLD: "`check --max-age`: the newest record is older than that, and nothing else "
    "is amiss",
    ExitCode.INTERNAL: "a full disk, or an unexpected error, of which `v6share -v` shows where; "
    "nothing is half done",
    ExitCode.INTERRUPTED: "interrupted by SIGINT, SIGTERM or SIGHUP, as of a closed terminal; no "
    "workspace is left half done",
}


class JobStopped(Exception):  # noqa: N818 - it may be no error: an empty directory is a fact
    """A job ends early, for a reason that has an exit code of its own."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
