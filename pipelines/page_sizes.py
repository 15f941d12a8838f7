"""How large the pages of a Parquet file are, read from their heads before any page is.

The footer of a file says sizes as well, but only the head of a page decides how much its reader
allocates, and a footer may say anything. A head takes 5 us to read, a file of a million rows some
600 of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from v6share.pipelines.kernels.thrift import CUT, NUMBERS, walk_struct
from v6share.schemas.errors import InputRefused

# Kinds of pages, and encodings of values, as parquet.thrift numbers them.
_DATA_PAGE: Final = 0
_DICTIONARY_PAGE: Final = 2
_DATA_PAGE_V2: Final = 3
_PLAIN: Final = 0
_CODES: Final = (2, 8)
_DELTA_BYTE_ARRAY: Final = 7

_MAGIC: Final = b"PAR1"
_END_BYTES: Final = 8
_HEAD_BYTES: Final = 256
_LONGEST_HEAD: Final = 16 << 20

MOST_FOOTER_BYTES: Final = 16 << 20
# A struct of a footer becomes up to 600 bytes in memory.
MOST_FOOTER_PARTS: Final = 1_000_000
# Arrow follows nested columns by recursion: 50,000 of them, one in the other, end the process.
MOST_COLUMNS: Final = 5_000


@dataclass(frozen=True)
class ChunkSizes:
    """The pages of one column in one row group; bytes are those after decompression.

    values: entries, nulls included. page: of the largest data page. densest: most bytes for a
    value in a page without codes, which holds its values as they are. dictionary: of the page of
    the dictionary, and dictionary_values how many it has; 0 without one. total: of all pages.
    codes: whether a page has codes; codes_first: whether the first one does. plain: whether all
    others have values one behind the other. prefixes: whether values are stored without what they
    share with the one before, so that a page says nothing of their length.
    """

    values: int
    page: int
    densest: float
    dictionary: int
    dictionary_values: int
    total: int
    codes: bool
    codes_first: bool
    plain: bool
    prefixes: bool


def check_footer(file: pa.NativeFile) -> None:
    """Raise InputRefused ``too_large`` where the footer would take too much memory, ``unreadable``
    where it is damaged.

    What is no Parquet file, or an encrypted one, is left to Arrow to name.
    """
    size = file.size()
    end = file.read_at(_END_BYTES, size - _END_BYTES) if size > _END_BYTES else b""
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length > size - _END_BYTES:
        return
    if length > MOST_FOOTER_BYTES:
        raise InputRefused(
            "too_large",
            f"found a footer of {length:,} bytes, expected at most {MOST_FOOTER_BYTES:,}; "
            "write fewer row groups or columns",
        )
    numbers = _no_numbers()
    footer = np.frombuffer(file.read_at(length, size - _END_BYTES - length), np.uint8)
    behind, parts = walk_struct(footer, numbers)
    columns = int(numbers[0, 2])
    if columns > MOST_COLUMNS:
        raise InputRefused(
            "too_large",
            f"found {columns:,} columns, expected at most {MOST_COLUMNS:,}; leave out what no "
            "dialect reads",
        )
    if parts > MOST_FOOTER_PARTS:
        raise InputRefused(
            "too_large",
            f"found a footer of {parts:,} parts ({int(numbers[0, 4]):,} row groups of "
            f"{columns:,} columns), expected at most {MOST_FOOTER_PARTS:,}; write fewer row groups",
        )
    if behind < 0:
        raise InputRefused("unreadable", "not readable as Parquet: its footer is damaged")


def chunk_sizes(file: pa.NativeFile, column: pq.ColumnChunkMetaData) -> ChunkSizes:
    """Read the heads of a column chunk's pages. Raises ValueError where one cannot be read."""
    values, page, densest, dictionary, dictionary_values, total = 0, 0, 0.0, 0, 0, 0
    encodings: list[int] = []
    for head in _heads(file, column):
        kind, unpacked, packed = (int(number) for number in head[0, 1:4])
        # Compressed bytes may be the more: they, too, are held at once.
        size = max(unpacked, packed)
        total += size
        if kind == _DICTIONARY_PAGE:
            dictionary, dictionary_values = max(dictionary, size), int(head[7, 1])
        elif kind in (_DATA_PAGE, _DATA_PAGE_V2):
            count, encoding = head[5, 1:3] if kind == _DATA_PAGE else head[8, [1, 4]]
            values += int(count)
            page = max(page, size)
            encodings.append(int(encoding))
            if encoding not in _CODES:
                densest = max(densest, size / max(int(count), 1))
    return ChunkSizes(
        *(values, page, densest, dictionary, dictionary_values, total),
        codes=any(encoding in _CODES for encoding in encodings),
        codes_first=bool(encodings) and encodings[0] in _CODES,
        plain=all(encoding in (_PLAIN, *_CODES) for encoding in encodings),
        prefixes=_DELTA_BYTE_ARRAY in encodings,
    )


def joined_sizes(chunks: Sequence[ChunkSizes]) -> ChunkSizes:
    """Sizes that hold for the chunks of several row groups, read one after the other."""
    if len(chunks) == 1:
        return chunks[0]
    return ChunkSizes(
        values=sum(c.values for c in chunks),
        page=max(c.page for c in chunks),
        densest=max(c.densest for c in chunks),
        dictionary=max(c.dictionary for c in chunks),
        dictionary_values=min(c.dictionary_values for c in chunks),
        total=sum(c.total for c in chunks),
        codes=any(c.codes for c in chunks),
        codes_first=all(c.codes_first for c in chunks),
        plain=all(c.plain for c in chunks),
        prefixes=any(c.prefixes for c in chunks),
    )


def _heads(file: pa.NativeFile, column: pq.ColumnChunkMetaData) -> Iterator[np.ndarray]:
    """The numbers of each page's head, as ``walk_struct`` gives them, as far as Arrow reads."""
    starts = (column.dictionary_page_offset, column.data_page_offset)
    at = min((start for start in starts if start), default=0)
    end = at + column.total_compressed_size
    missing = column.num_values
    while missing > 0 and at < end:
        head, size = _head(file, at)
        if min(head[0, 2], head[0, 3], head[5, 1], head[8, 1], head[7, 1]) < 0:
            raise ValueError(f"a page of the column {column.path_in_schema} has a negative size")
        yield head
        if head[0, 1] in (_DATA_PAGE, _DATA_PAGE_V2):
            missing -= int(head[5, 1] if head[0, 1] == _DATA_PAGE else head[8, 1])
        at += size + int(head[0, 3])


def _head(file: pa.NativeFile, at: int) -> tuple[np.ndarray, int]:
    """The head of the page that begins at a byte, and its size."""
    numbers, length = _no_numbers(), _HEAD_BYTES
    while True:
        data = np.frombuffer(file.read_at(length, at), np.uint8)
        behind, _ = walk_struct(data, numbers)
        if behind > 0:
            return numbers, behind
        if behind != CUT or len(data) < length or length >= _LONGEST_HEAD:
            raise ValueError(f"the head of the page at byte {at:,} is damaged")
        length *= 16  # statistics with long values
        numbers = _no_numbers()


def _no_numbers() -> np.ndarray:
    return np.zeros((NUMBERS, NUMBERS), np.int64)
