"""Errors of ``inspect`` and ``explain``, which look into one file that the user named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.schemas.errors import InputRefused


@contextmanager
def looking_at(file: Path) -> Iterator[None]:
    """Raise JobStopped where there is no such file (NO_INPUT), or the block finds that it cannot
    be counted (INPUT_FAILED).
    """
    if not file.is_file():
        what = "is a directory; name a file in it" if file.is_dir() else "no such file"
        raise JobStopped(ExitCode.NO_INPUT, f"{file}: {what}")
    try:
        yield
    except InputRefused as refused:
        raise JobStopped(ExitCode.INPUT_FAILED, f"{file}: {refused}") from refused
