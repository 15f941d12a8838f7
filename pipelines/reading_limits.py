"""How much of a row group is read at once, and what is refused because no such bound holds.

A row of a file may take any number of bytes, and a page of a few bytes may stand for gigabytes: by
compression, by codes into a dictionary of long values, by prefixes that values share, by lists. So
rows alone bound nothing. The sizes of the pages do: they say how long a column's values may be, and
so how many rows fit into what a batch may take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from v6share.pipelines.page_sizes import ChunkSizes
from v6share.schemas.errors import InputRefused

_MIB: Final = 1 << 20
BATCH_BYTES: Final = 64 * _MIB
# Of each column one page is held at a time, and its dictionary.
MOST_PAGES: Final = 256 * _MIB
MOST_TEXT_PAGES: Final = 32 * _MIB
# Where a row holds a list, nothing says how many values one row has: it may be all of them.
MOST_LISTS: Final = 256 * _MIB
# What a file may have whatever its size, and for each of its bytes besides.
MOST_ROWS: Final = 100_000_000
ROWS_OF_A_BYTE: Final = 100
MOST_TEXT: Final = 1024 * _MIB
TEXT_OF_A_BYTE: Final = 1000

_LEVELS_BYTES: Final = 4
_LENGTH_BYTES: Final = 4
_CODE_BYTES: Final = 4


@dataclass(frozen=True)
class ColumnPages:
    """A column of a row group: its pages, and how they are read.

    width: bytes of a value, 0 for text. in_list: a row may have any number of values. as_codes:
    read as codes and a dictionary. longest: bytes of the longest value of the dictionary, where
    that was looked up; None else.
    """

    name: str
    sizes: ChunkSizes
    width: int
    in_list: bool
    as_codes: bool = False
    longest: int | None = None

    @property
    def value_bytes(self) -> float:
        """The most bytes that values take in memory, for one value, over many of them."""
        if self.as_codes:
            return _CODE_BYTES
        if self.width:
            return self.width
        of_codes = self._longest if self.sizes.codes else 0
        of_prefixes = self.sizes.page if self.sizes.prefixes else 0
        return max(self.sizes.densest, of_codes, of_prefixes) + _LENGTH_BYTES

    @property
    def _longest(self) -> int:
        """Of the dictionary's values, or what one of them could have if all others were empty."""
        if self.longest is not None:
            return self.longest
        others = max(self.sizes.dictionary_values - 1, 0)
        return max(self.sizes.dictionary - _LENGTH_BYTES * others, 0)

    @property
    def may_be_looked_up(self) -> bool:
        """Whether its dictionary would say more: Arrow reads it with the first row."""
        return not self.width and not self.as_codes and self.sizes.codes_first


def asks_for_longest(columns: Sequence[ColumnPages], rows: int) -> bool:
    """Whether it must be known how long the values of dictionaries are, to read so many rows."""
    asked = any(c.may_be_looked_up for c in columns)
    return asked and (_of_row(columns) * rows > BATCH_BYTES or _of_lists(columns) > MOST_LISTS)


def rows_at_once(columns: Sequence[ColumnPages], rows: int) -> int:
    """How many rows of a row group to read at once, ``rows`` at most, so that they take no more
    than ``BATCH_BYTES``.

    Raises InputRefused ``too_large`` where no number of rows would be few enough.
    """
    _check_pages("pages", columns, MOST_PAGES)
    _check_pages("pages of text", [c for c in columns if not c.width], MOST_TEXT_PAGES)
    of_lists = _of_lists(columns)
    if of_lists > MOST_LISTS:
        raise InputRefused(
            "too_large",
            f"found a row group with lists ({_named([c for c in columns if c.in_list])}) of "
            f"{of_lists / _MIB:,.0f} MiB, expected at most {MOST_LISTS // _MIB}; write smaller row "
            "groups",
        )
    return max(1, min(rows, int(BATCH_BYTES / max(_of_row(columns), 1))))


def check_work(rows: int, unpacked: int, size: int) -> None:
    """Raise InputRefused ``too_large`` where a file is far more work than its size: so many rows,
    or bytes after decompression.
    """
    _check_ratio("rows", rows, MOST_ROWS + ROWS_OF_A_BYTE * size, size)
    _check_ratio("bytes after decompression", unpacked, MOST_TEXT + TEXT_OF_A_BYTE * size, size)


class TextRead:
    """How much text was read of a file by all threads together: few bytes of codes or prefixes may
    stand for any amount, which is known only once it is there.
    """

    def __init__(self, size: int) -> None:
        """Size: of the file, in bytes."""
        self._size = size
        self._read = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["TextRead"], tuple[int]]:
        """A copy for another process begins anew: a lock cannot go there."""
        return TextRead, (self._size,)

    def add(self, count: int) -> None:
        """Count some bytes. Raises InputRefused ``too_large`` where it becomes too much."""
        with self._lock:
            self._read += count
            _check_ratio(
                "bytes of text", self._read, MOST_TEXT + TEXT_OF_A_BYTE * self._size, self._size
            )


def _check_ratio(what: str, found: int, most: int, size: int) -> None:
    if found > most:
        raise InputRefused(
            "too_large",
            f"found {found:,} {what} in a file of {size:,} bytes, expected at most {most:,}; "
            "it says the same over and over: leave that out, or split the file",
        )


def _of_lists(columns: Sequence[ColumnPages]) -> float:
    return sum(c.sizes.values * (_LEVELS_BYTES + c.value_bytes) for c in columns if c.in_list)


def _of_row(columns: Sequence[ColumnPages]) -> float:
    return sum(c.value_bytes for c in columns if not c.in_list and _matters(c))


def _matters(column: ColumnPages) -> bool:
    """Text that is little in all of the row group needs no bound, however it is spread."""
    sizes = column.sizes
    plain = not column.width and not sizes.codes and not sizes.prefixes
    return not (plain and sizes.total <= MOST_TEXT_PAGES)


def _check_pages(what: str, columns: Sequence[ColumnPages], most: int) -> None:
    held = sum(c.sizes.page + c.sizes.dictionary for c in columns)
    if held > most:
        raise InputRefused(
            "too_large",
            f"found {what} ({_named(columns)}) that take {held / _MIB:,.0f} MiB at once, expected "
            f"at most {most // _MIB}; write smaller pages or row groups",
        )


def _named(columns: Sequence[ColumnPages]) -> str:
    """The column with the most, as the one to look at first."""
    largest = max(columns, key=lambda c: c.sizes.total)
    return f'most in "{largest.name}"'
