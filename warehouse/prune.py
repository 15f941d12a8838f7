"""Pruning: old rows and fragments go, and nothing that a KPI needs.

The order makes it safe to break off anywhere, and to begin again:

1. The base is written: the sums of the inputs whose fragments are to go, in a file that nothing
   names yet. It is compared with the ledger, and with the tables.
2. The entry is recorded: the rows go, the inputs are sealed, and the base counts, all at once.
3. ``sweep``: what nothing names any more is removed from disk, also what a killed call left.
4. The file of the warehouse is written anew where much of it is free then (``compact``).

Days are counted back from the last final day of the data, or from today where that is earlier: so
neither a clock that is ahead nor an exporter whose clock is removes what is new. Notes of refused
inputs go by the clock alone; fragments by both, as files may come long after their days.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from v6share.schemas.aggregates import (
    AGGREGATES,
    CLIENT_COUNTS_1D,
    CLIENTS_1D,
    HEALTH_1H,
    RTT_1H,
    TRAFFIC_1H,
    TRAFFIC_5M,
)
from v6share.schemas.columns import Table
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.settings import Retention
from v6share.warehouse.base import base_in_use, known_by, open_base, replace_counts
from v6share.warehouse.checks import run_checks
from v6share.warehouse.commit import SLICE_INPUTS, record
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.compact import copy_compact
from v6share.warehouse.database.connect import Connection, connect
from v6share.warehouse.database.migrate import migrate
from v6share.warehouse.database.touched import day_spans
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.fragment_damage import source_of_row
from v6share.warehouse.ledger.changes import REFUSED
from v6share.warehouse.ledger.journal import Prune, Run
from v6share.warehouse.ledger.quarantine_notes import refusal_file
from v6share.warehouse.ledger.rows import LIVE_FRAGMENTS
from v6share.warehouse.merge.horizons import (
    PRUNED_TABLES,
    QUARANTINE,
    Horizons,
    read_horizons,
    remove_before_horizons,
)
from v6share.warehouse.merge.merge_fragments import merge_fragments
from v6share.warehouse.merge.read_fragments import FragmentSource
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

FRAGMENTS: Final = "fragments"
_HOURLY: Final = (TRAFFIC_1H, RTT_1H, HEALTH_1H)
_KEYS_AT_ONCE: Final = 10_000
# Fragments that go at once: of each some kilobytes of its ledger are in memory.
MOST_FRAGMENTS: Final = 50_000
# Of base and tables, that are compared at once: as many as fit into memory.
_DAYS_AT_ONCE: Final = 31


@dataclass(frozen=True)
class Part:
    """What goes of one part: rows of a table, or files with their bytes.

    kept_from: the first day of which it is kept; None where days do not decide. bytes: None for
    rows: how large these are on disk, packed in blocks with others, is not known.
    """

    part: str
    kept_from: date | None
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be pruned. sources: the fragments that are to go. counts: of the clients of all
    days without sketches, those that lose them now too; None where none loses them now. waiting:
    how many fragments are to go the next time.
    """

    parts: Sequence[Part] = ()
    kept_from: Horizons = field(default_factory=dict)
    sources: Sequence[FragmentSource] = ()
    counts: pa.Table | None = None
    waiting: int = 0

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def needs_base(self) -> bool:
        """Whether a base must be made first: for what could not be made again from fragments."""
        return bool(self.sources) or self.counts is not None


def find_prunable(
    connection: Connection, workspace: Workspace, retention: Retention, now: datetime
) -> Wanted:
    """What the settings let go; the kept results must be up to date. now: with its zone."""
    moment = now.astimezone(UTC).replace(tzinfo=None)
    ((as_of,),) = connection.execute("SELECT as_of FROM results.as_of").fetchall()
    newest = None if as_of is None else min(as_of, moment.date())
    days = {} if newest is None else _days_kept_from(retention, newest)
    parts = [
        Part(table.name, days[table.name], rows=rows)
        for table in PRUNED_TABLES
        if table.name in days and (rows := _rows_before(connection, table, days[table.name]))
    ]
    kept_from = {one.part: days[one.part] for one in parts}
    if TRAFFIC_1H.name in kept_from:
        # What is finer goes at least as far as what it adds up to, though it has no rows there.
        before = read_horizons(connection).get(TRAFFIC_5M.name, date.min)
        kept_from[TRAFFIC_5M.name] = max(before, days[TRAFFIC_5M.name])
    if retention.quarantine_days is not None:
        day = (moment - timedelta(retention.quarantine_days)).date()
        notes = _notes_before(connection, workspace, day)
        if notes.files:
            kept_from[QUARANTINE] = day
            parts.append(notes)
    sources, waiting = list[FragmentSource](), 0
    if retention.fragment_days is not None and newest is not None:
        sources, waiting = _old_fragments(
            connection, workspace, retention.fragment_days, newest, moment
        )
    if sources:
        parts.append(_size_of(sources))
    loses_sketches = CLIENTS_1D.name in kept_from
    counts = client_counts(connection, kept_from[CLIENTS_1D.name]) if loses_sketches else None
    return Wanted(parts, kept_from, sources, counts, waiting)


def _days_kept_from(retention: Retention, newest: date) -> Horizons:
    """From which day on tables are to be kept, as the settings say."""

    def first(days: int) -> date:
        return newest - timedelta(days - 1)

    hourly, fine = retention.hourly_days, retention.five_minute_days
    found = {}
    # Rows of 5 minutes are never kept for longer than those of the hours that they add up to.
    finest = [days for days in (fine, hourly) if days is not None]
    if finest:
        found[TRAFFIC_5M.name] = first(min(finest))
    if hourly is not None:
        found |= dict.fromkeys((table.name for table in _HOURLY), first(hourly))
    if retention.sketch_days is not None:
        found[CLIENTS_1D.name] = first(retention.sketch_days)
    return found


def _rows_before(connection: Connection, table: Table, day: date) -> int:
    found = connection.execute(
        f"SELECT count(*) FROM {table.name} WHERE {table.columns[0].name} < CAST(? AS DATE)", [day]
    ).fetchall()
    return int(found[0][0])


def _notes_before(connection: Connection, workspace: Workspace, day: date) -> Part:
    """The notes of inputs that were refused before a day, as far as they are there."""
    ids = connection.execute(
        "SELECT input_id FROM ledger_files "
        "WHERE list_contains(CAST(? AS VARCHAR[]), status) GROUP BY input_id "
        "HAVING max(committed_at) < CAST(? AS DATE)",
        [list(REFUSED), day],
    ).fetchall()
    found = [storage.status(refusal_file(workspace, input_id)) for (input_id,) in ids]
    sizes = [one.size for one in found if one is not None]
    return Part(QUARANTINE, day, files=len(sizes), bytes=sum(sizes))


def _old_fragments(
    connection: Connection, workspace: Workspace, days: int, newest: date, now: datetime
) -> tuple[list[FragmentSource], int]:
    """The fragments of inputs that were counted, and whose days are, so many days ago.

    The oldest, and how many more there are.
    """
    ended = datetime.combine(newest - timedelta(days - 1), time.min)
    old = f"{LIVE_FRAGMENTS} AND f.committed_at < $counted AND coalesce(f.last_end < $ended, true)"
    values = {"counted": now - timedelta(days), "ended": ended}
    rows = connection.execute(
        f"{old} ORDER BY f.first_start, input_id LIMIT {MOST_FRAGMENTS}", values
    ).fetchall()
    ((count,),) = connection.execute(f"SELECT count(*) FROM ({old})", values).fetchall()
    return [source_of_row(workspace, row) for row in rows], count - len(rows)


def _size_of(sources: Sequence[FragmentSource]) -> Part:
    sizes = [found.size for one in sources if (found := storage.status(one.file)) is not None]
    return Part(FRAGMENTS, None, files=len(sizes), bytes=sum(sizes))


def client_counts(connection: Connection, day: date) -> pa.Table:
    """How many clients there were on the days before one, also on those pruned already."""
    columns = ", ".join(column.name for column in CLIENT_COUNTS_1D.columns)
    return fetch_table(
        connection,
        f"SELECT {columns} FROM definitions.kpi_stage2_daily_clients WHERE day < ? ORDER BY ALL",
        [day],
    ).cast(CLIENT_COUNTS_1D.arrow_schema)


def prune(workspace: Workspace, wanted: Wanted, run: Run, threads: int = 0) -> None:
    """Let go what is wanted; ``sweep`` removes the files. run: the row of this run.

    Hold the workspace, with no connection to the warehouse open. Raises FragmentUnreadable and
    BaseUnreadable, UserError where fragments contradict the ledger, OSError and duckdb.Error where
    the disk fails; then nothing has changed.
    """
    base = _write_base(workspace, wanted, run, threads) if wanted.needs_base else None
    sealed = tuple(one.key.input_id for one in wanted.sources)
    entry = Prune(run.run_id, run.started_at, dict(wanted.kept_from), sealed, base)
    with closing(open_warehouse(workspace, threads)) as connection:
        record(connection, workspace, [entry, run])


def _write_base(workspace: Workspace, wanted: Wanted, run: Run, threads: int) -> FragmentFile:
    """Make the base that is to count from now on; what its file is known by.

    It holds what the one before it does, and the inputs whose fragments are to go.
    """
    place = workspace.base(run.run_id)
    storage.make_folder(place.parent)
    storage.remove_drafts(place.parent)
    with storage.drafted(place) as draft:
        with closing(connect(workspace.warehouse, workspace, threads)) as warehouse:
            before = base_in_use(warehouse, workspace)
        if before is not None:
            with open_base(before):  # refuses what is damaged
                pass
            copy_compact(before, draft, workspace)
        with closing(connect(draft, workspace, threads)) as base:
            migrate(base)
            base.execute("ATTACH ? AS live (READ_ONLY)", [str(workspace.warehouse)])
            _fill(base, wanted, run.started_at.astimezone(UTC).replace(tzinfo=None))
            base.execute("DETACH live")
            base.execute("CHECKPOINT")
        return known_by(draft)


def _fill(base: Connection, wanted: Wanted, sealed_at: datetime) -> None:
    """Bring a base up to the horizons, and add inputs to it; ``live`` is the warehouse."""
    with transaction(base):
        base.execute("DELETE FROM ledger_pruned")
        base.execute("INSERT INTO ledger_pruned FROM live.main.ledger_pruned")
        for part, day in wanted.kept_from.items():
            base.execute("DELETE FROM ledger_pruned WHERE part = ?", [part])
            base.execute("INSERT INTO ledger_pruned VALUES (?, ?, ?, '')", [part, day, sealed_at])
        remove_before_horizons(base, read_horizons(base))
    for start in range(0, len(wanted.sources), SLICE_INPUTS):
        some = wanted.sources[start : start + SLICE_INPUTS]
        sealed = pa.table({"input_id": [one.key.input_id for one in some]})  # noqa: F841 - in SQL
        with transaction(base):
            merge_fragments(base, some)
            base.execute(
                "INSERT INTO ledger_files SELECT * REPLACE (CAST($sealed_at AS TIMESTAMP) AS "
                "sealed_at, CASE WHEN list_contains(CAST($refused AS VARCHAR[]), status) "
                "THEN 'superseded' ELSE status END AS status) "
                "FROM live.main.ledger_files SEMI JOIN sealed USING (input_id)",
                {"sealed_at": sealed_at, "refused": list(REFUSED)},
            )
    with transaction(base):
        counts = wanted.counts
        if counts is None:
            counts = fetch_table(base, f"FROM live.main.{CLIENT_COUNTS_1D.name}")
        replace_counts(base, counts)
        for notes in ("touched", "unchecked", "unpublished"):
            base.execute(f"DELETE FROM private.{notes}")
    failed = [result for result in run_checks(base) if result.blocks]
    if failed:
        raise UserError(
            f"the fragments that are to be pruned do not add up: {failed[0].name} expects that "
            f"{failed[0].what}, but {failed[0].example}. Nothing was pruned. `v6share doctor` "
            "looks for what is damaged"
        )
    _refuse_other_rows(base)


def _refuse_other_rows(base: Connection) -> None:
    """Compare the base with the tables, on days of which no other input has rows.

    Raises UserError where they differ.
    """
    horizons = read_horizons(base)
    spans = list(day_spans(_days_of_base_alone(base), _DAYS_AT_ONCE))
    for table in AGGREGATES:
        kept_from = horizons.get(table.name, date.min)
        for span in spans:
            # Of days that are kept: the others go from the tables a moment later.
            one, other = (
                f"(FROM {place}.{table.name} WHERE {table.day} BETWEEN $first AND $last "
                "AND {table.day} >= $kept_from)".format(table=table)
                for place in ("main", "live.main")
            )
            values = {"first": span[0], "last": span[1], "kept_from": kept_from}
            ((count,),) = base.execute(
                f"SELECT (SELECT count(*) FROM ({one} EXCEPT ALL {other})) "
                f"+ (SELECT count(*) FROM ({other} EXCEPT ALL {one}))",
                values,
            ).fetchall()
            if count:
                raise UserError(
                    f"{table.name} is not what the fragments come to that are to be pruned: "
                    f"{count:,} rows differ from {span[0]} to {span[1]}. Nothing was pruned. "
                    "`v6share rebuild` makes the tables anew from them"
                )


def _days_of_base_alone(base: Connection) -> list[date]:
    """The days that inputs have which are sealed now, and no input that is not."""
    days = (
        "SELECT unnest(generate_series(CAST(first_start AS DATE) - 1, CAST(last_end AS DATE) + 1, "
        "INTERVAL 1 DAY)) AS day FROM live.main.ledger_files f "
    )
    counts = "WHERE status = 'committed' AND f.sealed_at IS NULL"
    rows = base.execute(
        f"SELECT CAST(day AS DATE) FROM ({days} SEMI JOIN main.ledger_files USING (input_id) "
        f"{counts} EXCEPT {days} ANTI JOIN main.ledger_files USING (input_id) {counts}) ORDER BY 1"
    )
    return [day for (day,) in rows.fetchall()]


def sweep(connection: Connection, workspace: Workspace) -> tuple[int, int]:
    """Remove files that were pruned: fragments of sealed inputs, and bases that no longer count.

    Gives how many files and bytes went.
    """
    old = [*_fragments_of_sealed(connection, workspace), *_other_bases(connection, workspace)]
    size_bytes = 0
    for file in old:
        size_bytes += storage.size(file)
        storage.remove(file)
    storage.remove_drafts(workspace.bases)
    return len(old), size_bytes


def _fragments_of_sealed(connection: Connection, workspace: Workspace) -> list[Path]:
    folders = storage.list_folders(workspace.fragments)
    there = {file.stem: file for one in folders for file in storage.list_files(one, ".parquet")}
    rows = connection.execute(
        "SELECT input_id, dialect, rules_version, catalog_version FROM ledger_files "
        "WHERE sealed_at IS NOT NULL"
    )
    found = []
    while some := rows.fetchmany(_KEYS_AT_ONCE):
        ids = (FragmentKey(*row).fragment_id for row in some)
        found += [there[one] for one in ids if one in there]
    return found


def _other_bases(connection: Connection, workspace: Workspace) -> list[Path]:
    """All but the base that counts, and a copy of it in the shape of a later version."""
    used = base_in_use(connection, workspace)
    return [
        file
        for file in storage.list_files(workspace.bases)
        if used is None or not file.name.startswith(used.stem)
    ]
