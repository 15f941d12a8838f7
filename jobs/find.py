"""From the PATH arguments to the flow files they mean. Looks at names and sizes; opens nothing.

A file is always tried, whatever its name. A directory gives ``*.parquet`` and ``*.parq`` in it and
below, without names that other writers use for unfinished or private things (``_*``, ``.*``,
``*.tmp``), for files and for folders alike; a glob leaves
those out too. The order is that of the paths; none comes twice.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput

_SUFFIXES: Final = (".parquet", ".parq")
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


def find_inputs(paths: Sequence[str]) -> tuple[tuple[FoundInput, ...], tuple[str, ...]]:
    """The inputs that the arguments mean, and the arguments that mean none.

    Raises UserError for object-store URLs, for devices and pipes, and for names that are not
    UTF-8 (the ledger could not hold them).
    """
    found: dict[str, FoundInput] = {}
    empty: list[str] = []
    for argument in paths:
        matched = [entry for path in _expand(argument) if (entry := _look_at(path)) is not None]
        found.update((entry.path, entry) for entry in matched)
        if not matched:
            empty.append(argument)
    return tuple(sorted(found.values())), tuple(empty)


def _expand(argument: str) -> Iterator[str]:
    if _URL.match(argument):
        raise UserError(
            f"{argument}: object-store URLs cannot be read yet; copy the files to a directory "
            "(or mount the bucket) and give that path"
        )
    matches = [argument]
    # A file may have brackets in its name, so the name itself comes before the pattern.
    if has_magic(argument) and not os.path.lexists(argument):
        found = glob(argument, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute ones
        matches = [match for match in found if not _is_private(os.path.basename(match))]  # noqa: PTH119 - "a/" has none
    for match in matches:
        if Path(match).is_dir():
            yield from _files_below(match, set())
        else:
            yield match


def _is_private(name: str) -> bool:
    return name.startswith(("_", ".")) or name.endswith(".tmp")


def _files_below(directory: str, above: set[tuple[int, int]]) -> Iterator[str]:
    """The flow files below a directory; ``above`` holds the folders we are in, against loops."""
    here = Path(directory).stat()
    identity = (here.st_dev, here.st_ino)
    if identity in above:
        return
    for entry in os.scandir(directory):
        if _is_private(entry.name):
            continue
        if entry.is_dir():
            yield from _files_below(entry.path, above | {identity})
        elif entry.name.endswith(_SUFFIXES):
            yield entry.path


def _look_at(path: str) -> FoundInput | None:
    """What the directory says about one file; None where it is gone or never was."""
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: not a regular file; give files, directories or globs")
    absolute = os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links
    try:
        absolute.encode()
    except UnicodeEncodeError:
        raise UserError(f"{path!r}: the name is not UTF-8; rename it") from None
    return FoundInput(absolute, status.st_size, status.st_mtime_ns)
