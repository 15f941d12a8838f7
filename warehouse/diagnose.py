"""What is damaged in state and published file, what that means for the numbers, and what mends it.

Nothing is changed: the warehouse is read as it lies there, without what a run would do to it first.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from v6share.schemas.errors import UserError
from v6share.warehouse.database.blocks import all_as_written
from v6share.warehouse.database.connect import DamagedFile, UnopenedFile, open_snapshot
from v6share.warehouse.database.migrate import read_migrations, schema_version
from v6share.warehouse.database.read_whole import read_whole
from v6share.warehouse.database.stamp import is_own
from v6share.warehouse.database.state import read_state
from v6share.warehouse.fragment_damage import find_damaged, sources_of_journal
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.lost_state import lost_journal, refuse_lost_entries
from v6share.warehouse.ledger.seals import Mark
from v6share.warehouse.merge.read_fragments import what_helps
from v6share.warehouse.remedies import DAMAGED, what_publishes
from v6share.workspace import storage
from v6share.workspace.held_back import why_held_back
from v6share.workspace.paths import Workspace

Condition = Literal["ok", "behind", "missing", "strange", "damaged", "lost"]
REBUILD: Final = "v6share rebuild"
# Of what keeps a file from being read, and says nothing about its bytes. What DuckDB says of them
# as such is a DamagedFile before.
_OF_VALUES: Final = (
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.SerializationException,
)
_UNREAD: Final = (UnopenedFile, duckdb.IOException, duckdb.OutOfMemoryException)


@dataclass(frozen=True)
class Finding:
    """How one part of a workspace is. means: for the numbers; mends: the command or what to do.

    repair: what ``--repair`` does about it, which loses nothing; empty where that is nothing.
    """

    part: str
    condition: Condition
    found: str = ""
    means: str = ""
    mends: str = ""
    repair: Literal["", "rebuild", "publish", "remove standby"] = ""

    @property
    def is_amiss(self) -> bool:
        """Whether something is to be done about it."""
        return self.condition in ("damaged", "lost", "strange") or bool(self.repair)


def diagnose(workspace: Workspace) -> list[Finding]:
    """Each part of state and published file, in the order in which they depend on each other.

    Hold the workspace.
    """
    of_journal = _journal(workspace)
    is_read = of_journal.condition in ("ok", "missing")
    return [
        of_journal,
        _fragments(workspace) if is_read else _untold("fragments"),
        _warehouse(workspace, is_journal_read=is_read),
        _published(workspace),
        _standby(workspace),
        _ledgers(workspace) if is_read else _untold("ledgers"),
    ]


def _untold(part: str) -> Finding:
    """A part that is compared with the journal, where that is lost or damaged."""
    found = "nothing can be said of them without the journal"
    return Finding(part, "lost", found, "", "put that right first, and look again")


def _journal(workspace: Workspace) -> Finding:
    lost = lost_journal(workspace)
    if lost:
        means = "what was counted cannot be told any more; nothing is counted on until it is back"
        return Finding("journal", "lost", lost, means, "put state/ back from a backup")
    if not storage.exists(workspace.journal):
        return Finding("journal", "missing", "nothing is counted yet")
    try:
        entries = sum(1 for _ in journal.read(workspace.journal))
    except UserError as error:
        means = "entries behind the damage cannot be trusted; no command writes on"
        return Finding("journal", "damaged", str(error), means, "put it back from a backup")
    return Finding("journal", "ok", f"{entries:,} entries, each sealed")


def _fragments(workspace: Workspace) -> Finding:
    sources = sources_of_journal(workspace)
    damaged = find_damaged(sources)
    if not damaged:
        return Finding("fragments", "ok", f"{len(sources):,}, each as it was written")
    return Finding(
        "fragments",
        "damaged",
        f"{len(damaged):,} of {len(sources):,}; the first: {damaged[0].found}",
        "the tables hold their numbers; they cannot be made anew without them",
        what_helps(damaged, opens=storage.exists(workspace.warehouse)),
    )


def _warehouse(workspace: Workspace, *, is_journal_read: bool) -> Finding:
    path = workspace.warehouse
    if not storage.exists(path):
        return _no_warehouse(workspace, is_journal_read=is_journal_read)
    damaged = "its tables cannot be trusted; journal and fragments hold all that is in them"
    try:
        with open_snapshot(path) as connection:
            version, applied = schema_version(connection), _applied(connection)
            _read_values(connection, path)
    except _UNREAD as error:
        return _unread("warehouse", error)
    except (DamagedFile, duckdb.Error) as error:
        return Finding("warehouse", "damaged", str(error), damaged, REBUILD, "rebuild")
    if version > len(read_migrations()):
        found = (
            f"schema {version}, this version knows {len(read_migrations())}: a newer one made it"
        )
        means = "no command of this version opens it"
        mends = f"use that version, or `{REBUILD}` to make it again with this one"
        return Finding("warehouse", "strange", found, means, mends)
    if not all_as_written(path):
        found = f"{path}: a block is not as it was written"
        return Finding("warehouse", "damaged", found, damaged, REBUILD, "rebuild")
    if version < len(read_migrations()):
        found = f"schema {version}, this version has {len(read_migrations())}"
        return Finding("warehouse", "behind", found, "the next command brings it up to date")
    if is_journal_read and (odd := _beside_journal(workspace, applied)):
        return odd
    return Finding("warehouse", "ok", f"schema {version}, every block as it was written")


def _no_warehouse(workspace: Workspace, *, is_journal_read: bool) -> Finding:
    found = f"{workspace.warehouse}: not there"
    if not is_journal_read:
        return Finding("warehouse", "missing", found)
    if not storage.exists(workspace.journal):
        return Finding("warehouse", "missing", "nothing is counted yet")
    means = "nothing is lost: journal and fragments hold it all"
    return Finding("warehouse", "missing", found, means, REBUILD, "rebuild")


def _beside_journal(workspace: Workspace, applied: Mark) -> Finding | None:
    """A warehouse of another journal, or of less of it, as an older one from a backup; else None.

    applied: up to where the journal is in the tables.
    """
    try:
        waiting = sum(1 for _ in journal.read(workspace.journal, applied))
    except UserError as error:
        return Finding("warehouse", "strange", str(error))
    if not waiting:
        return None
    found = f"{waiting:,} entries of the journal are not applied"
    return Finding("warehouse", "behind", found, "the next command applies them")


def _read_values(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Read every value. Raises DamagedFile where DuckDB could open the file and not read one."""
    try:
        read_whole(connection, path.stem)
    except _OF_VALUES as error:
        raise DamagedFile(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _unread(part: str, error: Exception) -> Finding:
    """A file that the system, or another version, keeps from being read: nothing to write over."""
    means = "it cannot be looked at; nothing says that it is damaged"
    mends = "see to what keeps it from being read, such as its permissions, and look again"
    return Finding(part, "lost", str(error).splitlines()[0], means, mends)


def _applied(connection: duckdb.DuckDBPyConnection) -> Mark:
    """Up to where the journal is in the tables."""
    offset = int(read_state(connection, "journal_offset", "0"))
    return Mark(offset, read_state(connection, "journal_seal"))


def _published(workspace: Workspace) -> Finding:
    path = workspace.published
    if not storage.exists(path):
        if not storage.exists(workspace.warehouse):
            return Finding("published file", "missing", "nothing is counted yet")
        return _to_publish(workspace, "missing", f"{path}: not there", "readers find nothing")
    means = "readers may meet an error, or numbers that nobody published"
    try:
        with open_snapshot(path) as connection:
            connection.execute("SELECT count(*) FROM ledger_files").fetchall()
            _read_values(connection, path)
    except _UNREAD as error:
        return _unread("published file", error)
    except (DamagedFile, duckdb.Error) as error:
        return _to_publish(workspace, "damaged", str(error), means)
    if not all_as_written(path):
        return _to_publish(workspace, "damaged", f"{path}: a block is not as it was written", means)
    if not _is_ours(workspace):
        found = f"{path}: not the file that was published here last (copied, restored or changed)"
        means = "readers see numbers that this warehouse may not have"
        return _to_publish(workspace, "strange", found, means)
    return Finding("published file", "ok", "the one that was published last, every block whole")


def _to_publish(workspace: Workspace, condition: Condition, found: str, means: str) -> Finding:
    """A published file that is to be made anew; where the numbers are held back, why they are.

    What is in the warehouse is not what was in the file then, and nobody has let it out.
    """
    why = why_nothing_is_published(workspace)
    if not why:
        return Finding("published file", condition, found, means, "", "publish")
    if condition == "missing" and _was_published(workspace):
        condition = "lost"
    return Finding(
        "published file",
        condition,
        f"{found}; what is counted now is held back ({why})",
        means,
        what_publishes(why),
    )


def _was_published(workspace: Workspace) -> bool:
    """Whether there ever was a published file."""
    with suppress(UserError, duckdb.Error), open_snapshot(workspace.warehouse) as connection:
        return bool(read_state(connection, "published_file"))
    return False


def why_nothing_is_published(workspace: Workspace) -> str:
    """Why numbers are held back that are whole: by a check, the gate, or on request; else empty.

    As it is noted beside the published file, and in the warehouse, either of which may be damaged.
    """
    why = why_held_back(workspace)
    if not why and storage.exists(workspace.warehouse):
        with suppress(UserError, duckdb.Error), open_snapshot(workspace.warehouse) as connection:
            why = read_state(connection, "unpublished")
    return "" if why.startswith(DAMAGED) else why


def _is_ours(workspace: Workspace) -> bool:
    try:
        with open_snapshot(workspace.warehouse) as connection:
            return is_own(connection, workspace)
    except (UserError, duckdb.Error):
        return True  # nobody can tell; the warehouse is the matter then


def _standby(workspace: Workspace) -> Finding:
    path = workspace.standby
    if not storage.exists(path):
        return Finding("standby", "ok", "none; the next publish copies the whole")
    if all_as_written(path):
        return Finding("standby", "ok", "every block as it was written")
    found = f"{path}: a block is not as it was written"
    means = "none yet: it would be published next"
    return Finding("standby", "damaged", found, means, "", "remove standby")


def _ledgers(workspace: Workspace) -> Finding:
    """Whether one of the finished files holds what the journal does not know."""
    if not storage.exists(workspace.journal):
        return Finding("ledgers", "ok", "none yet")
    try:
        refuse_lost_entries(workspace)
    except (UserError, duckdb.Error) as error:
        if isinstance(error, duckdb.Error) or isinstance(error.__cause__, UnopenedFile):
            return _unread("ledgers", error)
        means = "what they hold beyond the journal could not be made again"
        return Finding("ledgers", "lost", str(error), means, "put the right state/ back")
    return Finding("ledgers", "ok", "the journal knows all that warehouse and published file hold")
