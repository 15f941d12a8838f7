"""What a process and its descendants use, as the kernel tells it (Linux only)."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")
# Fields of /proc/PID/stat behind the name in brackets: parent, and processor time in ticks of the
# process and of its children that have ended.
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)


@dataclass(frozen=True)
class Usage:
    """What a process and all its descendants use.

    cpu_seconds, written_bytes: since they began, those of descendants that have ended included.
    written_bytes: what was sent to the disk, or is to be. The others are of this moment.
    """

    cpu_seconds: float
    written_bytes: int
    memory_bytes: int
    threads: int
    descriptors: int


def usage(pid: int) -> Usage | None:
    """The usage of a process and its descendants; None where it has ended."""
    found = [one for one in map(_usage_of_one, _with_descendants(pid)) if one is not None]
    if not found:
        return None
    return Usage(
        sum(one.cpu_seconds for one in found),
        sum(one.written_bytes for one in found),
        sum(one.memory_bytes for one in found),
        sum(one.threads for one in found),
        sum(one.descriptors for one in found),
    )


def _with_descendants(pid: int) -> list[int]:
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (stat := _read_stat(int(entry.name))):
            children[int(stat[_PARENT])].append(int(entry.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def _read_stat(pid: int) -> list[str]:
    """The fields behind the name, which may hold blanks and brackets; none where it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _usage_of_one(pid: int) -> Usage | None:
    folder = _PROC / str(pid)
    stat = _read_stat(pid)
    try:
        status = _numbers((folder / "status").read_text())
        written = _numbers((folder / "io").read_text())["write_bytes"]
        descriptors = len(list((folder / "fd").iterdir()))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if not stat or "VmRSS" not in status:  # it has ended, and nobody has waited for it yet
        return None
    ticks = sum(map(int, stat[_TIMES]))
    return Usage(
        ticks / _TICKS_PER_SECOND, written, 1024 * status["VmRSS"], status["Threads"], descriptors
    )


def _numbers(text: str) -> dict[str, int]:
    """The lines ``name: number`` of a text, whatever stands behind the number."""
    split = (line.partition(":") for line in text.splitlines())
    words = ((name, value.split()) for name, _, value in split)
    return {name: int(value[0]) for name, value in words if value and value[0].isdecimal()}
