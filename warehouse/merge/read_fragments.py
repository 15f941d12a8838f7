"""Reading fragments: one row of nested tables each, back into flat Arrow tables.

A fragment that is missing, damaged or not the one asked for is an error that names the input to
run again; it is never skipped, because its rows would be missing without a trace. Where the system
fails while it is read, nothing is known about it, and that error is raised as it is. Its bytes are
compared with what was written when it is opened; tables that are read later have checksums.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from shlex import quote
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from v6share.schemas.aggregates import FRAGMENT_TABLES
from v6share.schemas.columns import Kind, Table
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import (
    COLUMNS_OF_RULES_7,
    FRAGMENT_SCHEMA,
    FRAGMENT_TEXT,
    HASH_BYTES,
    INPUT_TABLES,
    TABLES_OF_RULES_7,
    FragmentFile,
    FragmentKey,
    in_fragment,
)
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_NESTED: Final = (*FRAGMENT_TABLES, *INPUT_TABLES)
_HEADER_COLUMNS: Final = [
    name for name in FRAGMENT_SCHEMA.names if name not in {table.name for table in _NESTED}
]
_HEADER_SCHEMA: Final = pa.schema([FRAGMENT_SCHEMA.field(name) for name in _HEADER_COLUMNS])
_LEDGER_COLUMNS: Final = [table.name for table in INPUT_TABLES]
_AHEAD: Final = 2
# Of a small fragment, to open the file is most of reading it: it is read as a whole, as long as
# all that is kept so has room here, as Arrow.
KEPT_BYTES: Final = 64 << 20
_SMALL_BYTES: Final = 256 << 10
_DAY: Final = timedelta(days=1)
_RULES_7: Final = 7
_NAMED: Final = 10
# As wide as the times of flows may be.
_ALWAYS: Final = "--since 1990-01-01 --until 9999-12-30"
# What damaged bytes make Arrow raise, and Python for the names and times that stand in them.
_READ_ERRORS: Final = (
    OSError,
    pa.ArrowException,
    ValueError,
    LookupError,
    OverflowError,
    MemoryError,
    EOFError,
)


class FragmentUnreadable(UserError):  # noqa: N818 - a name for what is found
    """A fragment that the warehouse needs cannot be used. ``found`` says what is wrong.

    others: more of them, which stand in the way of what would help this one alone. opens: whether
    the warehouse can be opened without them.
    """

    def __init__(
        self,
        source: "FragmentSource",
        problem: str,
        others: "Sequence[FragmentUnreadable]" = (),
        *,
        opens: bool = True,
    ) -> None:
        self.source = source
        self.problem = problem
        self.found = (
            f"{source.file}: {problem}. It holds the aggregates of {source.path or 'an input'} "
            f"(input {source.key.input_id})"
        )
        more = f"{_in_words(others)}. " if others else ""
        super().__init__(f"{self.found}. {more}{what_helps([self, *others], opens=opens)}")


def _in_words(others: Sequence[FragmentUnreadable]) -> str:
    """Which other fragments are lost or damaged."""
    named = [one.source.path or one.source.key.input_id for one in others[:_NAMED]]
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    return f"Lost or damaged, too: the fragments of {', '.join(named)}{more}"


def what_helps(unreadable: Sequence[FragmentUnreadable], *, opens: bool = True) -> str:
    """What to do about fragments that cannot be used. They are all new, or all count already.

    unreadable: all there are, for each of them keeps the others from being withdrawn alone. opens:
    whether the warehouse can be opened without them. The commands can be run as they stand, one
    after the other.
    """
    first = unreadable[0].source
    if first.is_new:
        return "Nothing was committed: run its file again, its fragment is then written anew"
    there = [one for one in unreadable if storage.is_file(Path(one.source.path))]
    digest = "" if first.written is None else f" (SHA-256 {first.written.sha256})"
    restore = "these files" if len(unreadable) > 1 else f"the file{digest}"
    other_ways = _ways_while_it_opens if opens else _ways_while_it_does_not
    gone = [one for one in unreadable if one not in there]
    return f"Put {restore} back from a backup. Where there is none, {other_ways(there, gone)}"


def _ways_while_it_opens(
    there: Sequence[FragmentUnreadable], gone: Sequence[FragmentUnreadable]
) -> str:
    """Where a warehouse can be opened. there, gone: by whether the flow file is still there."""
    if not there:
        return f"{_withdraw(gone)}; as the flow files are gone, the numbers are lost"
    again = (
        f"`v6share backfill --reprocess all {_ALWAYS} {_paths(there)}` counts the flow files again "
        "and makes their fragments anew"
    )
    if gone:
        return f"{again}. Then {_withdraw(gone)}; these flow files are gone, their numbers are lost"
    return f"{again}. Where that does not help, {_withdraw(there)}, and {_count_again(there)}"


def _ways_while_it_does_not(
    there: Sequence[FragmentUnreadable], gone: Sequence[FragmentUnreadable]
) -> str:
    """Where the warehouse must be made anew first, without these fragments. As above."""
    steps = [_withdraw([*there, *gone]), "`v6share rebuild` makes the warehouse without"]
    counted = [_count_again(there)] if there else []
    lost = "; where a flow file is gone, its numbers are lost" if gone else ""
    return f"{', then '.join([*steps, *counted])}{lost}"


def _withdraw(some: Sequence[FragmentUnreadable]) -> str:
    ids = " ".join(one.source.key.input_id for one in some)
    them = "the inputs, all at once" if len(some) > 1 else "the input"
    return f"`v6share forget {ids}` withdraws {them}"


def _count_again(some: Sequence[FragmentUnreadable]) -> str:
    return f"`v6share run {_paths(some)} --include-forgotten` counts the flow files again"


def _paths(some: Sequence[FragmentUnreadable]) -> str:
    return " ".join(quote(one.source.path) for one in some)


@dataclass(frozen=True)
class FragmentSource:
    """Which fragment is wanted: its key, its file, and the input's path for messages.

    written: what the file is known by; None where an older version committed it. is_new: it is
    about to be committed. client_key: the number of the key that it was counted with.
    """

    key: FragmentKey
    file: Path
    path: str
    written: FragmentFile | None = None
    is_new: bool = False
    client_key: int = 0


def source_of(
    workspace: Workspace,
    key: FragmentKey,
    path: str,
    written: FragmentFile | None,
    client_key: int = 0,
) -> FragmentSource:
    """The source of a fragment in this workspace."""
    file = workspace.fragment(key.fragment_id)
    return FragmentSource(key, file, path, written, client_key=client_key)


@dataclass(frozen=True)
class Header:
    """A fragment's own figures; times are UTC, None where no row was counted."""

    key: FragmentKey
    size: int
    rows_in: int
    rows_counted: int
    rows_rejected: int
    first_start: datetime | None
    last_end: datetime | None


@dataclass(frozen=True)
class Fragment:
    """A fragment in memory: header, and the flat tables by name; ledgers carry input_id.

    The text of aggregate tables may be dictionary-encoded.
    """

    header: Header
    tables: dict[str, pa.Table]


def read_fragment(source: FragmentSource) -> Fragment:
    """A whole fragment. Raises FragmentUnreadable."""
    row = _read_row(source, None, _open_checked(source))
    header = _header(row, source)
    tables = {table.name: _flat(row, table, source) for table in _NESTED}
    for table in FRAGMENT_TABLES:
        _check_span(header, tables[table.name], table, source)
    return Fragment(header, tables)


def _check_span(header: Header, rows: pa.Table, table: Table, source: FragmentSource) -> None:
    """The header's times must cover the rows, a day more on each side for reporting offsets.

    Which fragments cover a day is found by these times; one that lies would be left out.
    """
    if not rows.num_rows:
        return
    try:
        found = pc.min_max(_days(rows, table)).as_py()
    except (ValueError, OverflowError) as error:
        raise FragmentUnreadable(source, f"bad days in {table.name} ({error})") from error
    first, last = header.first_start, header.last_end
    if (
        first is None
        or last is None
        or first.date() - found["min"] > _DAY
        or found["max"] - last.date() > _DAY
    ):
        raise FragmentUnreadable(
            source,
            f"{table.name} has rows from {found['min']} to {found['max']}, the header says "
            f"{first} to {last}",
        )


@dataclass(frozen=True)
class Opened:
    """A fragment that is the one that was asked for: its header is read.

    kept: aggregate tables that were read with it, by name; each is given away once.
    """

    source: FragmentSource
    header: Header
    kept: dict[str, pa.Table] = field(default_factory=dict)


def open_fragment(source: FragmentSource) -> Opened:
    """Check a fragment and read its header. Raises FragmentUnreadable."""
    row = _read_row(source, _HEADER_COLUMNS, _open_checked(source))
    return Opened(source, _header(row, source))


def open_fragments(sources: Iterable[FragmentSource]) -> list[Opened]:
    """Read the headers of fragments, in order. Raises FragmentUnreadable."""
    with ThreadPoolExecutor(_AHEAD) as readers:
        return list(readers.map(open_fragment, sources))


def open_with_ledgers(
    sources: Sequence[FragmentSource],
) -> tuple[list[Opened], dict[str, pa.Table]]:
    """Read the headers of fragments, in order, and all their ledgers by name, with input_id.

    No ledger where there is no fragment. Raises FragmentUnreadable.
    """
    if not sources:
        return [], {}
    room = _Room(KEPT_BYTES)
    with ThreadPoolExecutor(_AHEAD) as readers:
        both = readers.map(lambda source: _open_with_ledgers(source, room), sources)
        opened, ledgers = zip(*both, strict=True)
    return list(opened), {
        table.name: pa.concat_tables([one[table.name] for one in ledgers]) for table in INPUT_TABLES
    }


@dataclass
class _Room:
    """Bytes that may still be kept. Two threads that ask at once take a little more."""

    left: int


def _open_with_ledgers(source: FragmentSource, room: _Room) -> tuple[Opened, dict[str, pa.Table]]:
    if room.left > 0 and _is_small(source.file):
        whole = read_fragment(source)
        ledgers = {table.name: whole.tables.pop(table.name) for table in INPUT_TABLES}
        room.left -= sum(rows.nbytes for rows in whole.tables.values())
        return Opened(source, whole.header, whole.tables), ledgers
    row = _read_row(source, [*_HEADER_COLUMNS, *_LEDGER_COLUMNS], _open_checked(source))
    ledgers = {table.name: _flat(row, table, source) for table in INPUT_TABLES}
    return Opened(source, _header(row, source)), ledgers


def _is_small(file: Path) -> bool:
    try:
        return storage.size(file) <= _SMALL_BYTES
    except OSError:
        return False  # it is read in parts then, and that read says what is wrong


def read_parts(fragments: Iterable[Opened], table: Table) -> Iterator[pa.Table]:
    """One aggregate table of each fragment, in order; the next ones are read meanwhile.

    Raises FragmentUnreadable.
    """
    waiting: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(_AHEAD) as readers:
        for one in fragments:
            waiting.append(readers.submit(_read_part, one, table))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read_part(fragment: Opened, table: Table) -> pa.Table:
    if table.name in fragment.kept:
        return fragment.kept.pop(table.name)
    # Its bytes were checked when it was opened; now its pages are, as they are read.
    row = _read_row(fragment.source, [table.name], fragment.source.file)
    rows = _flat(row, table, fragment.source)
    _check_span(fragment.header, rows, table, fragment.source)
    return rows


def of_days(rows: pa.Table, table: Table, days: pa.Array) -> pa.Table:
    """The rows whose UTC day is one of ``days`` (date32)."""
    return rows.filter(pc.is_in(_days(rows, table), value_set=days))


def distinct_days(rows: pa.Table, table: Table) -> pa.Array:
    """The UTC days of the rows (date32), each once."""
    days = pc.unique(_days(rows, table))
    return days.combine_chunks() if isinstance(days, pa.ChunkedArray) else days


def _days(rows: pa.Table, table: Table) -> pa.ChunkedArray:
    # Every aggregate table's first column is its window start or its day.
    return pc.cast(rows.column(table.columns[0].name), pa.date32())


def check_size(source: FragmentSource) -> None:
    """See whether a fragment is there, and as long as it was. Raises FragmentUnreadable."""
    with _as_unreadable(source):
        _refuse_other_size(source, storage.size(source.file))


def check_bytes(source: FragmentSource) -> None:
    """Compare a fragment with what was written; where nobody said it, see whether it can be read.

    Raises FragmentUnreadable.
    """
    if source.written is not None:
        _open_checked(source)
        return
    opened, _ = open_with_ledgers([source])
    for table in FRAGMENT_TABLES:
        for _rows in read_parts(opened, table):
            pass


def _open_checked(source: FragmentSource) -> Path | pa.BufferReader:
    """Where to read a fragment whose bytes are those that were written: a small one in memory.

    Raises FragmentUnreadable where they are others.
    """
    wanted = source.written
    if wanted is None:
        return source.file
    with _as_unreadable(source), storage.open_file(source.file) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        _refuse_other_size(source, size)
        whole = file.read() if size <= _SMALL_BYTES else None
        digest = hashlib.file_digest(file, "sha256") if whole is None else hashlib.sha256(whole)
    if digest.hexdigest() != wanted.sha256:
        raise FragmentUnreadable(
            source,
            f"the fragment was altered: its SHA-256 is {digest.hexdigest()}, expected "
            f"{wanted.sha256}",
        )
    return source.file if whole is None else pa.BufferReader(whole)


def _refuse_other_size(source: FragmentSource, size: int) -> None:
    wanted = source.written
    if wanted is not None and size != wanted.size:
        raise FragmentUnreadable(
            source, f"the fragment has {size:,} bytes, expected {wanted.size:,}"
        )


@contextmanager
def _as_unreadable(source: FragmentSource) -> Iterator[None]:
    """What goes wrong in reading, as FragmentUnreadable."""
    try:
        yield
    except FileNotFoundError:
        raise FragmentUnreadable(source, "the fragment is missing") from None
    except _READ_ERRORS as error:
        if _is_of_the_system(error, source):
            raise
        raise FragmentUnreadable(source, f"the fragment is damaged ({error})") from error


def _is_of_the_system(error: Exception, source: FragmentSource) -> bool:
    """Whether the system speaks and not the bytes, of which nothing is known then.

    Bytes that are as they were written ask for no absurd amount of memory; damaged ones may.
    """
    if isinstance(error, MemoryError):
        return source.written is not None
    return isinstance(error, OSError) and error.errno is not None


def _opened(place: Path | pa.BufferReader) -> BufferedReader | pa.BufferReader:
    return storage.open_file(place) if isinstance(place, Path) else place


def _read_row(
    source: FragmentSource, columns: list[str] | None, place: Path | pa.BufferReader
) -> pa.Table:
    with (
        _as_unreadable(source),
        # One small row group: to read it ahead, or in threads, costs more than it saves.
        _opened(place) as whole,
        pq.ParquetFile(
            whole,
            read_dictionary=FRAGMENT_TEXT,
            pre_buffer=False,
            page_checksum_verification=True,
        ) as file,
    ):
        row = file.read(columns=columns, use_threads=False)
        # Codes and offsets come as the file has them, and nobody checks them later: one that
        # points outside would read other memory, or end the process.
        row.validate(full=True)
    wanted = columns or FRAGMENT_SCHEMA.names
    if source.key.rules_version < _RULES_7:
        wanted = [name for name in wanted if name not in TABLES_OF_RULES_7]
    if set(row.column_names) != set(wanted) or row.num_rows != 1:
        raise FragmentUnreadable(
            source,
            f"not a fragment of this version: {row.num_rows} rows, columns "
            f"{', '.join(row.column_names)}; expected 1 row, columns {', '.join(wanted)}",
        )
    return row


def _header(row: pa.Table, source: FragmentSource) -> Header:
    header = row.select(_HEADER_COLUMNS)
    try:
        (values,) = header.cast(_HEADER_SCHEMA).to_pylist()
    except (ValueError, OverflowError) as error:
        raise FragmentUnreadable(source, f"bad header ({error})") from error
    key = FragmentKey(*(values.pop(name) for name in FragmentKey.__dataclass_fields__))
    if key != source.key:
        raise FragmentUnreadable(source, f"the fragment is of {key}, expected {source.key}")
    return Header(key=key, **values)


def _flat(row: pa.Table, table: Table, source: FragmentSource) -> pa.Table:
    schema = in_fragment(table).arrow_schema
    if source.key.rules_version < _RULES_7 and table.name in TABLES_OF_RULES_7:
        return table.arrow_schema.empty_table()
    column = row.column(table.name)
    try:
        batches = [pa.RecordBatch.from_struct_array(chunk.flatten()) for chunk in column.chunks]
        whole = pa.Table.from_batches(batches)
        if source.key.rules_version < _RULES_7:
            whole = _with_later_columns(whole, table)
        flat = _with_lists(whole.select(schema.names))
        flat = flat.cast(_with_dictionaries(schema, flat.schema))
    except (pa.ArrowException, ValueError, KeyError, AttributeError) as error:
        if _is_of_the_system(error, source):
            raise
        raise FragmentUnreadable(source, f"bad {table.name} ({error})") from error
    of_the_input = {"input_id": source.key.input_id, "client_key": source.client_key}
    for number, column in enumerate(table.arrow_schema):
        if column.name not in schema.names:
            known = of_the_input.get(column.name)
            value = row[column.name][0] if known is None else pa.scalar(known, column.type)
            flat = flat.add_column(number, column, pa.repeat(value, flat.num_rows))
    return flat


def _with_later_columns(rows: pa.Table, table: Table) -> pa.Table:
    """The rows of a fragment of older rules, with the columns that came later."""
    for name, value in COLUMNS_OF_RULES_7.get(table.name, {}).items():
        if name in rows.column_names:
            continue
        kind = table.arrow_schema.field(name).type
        rows = rows.append_column(name, pa.repeat(pa.scalar(value, kind), rows.num_rows))
    return rows


def _with_lists(rows: pa.Table) -> pa.Table:
    """The same rows with their hashes as lists. Raises ValueError where bytes are no hashes."""
    for i, column in enumerate(rows.schema):
        if column.type == HASH_BYTES:
            lists = pa.chunked_array(
                [_hashes(chunk) for chunk in rows.column(i).chunks], Kind.UBIGINT_LIST.arrow
            )
            rows = rows.set_column(i, column.with_type(lists.type), lists)
    return rows


def _hashes(column: pa.LargeBinaryArray) -> pa.ListArray:
    if not len(column):
        return pa.array([], Kind.UBIGINT_LIST.arrow)
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset :][: len(column) + 1]
    if (ends % 8).any():
        raise ValueError("a list of hashes does not consist of whole hashes")
    values = pa.Array.from_buffers(
        pa.uint64(), int(ends[-1]) // 8, [None, data or pa.py_buffer(b"")]
    )
    return pa.ListArray.from_arrays(pa.array(ends // 8, pa.int32()), values)


def _with_dictionaries(wanted: pa.Schema, found: pa.Schema) -> pa.Schema:
    """The wanted schema, with text as dictionaries where it came so."""
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([f.with_type(kind) if found.field(f.name).type == kind else f for f in wanted])
