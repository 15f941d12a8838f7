"""The step that commits: outcomes become journal entries and rows of the tables."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from v6share import __version__
from v6share.jobs.steps.run_context import RunContext, utc_now
from v6share.jobs.terminal import messages
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.ledger import NO_OP
from v6share.schemas.outcome import Outcome
from v6share.schemas.text.plain import cut
from v6share.warehouse.commit import SumTooLarge, record
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.client_keys import first_key
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.lost_catalog import remember_catalog
from v6share.warehouse.ledger.outcomes import (
    Sorted,
    commit_of,
    journal_entries,
    mark_unfit,
    sort_outcomes,
)

# One that names a thousand files would else be kept, whole, at every run.
_COMMAND_KEPT: Final = 10_000


def commit(
    run: RunContext,
    outcomes: Sequence[Outcome],
    passed_over: int = 0,
    so_far: Run | None = None,
) -> tuple[Run, Sorted]:
    """Commit what was counted, in one transaction, and what the catalog declares now.

    Where sums of counters overflow a column, the inputs that fit are committed and the others have
    failed. passed_over: inputs that this run found and did not count, as the ledger knew them.
    so_far: the entry of this run as it was, where it commits in parts; what is committed now is
    added to it, and passed_over is in it already. The result is of this part alone.
    """
    # Made before anything is committed: what it refuses is refused with nothing half done.
    dimensions = dimension_tables(run.configured.catalog, run.configured.settings)
    result = sort_outcomes(outcomes, run.known, include_forgotten=run.include_forgotten)
    entry = _run_entry(run, result, passed_over, so_far)
    try:
        _record(run, result, entry)
    except SumTooLarge as error:
        messages.detail(str(error))
        # Small sums first: of inputs that do not fit together the ordinary ones stay.
        ascending = sorted(result.committed, key=lambda one: (one.largest_sum, one.path))
        fitting = mark_unfit(outcomes, _commit_what_fits(run, ascending))
        result = sort_outcomes(fitting, run.known, include_forgotten=run.include_forgotten)
        entry = _run_entry(run, result, passed_over, so_far)
        _record(run, replace(result, committed=[]), entry)
    replace_dimensions(run.connection, dimensions)
    remember_catalog(run.connection, run.configured.catalog)
    return entry, result


def _record(run: RunContext, result: Sorted, entry: Run) -> None:
    now = utc_now()
    key = first_key(run.connection, run.configured.client_key_id, now)
    entries = [*key, *journal_entries(result, run.run_id, now), entry]
    run.recorded.append(record(run.connection, run.workspace, entries))


def _commit_what_fits(run: RunContext, new: Sequence[Outcome]) -> list[Outcome]:
    """Commit inputs that do not fit together by halves, in order, as far as they do.

    Gives back those which do not fit beside what is there. new: at least one.
    """
    if len(new) == 1:
        return list(new)
    unfit: list[Outcome] = []
    half = len(new) // 2
    for some in (new[:half], new[half:]):
        try:
            entry = commit_of(some, run.run_id, utc_now())
            run.recorded.append(record(run.connection, run.workspace, [entry]))
        except SumTooLarge:
            unfit += _commit_what_fits(run, some)
    return unfit


def _run_entry(run: RunContext, result: Sorted, passed_over: int, so_far: Run | None) -> Run:
    again = [*result.copies, *result.refused_copies, *result.refused_again, *result.forgotten]
    outcome = "committed" if result.committed else NO_OP
    entry = Run(
        run_id=run.run_id,
        command=cut(run.command, _COMMAND_KEPT),
        code_version=__version__,
        rules_version=run.versions.rules_version,
        catalog_version=run.versions.catalog_version,
        started_at=run.started_at,
        finished_at=utc_now(),
        inputs_committed=len(result.committed),
        inputs_known=passed_over + len(again),
        inputs_quarantined=len(result.refused),
        rows_in=sum(one.rows_in for one in result.committed),
        rows_counted=sum(one.rows_counted for one in result.committed),
        rows_rejected=sum(one.rows_rejected for one in result.committed),
        outcome="quarantined-some" if result.refused else outcome,
    )
    return entry if so_far is None else _added(so_far, entry, len(again))


def _added(so_far: Run, part: Run, known: int) -> Run:
    """The entry of a run with one more part. known: inputs of the part that were known."""
    outcomes = (so_far.outcome, part.outcome)
    return replace(
        part,
        inputs_committed=so_far.inputs_committed + part.inputs_committed,
        inputs_known=so_far.inputs_known + known,
        inputs_quarantined=so_far.inputs_quarantined + part.inputs_quarantined,
        rows_in=so_far.rows_in + part.rows_in,
        rows_counted=so_far.rows_counted + part.rows_counted,
        rows_rejected=so_far.rows_rejected + part.rows_rejected,
        outcome=next((o for o in ("quarantined-some", "committed") if o in outcomes), NO_OP),
    )
