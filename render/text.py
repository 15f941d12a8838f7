"""Arrow tables as text: JSON, CSV, Markdown and aligned columns. Pure.

For people (``table``, ``markdown``) numbers are grouped, bytes get a prefix, shares are in
percent and their differences in percentage points (pp), by the unit of their column (``units``).
For machines (``json``, ``jsonl``, ``csv``) values are exact: integers stay integers, decimals keep
their digits, times are UTC in ISO 8601.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from v6share.render.units import unit_of
from v6share.render.values import Record, iso_time, json_value, value_for_people
from v6share.schemas.text.plain import printable

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["table", "json", "jsonl", "csv", "markdown", "parquet"]
SeveralForm = Literal["table", "json", "jsonl", "markdown"]


def record_table(record: "Record") -> "pa.Table":
    """One thing with named values as a table of two columns."""
    import pyarrow as pa

    return pa.table(
        {
            "what": pa.array([name.replace("_", " ") for name in record], pa.string()),
            "value": pa.array([value_for_people(*item) for item in record.items()], pa.string()),
        }
    )


def text_of(table: "pa.Table", form: Form, *, title: str = "") -> str:
    """The table as text in one of the text forms; what a pipe gets."""
    match form:
        case "json":
            return json_text(table)
        case "jsonl":
            return json_lines(table)
        case "csv":
            return _csv_text(table)
        case "markdown":
            return _markdown_text(table, title)
        case _:
            return _plain_text(table, title)


def _rows(table: "pa.Table") -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches():
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


def json_text(table: "pa.Table") -> str:
    """A JSON list with one row a line."""
    lines = list(_json_rows(table))
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def json_lines(table: "pa.Table", more: Record | None = None) -> str:
    """One JSON object a row, each on a line of its own. more: what stands first in each of them."""
    return "".join(f"{line}\n" for line in _json_rows(table, more))


def _json_rows(table: "pa.Table", more: Record | None = None) -> Iterator[str]:
    for row in _rows(table):
        yield json_value({**(more or {}), **dict(zip(table.column_names, row, strict=True))})


def _csv_text(table: "pa.Table") -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_csv_cell(value) for value in row] for row in _rows(table))
    return out.getvalue()


def _csv_cell(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return iso_time(value)
        case Decimal():
            return format(value, "f")
        case list() | dict():
            return json_value(value)
    return value


def _markdown_text(table: "pa.Table", title: str) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (c.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for c in cells)
        return "| " + " | ".join(escaped) + " |"

    rule = ["---:" if right else "---" for right in right_aligned(table)]
    head = [f"### {title}", ""] if title else []
    lines = [*head, line(table.column_names), line(rule), *(line(r) for r in cells_of(table))]
    return "\n".join(lines) + "\n"


def _plain_text(table: "pa.Table", title: str) -> str:
    rows = [list(table.column_names), *cells_of(table)]
    right = right_aligned(table)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w)
            for cell, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([title, *lines] if title else lines) + "\n"


def cells_of(table: "pa.Table") -> list[list[str]]:
    """Each row's values as a person reads them."""
    return [_row_for_people(table.schema, row) for row in _rows(table)]


def _row_for_people(schema: "pa.Schema", values: tuple[Any, ...]) -> list[str]:
    row = dict(zip(schema.names, values, strict=True))
    target = row.get("target")
    return [
        printable(value_for_people(field.name, value, unit_of(field, row), target)).replace(
            "\n", " "
        )
        for field, value in zip(schema, values, strict=True)
    ]


def right_aligned(table: "pa.Table") -> list[bool]:
    """For each column whether it holds numbers."""
    import pyarrow.types as kinds

    return [
        kinds.is_integer(f.type) or kinds.is_floating(f.type) or kinds.is_decimal(f.type)
        for f in table.schema
    ]
