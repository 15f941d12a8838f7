"""``v6share status``: how things stand."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from v6share.jobs.steps.age import age_record
from v6share.jobs.steps.damage import damage_table, say_damaged
from v6share.jobs.steps.look import may_read_journal, open_to_look
from v6share.jobs.steps.published_file import has_journal, say_unjudged
from v6share.jobs.steps.stream_state import read_stream_state
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.board import what_waits
from v6share.render.text import SeveralForm
from v6share.render.values import Record, bytes_for_people
from v6share.schemas.errors import UserError
from v6share.schemas.text.counts import counted
from v6share.warehouse.age import DataAge, data_age
from v6share.warehouse.database.connect import open_snapshot
from v6share.warehouse.fragment_damage import find_lost, sources_of_warehouse
from v6share.warehouse.growth import SKETCHES, Growth, growth_table, read_growth
from v6share.warehouse.kept.snapshot import went_unjudged
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.merge.read_fragments import FragmentUnreadable
from v6share.warehouse.publish import why_unpublished
from v6share.warehouse.remedies import refuse_if_all_is_held_back, what_publishes
from v6share.warehouse.status import (
    MOST_ROWS,
    WHOLE,
    StatusReport,
    published_runs,
    status_report,
    unpublished_run,
)
from v6share.workspace import storage
from v6share.workspace.find import find_workspace
from v6share.workspace.held_back import why_held_back
from v6share.workspace.lock import present_holder, stream_at_work
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

# Of sketches, in bytes: beyond that it is worth a word.
_MUCH_A_YEAR: Final = 1 << 30

if TYPE_CHECKING:
    import pyarrow as pa


def main(invocation: Invocation, *, form: SeveralForm) -> ExitCode:
    """Print runs, files, rejects, findings, exporters, versions and refused inputs."""
    workspace = find_workspace(invocation.root)
    if not (storage.exists(workspace.published) or has_journal(workspace)):
        refuse_if_all_is_held_back(workspace)
        raise UserError(f"{workspace.root}: nothing is counted yet; {_what_helps(workspace)}")
    found = _read(workspace, invocation.command)
    _write(found, _stream(workspace), form)
    _say_what_needs_a_look(found, workspace)
    return ExitCode.DONE


def _write(found: "_Found", stream: Record | None, form: SeveralForm) -> None:
    report = found.report
    age = dict(age_record(found.age))
    if form in ("table", "markdown"):
        del age["age_seconds"]
    tables: dict[str, pa.Table | Record] = {"data": age, **report.tables}
    tables["growth"] = growth_table(found.growth)
    left_out = dict(report.left_out)
    if found.lost is not None:
        tables["damaged_fragments"] = damage_table(found.lost[:MOST_ROWS])
        left_out |= _more("damaged_fragments", len(found.lost))
    if stream:
        tables = {"stream": stream, **tables}
    if form in ("json", "jsonl") and left_out:
        tables["left_out"] = left_out
    notes = {part: _in_words(part, count) for part, count in left_out.items()}
    stdout.write_tables(tables, form, notes=notes)


def _say_what_needs_a_look(found: "_Found", workspace: Workspace) -> None:
    report = found.report
    for days in report.days.to_pylist():
        messages.say(what_waits(days), final_once=days["final_once"])
    say_damaged(found.lost or (), messages.warn)
    _say_what_readers_miss(found)
    if found.is_unjudged:
        say_unjudged()
    _say_what_grows(found.growth, workspace)
    if report.both_directions.num_rows:
        _say_what_counts_twice(report, workspace)
    _say_of_inputs(report)


def _say_of_inputs(report: StatusReport) -> None:
    """Those that are refused, or keep what older versions counted."""
    left = report.quarantined["acknowledged"].to_pylist().count(False)
    if left:
        messages.warn(
            f"{counted(left, 'input')} quarantined and not acknowledged; "
            "`v6share quarantine list` says why",
            quarantined=left,
        )
    if report.inputs_of_old_versions:
        messages.say(
            f"{report.inputs_of_old_versions:,} inputs were counted by older rules or an older "
            "catalog; run their files again to bring them up to date",
            inputs_of_old_versions=report.inputs_of_old_versions,
        )
    if report.inputs_of_earlier_keys:
        messages.say(
            f"{report.inputs_of_earlier_keys:,} inputs keep hashes of an earlier client key: where "
            "their days and later ones meet, distinct clients are not known. `v6share backfill "
            "--reprocess all --since T --until T PATH...` counts them with the present key",
            inputs_of_earlier_keys=report.inputs_of_earlier_keys,
        )


def _more(part: str, count: int) -> dict[str, int]:
    """How many rows of a part are not shown, where that is so."""
    return {part: count - MOST_ROWS} if count > MOST_ROWS else {}


def _in_words(part: str, left_out: int) -> str:
    """What stands below a table that has more rows, and where they are."""
    whole = WHOLE.get(part)
    place = "" if whole is None else f"; `v6share kpi {whole} --format csv` has them all"
    return messages.as_typed_here(f"... and {left_out:,} more{place}")


def _stream(workspace: Workspace) -> Record | None:
    """How the stream stands; None where none ever ran here."""
    state = read_stream_state(workspace)
    if state is None:
        return None
    holder = stream_at_work(workspace)
    if holder is None:
        return {"at_work": False, **asdict(state)}
    return {"at_work": True, "process": holder.pid, **asdict(state)}


def _say_what_grows(parts: Iterable[Growth], workspace: Workspace) -> None:
    """Say that sketches grow much, where nothing bounds them: they are the largest by far."""
    of_year = sum(365 * one.bytes_per_day for one in parts if one.part == SKETCHES)
    if of_year > _MUCH_A_YEAR and read_settings(workspace, {}).retention.sketch_days is None:
        messages.say(
            f"client sketches grow by {bytes_for_people(of_year)} a year; [retention] sketch_days "
            "in v6share.toml and `v6share prune` bound that, and keep the counts of each day",
            bytes_per_year=of_year,
        )


def _say_what_counts_twice(report: StatusReport, workspace: Workspace) -> None:
    # Here: what knows the catalog's files takes a while to load, and mostly there is no need of it.
    from v6share.schemas.catalog.suggest import directions_advice
    from v6share.workspace.catalog_files import read_exporters_header

    both = report.both_directions.to_pylist()
    advice = directions_advice(both, read_exporters_header(workspace))
    if advice is not None:
        messages.say(advice)


def _what_helps(workspace: Workspace) -> str:
    """Where nothing is counted: to wait for the run that is at it, or to begin one."""
    holder = present_holder(workspace)
    return "use `v6share run PATH...`" if holder is None else holder.advice


@dataclass(frozen=True)
class _Found:
    """The report; how old the newest record is; the growth of the parts of the state; the run that
    readers miss, or None; why they miss it, where that was noted.

    A reason without a run: what was declared anew is not published. lost: fragments that are gone
    or cut off; None where only the published file was read. knows_runs: False where the journal
    cannot be read, which says what is committed. is_unjudged: whether the published numbers went
    out without the gate.
    """

    report: StatusReport
    age: DataAge
    growth: list[Growth]
    unpublished: Run | None = None
    why: str = ""
    lost: list[FragmentUnreadable] | None = None
    knows_runs: bool = True
    is_unjudged: bool = False


def _read(workspace: Workspace, command: str) -> _Found:
    with open_to_look(workspace, command) as (connection, is_warehouse):
        if is_warehouse:
            seen, is_unjudged = _readers_see(workspace)
        else:
            seen, is_unjudged = published_runs(connection), went_unjudged(connection)
        found = _Found(
            status_report(connection, seen),
            data_age(connection, datetime.now(UTC)),
            growth=read_growth(connection, workspace),
            is_unjudged=is_unjudged,
        )
        if is_warehouse:
            lost = find_lost(sources_of_warehouse(connection, workspace))
            why = why_unpublished(connection)
            return replace(found, unpublished=unpublished_run(workspace, seen), why=why, lost=lost)
        if may_read_journal(workspace):
            return replace(found, unpublished=unpublished_run(workspace, seen))
        return replace(found, why=why_held_back(workspace), knows_runs=False)


def _readers_see(workspace: Workspace) -> tuple[dict[str, datetime], bool]:
    """The runs in the published file, and whether that went out without the gate."""
    try:
        with open_snapshot(workspace.published) as snapshot:
            return published_runs(snapshot), went_unjudged(snapshot)
    except UserError as error:
        messages.detail(str(error))
        return {}, False  # whatever is there, nobody can read it


def _say_what_readers_miss(found: _Found) -> None:
    run = found.unpublished
    if run is None and not found.why:
        return
    if not found.knows_runs:
        messages.warn(
            f"newer numbers are held back ({found.why}): `kpi` and all readers see the state "
            f"before them. {what_publishes(found.why)}",
            why=found.why,
        )
        return
    what = "the catalog of the last run" if run is None else f"run {run.run_id}"
    why = found.why or "it was broken off or is not done yet, or the published file is gone"
    messages.warn(
        f"{what} is committed and not published ({why}): `kpi` and all readers see the state "
        f"before it. {what_publishes(found.why)}",
        run_id=None if run is None else run.run_id,
        why=found.why,
    )
