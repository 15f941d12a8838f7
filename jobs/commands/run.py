"""``v6share run``: find, sort out, count, commit, check, publish, say."""

import time
from contextlib import closing
from dataclasses import dataclass

from v6share.jobs.steps import report
from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import count
from v6share.jobs.steps.find import find
from v6share.jobs.steps.head_start import head_start
from v6share.jobs.steps.run_context import RunContext, new_run_id, utc_now
from v6share.jobs.terminal import interrupt
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.find import Found
from v6share.pipelines.timespan import Span, choose_inputs, parse_span
from v6share.render.text import SeveralForm
from v6share.schemas.dialects import builtin_dialects, dialect_named
from v6share.schemas.errors import UserError
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.rerun import sort_out
from v6share.warehouse.open import open_warehouse
from v6share.workspace.catalog_files import read_settings
from v6share.workspace.configured import read_declared
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold


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


def main(invocation: Invocation, request: Request) -> ExitCode:
    """Count what is new among the inputs and publish the result."""
    _check_names(request)
    span = parse_span(request.since, request.until)
    flags = {"--unknown-sampling": request.unknown_sampling, "--threads": request.threads}
    workspace = find_workspace(invocation.root)
    settings = read_settings(workspace, flags)
    refuse_lost_journal(workspace)
    started_at, clock = utc_now(), time.monotonic()
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with leaving, hold(workspace, invocation.command, request.wait):
        found = find(request.paths, workspace)
        with closing(open_warehouse(workspace, settings.run.threads)) as connection:
            refuse_lost_runs(connection, workspace)
            refuse_lost_catalog(connection, workspace)
            known = known_inputs(connection)
            with head_start(known.never_seen(found.inputs), hashes=span.is_unbounded) as ahead:
                configured = read_declared(workspace, settings)
                ahead.compile(configured)
                report.say_what_looks_wrong(configured)
                run = RunContext(
                    run_id=new_run_id(started_at),
                    command=invocation.command,
                    started_at=started_at,
                    clock=clock,
                    configured=configured,
                    connection=connection,
                    known=known,
                    ahead=ahead,
                    dialect=request.dialect,
                    include_forgotten=request.include_forgotten,
                )
                return _run(run, request, found, span)


def _run(run: RunContext, request: Request, found: Found, span: Span) -> ExitCode:
    """The way of a run."""
    fates = sort_out(found.inputs, run.known, run.versions, include_forgotten=run.include_forgotten)
    chosen, outside = choose_inputs(fates["todo"], span, run.dialect)
    outcomes = count(run, chosen)
    entry, result = commit(run, fates, outcomes)
    done = report.Done(found, fates, chosen, outside, entry, result)
    report.say_what_needs_a_look(run, done)
    try:
        published = check_and_publish(run.connection, run.workspace, wanted=request.publish)
    except Exception:
        # What was counted is committed all the same, so it is said before the failure is.
        report.write_summary(run, done, request.form, published=False)
        raise
    report.write_summary(run, done, request.form, published=published)
    report.say_what_next(run, done, published=published)
    return ExitCode.DONE if done.is_whole else ExitCode.INPUT_FAILED


def _check_names(request: Request) -> None:
    if request.dialect is not None:
        dialect_named(request.dialect, builtin_dialects())
    if request.runner != "local":
        raise UserError(
            f'--runner: found "{request.runner}", expected local, the one runner of this version'
        )
