"""Errors that are a user's to mend: each says what was found, expected, where, and what to do."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
FAILING: Final = (errno.EIO,)
DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOST_OF_FILE: Final = 100
# What DuckDB says of the bytes of a file: bad blocks have no class of their own, and the error of a
# failed checkpoint has these words in its middle.
_OF_DAMAGE: Final = (
    "Corrupt database file",
    "not a valid DuckDB database file",
    "Could not read enough bytes from file",
)


class UserError(Exception):
    """A mistake in usage or configuration: printed without a traceback, exit code 2."""


class CatalogError(UserError):
    """A mistake in a catalog file or in the settings, with its place; others may come with it.

    The words of each stand in a line of their own.
    """

    def __init__(
        self,
        file: str,
        line: int | None,
        key: str,
        problem: str,
        others: Sequence["CatalogError"] = (),
    ) -> None:
        place = f"{file}:{line}" if line is not None else file
        words = f"{place}: {key}: {problem}" if key else f"{place}: {problem}"
        super().__init__("\n".join((words, *map(str, others))))
        self.file, self.line, self.key, self.problem = file, line, key, problem
        self._others = tuple(others)

    @property
    def each(self) -> tuple["CatalogError", ...]:
        """This mistake and those that came with it, one by one."""
        return (CatalogError(self.file, self.line, self.key, self.problem), *self._others)


def in_one_line(error: UserError) -> str:
    """The words of an error; of several mistakes the first, and where the others are listed."""
    if not isinstance(error, CatalogError) or len(error.each) == 1:
        return str(error)
    first, *others = error.each
    return f"{first} (and {len(others):,} more: `v6share catalog check` lists all)"


def joined(mistakes: Sequence[CatalogError]) -> CatalogError:
    """One error of several mistakes, of which there is at least one."""
    first, *others = mistakes
    return CatalogError(first.file, first.line, first.key, first.problem, others)


class Mistakes:
    """Gathers mistakes while files are read, so that all of them are said in one go.

    Of each file the first hundred are kept, and how many more there are: a wrong column makes as
    many as there are rows. Of one key in one line the first one is noted: others follow from it.
    """

    def __init__(self) -> None:
        self.found: list[CatalogError] = []
        self._of_file: Counter[str] = Counter()
        self._places: set[tuple[str, int | None, str]] = set()

    def add(self, *errors: CatalogError) -> None:
        """Note mistakes, each by itself."""
        for one in (one for error in errors for one in error.each):
            place = (one.file, one.line, one.key)
            if one.key and place in self._places:
                continue
            self._places.add(place)
            self._of_file[one.file] += 1
            if self._of_file[one.file] <= _MOST_OF_FILE:
                self.found.append(one)

    @property
    def count(self) -> int:
        """How many were noted, also those that were not kept."""
        return self._of_file.total()

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Note what the block raises, and leave the block."""
        try:
            yield
        except CatalogError as error:
            self.add(error)

    def refuse(self, key: Callable[[CatalogError], tuple[int, int]] | None = None) -> None:
        """Raise CatalogError with all that was noted; nothing where nothing was.

        key: by which they are ordered; None: as they were noted.
        """
        more = [
            CatalogError(file, None, "", f"{count - _MOST_OF_FILE:,} more mistakes like these")
            for file, count in self._of_file.items()
            if count > _MOST_OF_FILE
        ]
        if self.found:
            ordered = sorted(self.found, key=key) if key else self.found
            raise joined([*ordered, *more])


class EngineFailed(Exception):  # noqa: N818 - what failed is not ours
    """A runner gave up the work that it was given; the message says why, in one line."""


class InputRefused(Exception):  # noqa: N818 - a refusal is an outcome, not a failure of ours
    """An input that cannot be counted; it is quarantined with this reason and detail.

    reason: ``unreadable``, ``no_dialect``, ``empty_file``, ``sum_overflow``, ``too_large``,
    ``unexpected``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def says_damage(error: BaseException) -> bool:
    """Whether an error of DuckDB says that the bytes of a file are damaged.

    An error of the system does not, nor one about a version: nothing is known about the bytes then.
    """
    return any(words in str(error) for words in _OF_DAMAGE)


def line_that_says(error: BaseException | None, numbers: Iterable[int]) -> str:
    """The line in which an error, or one that led to it, has the words of one of these errnos.

    DuckDB and Beam hand on the words of the system and not its number. Empty where none does.
    """
    words = [os.strerror(number) for number in numbers]
    while error is not None:
        for line in str(error).splitlines():
            if any(word in line for word in words):
                return line.strip()
        error = error.__cause__ or error.__context__
    return ""
