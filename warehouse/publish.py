"""Publishing: a new file with the public tables and the views, put in place in one step.

Readers open the published file read-only and never meet the warehouse. Rows are written in the
order of time, which packs better and lets time ranges skip. The views are stored without a
database name, so the file can be attached under any name. What is private (journal offset, seen
files) stays out.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from v6share.schemas.columns import Table
from v6share.schemas.dimensions import DIMENSIONS
from v6share.schemas.ledger import LEDGERS
from v6share.schemas.workspace import Workspace
from v6share.warehouse.journal import sync_directory
from v6share.warehouse.merge import AGGREGATES
from v6share.warehouse.state import read_state, write_state
from v6share.warehouse.transaction import transaction
from v6share.warehouse.views import View, quoted, read_macros, read_views

PUBLIC_TABLES: Final = (*AGGREGATES, *LEDGERS, *DIMENSIONS)

# Readable by DuckDB 1.5 tools, too.
_STORAGE_VERSION: Final = "v1.5.0"


@dataclass(frozen=True)
class Published:
    """The new snapshot."""

    path: Path
    size_bytes: int


def needs_publish(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> bool:
    """Whether the published file misses something that readers would see.

    A run that changed nothing is no reason; it shows with the next publish. A file that somebody
    else wrote, cut off or put in its place is one: what it holds is not known.
    """
    if read_state(connection, "published_file") != _file_stamp(workspace.published):
        return True
    return read_state(connection, "published") != _stamp(connection, read_views())


def was_altered(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> bool:
    """Whether the published file is there, and is not the one that was published last."""
    if not workspace.published.exists():
        return False
    return read_state(connection, "published_file") not in ("", _file_stamp(workspace.published))


def publish(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Published:
    """Write the snapshot and replace the published one atomically.

    Hold the workspace, and run the checks before. A failure leaves the old snapshot in place.
    """
    views = read_views()
    target = workspace.published
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    temporary = target.parent / f".v6share.{os.getpid()}.duckdb"
    try:
        _write_snapshot(connection, temporary, views)
        _sync_file(temporary)
        temporary.replace(target)
    finally:
        remove_leftovers(target.parent)
    sync_directory(target.parent)
    write_state(connection, "published", _stamp(connection, views))
    write_state(connection, "published_file", _file_stamp(target))
    return Published(target, target.stat().st_size)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written snapshots. Whoever holds the workspace is the only one who writes."""
    for file in folder.glob(".v6share.*.duckdb*"):
        file.unlink(missing_ok=True)


def _write_snapshot(connection: duckdb.DuckDBPyConnection, path: Path, views: list[View]) -> None:
    (home,) = connection.execute("SELECT current_database()").fetchall()[0]
    connection.execute(f"ATTACH ? AS snapshot (STORAGE_VERSION '{_STORAGE_VERSION}')", [str(path)])
    try:
        # Inside the snapshot names resolve to its own tables, and views keep no database name.
        connection.execute("USE snapshot")
        with transaction(connection):
            _create_tables(connection)
        # Nobody reads the file before it is whole, so it may grow in several transactions.
        with connection.cursor() as cursor, ThreadPoolExecutor(1) as other:
            created = other.submit(_create_views, cursor, views)
            with transaction(connection):
                for table in PUBLIC_TABLES:
                    _copy(connection, table, quoted(home))
            created.result()
    finally:
        connection.execute(f"USE {quoted(home)}")
        connection.execute("DETACH snapshot")


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    for table in PUBLIC_TABLES:
        connection.execute(";\n".join((table.ddl(), *table.comments())))


def _create_views(connection: duckdb.DuckDBPyConnection, views: Sequence[View]) -> None:
    connection.execute("USE snapshot")
    with transaction(connection):
        connection.execute(read_macros())
        for view in views:
            connection.execute(view.sql)
            connection.execute(view.comment)


def _copy(connection: duckdb.DuckDBPyConnection, table: Table, home: str) -> None:
    # By time alone: the rows of one merge are sorted by the whole key already, and sorting them
    # again by ten text columns takes longer than all the rest, for 2 % of the size.
    connection.execute(
        f"INSERT INTO {table.name} BY NAME SELECT * FROM {home}.main.{table.name} "  # noqa: S608
        f"ORDER BY {table.key[0]}"
    )


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _file_stamp(path: Path) -> str:
    """What shows that a file is still the one that was published; reads nothing of it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return "none"
    return f"{status.st_size} {status.st_mtime_ns}"


def _stamp(connection: duckdb.DuckDBPyConnection, views: list[View]) -> str:
    """What the published content depends on: the revision, the tables' shape and the views."""
    sha = hashlib.sha256(read_state(connection, "revision", "0").encode())
    for text in (
        *(t.ddl() + "".join(t.comments()) for t in PUBLIC_TABLES),
        read_macros(),
        *(v.sql for v in views),
    ):
        sha.update(b"\n" + text.encode())
    return sha.hexdigest()
