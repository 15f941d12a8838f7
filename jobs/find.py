"""From the PATH arguments to the flow files they mean. Looks at names and sizes; opens nothing.

A file is always tried, whatever its name. A directory gives ``*.parquet`` and ``*.parq`` in it and
below, without names that other writers use for unfinished or private things (``_*``, ``.*``,
``*.tmp``), for files and for folders alike; a glob leaves
those out too. The order is that of the paths; none comes twice.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Final, NamedTuple

from v6share.jobs import console
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput
from v6share.schemas.utf8 import is_utf8, storable

_SUFFIXES: Final = (".parquet", ".parq")
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


class Found(NamedTuple):
    """The inputs by path, the arguments that mean none, and what cannot be read or kept.

    closed: what is not ours to read, links in a circle, and flow files whose names are not UTF-8.
    """

    inputs: tuple[FoundInput, ...]
    empty: tuple[str, ...]
    closed: tuple[str, ...]


def find_inputs(paths: Sequence[str], excluded: Sequence[Path] = ()) -> Found:
    """What the arguments mean.

    excluded: folders that are never walked; a workspace's own files are no flows. What is odd in
    a folder that is walked (a pipe, a link to nothing) is passed over with a warning, and what
    cannot be read or kept is left out with one.

    Raises UserError for an empty argument and for object-store URLs, and where an argument itself
    is a device or a pipe or has a name that is not UTF-8 (the ledger could not hold it).
    """
    known = (_identity(folder) for folder in excluded)
    above = {identity for identity in known if identity is not None}
    found: dict[str, FoundInput] = {}
    empty: list[str] = []
    closed: list[str] = []
    for argument in paths:
        matched = [
            entry
            for path in _expand(argument, above, closed)
            if (entry := _look_at(path)) is not None
        ]
        found.update((entry.path, entry) for entry in matched)
        if not matched:
            empty.append(argument)
    return Found(tuple(sorted(found.values())), tuple(empty), tuple(dict.fromkeys(closed)))


def is_missing(argument: str) -> bool:
    """Whether an argument names one file or directory, and that is not there.

    A glob that fits nothing and an empty directory are facts; a wrong name is a mistake.
    """
    return not has_magic(argument) and not Path(argument).exists()


def _expand(argument: str, above: set[tuple[int, int]], closed: list[str]) -> Iterator[str]:
    if not argument:
        raise UserError(
            "PATH: found an empty text, expected a file, a directory or a glob; nothing was "
            "counted. If it comes from a variable, that has no value"
        )
    if _URL.match(argument):
        raise UserError(
            f"{argument}: object-store URLs cannot be read yet; copy the files to a directory "
            "(or mount the bucket) and give that path"
        )
    matches = [argument]
    # A file may have brackets in its name, so the name itself comes before the pattern.
    if has_magic(argument) and not os.path.lexists(argument):
        found = glob(argument, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute ones
        matches = list(_storable(_meant(found, argument, above), closed))
        for folder in _meant(_unreadable(argument), argument, above):
            console.warn(f"{folder}: cannot be read, so what {argument} means there is left out")
            closed.append(folder)
    for match in matches:
        if Path(match).is_dir():
            yield from _files_below(match, above, closed)
        else:
            yield match


def _unreadable(pattern: str) -> list[str]:
    """The folders that a glob looks into, and may not: it passes over them without a word."""
    folders = [
        folder
        for parent in map(str, Path(pattern).parents)
        for folder in (glob(parent, recursive=True) if has_magic(parent) else [parent])  # noqa: PTH207
    ]
    # Not Path.is_dir: that raises where a folder above is closed.
    are_there = [f for f in dict.fromkeys(folders) if os.path.isdir(f)]  # noqa: PTH112
    return [f for f in are_there if not os.access(f, os.R_OK | os.X_OK)]


def _storable(paths: Iterable[str], closed: list[str]) -> Iterator[str]:
    """The paths that a ledger can hold; the others are said, and go to closed."""
    for path in paths:
        if is_utf8(path):
            yield path
            continue
        console.warn(f"{storable(path)}: left out, the name is not UTF-8; rename it")
        closed.append(storable(path))


def _meant(matches: Sequence[str], pattern: str, excluded: set[tuple[int, int]]) -> Iterator[str]:
    """What a glob may mean: nothing private, but for what it names, and nothing of ours."""
    named = Path(pattern).parts
    folders = {folder for match in matches for folder in Path(match).parents}
    ours = {folder for folder in folders if _identity(folder) in excluded}
    for match in matches:
        private = any(_is_private(part) and part not in named for part in Path(match).parts)
        if not private and ours.isdisjoint(Path(match).parents):
            yield match


def _is_private(name: str) -> bool:
    return name.startswith(("_", ".")) or name.endswith(".tmp")


def _files_below(directory: str, above: set[tuple[int, int]], closed: list[str]) -> Iterator[str]:
    """The flow files below a directory; ``above`` holds the folders we are in, against loops.

    closed: gets what cannot be read, or has a name that no ledger could hold.
    """
    identity = _identity(Path(directory))
    if identity is None or identity in above:
        return
    try:
        entries = list(os.scandir(directory))
    except OSError as error:
        console.warn(f"{directory}: cannot be read, {error.strerror}; what is in it is left out")
        closed.append(directory)
        return
    for entry in entries:
        if _is_private(entry.name):
            continue
        try:
            yield from _files_at(entry, above | {identity}, closed)
        except OSError as error:
            console.warn(f"{entry.path}: left out, {error.strerror}")
            closed.append(entry.path)


def _files_at(
    entry: os.DirEntry[str], above: set[tuple[int, int]], closed: list[str]
) -> Iterator[str]:
    is_flows = entry.name.endswith(_SUFFIXES)
    if entry.is_dir():
        yield from _files_below(entry.path, above, closed)
    elif entry.is_symlink() and not Path(entry.path).exists():
        yield entry.path  # perhaps a folder on a disk that is not mounted: whoever looks says so
    elif is_flows and entry.is_file():
        yield from _storable([entry.path], closed)
    elif is_flows:
        console.warn(f"{entry.path}: passed over, not a regular file")


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from every other, by whatever path; None where it cannot be had."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _absolute(path: str) -> str:
    """The path from the root, links as they are named; but ``link/..`` is where that leads."""
    folder, name = os.path.split(path)
    if ".." in Path(folder).parts:
        folder = os.path.realpath(folder)
    return os.path.abspath(os.path.join(folder, name))  # noqa: PTH100, PTH118 - as above


def _look_at(path: str) -> FoundInput | None:
    """What the directory says about one file; None where it is gone or never was.

    Warns of a link whose target is not there: it was meant to be something.
    """
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        if Path(path).is_symlink():
            target = os.readlink(path)  # noqa: PTH115 - as it is written
            console.warn(f"{path}: passed over, a link to {target}, which is not there")
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; nothing was counted") from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: not a regular file; give files, directories or globs")
    absolute = _absolute(path)
    if not is_utf8(absolute):
        raise UserError(f"{storable(path)}: the name is not UTF-8; rename it")
    return FoundInput(absolute, status.st_size, status.st_mtime_ns)
