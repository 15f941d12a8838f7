"""``v6share run``: flow files -> fragments -> commit -> checks -> published snapshot."""

import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from shlex import quote
from typing import Any, Final

from v6share import __version__
from v6share.jobs import later
from v6share.jobs.rewritten import Rewritten, rewritten_inputs
from v6share.jobs.steps.check_and_publish import check_and_publish, new_run_id
from v6share.jobs.steps.head_start import Ahead, ahead_of, say_if_cold
from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.find import Found, find_inputs, is_missing
from v6share.pipelines.timespan import Span, choose_inputs, parse_span
from v6share.render.text import SeveralForm
from v6share.render.values import Record, shown_hash
from v6share.schemas.catalog.parse import dimension_tables
from v6share.schemas.catalog.suggest import catalog_advice, directions_advice, interval_advice
from v6share.schemas.dialects import builtin_dialects, dialect_named
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import RULES_VERSION
from v6share.schemas.ledger import NO_OP
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.schemas.text.plain import cut
from v6share.warehouse.commit import SumTooLarge, record
from v6share.warehouse.database.open import Connection, open_warehouse
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog, remember_catalog
from v6share.warehouse.ledger.outcomes import (
    Sorted,
    commit_of,
    journal_entries,
    sort_outcomes,
    without,
)
from v6share.warehouse.ledger.rerun import Fate, Versions, sort_out
from v6share.warehouse.publish import why_unpublished
from v6share.warehouse.reads import KnownInputs, both_directions, known_inputs
from v6share.warehouse.run_figures import rejects_of_run
from v6share.workspace.configured import (
    Configured,
    find_workspace,
    read_declared,
    read_exporters_header,
    read_settings,
)
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

_NAMED: Final = 10
# One that names a thousand files would else be kept, whole, at every run.
_COMMAND_KEPT: Final = 10_000


@dataclass(frozen=True)
class Request:
    """The options of one run, as given."""

    paths: tuple[str, ...]
    since: str | None = None
    until: str | None = None
    dialect: str | None = None
    runner: str = "local"
    unknown_sampling: str | None = None
    wait: float = 0
    threads: int | None = None
    publish: bool = True
    include_forgotten: bool = False
    form: SeveralForm = "table"


@dataclass(frozen=True)
class _Started:
    """What stays the same through a run."""

    run_id: str
    command: str
    at: datetime
    clock: float
    configured: Configured
    request: Request
    ahead: Ahead

    @property
    def versions(self) -> Versions:
        return Versions(RULES_VERSION, self.configured.catalog_version, self.request.dialect)


def main(invocation: Invocation, request: Request) -> ExitCode:
    """Count what is new among the inputs and publish the result."""
    _check_names(request)
    span = parse_span(request.since, request.until)
    flags = {"--unknown-sampling": request.unknown_sampling, "--threads": request.threads}
    workspace = find_workspace(invocation.root)
    settings = read_settings(workspace, flags)
    now, clock = datetime.now(UTC), time.monotonic()
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with leaving, hold(workspace, invocation.command, request.wait):
        found = _find(request.paths, workspace)
        connection = open_warehouse(workspace, settings.run.threads)
        try:
            refuse_lost_catalog(connection, workspace)
            known = known_inputs(connection)
            new = known.new_among(found.inputs)
            if new:
                say_if_cold()
            with ahead_of(new, hashes=span.is_open) as ahead:
                configured = read_declared(workspace, settings)
                ahead.compile(configured)
                _say_doubts(configured)
                _say_who_may_read_the_key(workspace)
                started = _Started(
                    new_run_id(now), invocation.command, now, clock, configured, request, ahead
                )
                return _run(connection, started, found, known, span)
        finally:
            connection.close()


def _say_doubts(configured: Configured) -> None:
    _warn_of_each(
        [
            (str(doubt), {"file": doubt.file, "line": doubt.line, "key": doubt.key})
            for doubt in configured.doubts
        ],
        "more names look like mistakes",
    )


def _say_who_may_read_the_key(workspace: Workspace) -> None:
    mode = stat.S_IMODE(workspace.client_key.stat().st_mode)
    if mode & 0o077:
        messages.warn(
            f"{workspace.client_key}: found the mode {mode:04o}, expected 0600: whoever reads the "
            "key can tell from the hashes which clients were active"
        )


def _warn_of_each(found: Sequence[tuple[str, Mapping[str, Any]]], others: str) -> None:
    """Say the first ten messages, with their fields, and how many others there are: a log must
    stay readable.
    """
    for message, fields in found[:_NAMED]:
        messages.warn(message, **fields)
    if len(found) > _NAMED:
        messages.warn(f"{len(found) - _NAMED:,} {others}")


def _check_names(request: Request) -> None:
    if request.dialect is not None:
        dialect_named(request.dialect, builtin_dialects())
    if request.runner != "local":
        raise UserError(
            f'--runner: found "{request.runner}", expected local, the one runner of this version; '
            f"{', '.join(later.RUNNERS)} come later"
        )


def _find(paths: Sequence[str], workspace: Workspace) -> Found:
    """The inputs. Raises JobStopped where there is none: INPUT_FAILED where some had to be left
    out, else NO_INPUT.

    Raises UserError where others are there, but not one that was named: nobody would look at a
    warning of a job that a scheduler runs.
    """
    found = find_inputs(paths, (workspace.state, workspace.published.parent), messages.warn)
    missing = [path for path in found.empty if is_missing(path)]
    if not found.inputs:
        gone = f"; there is no {' and no '.join(missing)}" if missing else ""
        if found.closed:
            out = ", ".join(found.closed)
            raise JobStopped(ExitCode.INPUT_FAILED, f"no input: {out} left out, see above{gone}")
        raise JobStopped(
            ExitCode.NO_INPUT,
            f"no input matched {', '.join(found.empty)}{gone}. Of a directory only *.parquet and "
            "*.parq are taken, a file that you name is always tried",
        )
    if missing:
        raise UserError(
            f"{', '.join(missing)}: no such file or directory; nothing was counted. Name what is "
            "there, or give a quoted glob where it may be missing"
        )
    for path in found.empty:
        messages.warn(f"{path}: no flow file there, the others are counted", path=path)
    return found


def _run(
    connection: Connection,
    started: _Started,
    found: Found,
    known: KnownInputs,
    span: Span,
) -> ExitCode:
    configured, request = started.configured, started.request
    fates = sort_out(
        found.inputs, known, started.versions, include_forgotten=request.include_forgotten
    )
    chosen, outside = choose_inputs(fates["todo"], span, request.dialect)
    outcomes = _count(started, chosen, known)
    dimensions = dimension_tables(configured.catalog, configured.settings)
    run, result = _record(connection, started, fates, outcomes, known)
    rewritten = rewritten_inputs(result, fates["known"], known)
    replace_dimensions(connection, dimensions)
    remember_catalog(connection, configured.catalog)
    header = read_exporters_header(configured.workspace)
    _say_what_needs_a_look(result, rewritten, configured, header)
    _say_what_counts_twice(connection, result, header)
    published = False
    failure: Exception | None = None
    try:
        published = check_and_publish(connection, configured.workspace, wanted=request.publish)
    except Exception as error:
        failure = error  # what was counted is committed: it is said first
    summary = _summary(
        run, started, found, fates, outside, result, rewritten=len(rewritten), published=published
    )
    rejects = rejects_of_run(connection, started.run_id)
    stdout.write_tables({"run": summary, "rejects": rejects}, request.form)
    if failure is not None:
        raise failure
    _say_what_next(
        run,
        started,
        opened=bool(chosen),
        published=published,
        held_back=bool(why_unpublished(connection)),
    )
    # What lies in a folder that cannot be read is missing, as much as a file that cannot.
    missing = result.refused or result.failed or found.closed
    return ExitCode.INPUT_FAILED if missing else ExitCode.DONE


def _record(
    connection: Connection,
    started: _Started,
    fates: dict[Fate, list[FoundInput]],
    outcomes: Sequence[Outcome],
    known: KnownInputs,
) -> tuple[Run, Sorted]:
    """Commit what was counted, in one transaction; where sums are absurd together, what fits."""
    forgotten = started.request.include_forgotten
    result = sort_outcomes(outcomes, known, include_forgotten=forgotten)
    run = _run_entry(started, fates, result)
    workspace = started.configured.workspace
    try:
        record(connection, workspace, [*journal_entries(result, started.run_id, _now()), run])
    except SumTooLarge as error:
        messages.detail(str(error))
        # Small sums first: of inputs that do not fit together the ordinary ones stay.
        ascending = sorted(result.committed, key=lambda one: (one.largest_sum, one.path))
        unfit = _commit_what_fits(connection, started, ascending)
        result = sort_outcomes(without(outcomes, unfit), known, include_forgotten=forgotten)
        run = _run_entry(started, fates, result)
        others = replace(result, committed=[])
        record(connection, workspace, [*journal_entries(others, started.run_id, _now()), run])
    return run, result


def _commit_what_fits(
    connection: Connection, started: _Started, new: Sequence[Outcome]
) -> list[Outcome]:
    """Commit inputs that do not fit together by halves, in order, as far as they do.

    Gives back those which do not fit beside what is there. new: at least one.
    """
    if len(new) == 1:
        return list(new)
    unfit: list[Outcome] = []
    half = len(new) // 2
    for some in (new[:half], new[half:]):
        try:
            entry = commit_of(some, started.run_id, _now())
            record(connection, started.configured.workspace, [entry])
        except SumTooLarge:
            unfit += _commit_what_fits(connection, started, some)
    return unfit


def _count(started: _Started, chosen: Sequence[FoundInput], known: KnownInputs) -> list[Outcome]:
    if not chosen:
        return []
    advice = catalog_advice(started.configured.catalog, started.configured.workspace.catalog)
    if advice is not None:
        messages.warn(advice)
    from v6share.jobs.steps.count import count_inputs  # here: Beam takes seconds to load

    return count_inputs(
        started.configured,
        started.ahead.plan(started.configured),
        chosen,
        dialect=started.request.dialect,
        run_id=started.run_id,
        committed=frozenset(known.committed.values()),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _run_entry(started: _Started, fates: dict[Fate, list[FoundInput]], result: Sorted) -> Run:
    known = [*fates["known"], *fates["refused"], *fates["forgotten"]]
    again = [*result.copies, *result.refused_copies, *result.refused_again, *result.forgotten]
    outcome = "committed" if result.committed else NO_OP
    return Run(
        run_id=started.run_id,
        command=cut(started.command, _COMMAND_KEPT),
        code_version=__version__,
        rules_version=started.versions.rules_version,
        catalog_version=started.versions.catalog_version,
        started_at=started.at,
        finished_at=_now(),
        inputs_committed=len(result.committed),
        inputs_known=len(known) + len(again),
        inputs_quarantined=len(result.refused),
        rows_in=sum(one.rows_in for one in result.committed),
        rows_counted=sum(one.rows_counted for one in result.committed),
        rows_rejected=sum(one.rows_rejected for one in result.committed),
        outcome="quarantined-some" if result.refused else outcome,
    )


def _summary(
    run: Run,
    started: _Started,
    found: Found,
    fates: dict[Fate, list[FoundInput]],
    outside: Sequence[FoundInput],
    result: Sorted,
    *,
    rewritten: int,
    published: bool,
) -> Record:
    return {
        "run_id": run.run_id,
        "outcome": run.outcome,
        "inputs_found": len(found.inputs),
        "inputs_committed": run.inputs_committed,
        "inputs_rewritten": rewritten,
        "inputs_known": len(fates["known"]) + len(result.copies),
        "inputs_quarantined": run.inputs_quarantined,
        "inputs_quarantined_copies": len(result.refused_copies),
        "inputs_quarantined_before": len(fates["refused"]) + len(result.refused_again),
        "inputs_forgotten": len(fates["forgotten"]) + len(result.forgotten),
        "inputs_outside_the_span": len(outside),
        "inputs_still_being_written": len(result.busy),
        "inputs_failed": len(result.failed),
        "paths_left_out": len(found.closed),
        "rows_in": run.rows_in,
        "rows_counted": run.rows_counted,
        "rows_rejected": run.rows_rejected,
        "seconds": round(time.monotonic() - started.clock, 2),
        "published": published,
    }


def _say_what_needs_a_look(
    result: Sorted,
    rewritten: Sequence[Rewritten],
    configured: Configured,
    header: Sequence[str],
) -> None:
    _warn_of_each(
        [
            (
                f"{one.path}: quarantined, {one.reason}: {one.detail}",
                {"path": one.path, "reason": one.reason},
            )
            for one in result.refused
        ],
        "more inputs were quarantined",
    )
    _warn_of_each(
        [
            (f"{one.path}: quarantined with another file of the same bytes", {"path": one.path})
            for one in result.refused_copies
        ],
        "more copies of quarantined files",
    )
    if result.refused:
        messages.warn(f"how to try them again: {configured.workspace.quarantine}/*.json")
    _warn_of_each(
        [_described_rewritten(one) for one in rewritten],
        "more files hold other content than before; of each, old and new count. The table "
        "ledger_files lists them under the same path",
    )
    advice = interval_advice(result.committed, configured.catalog.exporters, header)
    _warn_of_each(
        [
            (
                f"{one.path}: not one of its {one.rows_in:,} rows was counted; the rejects say why",
                {"path": one.path},
            )
            for one in result.committed
            if _lost_all(one, told_of_intervals=advice is not None)
        ],
        "more files, of which not one row was counted",
    )
    _warn_of_each(
        [
            (f"{one.path}: {one.detail}; tried again at the next run", {"path": one.path})
            for one in result.failed
        ],
        "more files failed",
    )
    for one in result.busy:
        messages.say(f"{one.path}: still being written, left for the next run", path=one.path)
    if advice is not None:
        messages.warn(advice)


def _lost_all(one: Outcome, *, told_of_intervals: bool) -> bool:
    """Whether no row was counted, and the advice about intervals does not say so already."""
    explained = sum(one.rows_without_interval.values()) if told_of_intervals else 0
    return one.rows_in > explained and not one.rows_counted


def _say_what_counts_twice(connection: Connection, result: Sorted, header: Sequence[str]) -> None:
    if not result.committed:
        return
    found = both_directions(connection).to_pylist()
    advice = directions_advice(found, header)
    if advice is not None:
        messages.warn(advice)


def _described_rewritten(one: Rewritten) -> tuple[str, Mapping[str, Any]]:
    before = shown_hash(one.before)
    message = (
        f"{one.path}: other content than before; the old one counts as input {before}, and "
        f"both count now. Where the new content replaces the old: v6share forget {before}"
    )
    return message, {"path": one.path, "input_before": one.before, "input_now": one.now}


def _say_what_next(
    run: Run, started: _Started, *, opened: bool, published: bool, held_back: bool
) -> None:
    """held_back: readers miss something, as --no-publish was given."""
    if run.outcome == NO_OP and published:
        messages.say("nothing new to count; published what readers did not see yet")
        return
    if run.outcome == NO_OP and opened:
        messages.say("nothing new was counted; the numbers are as before")
        return
    if run.outcome == NO_OP:
        messages.say("nothing new was counted, and no file was opened")
        return
    if held_back:
        messages.say(
            "next: the same again without --no-publish, which publishes it; readers see none of it "
            "until then"
        )
        return
    place = (
        ""
        if started.configured.workspace.root.samefile(".")
        else f" -C {quote(str(started.configured.workspace.root))}"
    )
    messages.say(f"next: v6share{place} kpi")
