"""Publishing: a new file with the public tables and the views, put in place in one step.

Readers open the published file read-only and never meet the warehouse. Rows are written in the
order of time, which packs better and lets time ranges skip. The views are stored without a
database name, so the file can be attached under any name. What is private (journal offset, seen
files) stays out.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from v6share.schemas.columns import Table
from v6share.schemas.durable import sync_directory, sync_file
from v6share.schemas.workspace import Workspace
from v6share.warehouse.blank import PUBLIC_TABLES, attach_blank, statements
from v6share.warehouse.state import read_state, write_state
from v6share.warehouse.transaction import transaction
from v6share.warehouse.views import quoted


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
    return read_state(connection, "published") != _stamp(connection)


def was_altered(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> bool:
    """Whether the published file is there, and is not the one that was published last."""
    if not workspace.published.exists():
        return False
    noted = read_state(connection, "published_file")
    # A run may have been killed between putting a file in place and noting that it did.
    ours = (noted, read_state(connection, "publishing_file"))
    return bool(noted) and _file_stamp(workspace.published) not in ours


def note_unpublished(connection: duckdb.DuckDBPyConnection, why: str) -> None:
    """Keep why the published file misses something, for who looks later; empty: it does not."""
    write_state(connection, "unpublished", why)


def why_unpublished(connection: duckdb.DuckDBPyConnection) -> str:
    """What was noted last; empty where nothing is missing, or the run was broken off before."""
    return read_state(connection, "unpublished")


class Draft:
    """A snapshot on its way, in a file beside the published one, filled by a thread of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
        self._connection, self._workspace = connection, workspace
        self._cursor = connection.cursor()
        self._home = quoted(connection.execute("SELECT current_database()").fetchall()[0][0])
        self._path = workspace.published.parent / f".v6share.{os.getpid()}.duckdb"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="v6share-publish")
        self._filled = self._thread.submit(self._fill)

    def put_in_place(self) -> Published:
        """Replace the published file atomically, once the copy is whole.

        Raises OSError or duckdb.Error where the file beside it cannot be made.
        """
        self._filled.result()
        self._detach()
        target = self._workspace.published
        sync_file(self._path)
        write_state(self._connection, "publishing_file", _file_stamp(self._path))
        self._path.replace(target)
        sync_directory(target.parent)
        write_state(self._connection, "published", _stamp(self._connection))
        write_state(self._connection, "published_file", _file_stamp(target))
        note_unpublished(self._connection, "")
        return Published(target, target.stat().st_size)

    def discard(self) -> None:
        """Leave nothing behind but what was put in place."""
        self._thread.shutdown(cancel_futures=True)
        with suppress(duckdb.Error):
            self._detach()
        self._cursor.close()
        remove_leftovers(self._path.parent)

    def _fill(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._path.parent)
        attach_blank(self._cursor, self._path)
        with transaction(self._cursor):
            for table in PUBLIC_TABLES:
                _copy(self._cursor, table, self._home)

    def _detach(self) -> None:
        self._cursor.execute("DETACH DATABASE IF EXISTS snapshot")


@contextmanager
def drafted(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Iterator[Draft]:
    """A draft that is gone at the end of the block, put in place or not.

    Its rows are copied at once, as they are now: others may read them meanwhile. Hold the
    workspace, and run the checks before it is put in place. A failure leaves the old snapshot as
    it was.
    """
    draft = Draft(connection, workspace)
    try:
        yield draft
    finally:
        draft.discard()


def remove_leftovers(folder: Path) -> None:
    """Remove half-written snapshots. Whoever holds the workspace is the only one who writes."""
    for file in folder.glob(".v6share.*.duckdb*"):
        file.unlink(missing_ok=True)


def _copy(connection: duckdb.DuckDBPyConnection, table: Table, home: str) -> None:
    # By time alone: the rows of one merge are sorted by the whole key already, and sorting them
    # again by ten text columns takes longer than all the rest, for 2 % of the size.
    connection.execute(
        f"INSERT INTO snapshot.main.{table.name} BY NAME "  # noqa: S608 - a name of the schemas
        f"SELECT * FROM {home}.main.{table.name} "
        f"ORDER BY {table.key[0]}"
    )


def _file_stamp(path: Path) -> str:
    """What shows that a file is still the one that was published; reads nothing of it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return "none"
    return f"{status.st_size} {status.st_mtime_ns}"


def _stamp(connection: duckdb.DuckDBPyConnection) -> str:
    """What the published content depends on: the revision, and the shape of tables and views."""
    text = "\n".join((read_state(connection, "revision", "0"), *statements()))
    return hashlib.sha256(text.encode()).hexdigest()
