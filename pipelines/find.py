"""From the PATH arguments to the flow files they mean. Looks at names and sizes; opens nothing.

A file is always tried, whatever its name. A directory gives ``*.parquet`` and ``*.parq`` in it and
below, without names that other writers use for unfinished or private things (``_*``, ``.*``,
``*.tmp``), for files and for folders alike; a glob leaves
those out too. The order is that of the paths; none comes twice.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Final, NamedTuple

from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput
from v6share.schemas.text.plain import is_utf8, storable

_SUFFIXES: Final = (".parquet", ".parq")
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


class Found(NamedTuple):
    """The inputs by path, the arguments that mean none, and what cannot be read or kept.

    closed: what is not ours to read, links in a circle, and flow files whose names are not UTF-8.
    """

    inputs: tuple[FoundInput, ...]
    empty: tuple[str, ...]
    closed: tuple[str, ...]


def find_inputs(
    paths: Sequence[str],
    excluded: Sequence[Path] = (),
    warn: Callable[[str], None] = lambda _: None,
) -> Found:
    """What the arguments mean.

    excluded: folders that are never walked; a workspace's own files are no flows. warn: is told
    what is odd in a folder that is walked (a pipe, a link to nothing) and passed over, and what
    cannot be read or kept and is left out.

    Raises UserError for an empty argument and for object-store URLs, and where an argument itself
    is a device or a pipe or has a name that is not UTF-8 (the ledger could not hold it).
    """
    search = Search.of(excluded, warn)
    found: dict[str, FoundInput] = {}
    empty: list[str] = []
    for argument in paths:
        entries = [search.look_at(path) for path in search.expand(argument)]
        matched = [entry for entry in entries if entry is not None]
        found.update((entry.path, entry) for entry in matched)
        if not matched:
            empty.append(argument)
    return Found(tuple(sorted(found.values())), tuple(empty), tuple(dict.fromkeys(search.closed)))


def is_missing(argument: str) -> bool:
    """Whether an argument names one file or directory, and that is not there.

    A glob that fits nothing and an empty directory are facts; a wrong name is a mistake.
    """
    return not has_magic(argument) and not Path(argument).exists()


@dataclass
class Search:
    """One search. excluded: folders by identity. closed: what had to be left out."""

    excluded: frozenset[tuple[int, int]]
    warn: Callable[[str], None]
    closed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, excluded: Sequence[Path], warn: Callable[[str], None]) -> "Search":
        """A search; as for ``find_inputs``."""
        return cls(frozenset(filter(None, map(_identity, excluded))), warn)

    def expand(self, argument: str) -> Iterator[str]:
        """The files that an argument means, and what it names that may be none."""
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
            matches = list(self._storable(_meant(found, argument, self.excluded)))
            for folder in _meant(_unreadable(argument), argument, self.excluded):
                self.warn(f"{folder}: cannot be read, so what {argument} means there is left out")
                self.closed.append(folder)
        for match in matches:
            if Path(match).is_dir():
                yield from self._files_below(match, self.excluded)
            else:
                yield match

    def _storable(self, paths: Iterable[str]) -> Iterator[str]:
        """The paths that a ledger can hold; the others are said, and go to ``closed``."""
        for path in paths:
            if is_utf8(path):
                yield path
                continue
            self.warn(f"{storable(path)}: left out, the name is not UTF-8; rename it")
            self.closed.append(storable(path))

    def _files_below(self, directory: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        """The flow files below a directory. above: the folders that we are in, against loops."""
        identity = _identity(Path(directory))
        if identity is None or identity in above:
            return
        try:
            entries = list(os.scandir(directory))
        except OSError as error:
            self.warn(f"{directory}: cannot be read, {error.strerror}; what is in it is left out")
            self.closed.append(directory)
            return
        for entry in entries:
            if _is_private(entry.name):
                continue
            try:
                yield from self._files_at(entry, above | {identity})
            except OSError as error:
                self.warn(f"{entry.path}: left out, {error.strerror}")
                self.closed.append(entry.path)

    def _files_at(
        self, entry: os.DirEntry[str], above: frozenset[tuple[int, int]]
    ) -> Iterator[str]:
        is_flows = entry.name.endswith(_SUFFIXES)
        if entry.is_dir():
            yield from self._files_below(entry.path, above)
        elif entry.is_symlink() and not Path(entry.path).exists():
            # Perhaps a folder on a disk that is not mounted: ``look_at`` says so.
            yield entry.path
        elif is_flows and entry.is_file():
            yield from self._storable([entry.path])
        elif is_flows:
            self.warn(f"{entry.path}: passed over, not a regular file")

    def look_at(self, path: str) -> FoundInput | None:
        """What the directory says about one file; None where it is gone or never was.

        Warns of a link whose target is not there: it was meant to be something.
        """
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            if Path(path).is_symlink():
                target = os.readlink(path)  # noqa: PTH115 - as it is written
                self.warn(f"{path}: passed over, a link to {target}, which is not there")
            return None
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; nothing was counted") from None
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: not a regular file; give files, directories or globs")
        absolute = _absolute(path)
        if not is_utf8(absolute):
            raise UserError(f"{storable(path)}: the name is not UTF-8; rename it")
        return FoundInput(absolute, status.st_size, status.st_mtime_ns)


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


def _meant(
    matches: Sequence[str], pattern: str, excluded: frozenset[tuple[int, int]]
) -> Iterator[str]:
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
