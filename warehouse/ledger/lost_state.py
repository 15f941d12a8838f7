"""Lost state: what a finished file holds and the journal does not know.

The journal is written before the warehouse, and the warehouse before it is published. So in a
healthy workspace each of them knows all that the next one holds. Where one does not, ``state/`` was
lost, is an older one or is not mounted; or the finished file is another workspace's. Whoever wrote
on would put few numbers in the place of many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path

import duckdb

from v6share.schemas.errors import UserError
from v6share.schemas.text.counts import counted
from v6share.warehouse.database.connect import (
    Connection,
    DamagedFile,
    UnopenedFile,
    open_snapshot,
)
from v6share.warehouse.database.stamp import is_own
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.aside import moves_of
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class _Ledger:
    """What was committed, as a warehouse or a published file says it.

    runs: when each ended, by id. inputs: when each version of an input last changed, by the
    input's id, dialect, rules and catalog. Times are UTC.
    """

    runs: Mapping[str, datetime] = field(default_factory=dict)
    inputs: Mapping[tuple[str, str, int, str], datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.runs or self.inputs)

    def __or__(self, other: "_Ledger") -> "_Ledger":
        return _Ledger({**self.runs, **other.runs}, {**self.inputs, **other.inputs})

    def without(self, known: "_Ledger") -> "_Ledger":
        """What stands here and not there."""
        return _Ledger(
            {one: at for one, at in self.runs.items() if one not in known.runs},
            {one: at for one, at in self.inputs.items() if one not in known.inputs},
        )


def refuse_lost_journal(workspace: Workspace) -> None:
    """Raise UserError where something is published and no journal stands behind it.

    Reads and writes nothing in ``state/``: where that is only not mounted, it stays as it is.
    """
    _refuse(lost_journal(workspace))


def refuse_lost_runs(connection: Connection, workspace: Workspace, *others: Path) -> None:
    """Raise UserError where a finished file holds what an open warehouse does not know.

    The published file is one, unless this warehouse published it: then nothing is read. Where it
    is damaged it may be replaced by what is known, and not by nothing. others: more of them, as far
    as they are not damaged, such as the warehouse which a new one is to replace. The open warehouse
    must have applied the journal. Raises it, too, where such a file is not known to be damaged and
    cannot be read.
    """
    _refuse(lost_runs(connection, workspace, *others))


def refuse_lost_entries(workspace: Workspace) -> None:
    """Raise UserError where a finished file or the warehouse holds what the journal does not.

    For whoever writes to the journal where no warehouse can be opened. What is damaged is passed
    over. Raises UserError, too, where the journal is.
    """
    files = [one for one in (workspace.published, workspace.warehouse) if storage.exists(one)]
    known = _ledger_of_journal(workspace)
    try:
        held = {file: _ledger_in(file) or known for file in files}
    except UnopenedFile as error:
        raise UserError(str(error)) from error
    _refuse(_lost_in_words(workspace, known, held))


def lost_journal(workspace: Workspace) -> str:
    """Why ``refuse_lost_journal`` refuses, and what to do; empty where it does not."""
    published, entries = workspace.published, storage.status(workspace.journal)
    if (entries is not None and entries.size) or not storage.exists(published):
        return ""
    try:
        lost = _beyond(_Ledger(), _ledger_in(published))
    except UnopenedFile as error:
        return str(error)
    if lost is None:
        return ""
    # A warehouse without its journal would not be opened, either.
    files = [file for file in (published, workspace.warehouse) if storage.exists(file)]
    return _in_words(workspace, files, lost)


def lost_runs(connection: Connection, workspace: Workspace, *others: Path) -> str:
    """Why ``refuse_lost_runs`` refuses, and what to do; empty where it does not."""
    published = workspace.published
    is_strange = storage.exists(published) and not is_own(connection, workspace)
    if not (is_strange or others):
        return ""
    known = _read_ledger(connection)
    try:
        held = {published: _ledger_in(published)} if is_strange else {}
        held |= {file: _ledger_in(file) or known for file in others}
    except UnopenedFile as error:
        return str(error)
    return _lost_in_words(workspace, known, held)


def _lost_in_words(
    workspace: Workspace, known: _Ledger, held: Mapping[Path, _Ledger | None]
) -> str:
    """What files hold and nobody else knows, and what to do; empty where there is no such."""
    found = {file: _beyond(known, ledger) for file, ledger in held.items()}
    lost = {file: what for file, what in found.items() if what is not None}
    return _in_words(workspace, list(lost), reduce(or_, lost.values())) if lost else ""


def _refuse(said: str) -> None:
    if said:
        raise UserError(said)


def _ledger_in(path: Path) -> _Ledger | None:
    """What a file says was committed; None where it is damaged, or not one of ours.

    Raises UnopenedFile where another process or another version might read it.
    """
    try:
        with open_snapshot(path) as snapshot:
            return _read_ledger(snapshot)
    except (DamagedFile, duckdb.CatalogException, duckdb.BinderException):
        return None


def _read_ledger(connection: Connection) -> _Ledger:
    runs = connection.execute("SELECT run_id, finished_at FROM ledger_runs").fetchall()
    inputs = connection.execute(
        "SELECT input_id, dialect, rules_version, catalog_version, committed_at FROM ledger_files"
    ).fetchall()
    return _Ledger(dict(runs), {row[:4]: row[4] for row in inputs})


def _ledger_of_journal(workspace: Workspace) -> _Ledger:
    """What the journal says was committed or refused."""
    runs: dict[str, datetime] = {}
    inputs: dict[tuple[str, str, int, str], datetime] = {}
    for entry, _ in journal.read(workspace.journal):
        match entry:
            case journal.Run():
                runs[entry.run_id] = entry.finished_at
            case journal.Commit():
                inputs |= {astuple(one.key): entry.at for one in entry.inputs}
            case journal.Quarantine():
                inputs[astuple(entry.key)] = entry.at
    return _Ledger(runs, inputs)


def _beyond(known: _Ledger, held: _Ledger | None) -> _Ledger | None:
    """What is held and not known, empty where nobody can read it; None where that is no loss."""
    if held is None:
        return None if known else _Ledger()
    return held.without(known) or None


def _in_words(workspace: Workspace, files: Sequence[Path], lost: _Ledger) -> str:
    """files: those that hold what is lost."""
    return (
        f"{' and '.join(map(str, files))}: found {_described(lost)}, of which {workspace.journal} "
        f"knows nothing. {workspace.state} was lost, is an older one or is not mounted, or the "
        "file is another workspace's; nothing was published. Either put the right state/ back, "
        "with journal.jsonl, client.key and fragments/: mount it, or restore it from a backup. Or "
        f"accept the loss: `{moves_of(files)}`, count the flow files again with `v6share run`, and "
        "withdraw again what was withdrawn"
    )


def _described(lost: _Ledger) -> str:
    if not lost:
        return "what nobody can read"
    times = [*lost.runs.values(), *lost.inputs.values()]
    newest = max(lost.runs, key=lambda one: lost.runs[one], default="")
    inputs = len({input_id for input_id, *_ in lost.inputs})
    return (
        f"{counted(len(lost.runs), 'run')} and {counted(inputs, 'input')}"
        f"{newest and f', the newest run {newest}'}, from {min(times):%Y-%m-%dT%H:%M:%SZ} "
        f"to {max(times):%Y-%m-%dT%H:%M:%SZ}"
    )
