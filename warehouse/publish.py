"""Publishing: a copy of the warehouse without what is private, put in place in one step.

Readers open the published file read-only and never meet the warehouse. It is copied byte by byte,
so what is published is what was checked, and it takes no longer than the disk. The views name what
they read by schema, not by database, so the file can be attached under another name. What is
private (journal offset, seen files) is dropped from the copy. Before it takes its place, every
block of it is compared with its checksum: DuckDB has read only those that a query needed.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from v6share.warehouse.database.blocks import all_as_written
from v6share.warehouse.database.connect import DamagedFile, clear_errors
from v6share.warehouse.database.migrate import schema_version
from v6share.warehouse.database.stamp import file_stamp, is_own
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.views import quoted
from v6share.warehouse.ledger.lost_state import refuse_lost_runs
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# How the reasons begin that are noted where something was to be published and was not.
FAILED_CHECKS: Final = "failed checks"
_DAMAGED: Final = "the warehouse is damaged"


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
    if read_state(connection, "published_file") != file_stamp(workspace.published):
        return True
    return read_state(connection, "published") != _stamp(connection)


def was_altered(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> bool:
    """Whether the published file is there, and is not the one that was published last."""
    if not storage.exists(workspace.published):
        return False
    return bool(read_state(connection, "published_file")) and not is_own(connection, workspace)


def note_unpublished(connection: duckdb.DuckDBPyConnection, why: str) -> None:
    """Keep why the published file misses something, for who looks later; empty: it does not."""
    write_state(connection, "unpublished", why)


@contextmanager
def noting_damage(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Iterator[None]:
    """Damage that is met on the way to a published file, as DamagedFile; kept as why there is none.

    Where the damage is such that nothing can be written, it is not kept.
    """
    try:
        with clear_errors(workspace.warehouse):
            yield
    except DamagedFile:
        with suppress(duckdb.Error):
            note_unpublished(connection, _DAMAGED)
        raise


def what_publishes(why: str) -> str:
    """What to do so that the published file misses nothing any more. why: as it was noted."""
    if why.startswith(_DAMAGED):
        return "`v6share rebuild` makes the warehouse again and publishes"
    if why.startswith(FAILED_CHECKS):
        return (
            "`v6share check` shows what fails; `v6share rebuild` makes the tables anew, and once "
            "nothing fails, the next `v6share run` publishes"
        )
    return "The next `v6share run` publishes, where no check fails"


def why_unpublished(connection: duckdb.DuckDBPyConnection) -> str:
    """What was noted last; empty where nothing is missing, or the run was broken off before."""
    return read_state(connection, "unpublished")


def publish(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Published:
    """Replace the published file atomically, and hold the workspace.

    Before, bring the kept results up to date, run the checks, and write what the snapshot is.

    The old one stays where the file beside it cannot be made (OSError or duckdb.Error), where the
    warehouse is damaged (DamagedFile), and where the old one holds more (UserError).
    """
    target = workspace.published
    refuse_lost_runs(connection, workspace)
    storage.remove_drafts(target.parent)
    with storage.drafted(target) as draft:
        _make(connection, workspace, draft)
        write_state(connection, "publishing_file", file_stamp(draft))
        size_bytes = storage.size(draft)
    write_state(connection, "published", _stamp(connection))
    write_state(connection, "published_file", file_stamp(target))
    note_unpublished(connection, "")
    return Published(target, size_bytes)


def _make(connection: duckdb.DuckDBPyConnection, workspace: Workspace, draft: Path) -> None:
    """Make what is to be published, whole and durable. Errors as those of ``publish``."""
    with noting_damage(connection, workspace):
        # All into the file: what stands in the log would be missing in the copy.
        connection.execute("CHECKPOINT")
        storage.copy_held(workspace.warehouse, draft)
        _leave_out_private(connection, draft)
        # The disk is waited for while the blocks are read.
        with ThreadPoolExecutor(1, thread_name_prefix="v6share-sync") as thread:
            synced = thread.submit(storage.sync, draft)
            _refuse_damage(connection, draft)
            synced.result()


def _leave_out_private(connection: duckdb.DuckDBPyConnection, draft: Path) -> None:
    """Drop what is private. Its bytes may stay in free blocks: names and times of files."""
    connection.execute("ATTACH ? AS snapshot", [str(draft)])
    try:
        connection.execute("DROP SCHEMA snapshot.private CASCADE")
    finally:
        connection.execute("DETACH snapshot")


def _refuse_damage(connection: duckdb.DuckDBPyConnection, draft: Path) -> None:
    """Raise duckdb.Error where a reader of the draft would meet a damaged block."""
    if not all_as_written(draft):
        # A free block, half written by a run that was killed, harms nobody: reading decides.
        _read_whole(connection, draft)


def _read_whole(connection: duckdb.DuckDBPyConnection, draft: Path) -> None:
    """Read every value of every table; views are read with the catalog, when it is attached.

    Raises duckdb.Error where a block in use is damaged.
    """
    connection.execute("ATTACH ? AS snapshot (READ_ONLY)", [str(draft)])
    try:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'snapshot'"
        ).fetchall()
        for schema, name in tables:
            connection.execute(
                f"SELECT bit_xor(hash(COLUMNS(*))) FROM snapshot.{schema}.{quoted(name)}"  # noqa: S608
            ).fetchall()
    finally:
        connection.execute("DETACH snapshot")


def _stamp(connection: duckdb.DuckDBPyConnection) -> str:
    """What the published content depends on: the revision, and the shape of tables and views."""
    revision, views = read_state(connection, "revision", "0"), read_state(connection, "views")
    return f"{revision} {schema_version(connection)} {views}"
