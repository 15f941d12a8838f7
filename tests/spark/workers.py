"""The processes below a run: which there are, and which of them counts a file just now."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PATIENCE_SECONDS = 300


def below(root: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                state = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(state[1])
    found, new = set[int](), {root}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def is_there(process: int) -> bool:
    """Whether it still runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stop_one_that_counts(root: int, flows: Path) -> int:
    """Stop (SIGSTOP) a process below ``root`` in the middle of a flow file; its number.

    It has a file below ``flows`` open: looked at again when it can no longer close it.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        for process in below(root):
            if not _has_open(process, flows):
                continue
            os.kill(process, signal.SIGSTOP)
            if _has_open(process, flows):
                return process
            os.kill(process, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError(f"no process below {root} has opened a file of {flows}")


def wait_until_gone(processes: set[int]) -> set[int]:
    """Wait until they have ended; those that have not, when patience is at its end."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (left := {one for one in processes if is_there(one)}) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def _has_open(process: int, folder: Path) -> bool:
    return any(folder in path.parents for path in _open_files(process))


def _open_files(process: int) -> Iterator[Path]:
    with suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                yield entry.readlink()
