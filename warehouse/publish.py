"""Publishing: what is checked in the warehouse, without what is private, put in place in one step.

Readers open the published file read-only and never meet the warehouse. The views name what they
read by schema, not by database, so the file can be attached under another name. There are two ways
to make the next file, and both are as durable, and as whole for whoever reads meanwhile:

- **The standby**, which was published before the present file, is brought up to date: rows that
  changed since are copied (``unpublished``). That takes as long as there are such rows.
- **The whole warehouse** is copied, byte by byte, which takes as long as the disk. What is private
  (journal offset, seen files) is dropped from the copy, and every block of it is compared with its
  checksum: DuckDB has read only those that a query needed. So are those of both files whenever all
  is checked (``drop_damaged``).

The standby is used only where it is surely the one that was left, of the same shape, and no process
has it open any more: a reader that still holds the file before the present one must not see it
change. Else the whole is copied.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from v6share.schemas.aggregates import AGGREGATES
from v6share.schemas.errors import NO_ROOM, line_that_says
from v6share.warehouse.database.blocks import all_as_written
from v6share.warehouse.database.connect import DamagedFile, clear_errors
from v6share.warehouse.database.migrate import schema_version
from v6share.warehouse.database.read_whole import read_whole
from v6share.warehouse.database.stamp import file_stamp, is_own
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.touched import MOST_DAYS, MOST_INPUTS
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.unpublished import (
    Lacking,
    copy_lacking,
    note_published,
    read_lacking,
)
from v6share.warehouse.ledger.lost_state import refuse_lost_runs
from v6share.warehouse.remedies import DAMAGED
from v6share.workspace import storage
from v6share.workspace.held_back import say_held_back
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class Published:
    """The new snapshot. is_whole: the whole warehouse was copied."""

    path: Path
    size_bytes: int
    is_whole: bool


class _StandbyOfNoUse(Exception):  # noqa: N818 - not an error: the whole is copied then
    """Somebody still has the file open that was published before, or it cannot be changed."""


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


def note_unpublished(connection: duckdb.DuckDBPyConnection, workspace: Workspace, why: str) -> None:
    """Keep why the published file misses something, for who looks later; empty: it does not.

    Beside the published file, too: who reads that may not read the warehouse.
    """
    write_state(connection, "unpublished", why)
    say_held_back(workspace, why)


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
            note_unpublished(connection, workspace, DAMAGED)
        raise


def why_unpublished(connection: duckdb.DuckDBPyConnection) -> str:
    """What was noted last; empty where nothing is missing, or the run was broken off before."""
    return read_state(connection, "unpublished")


def publish(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Published:
    """Replace the published file atomically, and hold the workspace.

    Before, bring the kept results up to date, run the checks, and write what the snapshot is.

    The old one stays where the file beside it cannot be made (OSError or duckdb.Error), where the
    warehouse is damaged (DamagedFile), and where the old one holds more (UserError).
    """
    refuse_lost_runs(connection, workspace)
    storage.remove_drafts(workspace.published.parent)
    lacking = read_lacking(connection)
    if _is_standby_of_use(connection, workspace, lacking):
        with suppress(_StandbyOfNoUse):
            return _put_in_place(connection, workspace, lacking)
    return _put_in_place(connection, workspace, None)


def _put_in_place(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    lacking: Mapping[str, Lacking] | None,
) -> Published:
    """Make the next file and put it in place of the present one, which stands by from now on.

    lacking: what the standby lacks; None to copy the whole. Raises
    _StandbyOfNoUse.
    """
    target, standby = workspace.published, workspace.standby
    leaves_standby = is_own(connection, workspace) and _has_shape_of_published(connection)
    with storage.drafted_in_turn(target, standby, from_spare=lacking is not None) as draft:
        if lacking is None:
            _make(connection, workspace, draft)
        else:
            _bring_up_to_date(connection, draft, lacking)
        write_state(connection, "publishing_file", file_stamp(draft))
        size_bytes = storage.size(draft)
    if not leaves_standby:
        storage.remove(standby)  # it may be damaged, and is of no use
    with transaction(connection):
        write_state(connection, "published", _stamp(connection))
        write_state(connection, "published_file", file_stamp(target))
        write_state(connection, "standby_file", file_stamp(standby) if leaves_standby else "")
        note_published(connection)
        write_state(connection, "unpublished", "")
    say_held_back(workspace, "")
    return Published(target, size_bytes, is_whole=lacking is None)


def _is_standby_of_use(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, lacking: Mapping[str, Lacking]
) -> bool:
    """Whether the standby is the one that was left, and lacks little."""
    noted = read_state(connection, "standby_file")
    if not noted or file_stamp(workspace.standby) != noted:
        return False
    aggregates = {f"main.{table.name}" for table in AGGREGATES}
    if any(what.is_all for name, what in lacking.items() if name in aggregates):
        return False
    return _has_shape_of_published(connection) and all(
        what.length <= timedelta(MOST_DAYS) and len(what.ids) <= MOST_INPUTS
        for what in lacking.values()
    )


def _has_shape_of_published(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether tables and views are those of the published file."""
    before = read_state(connection, "published").partition(" ")[2]
    return before == _stamp(connection).partition(" ")[2]


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, draft: Path, lacking: Mapping[str, Lacking]
) -> None:
    """Copy what a standby lacks. Raises _StandbyOfNoUse, also where it is damaged.

    Where the warehouse is, the whole copy that follows finds that out.
    """
    if not storage.nobody_has(draft):
        raise _StandbyOfNoUse
    # In the order of the definition, which readers expect of a result.
    connection.execute("SET preserve_insertion_order = true")
    try:
        connection.execute("ATTACH ? AS snapshot", [str(draft)])
        try:
            with transaction(connection):
                copy_lacking(connection, "snapshot", lacking)
            connection.execute("CHECKPOINT snapshot")
        finally:
            connection.execute("DETACH snapshot")
    except duckdb.Error as error:
        if line_that_says(error, NO_ROOM):
            raise
        raise _StandbyOfNoUse from error
    finally:
        connection.execute("SET preserve_insertion_order = false")


def drop_damaged(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Compare every block of the published file and of the standby with its checksum.

    Most blocks of them are years old and were only read when they were copied. A standby that is
    damaged is removed; a published file is published anew, as a whole, at the next publish.
    """
    standby = workspace.standby
    if storage.exists(standby) and not all_as_written(standby):
        storage.remove(standby)
    if is_own(connection, workspace) and not all_as_written(workspace.published):
        storage.remove(standby)
        write_state(connection, "published", "")


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
        _read_draft(connection, draft)


def _read_draft(connection: duckdb.DuckDBPyConnection, draft: Path) -> None:
    """Read every value of a draft; views are read with the catalog, when it is attached.

    Raises duckdb.Error where a block in use is damaged.
    """
    connection.execute("ATTACH ? AS snapshot (READ_ONLY)", [str(draft)])
    try:
        read_whole(connection, "snapshot")
    finally:
        connection.execute("DETACH snapshot")


def _stamp(connection: duckdb.DuckDBPyConnection) -> str:
    """What the published content depends on: the revision, and the shape of tables and views."""
    revision, views = read_state(connection, "revision", "0"), read_state(connection, "views")
    return f"{revision} {schema_version(connection)} {views}"
