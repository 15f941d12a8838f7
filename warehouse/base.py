"""The base: a file of the sums of inputs whose fragments were pruned.

A fragment is needed to make tables anew, and to make days anew from which an input was taken out.
Sums can do the same for many inputs at once, as long as none of these is to be taken out again. So
an input is *sealed* before its fragment goes: the base holds what it adds, its rows in the ledger
stay, and no command changes it any more.

The base is a warehouse of its own, of the sealed inputs alone, without a word in it of any other.
It also holds how many clients there were on days whose sketches were pruned (``client_counts_1d``),
which no fragment could tell. It is made whole, under a name of its own, before the journal names
it; the one before it is removed when nobody needs it any more.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import (
    AGGREGATES,
    CLIENT_COUNTS_1D,
    TRAFFIC_1D,
    TRAFFIC_1H,
    TRAFFIC_5M,
)
from v6share.schemas.columns import Table
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentFile
from v6share.schemas.ledger import INPUT_LEDGERS, LEDGERS
from v6share.schemas.row_sample import SAMPLED_ROWS
from v6share.warehouse.database.arrow import fetch_table, insert_rows
from v6share.warehouse.database.blank import NO_DOWNLOADS
from v6share.warehouse.database.connect import Connection, DamagedFile, UnopenedFile, open_snapshot
from v6share.warehouse.database.migrate import migrate, read_migrations, schema_version
from v6share.warehouse.database.state import raise_revision, read_state, write_state
from v6share.warehouse.database.touched import note_touched
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import Prune
from v6share.warehouse.merge.horizons import Horizons
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# What a base says of its inputs.
BASE_TABLES: Final = (*AGGREGATES, CLIENT_COUNTS_1D, *INPUT_LEDGERS)
# What is made from the journal, and what is remembered of inputs: all that counts.
_COUNTED: Final = (*AGGREGATES, CLIENT_COUNTS_1D, *LEDGERS)
_ROWS_AT_ONCE: Final = 500_000
_SAMPLED: Final = f"private.{SAMPLED_ROWS.name}"
_PRIVATE: Final = ("private.fragments", "private.seen", _SAMPLED)


class BaseUnreadable(UserError):  # noqa: N818 - a name for what is found
    """The base cannot be used. ``found`` says what is wrong with it, ``helps`` what to do."""

    def __init__(self, path: Path, problem: str, written: FragmentFile | None = None) -> None:
        self.found = (
            f"{path}: {problem}. It holds the sums of the inputs whose fragments were pruned"
        )
        digest = "" if written is None else f" (SHA-256 {written.sha256})"
        self.helps = (
            f"Put the file{digest} back from a backup. Where there is none, the tables stay as "
            "they are and cannot be made anew: keep copies of state/ and of the published file"
        )
        super().__init__(f"{self.found}. {self.helps}")


def base_in_use(connection: Connection, workspace: Workspace) -> Path | None:
    """The file of the base that the sealed inputs of a warehouse are in; None where none are."""
    run_id = read_state(connection, "base")
    return workspace.base(run_id) if run_id else None


@contextmanager
def open_base(path: Path) -> Iterator[Connection]:
    """A read-only connection to a base, in the shape of this version. Raises BaseUnreadable."""
    with _clear_errors(path), open_snapshot(_in_present_shape(path)) as connection:
        yield connection


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """What is wrong with a base, as BaseUnreadable."""
    if not storage.exists(path):
        raise BaseUnreadable(path, "the base is missing")
    try:
        yield
    except (DamagedFile, UnopenedFile) as error:
        raise BaseUnreadable(path, str(error)) from error


def _in_present_shape(path: Path) -> Path:
    """The base itself, or a copy of it beside it where an older version of v6share made it."""
    present = len(read_migrations())
    with open_snapshot(path) as connection:
        version = schema_version(connection)
    if version >= present:
        return path
    brought_up = path.with_name(f"{path.stem}-schema-{present}.duckdb")
    if not storage.exists(brought_up):
        with storage.drafted(brought_up) as draft:
            storage.copy(path, draft)
            with duckdb.connect(draft, config=NO_DOWNLOADS) as connection:
                migrate(connection)
    return brought_up


def rows_of_days(
    base: Connection, table: Table, days: pa.Array, horizons: Horizons
) -> Iterator[pa.Table]:
    """The rows of a fragment table that a base adds to some days (date32), some at a time.

    Of traffic the finest that is kept: where rows of 5 minutes were pruned, those of an hour or of
    the day stand for them, at its beginning. Rolled up they come to the same hours and days.
    """
    incoming = pa.table({"utc_day": days})  # noqa: F841 - the SQL below reads it
    for source, condition in _finest(table, horizons):
        found = base.sql(
            f"SELECT {', '.join(c.name for c in table.columns)} FROM {source.name} "
            f"WHERE {source.day} IN (SELECT utc_day FROM incoming) AND {condition}"
        )
        reader: pa.RecordBatchReader = found.to_arrow_reader(_ROWS_AT_ONCE)
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _finest(table: Table, horizons: Horizons) -> Iterator[tuple[Table, str]]:
    """The tables that the rows of one are taken from, each with a condition on the time."""
    if table is not TRAFFIC_5M:
        yield table, _since(table, horizons)
        return
    until = ""
    for source in (TRAFFIC_5M, TRAFFIC_1H, TRAFFIC_1D):
        yield source, f"{_since(source, horizons)}{until}"
        if source.name not in horizons:
            return
        until = f" AND window_start < DATE '{horizons[source.name]}'"


def _since(table: Table, horizons: Horizons) -> str:
    if table.name not in horizons:
        return "true"
    return f"{table.columns[0].name} >= DATE '{horizons[table.name]}'"


def begin_from_base(connection: Connection, workspace: Workspace, prune: Prune) -> int:
    """Put what a base holds in the place of all that was counted; how many inputs that are.

    The journal is to be applied from its beginning then. prune: the entry that made the base.
    Raises BaseUnreadable.
    """
    path = workspace.base(prune.run_id)
    check_base(path, prune)
    with _clear_errors(path):
        file = _in_present_shape(path)
    connection.execute("ATTACH ? AS base (READ_ONLY)", [str(file)])
    try:
        with transaction(connection):
            for name in (*_names(_COUNTED), *_PRIVATE):
                connection.execute(f"DELETE FROM {name}")
            for name in (*(f"main.{name}" for name in _names(BASE_TABLES)), _SAMPLED):
                connection.execute(f"INSERT INTO {name} BY NAME FROM base.{name}")
            note_touched(connection, _names(_COUNTED))
            write_state(connection, "base", prune.run_id)
            write_state(connection, "journal_offset", "0")
            write_state(connection, "journal_seal", "")
            raise_revision(connection)
            ((inputs,),) = connection.execute(
                "SELECT count(*) FROM ledger_files WHERE status = 'committed'"
            ).fetchall()
    finally:
        connection.execute("DETACH base")
    return int(inputs)


def _names(tables: tuple[Table, ...]) -> list[str]:
    return [table.name for table in tables]


def take_base(connection: Connection, workspace: Workspace, prune: Prune) -> None:
    """Note which base holds the sealed inputs, and take over its counts of clients.

    Part of a transaction. Raises BaseUnreadable.
    """
    with open_base(workspace.base(prune.run_id)) as base:
        counts = fetch_table(base, f"FROM {CLIENT_COUNTS_1D.name}")
    write_state(connection, "base", prune.run_id)
    replace_counts(connection, counts)


def replace_counts(connection: Connection, counts: pa.Table) -> None:
    """Put counts of clients in the place of those there are."""
    connection.execute(f"DELETE FROM {CLIENT_COUNTS_1D.name}")
    insert_rows(connection, CLIENT_COUNTS_1D.name, counts)
    note_touched(connection, [CLIENT_COUNTS_1D.name])


def check_base(path: Path, prune: Prune) -> None:
    """Compare every byte of a base with what was written. Raises BaseUnreadable, and OSError."""
    if not storage.exists(path):
        raise BaseUnreadable(path, "the base is missing", prune.base)
    found = known_by(path)
    if found != prune.base:
        problem = f"the base was altered: its SHA-256 is {found.sha256}"
        raise BaseUnreadable(path, problem, prune.base)


def known_by(path: Path) -> FragmentFile:
    """What a file is known by. Raises OSError."""
    with storage.open_file(path) as file:
        return FragmentFile(hashlib.file_digest(file, "sha256").hexdigest(), storage.size(path))


def base_of_journal(workspace: Workspace) -> Prune | None:
    """The entry that made the base which counts, whatever state the warehouse is in.

    Raises UserError where the journal is damaged.
    """
    return journal.last_base(workspace.journal)
