"""Large CSV files: no row is lost or joined, whatever quotes and line ends they hold."""

import csv
import io
import random

import pyarrow as pa
import pytest

from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text import csv_files
from v6share.schemas.text.csv_files import CsvColumns, read_columns, row_line

COLUMNS = CsvColumns(("prefix", "region", "network"))
HEADER = "prefix,region,network\n"
ROWS = 250_000
# Arrow's reader takes a file in blocks of 4 MiB, each by itself.
BLOCK = 1 << 22


def read(text: str) -> pa.Table:
    mistakes = Mistakes()
    table = read_columns("prefixes.csv", text.encode(), COLUMNS, mistakes)
    mistakes.refuse()
    return table


def refused(text: str) -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize("quoted", ["eu", '"eu"'])
def test_rows_that_are_wrong_are_noted_and_the_others_keep_their_lines(quoted: str) -> None:
    mistakes = Mistakes()
    text = f"{HEADER}# c\na,{quoted},x\nb,eu\n\nc,eu,x\nd,eu,x,y\ne,eu,x\n"
    table = read_columns("prefixes.csv", text.encode(), COLUMNS, mistakes)
    assert [one.line for one in mistakes.found] == [4, 7]
    assert table["prefix"].to_pylist() == ["a", "c", "e"]
    assert [row_line(table, row) for row in range(3)] == [3, 6, 8]


@pytest.fixture(scope="module")
def large() -> list[str]:
    """Lines of more than one block."""
    made = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32,r{i % 40},n{i % 30}\n" for i in range(ROWS)]
    assert sum(map(len, made)) > BLOCK + (1 << 20)
    return made


def line_over_the_block_end(lines: list[str]) -> int:
    at, position = 0, len(HEADER)
    while position + len(lines[at]) <= BLOCK:
        position += len(lines[at])
        at += 1
    return at


@pytest.mark.parametrize("place", ["first", "at the end of a block", "in the second", "last"])
@pytest.mark.parametrize("quotes", ["one", "a pair in two lines"])
def test_a_stray_quote_is_named_with_its_line(large: list[str], place: str, quotes: str) -> None:
    over = line_over_the_block_end(large)
    at = {"first": 0, "at the end of a block": over - 1, "in the second": over + 9}.get(place, -2)
    at %= ROWS
    lines = large.copy()
    lines[at] = lines[at].replace(",", ',"', 1)
    if quotes != "one":
        lines[at + 1] = lines[at + 1].replace(",n", '",n', 1)
    error = refused(HEADER + "".join(lines))
    assert (error.file, error.line) == ("prefixes.csv", at + 2)
    assert "quote" in error.problem
    assert "remove it" in error.problem


def test_quoted_cells_over_the_end_of_a_block_are_read(large: list[str]) -> None:
    over, lines = line_over_the_block_end(large), large.copy()
    for at in (0, over - 1, over, over + 1, ROWS - 1):
        prefix, region, network = lines[at].rstrip("\n").split(",")
        lines[at] = f'"{prefix}","{region}, ""{at}""",{network}\n'
    table = read(HEADER + "".join(lines))
    assert table["prefix"].equals(read(HEADER + "".join(large))["prefix"])
    assert table["region"][over].as_py() == f'r{over % 40}, "{over}"'
    assert row_line(table, over) == over + 2


def test_what_is_read_is_what_plain_csv_reads_or_a_mistake() -> None:
    rng = random.Random(3)
    parts = ("a", "b", ",", ",", ",", "\n", "\n", "\r\n", "\r", '"', '"', '""', " ", "#", "é")
    outcomes = {"read": 0, "refused": 0}
    for _ in range(4000):
        rows = [f"{i},x,y" for i in range(rng.randrange(1, 5))]
        text = "\n".join(rows)
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(parts) + text[at:]
        try:
            table = read(HEADER + text)
        except CatalogError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        # A comment has no row; a row is a line, so no cell holds a line end.
        lines = [line for line in io.StringIO(text, newline="") if not line.startswith("#")]
        wanted = [
            [cell.strip() for cell in row]
            for row in csv.reader(lines, strict=True)
            if len(row) > 1 or any(cell.strip() for cell in row)
        ]
        assert [list(row.values()) for row in table.to_pylist()] == wanted, text
        assert not any("\n" in cell or "\r" in cell for row in wanted for cell in row), text
        shown = (HEADER + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for row, cells in enumerate(wanted):
            assert cells[0].strip('"')[:1] in shown[row_line(table, row) - 1], text
    assert min(outcomes.values()) > 500, outcomes


def test_quotes_in_comments_leave_a_file_to_the_fast_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_files, "_read_strictly", None)
    assert read(f'# the "old" ones\n{HEADER}10.0.0.0/8,a,b\n# 11", too\n').num_rows == 1


def test_lines_that_end_with_a_carriage_return_alone_are_lines() -> None:
    table = read("# c\rprefix,region,network\r10.0.0.0/8,a,b\r\r11.0.0.0/8,a,b\r")
    assert table["prefix"].to_pylist() == ["10.0.0.0/8", "11.0.0.0/8"]
    assert [row_line(table, row) for row in range(2)] == [3, 5]


@pytest.mark.parametrize("text", ["10.0.0.0/8,a,b\n11.0.0.0/8,a,b\n", "#c\n1,a,b\n\n2,a,b\n\n#c"])
def test_a_reader_that_loses_a_row_is_found(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert read(HEADER + text).num_rows == 2
    whole = csv_files._parse_columns
    monkeypatch.setattr(csv_files, "_parse_columns", lambda *given: whole(*given).slice(1))
    assert str(refused(HEADER + text)).startswith("prefixes.csv: found 1 row, expected 2, as many")


def test_a_cell_of_two_lines_says_what_to_do() -> None:
    error = refused(f'{HEADER}10.0.0.0/8,"a\nb",c\n')
    assert str(error).startswith("prefixes.csv:2: region: found a line break inside a cell, expec")
    assert "close the quote" in error.problem
