"""The committer: journal entries and fragments become tables, in one transaction.

``record`` first applies, then appends to the journal (durably), then commits. So an entry that
cannot be applied never enters the journal, and a crash after the append is made good by the next
``apply``. Every step is safe to redo.

An addition touches only the rows whose keys it shares. Where an input is replaced or withdrawn,
its days are emptied and made again from all live fragments that cover them. Both are the same
merge; the only difference is what is deleted before it, and which fragments go in.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import astuple, dataclass, replace
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.aggregates import FRAGMENT_TABLES, TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.schemas.errors import UserError
from v6share.schemas.ledger import FRAGMENT_LEDGERS, LEDGER_FAMILIES
from v6share.schemas.merge_rows import SumBeyondRangeError
from v6share.warehouse.database.arrow import fetch_table, insert_rows
from v6share.warehouse.database.stamp import file_stamp
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.fragment_damage import naming_all, source_of_row
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.changes import (
    NO_ROWS,
    Changes,
    FileRow,
    inputs_named,
    live_after,
    paths_named,
    plan_changes,
)
from v6share.warehouse.ledger.journal import Commit, CommittedInput, Entry
from v6share.warehouse.ledger.quarantine_notes import write_refusals
from v6share.warehouse.ledger.quarantined import refused_places
from v6share.warehouse.ledger.rows import LIVE_FRAGMENTS, file_rows, key_ids, write_ledger
from v6share.warehouse.ledger.seals import BEGINNING, Mark
from v6share.warehouse.merge.balance import Balance
from v6share.warehouse.merge.fold_fragments import Fold, folds_ahead
from v6share.warehouse.merge.read_fragments import (
    FragmentSource,
    FragmentUnreadable,
    Header,
    distinct_days,
    of_days,
    open_fragment,
    open_fragments,
    open_with_ledgers,
    read_fragment,
    read_parts,
    source_of,
)
from v6share.warehouse.merge.upsert import delete_days, merge_stage, stage_rows, upsert_rows
from v6share.workspace.paths import Workspace

# Inputs of one transaction when a long journal is applied.
SLICE_INPUTS: Final = 500


class SumTooLarge(UserError):  # noqa: N818 - a name for what is found
    """Inputs whose sums, with what is there already, pass the range of a column."""

    def __init__(self, sources: Sequence[FragmentSource], problem: str) -> None:
        super().__init__(
            f"a sum passes the range of its column ({problem}); one of these inputs has absurd "
            f"counters: {', '.join(source.path for source in sources)}. Run them one at a time to "
            "find it, and leave it out"
        )


# table name -> date32
Days = Mapping[str, pa.Array]

# What counts when the journal is applied to its end, by input, as ``live_after``.
LiveAtEnd = Mapping[str, CommittedInput | None]
_END_UNKNOWN: Final[LiveAtEnd] = {}


@dataclass(frozen=True)
class Applied:
    """What an apply did: journal entries, inputs that became live, inputs that no longer are."""

    entries: int = 0
    added: int = 0
    removed: int = 0


def record(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, entries: Sequence[Entry]
) -> Changes:
    """Apply new entries and write them to the journal, all of them or none; what that changed.

    The fragments of commits must be on disk, durably. Raises FragmentUnreadable where one is not
    usable, SumTooLarge where a sum passes its column's range, NotConserved where fragments
    contradict themselves, OSError or duckdb.Error where the disk fails; then no table has changed,
    and what already stands in the journal is applied when the warehouse is opened next. Raises
    UserError where the journal is damaged.
    """
    refuse_damaged_journal(connection, workspace)
    apply(connection, workspace)
    try:
        return _commit(connection, workspace, entries, is_new=True)
    except FragmentUnreadable as error:
        raise naming_all(error, workspace, opens=True) from error


def refuse_damaged_journal(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Raise UserError where the journal is damaged; to write on would lose what is written, too.

    Nothing is read where the file has the size and the time that the last commit left it with, for
    a stream asks with each batch. ``journal.refuse_damaged`` reads it in any case.
    """
    found = file_stamp(workspace.journal)
    if found != read_state(connection, "journal_file"):
        journal.refuse_damaged(workspace.journal)
        write_state(connection, "journal_file", found)


def withdraw_unapplied(workspace: Workspace, entries: Sequence[Entry]) -> None:
    """Write withdrawals to the journal alone, where no warehouse can be opened to take them.

    Whatever applies the journal next does without their fragments. Hold the workspace.
    """
    journal.append(workspace.journal, entries)


def apply(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Applied:
    """Apply what the journal holds beyond the warehouse: what a crash left, or everything.

    A long journal is applied in several transactions; each leaves a state that was true once. Where
    a fragment cannot be used, those that do not count in the end are done without, and then only
    the last state is true: whoever withdrew an input whose fragment is lost can go on.
    """
    start = _applied(connection)
    done: list[Applied] = []
    try:
        done.extend(_apply_slices(connection, workspace, _END_UNKNOWN))
    except FragmentUnreadable:
        entries = journal.read(workspace.journal, _applied(connection))
        live_at_end = live_after(entry for entry, _ in entries)
        try:
            done.extend(_apply_slices(connection, workspace, live_at_end))
        except FragmentUnreadable as error:
            raise naming_all(error, workspace, opens=False) from error
    total = Applied(*map(sum, zip(*map(astuple, done), strict=True)))
    if not total.entries and start.offset and not start.seal:
        _note_applied(connection, journal.with_seal(workspace.journal, start))
    return total


def _apply_slices(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, live_at_end: LiveAtEnd
) -> Iterator[Applied]:
    for entries, end in _slices(journal.read(workspace.journal, _applied(connection))):
        changes = _commit(connection, workspace, entries, end=end, live_at_end=live_at_end)
        yield Applied(len(entries), len(changes.added), len(changes.removed))


def _applied(connection: duckdb.DuckDBPyConnection) -> Mark:
    """Up to where the journal is in the tables."""
    return Mark(
        int(read_state(connection, "journal_offset", "0")), read_state(connection, "journal_seal")
    )


def _note_applied(connection: duckdb.DuckDBPyConnection, end: Mark) -> None:
    write_state(connection, "journal_offset", str(end.offset))
    write_state(connection, "journal_seal", end.seal)


def _slices(entries: Iterable[tuple[Entry, Mark]]) -> Iterator[tuple[list[Entry], Mark]]:
    """Entries and the mark at which they end, cut so that few inputs are under way at once."""
    some: list[Entry] = []
    inputs, end = 0, BEGINNING
    for entry, end in entries:
        some.append(entry)
        inputs += len(entry.inputs) if isinstance(entry, Commit) else 0
        if inputs >= SLICE_INPUTS:
            yield some, end
            some, inputs = [], 0
    if some:
        yield some, end


def _commit(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    entries: Sequence[Entry],
    *,
    is_new: bool = False,
    end: Mark = BEGINNING,
    live_at_end: LiveAtEnd = _END_UNKNOWN,
) -> Changes:
    """One transaction. New entries go to the journal; others end there at ``end``.

    live_at_end: what counts in the end, by input; what it names and does not count is done without.
    """
    if not entries:
        return Changes()
    with transaction(connection):
        places = refused_places(connection)
        moved = {places[path] for path in paths_named(entries) if path in places}
        rows = file_rows(connection, inputs_named(entries) | moved)
        changes = plan_changes(rows, entries, key_ids(connection), places)
        _change_tables(connection, workspace, changes, live_at_end, is_new=is_new)
        write_ledger(connection, changes)
        if is_new:
            end = journal.append(workspace.journal, entries, _applied(connection))
            write_state(connection, "journal_file", file_stamp(workspace.journal))
        write_refusals(workspace, changes.refused, changes.decided)
        _note_applied(connection, end)
    return changes


def _change_tables(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    changes: Changes,
    live_at_end: LiveAtEnd,
    *,
    is_new: bool,
) -> None:
    days = _days_to_rebuild(connection, workspace, changes.removed)
    survivors = _still_live(_survivors(connection, workspace, changes.removed, days), live_at_end)
    _withdraw(connection, changes.removed, days)
    if changes.removed:
        # What a commit that only adds proves of itself is to be checked now.
        write_state(connection, "replaced", "yes")
    new = (replace(_source(workspace, row), is_new=is_new) for row in changes.added)
    added = _still_live(new, live_at_end)
    if added or survivors:
        _merge_fragments(connection, changes, added, survivors, days)
    _note_figures(changes, _headers_left(workspace, changes, live_at_end))


def _source(workspace: Workspace, row: FileRow) -> FragmentSource:
    return source_of(workspace, row.key, row.path, row.fragment, row.client_key)


def _still_live(sources: Iterable[FragmentSource], live_at_end: LiveAtEnd) -> list[FragmentSource]:
    """Leave out what a later journal entry withdraws or replaces.

    An input that is counted again has another file in the end: that one is expected. Where the end
    is not known, as in every ordinary run, all are kept.
    """
    needed = []
    for source in sources:
        if source.key.input_id not in live_at_end:
            needed.append(source)
            continue
        last = live_at_end[source.key.input_id]
        if last is not None and last.key == source.key:
            needed.append(replace(source, written=last.fragment))
    return needed


def _merge_fragments(
    connection: duckdb.DuckDBPyConnection,
    changes: Changes,
    added: Sequence[FragmentSource],
    survivors: Sequence[FragmentSource],
    days: Days,
) -> None:
    """Merge fragments into the tables, one table after the other.

    New fragments count in full; the others only on the days that were emptied.
    """
    new, ledgers = open_with_ledgers(added)
    others = open_fragments(survivors)

    def parts_of(table: Table) -> Iterator[pa.Table]:
        yield from read_parts(new, table)
        for rows in read_parts(others, table):
            yield of_days(rows, table, days[table.name])

    try:
        with folds_ahead(parts_of) as folds:
            _note_figures(changes, [one.header for one in new])
            balance = Balance(ledgers.get(LEDGER_FAMILIES.name))
            # A thread makes the first fold meanwhile. Each ledger is freed once it is inserted.
            while ledgers:
                insert_rows(connection, *ledgers.popitem())
            _merge_folds(connection, folds, balance)
        if not survivors:  # else their rows are among what was merged: the checks compare then
            balance.check()
    except SumBeyondRangeError as error:
        raise SumTooLarge(added, str(error)) from error


def _merge_folds(
    connection: duckdb.DuckDBPyConnection, folds: Iterable[Fold], balance: Balance
) -> None:
    """Merge folds into the tables; those of one table wait on a stage where they are many.

    balance: takes what traffic_5m gains.
    """
    is_staged = False
    for fold in folds:
        is_weighed = fold.table is TRAFFIC_5M
        if is_weighed:
            balance.expect(fold.rows)
        if is_staged or not fold.is_last:
            stage_rows(connection, fold.table, fold.rows, anew=not is_staged)
        if fold.is_last:
            with balance.weighing(connection) if is_weighed else nullcontext():
                if is_staged:
                    merge_stage(connection, fold.table)
                else:
                    upsert_rows(connection, fold.table, fold.rows)
        is_staged = not fold.is_last
        # What one fold took is free for the next, and for the checks and the snapshot.
        pa.default_memory_pool().release_unused()


def _days_to_rebuild(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, removed: Sequence[FileRow]
) -> Days:
    """The days that the removed inputs touched, per table.

    Their own fragments say it exactly. Where one is gone, its time range does, with a day more on
    each side for the reporting offset.
    """
    found: dict[str, list[pa.Array]] = {table.name: [] for table in FRAGMENT_TABLES}
    for row in removed:
        try:
            fragment = read_fragment(_source(workspace, row))
        except FragmentUnreadable:
            for arrays in found.values():
                arrays.append(_days_of_range(connection, row))
            continue
        for table in FRAGMENT_TABLES:
            found[table.name].append(distinct_days(fragment.tables[table.name], table))
    return {name: _union(arrays) for name, arrays in found.items()}


def _days_of_range(connection: duckdb.DuckDBPyConnection, row: FileRow) -> pa.Array:
    first, last = (row.figures or NO_ROWS)[3:]
    days = fetch_table(
        connection,
        "SELECT CAST(day AS DATE) AS day FROM generate_series("
        "CAST(? AS DATE) - 1, CAST(? AS DATE) + 1, INTERVAL 1 DAY) AS s(day)",
        [first, last],
    )
    return days.column("day").combine_chunks()


def _union(arrays: Sequence[pa.Array]) -> pa.Array:
    return pc.unique(pa.concat_arrays([pa.array([], pa.date32()), *arrays]))


def _survivors(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    removed: Sequence[FileRow],
    days: Days,
) -> list[FragmentSource]:
    """The live fragments, apart from removed ones, that may cover a day to rebuild."""
    all_days = _union(list(days.values()))
    if not len(all_days):
        return []
    gone = [row.key.input_id for row in removed]
    incoming = pa.table({"day": all_days})  # noqa: F841 - the SQL below reads it
    rows = connection.execute(
        f"{LIVE_FRAGMENTS} AND input_id NOT IN (SELECT unnest(CAST(? AS VARCHAR[]))) "
        "AND EXISTS (SELECT 1 FROM incoming WHERE day BETWEEN "
        "CAST(f.first_start AS DATE) - 1 AND CAST(f.last_end AS DATE) + 1) "
        "ORDER BY f.first_start, input_id",
        [gone],
    ).fetchall()
    return [source_of_row(workspace, row) for row in rows]


def _withdraw(
    connection: duckdb.DuckDBPyConnection, removed: Sequence[FileRow], days: Days
) -> None:
    if not removed:
        return
    for table in FRAGMENT_TABLES:
        if len(days[table.name]):
            delete_days(connection, table, days[table.name])
    gone = [row.key.input_id for row in removed]
    for ledger in FRAGMENT_LEDGERS:
        connection.execute(
            f"DELETE FROM {ledger.name} WHERE input_id IN (SELECT unnest(CAST(? AS VARCHAR[])))",
            [gone],
        )


def _note_figures(changes: Changes, headers: Iterable[Header]) -> None:
    for header in headers:
        versions = changes.rows[header.key.input_id]
        versions[header.key] = replace(
            versions[header.key],
            figures=(
                header.rows_in,
                header.rows_counted,
                header.rows_rejected,
                header.first_start,
                header.last_end,
            ),
        )


def _headers_left(
    workspace: Workspace, changes: Changes, live_at_end: LiveAtEnd
) -> Iterator[Header]:
    """Headers of inputs whose figures are not known yet, as far as they still exist.

    Most came and went within these entries: nothing depends on their figures. One that went and
    came again counts. Raises FragmentUnreadable for such a one.
    """
    waiting = [
        row for rows in changes.rows.values() for row in rows.values() if row.figures is None
    ]
    for row in waiting:
        source = _source(workspace, row)
        needed = _still_live([source], live_at_end) if row.status == "committed" else []
        try:
            yield open_fragment(*needed or [source]).header
        except FragmentUnreadable:
            if needed:
                raise
