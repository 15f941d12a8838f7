"""CSV files of the catalog: named columns, comments with ``#``, and the line of every mistake.

Two readers with the same rules: ``read_csv`` gives rows as text for the small files, and
``read_columns`` gives one Arrow table for files of 600,000 rows and more, where a Python loop
takes over a second, and Arrow a thirtieth of it. The fast reader hands over to the slow one to find
the words for a mistake, and wherever a line may be something else than a row: Arrow parses blocks
of a file by themselves, and behind a quote that is not closed in its block it loses rows of the
next, without a word.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import whitespace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text.toml_files import decode
from v6share.schemas.text.wording import did_you_mean, nearest

# By byte: whether a line that begins with it may hold no row.
_MAY_SKIP: Final = np.isin(np.arange(256), list(b"# \t\r\n"))
_FIRST_LINE: Final = re.compile(rb"[^\r\n]*[^\r\n \t][^\r\n]*")
_SKIPPED: Final = b"skipped_lines"
_OPEN: Final = "; a quote opens a cell in this line and none closes it: close or remove it"


@dataclass(frozen=True)
class CsvRow:
    """One row: its cells by column, stripped, and the line on which it begins."""

    file: str
    line: int
    cells: dict[str, str]

    def error(self, column: str, problem: str) -> CatalogError:
        """A mistake in one cell of this row."""
        return CatalogError(self.file, self.line, column, problem)


@dataclass(frozen=True)
class CsvColumns:
    """The columns that a file must and may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """All of them, in the order of the contract."""
        return self.required + self.optional


def read_csv(file: str, data: bytes, columns: CsvColumns) -> list[CsvRow]:
    """All rows of a CSV file with a header. Empty and ``#`` lines are skipped.

    Raises CatalogError for text that is not UTF-8, for each unknown, missing or repeated column,
    and for each row with more or fewer cells than the header.
    """
    mistakes = Mistakes()
    rows, _ = read_rows(file, data, columns, mistakes)
    mistakes.refuse()
    return rows


def read_rows(
    file: str, data: bytes, columns: CsvColumns, mistakes: Mistakes
) -> tuple[list[CsvRow], frozenset[str] | None]:
    """As ``read_csv``, where rows that are wrong are noted and left out; and the cells of those.

    Nobody knows of which column these are; None where nobody knows where the next row begins.
    Raises CatalogError for text and columns: then nothing is known of any row.
    """
    rows = _rows(file, decode(file, data))
    header = _checked_header(file, rows, columns)
    found: list[CsvRow] = []
    others: set[str] = set()
    with mistakes.gathered():
        for line, cells in rows:
            if len(cells) != len(header):
                others.update(filter(None, cells))
            with mistakes.gathered():
                found.append(_row(file, line, header, cells))
        return found, frozenset(others)
    return found, None


def read_header(file: str, data: bytes, columns: CsvColumns) -> list[str]:
    """The columns of a CSV file, in its order. Raises CatalogError as ``read_csv``, for these."""
    return _checked_header(file, _rows(file, decode(file, data)), columns)


def read_columns(file: str, data: bytes, columns: CsvColumns, mistakes: Mistakes) -> pa.Table:
    """The required columns as text in an Arrow table, in file order; rules as ``read_rows``.

    A row's line is ``row_line(table, row)``. Cells may not contain line breaks.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    body, skipped, last = _without_skipped(data)
    if b'"' in body or _holds_bare_returns(data):
        return _read_strictly(file, data, columns, mistakes)
    first = _FIRST_LINE.search(body)
    header_line = row_line(_lines_of(pa.table({}), skipped), -1)
    header = _header(file, first[0] if first else b"", header_line, columns)
    try:
        table = _parse_columns(body, header, columns)
    except pa.ArrowInvalid as error:
        before = mistakes.count
        table = _read_strictly(file, data, columns, mistakes)
        if mistakes.count == before:
            raise CatalogError(file, None, "", f"not CSV: {error}") from None
        return table
    _check_all_read(file, table.num_rows, last - len(skipped) - 1)
    return _lines_of(table, skipped)


def empty_columns(columns: CsvColumns) -> pa.Table:
    """What ``read_columns`` gives for a file without rows."""
    return pa.table({c: pa.chunked_array([], pa.string()) for c in columns.required})


def row_line(table: pa.Table, row: int) -> int:
    """The line (from 1) of a row of ``read_columns``: row + 2, and the skipped lines above."""
    line = row + 2
    for skipped in (table.schema.metadata or {}).get(_SKIPPED, b"").split(b","):
        if not skipped or int(skipped) > line:
            break
        line += 1
    return line


def _holds_bare_returns(data: bytes) -> bool:
    """Whether a carriage return ends a line by itself."""
    if b"\r" not in data:
        return False
    octets = np.frombuffer(data, np.uint8)
    behind = np.flatnonzero(octets == ord("\r")) + 1
    return behind[-1] == len(octets) or bool((octets[behind] != ord("\n")).any())


def _read_strictly(file: str, data: bytes, columns: CsvColumns, mistakes: Mistakes) -> pa.Table:
    """``read_columns`` by Python's reader, which takes over thirty times as long."""
    text = decode(file, data)
    rows = _rows(file, text)
    header_line, header = next(rows, (1, []))
    _check_header(file, header_line, header, columns)
    places = [header.index(name) for name in columns.required]
    cells_of: list[list[str]] = [[] for _ in places]
    lines = [header_line]
    before = mistakes.count
    with mistakes.gathered():
        for line, cells in rows:
            try:
                _refuse_line_breaks(file, line, header, cells)
                if len(cells) != len(header):
                    _row(file, line, header, cells)
            except CatalogError as error:
                mistakes.add(error)
                continue
            for cells_of_column, place in zip(cells_of, places, strict=True):
                cells_of_column.append(cells[place])
            lines.append(line)
    if mistakes.count == before:
        filled = sum(bool(line.strip(whitespace)) for line in _lines(text))
        _check_all_read(file, len(lines), filled)
    table = pa.table([pa.array(c, pa.string()) for c in cells_of], names=list(columns.required))
    return _lines_of(table, sorted(set(range(1, lines[-1])).difference(lines)))


def _refuse_line_breaks(file: str, line: int, header: Sequence[str], cells: Sequence[str]) -> None:
    for column, cell in zip(header, cells, strict=False):
        if "\n" in cell or "\r" in cell:
            problem = (
                "found a line break inside a cell, expected a row a line; "
                "close the quote that opens the cell in its line, or remove it"
            )
            raise CatalogError(file, line, column, problem)


def _check_all_read(file: str, found: int, expected: int) -> None:
    """Whatever else a file may hold: no row is lost, and none is made of two."""
    if found != expected:
        problem = (
            f"found {_count(found, 'row')}, expected {expected:,}, as many lines are not empty; "
            "write a row a line, and quotes only in pairs"
        )
        raise CatalogError(file, None, "", problem)


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends, comments emptied: what a reader of rows is given."""
    return ("\n" if line.startswith("#") else line for line in io.StringIO(text, newline=""))


def _rows(file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(text), strict=True)
    begin = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            is_open = reader.line_num > begin or "end of data" in str(error)
            raise CatalogError(file, begin, "", f"not CSV: {error}{_OPEN * is_open}") from None
        # As bytes.strip does it: a line is no row where ASCII calls it empty.
        if len(cells) > 1 or any(cell.strip(whitespace) for cell in cells):
            yield begin, [cell.strip() for cell in cells]
        begin = reader.line_num + 1


def _row(file: str, line: int, header: list[str], cells: list[str]) -> CsvRow:
    if len(cells) != len(header):
        expected = f"expected {len(header)} ({','.join(header)})"
        raise CatalogError(file, line, "", f"found {_count(len(cells), 'cell')}, {expected}")
    return CsvRow(file, line, dict(zip(header, cells, strict=True)))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _checked_header(
    file: str, rows: Iterator[tuple[int, list[str]]], columns: CsvColumns
) -> list[str]:
    line, header = next(rows, (None, []))
    _check_header(file, line, header, columns)
    return header


def _check_header(file: str, line: int | None, header: Sequence[str], columns: CsvColumns) -> None:
    expected = ",".join(columns.required)
    if not header:
        problem = f"found no header line, expected {expected}"
        raise CatalogError(file, 1, "", problem)
    if len(header) == 1 and ";" in header[0]:
        raise CatalogError(file, line, "", "found semicolons, expected commas between the cells")
    mistakes = Mistakes()
    unknown = [name for name in dict.fromkeys(header) if name not in columns.known]
    for name in unknown:
        problem = f"unknown column{did_you_mean(name, columns.known)}"
        mistakes.add(CatalogError(file, line, name, problem))
    for name in dict.fromkeys(header):
        if header.count(name) > 1 and name not in unknown:
            problem = "the column stands twice in the header"
            mistakes.add(CatalogError(file, line, name, problem))
    misspelt = {nearest(name, columns.known) for name in unknown}
    for name in columns.required:
        if name not in header and name not in misspelt:
            found = ",".join(header)
            problem = f"missing column; found {found}, expected {expected}"
            mistakes.add(CatalogError(file, line, name, problem))
    mistakes.refuse()


def _header(file: str, text: bytes, line: int, columns: CsvColumns) -> list[str]:
    rows = _rows(file, decode(file, text))
    _, header = next(rows, (None, []))
    _check_header(file, line, header, columns)
    return header


def _without_skipped(body: bytes) -> tuple[bytes, list[int], int]:
    """Empty the comment lines; give the numbers of all lines that hold no row, and the last one."""
    octets = np.frombuffer(body, np.uint8)
    begins = octets[np.flatnonzero(octets[:-1] == ord("\n")) + 1]
    # Looked at by their first bytes: a pattern takes ten times as long.
    if not (_MAY_SKIP[octets[:1]].any() or _MAY_SKIP[begins].any()):
        return body, [], len(begins) + 1
    lines = body.removesuffix(b"\n").split(b"\n")
    skipped = [i for i, line in enumerate(lines) if line[:1] == b"#" or not line.strip()]
    for i in skipped:
        lines[i] = b""
    return b"\n".join(lines), [i + 1 for i in skipped], len(lines)


def _lines_of(table: pa.Table, skipped: list[int]) -> pa.Table:
    return table.replace_schema_metadata({_SKIPPED: ",".join(map(str, skipped))})


def _parse_columns(body: bytes, header: list[str], columns: CsvColumns) -> pa.Table:
    table = pa.csv.read_csv(
        pa.BufferReader(body),
        read_options=pa.csv.ReadOptions(column_names=header, skip_rows=0, block_size=1 << 22),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=list(columns.required),
            strings_can_be_null=False,
        ),
    ).slice(1)
    if body.isascii() and b" " not in body and b"\t" not in body:
        return table
    trimmed = [pc.utf8_trim_whitespace(table[name]) for name in columns.required]
    return pa.table(trimmed, names=list(columns.required))
