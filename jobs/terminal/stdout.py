"""Data on stdout, in the form that ``--format`` names. Nothing else is ever written there.

What a table looks like as text is decided in ``render``; here it meets the terminal, the pipe or
the file that ``--output`` names.
"""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from v6share.jobs.terminal import messages
from v6share.render.text import (
    Form,
    SeveralForm,
    cells_of,
    json_lines,
    json_text,
    record_table,
    right_aligned,
    text_of,
)
from v6share.render.units import place_of
from v6share.render.values import Record, json_value
from v6share.schemas.errors import UserError
from v6share.schemas.text.plain import printable
from v6share.workspace import storage

if TYPE_CHECKING:
    import pyarrow as pa

# The file that takes the place of stdout, None: stdout itself; and what was printed into it so far,
# piece by piece: a table without rows may be a piece of no bytes.
_file: Path | None = None
_held: list[bytes] = []


def send_to(file: Path | None) -> None:
    """Have the data of this command go to a file, or to stdout again.

    Raises UserError where no file can be made there: after the work would be too late to say so.
    """
    global _file  # one process has one stdout
    _held.clear()
    _file = None
    if file is None:
        return
    found = storage.status(file)
    if found is not None and not storage.is_file(file):
        raise UserError(f"--output: {file} is no file, but something else; name a file")
    if not storage.may_write(file.absolute().parent):
        raise UserError(
            f"--output: no file can be made in {file.absolute().parent}; make the folder, or give "
            "another one"
        )
    _file = file


def is_sent_to_file() -> bool:
    """Whether the data go to a file."""
    return _file is not None


def is_wanted(form: Form) -> bool:
    """Whether to print what a command did: with ``-q`` only into a file, or where a form is asked
    for.
    """
    return messages.current().verbosity >= 0 or _file is not None or form != "table"


def finish() -> None:
    """Push out what is buffered: to the file, whole or not at all; else to stdout.

    A file stays as it was where nothing was printed; what was printed may be empty.
    """
    if _file is not None and _held:
        storage.write(_file, b"".join(_held))
        _held.clear()
    flush()


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
    a user says to see the columns for which a terminal is too narrow. A table without rows is said
    to have none, for people, where it has a title.
    Raises UserError where binary data would go to a terminal.
    """
    if title and not table.num_rows and form in ("table", "markdown"):
        write(f"### {title}\n\nno rows\n" if form == "markdown" else f"{title}: no rows\n")
        return
    on_terminal = _is_terminal()
    if limit is None:
        limit = 40 if form == "table" and on_terminal else 0
    shown = table.slice(0, limit) if limit else table
    if form == "parquet":
        _write_parquet(shown)
    elif form == "table" and on_terminal:
        _write_rich(shown, title, whole)
    else:
        text = text_of(shown, form, title=title)
        # As data a name is what it is; on a terminal it must not move the cursor.
        write(printable(text) if on_terminal else text)
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
    notes: Mapping[str, str] | None = None,
) -> None:
    """Print several small tables: one after the other, as one JSON object, or as one for each row,
    which says the name of its table.

    tables: by name. A Record is one thing with named values: two columns for people, an object in
    JSON. titles: by name; else ``reject_reasons`` gets the title "Reject reasons". limit, whole: as
    in ``write_table``; a ``{name}`` in whole becomes that of the table. notes: a line for people
    below a table, by its name.
    """
    if form == "json":
        parts = (f"{json.dumps(name)}: {_json_part(part, limit)}" for name, part in tables.items())
        write("{\n" + ",\n".join(parts) + "\n}\n")
        return
    if form == "jsonl":
        write("".join(_json_lines(name, part, limit) for name, part in tables.items()))
        return
    for place, (name, part) in enumerate(tables.items()):
        if place:
            write("\n")
        title = (titles or {}).get(name, name.replace("_", " ").capitalize())
        table = record_table(part) if isinstance(part, Mapping) else part
        write_table(table, form, title=title, limit=limit, whole=whole.format(name=name))
        if notes and name in notes:
            write(f"{notes[name]}\n")


def _json_part(part: "pa.Table | Record", limit: int | None) -> str:
    if isinstance(part, Mapping):
        return json_value(part)
    return json_text(part.slice(0, limit or None)).rstrip()


def _json_lines(name: str, part: "pa.Table | Record", limit: int | None) -> str:
    if isinstance(part, Mapping):
        return json_value({"table": name, **part}) + "\n"
    return json_lines(part.slice(0, limit or None), {"table": name})


def _is_terminal() -> bool:
    """Whether a person reads the data as they come."""
    return _file is None and sys.stdout.isatty()


def write(text: str) -> None:
    """Print text, on stdout or into the file."""
    if _file is None:
        write_out(text)
    else:
        _held.append(text.encode(errors="backslashreplace"))


def write_out(text: str) -> None:
    """Print text on stdout, wherever the data go. A reader that went away, such as ``head``, is no
    error.
    """
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
    if not _is_terminal():
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


def _write_rich(table: "pa.Table", title: str, whole: str) -> None:
    """A table with colours, as much of it as the terminal is wide; the rest is named beneath."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from v6share.render import fit

    console = Console()
    rows, right = cells_of(table), right_aligned(table)
    columns = [
        fit.Column(field.name, [row[i] for row in rows], not right[i], place_of(field, i))
        for i, field in enumerate(table.schema)
    ]
    fitted = fit.fit(columns, console.width)
    rich_table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, width in fitted.shown.items():
        rich_table.add_column(
            Text(fit.header(column.name, width)),
            justify="left" if column.is_text else "right",
            vertical="top",
            width=width,
        )
    for row in zip(*(column.cells for column in fitted.shown), strict=True):
        rich_table.add_row(*map(Text, row))
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

    if _is_terminal():
        raise UserError(
            "parquet is binary and stdout is a terminal; write it to a file: "
            "v6share kpi VIEW --format parquet --output view.parquet"
        )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    if _file is not None:
        _held.append(sink.getvalue())
        return
    try:
        sys.stdout.buffer.write(sink.getvalue())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _leave_pipe()
