"""Exit codes: the one place that gives them numbers. Scripts rely on these; they never change."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller, with the meaning that the docs print."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        """A member that is its number and knows its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "everything found is committed, now or before (rejected rows are still 0)"
    INPUT_FAILED = 1, "an input was newly quarantined or failed; the good ones are committed"
    USAGE = 2, "a mistake in usage, settings or catalog; the message says where"
    GATE = 3, "a check failed; nothing was published"
    LOCKED = 4, "another run holds the workspace"
    NO_INPUT = 5, "no input matched"
    INTERNAL = 70, "an error that v6share did not expect; -v shows the traceback"
    INTERRUPTED = 130, "interrupted; nothing is half done"


class JobStopped(Exception):  # noqa: N818 - it may be no error: an empty directory is a fact
    """A job ends early, for a reason that has an exit code of its own."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
