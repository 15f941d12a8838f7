"""Data on stdout: one renderer from an Arrow table to each form that ``--format`` names.

For people (``table``, ``markdown``) numbers are grouped, bytes get a prefix, shares are in
percent and their differences in percentage points (pp), by the unit of their column (header.py).
For machines (``json``, ``csv``, ``parquet``) values are exact: integers stay integers,
decimals keep their digits, times are UTC in ISO 8601.
"""

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from v6share.jobs.header import place_of, unit_of, unit_of_name
from v6share.jobs.printable import printable
from v6share.schemas.cut import cut
from v6share.schemas.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["table", "json", "csv", "markdown", "parquet"]
SeveralForm = Literal["table", "json", "markdown"]
Record = Mapping[str, object]

_HASHES: Final = ("catalog_version", "input_id")
_HASH_SHOWN: Final = 12
_COMMAND_SHOWN: Final = 60
_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E", "Z")
_MOST_DIGITS: Final = 9


def write_table(
    table: "pa.Table",
    form: Form,
    *,
    title: str = "",
    limit: int | None = None,
    whole: str = "--format csv",
) -> None:
    """Print one table on stdout.

    limit: at most so many rows, 0 for all; None: 40 in a table on a terminal, else all. whole: what
    a user says to see the columns for which a terminal is too narrow.
    Raises UserError where binary data would go to a terminal.
    """
    on_terminal = sys.stdout.isatty()
    if limit is None:
        limit = 40 if form == "table" and on_terminal else 0
    shown = table.slice(0, limit) if limit else table
    if form == "parquet":
        _write_parquet(shown)
    elif form == "table" and on_terminal:
        _write_rich(shown, title, whole)
    else:
        write(text_of(shown, form, title=title))
    if shown.num_rows < table.num_rows and form in ("table", "markdown"):
        left = table.num_rows - shown.num_rows
        write(f"... {left:,} more rows; --limit 0 shows all\n")


def write_tables(
    tables: "Mapping[str, pa.Table | Record]",
    form: SeveralForm,
    *,
    titles: Mapping[str, str] | None = None,
    limit: int | None = 0,
    whole: str = "--format json",
) -> None:
    """Print several small tables: one after the other, or as one JSON object.

    tables: by name. A Record is one thing with named values: two columns for people, an object in
    JSON. titles: by name; else ``reject_reasons`` gets the title "Reject reasons". limit, whole: as
    in ``write_table``; a ``{name}`` in whole becomes that of the table.
    """
    if form == "json":
        parts = (f"{json.dumps(name)}: {_json_part(part, limit)}" for name, part in tables.items())
        write("{\n" + ",\n".join(parts) + "\n}\n")
        return
    for place, (name, part) in enumerate(tables.items()):
        if place:
            write("\n")
        title = (titles or {}).get(name, name.replace("_", " ").capitalize())
        table = _record_table(part) if isinstance(part, Mapping) else part
        if table.num_rows:
            hint = whole.format(name=name)
            write_table(table, form, title=title, limit=limit, whole=hint)
        else:
            write(f"### {title}\n\nno rows\n" if form == "markdown" else f"{title}: no rows\n")


def _json_part(part: "pa.Table | Record", limit: int | None) -> str:
    if isinstance(part, Mapping):
        return json_value(part)
    return _json_text(part.slice(0, limit or None)).rstrip()


def _record_table(record: "Record") -> "pa.Table":
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
            return _json_text(table)
        case "csv":
            return _csv_text(table)
        case "markdown":
            return _markdown_text(table, title)
        case _:
            return _plain_text(table, title)


def write(text: str) -> None:
    """Print text on stdout. A reader that went away, such as ``head``, is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()


def flush() -> None:
    """Push out what is buffered, quietly where nobody reads."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()


def write_lines(lines: Sequence[str]) -> None:
    """Print lines of text on stdout; a terminal breaks them between words."""
    lines = [printable(line) for line in lines]
    if not sys.stdout.isatty():
        write("".join(f"{line}\n" for line in lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in lines:
        console.print(Text(line))


def _leave_pipe() -> None:
    """Send the rest to nowhere, so that neither we nor the interpreter's exit complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def value_for_people(
    name: str, value: object, unit: str | None = None, target: float | Decimal | None = None
) -> str:
    """One value as a person reads it.

    name: its column. unit: as ``unit_of`` says; None: what the name says. target: what a share is
    measured against, see ``share_for_people``.
    """
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            shown = unit_of_name(name) if unit is None else unit
            return _number_for_people(name, value, shown, target)
        case datetime():
            return _utc(value).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
        case list():
            return ", ".join(value_for_people("", item) for item in value)
        case str() if name in _HASHES:
            return shown_hash(value)
        case str() if name == "command":
            # A shell puts every file of a glob into it, and one line would be as wide as them all.
            return cut(value, _COMMAND_SHOWN)
        case dict():
            return ", ".join(f"{k}={value_for_people(k, v)}" for k, v in value.items())
    return str(value)


def shown_hash(value: str) -> str:
    """The start of a hash: enough to tell it from others, and to name an input to ``forget``."""
    return value[:_HASH_SHOWN]


def bytes_for_people(count: float | Decimal) -> str:
    """Bytes with a decimal prefix and three digits: ``8.38 MB``."""
    scaled, step = float(count), 0
    while abs(scaled) >= 999.5 and step < len(_PREFIXES) - 1:
        scaled, step = scaled / 1000, step + 1
    digits = f"{scaled:.0f}" if step == 0 else f"{scaled:.3g}"
    return f"{digits} {_PREFIXES[step]}B"


def share_for_people(share: float | Decimal, target: float | Decimal | None = None) -> str:
    """A share in percent: ``41.2 %``.

    With one digit, and with more where it would else look like nothing, like the whole or like a
    target, and is not.
    """
    value = float(share)
    marks = {0.0, 1.0, value if target is None else float(target)} - {value}
    digits = 1
    while digits < _MOST_DIGITS and _percent(value, digits) in {_percent(m, digits) for m in marks}:
        digits += 1
    return _percent(value, digits)


def _percent(share: float, digits: int) -> str:
    return f"{share * 100:.{digits}f} %"


def points_for_people(difference: float | Decimal) -> str:
    """A difference of shares in percentage points: ``-0.72 pp``."""
    return f"{float(difference) * 100:z.2f} pp"


def _number_for_people(
    name: str, value: float | Decimal, unit: str, target: float | Decimal | None
) -> str:
    number = float(value)
    if not math.isfinite(number):
        return "-"
    match unit:
        case "share":
            return share_for_people(value, target)
        case "points":
            return points_for_people(value)
        case "bytes":
            return bytes_for_people(value)
    if "port" in name.split("_"):
        return str(value)
    if value == int(value):
        return f"{int(value):,}"
    return f"{number:,.4g}" if abs(number) < 1000 else f"{number:,.1f}"


def _utc(moment: datetime) -> datetime:
    """Times in our tables carry no zone and are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso_time(moment: datetime) -> str:
    """A UTC time in ISO 8601, with fractions only where there are any."""
    return _utc(moment).isoformat().replace("+00:00", "Z")


def _rows(table: "pa.Table") -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches():
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


# JSON: one row a line, so that line tools can work on it too.


def _json_text(table: "pa.Table") -> str:
    lines = [
        "{"
        + ", ".join(f"{json.dumps(n)}: {json_value(v)}" for n, v in zip(table.column_names, row))  # noqa: B905 - same length by construction
        + "}"
        for row in _rows(table)
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def json_value(value: object) -> str:
    """One value as JSON text; decimals keep all their digits, as numbers."""
    match value:
        case Decimal():
            return format(value, "f") if value.is_finite() else "null"
        case float():
            return json.dumps(value) if abs(value) < float("inf") else "null"
        case datetime():
            return json.dumps(iso_time(value))
        case date():
            return json.dumps(value.isoformat())
        case bytes():
            return json.dumps(value.hex())
        case list() | tuple():
            return "[" + ", ".join(json_value(item) for item in value) + "]"
        case dict():
            items = (f"{json.dumps(str(k))}: {json_value(v)}" for k, v in value.items())
            return "{" + ", ".join(items) + "}"
    return json.dumps(value, ensure_ascii=False, default=str)


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

    rule = ["---:" if right else "---" for right in _right_aligned(table)]
    head = [f"### {title}", ""] if title else []
    lines = [*head, line(table.column_names), line(rule), *(line(r) for r in _cells(table))]
    return "\n".join(lines) + "\n"


def _plain_text(table: "pa.Table", title: str) -> str:
    rows = [list(table.column_names), *_cells(table)]
    right = _right_aligned(table)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(w) if r else cell.ljust(w)
            for cell, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([title, *lines] if title else lines) + "\n"


def _cells(table: "pa.Table") -> list[list[str]]:
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


def _right_aligned(table: "pa.Table") -> list[bool]:
    import pyarrow.types as kinds

    return [
        kinds.is_integer(f.type) or kinds.is_floating(f.type) or kinds.is_decimal(f.type)
        for f in table.schema
    ]


def _write_rich(table: "pa.Table", title: str, whole: str) -> None:
    """A table with colours, as much of it as the terminal is wide; the rest is named beneath."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from v6share.jobs import layout

    console = Console()
    rows, right = _cells(table), _right_aligned(table)
    columns = [
        layout.Column(field.name, [row[i] for row in rows], not right[i], place_of(field, i))
        for i, field in enumerate(table.schema)
    ]
    fitted = layout.fit(columns, console.width)
    rich_table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, width in fitted.shown.items():
        rich_table.add_column(
            Text(layout.header(column.name, width)),
            justify="left" if column.is_text else "right",
            vertical="top",
            width=width,
        )
    for cells in zip(*(column.cells for column in fitted.shown), strict=True):
        rich_table.add_row(*map(Text, cells))
    if title:
        console.print(Text(title, style="bold"))
    console.print(rich_table)
    if fitted.same:
        known = ", ".join(f"{column.name} {column.cells[0] or '(empty)'}" for column in fitted.same)
        console.print(Text(f"the same in all rows shown: {known}"))
    if fitted.left_out:
        names = ", ".join(column.name for column in fitted.left_out)
        console.print(Text(f"left out, as the terminal is narrow: {names}; {whole} shows all"))


def _write_parquet(table: "pa.Table") -> None:
    import pyarrow.parquet as pq

    if sys.stdout.isatty():
        raise UserError(
            "parquet is binary and stdout is a terminal; write it to a file: "
            "v6share kpi VIEW --format parquet > view.parquet"
        )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    try:
        sys.stdout.buffer.write(sink.getvalue())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _leave_pipe()
