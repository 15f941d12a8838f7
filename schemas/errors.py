"""Errors that are a user's to mend: each says what was found, expected, where, and what to do."""

import errno
import os
from collections.abc import Iterable
from typing import Final

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
FAILING: Final = (errno.EIO,)
DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
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
    """A mistake in a catalog file or in the settings, with its place."""

    def __init__(self, file: str, line: int | None, key: str, problem: str) -> None:
        place = f"{file}:{line}" if line is not None else file
        super().__init__(f"{place}: {key}: {problem}" if key else f"{place}: {problem}")
        self.file, self.line, self.key, self.problem = file, line, key, problem


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
