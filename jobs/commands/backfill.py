"""``v6share backfill``: choose by time, count in slices, commit each, check, publish, say.

With ``--dry-run`` it says what it would count, and why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import pyarrow as pa

from v6share.jobs.steps import report
from v6share.jobs.steps.begin import Request, begun, look
from v6share.jobs.steps.choose import LedgerTimes
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import say_catalog_advice
from v6share.jobs.steps.find import find
from v6share.jobs.steps.finish import finish
from v6share.jobs.steps.head_start import Warm
from v6share.jobs.steps.recount import Recounted, count_again
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.steps.slices import count_in_slices
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.find import Found
from v6share.pipelines.timespan import Span, parse_span
from v6share.render.values import bytes_for_people
from v6share.schemas.fragment import RULES_VERSION
from v6share.schemas.outcome import FoundInput
from v6share.schemas.reprocess import Reprocess
from v6share.schemas.text.plain import storable
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.changes import plan_changes
from v6share.warehouse.ledger.client_keys import refuse_other_key
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog_of_snapshot
from v6share.warehouse.ledger.outcomes import Sorted
from v6share.warehouse.ledger.reprocess import ask_again, why_counted
from v6share.warehouse.ledger.rerun import Fate, Versions, passed_over, sort_out
from v6share.warehouse.ledger.times import counted_times, published_times
from v6share.workspace import storage
from v6share.workspace.configured import configure, configure_for_reading

Fates = Mapping[Fate, Sequence[FoundInput]]


def main(
    invocation: Invocation, request: Request, *, reprocess: Reprocess, dry_run: bool
) -> ExitCode:
    """Count the inputs of a span of time anew, as far as ``reprocess`` says, and publish."""
    span = parse_span(request.since, request.until)
    if dry_run:
        return _say_what_would_be_done(invocation, request, span, reprocess)
    with begun(invocation, request, hashes=False) as (run, found):
        journal.refuse_damaged(run.workspace.journal)
        done = _backfill(run, found, span, reprocess)
        return finish(run, done, publish=request.publish, form=request.form)


def _backfill(run: RunContext, found: Found, span: Span, reprocess: Reprocess) -> report.Done:
    """The way of a backfill, up to the last commit."""
    if reprocess == "all":
        # What an earlier client key counted is to be counted with the present one.
        run = replace(run, earlier=frozenset())
    as_they_are = sort_out(
        found.inputs, run.known, run.versions, include_forgotten=run.include_forgotten
    )
    asked = ask_again(as_they_are, reprocess)
    times = LedgerTimes(run.known, counted_times(run.connection))
    chosen, outside = times.choose(asked["todo"], span, run.dialect)
    if chosen:
        say_catalog_advice(run.configured)
        # Compiled once, for all slices.
        run = replace(run, ahead=Warm(run.ahead.plan(run.configured), run.ahead.identities))
    counted = set(as_they_are["known"]).intersection(chosen)
    # Before anything is replaced: for that, the fragments of the same days must be whole.
    again = count_again(run, [one for one in chosen if one in counted])
    left = {one.path for one in again.left}
    known = [one for one in as_they_are["known"] if one in counted and one.path not in left]
    fates: Fates = {**asked, "known": [*asked["known"], *known]}
    before = _commit_left(run, again, passed_over(fates))
    # Each slice makes the days of what it replaces again: in their order, each day few times.
    in_order = sorted(set(chosen) - counted, key=lambda one: (_first_ms(times, one), one))
    entry, result = count_in_slices(run, in_order, passed_over(fates), *before)
    is_asked = reprocess == "all"
    return report.Done(found, fates, chosen, outside, entry, result, again if is_asked else None)


def _commit_left(run: RunContext, again: Recounted, passed_over: int) -> tuple[Run | None, Sorted]:
    """Commit what came out otherwise than it counts, all at once, and what failed.

    All at once, as each must make days again, for which no other fragment may be damaged.
    """
    if not again.left:
        return None, Sorted()
    replaced = {one.key.input_id for one in again.replaced if one.key is not None}
    others = {name: key for name, key in run.known.committed.items() if name not in replaced}
    part = replace(run, known=replace(run.known, committed=others))
    return commit(part, again.left, passed_over)


def _first_ms(times: LedgerTimes, one: FoundInput) -> float:
    found = times.of(one)
    return inf if found is None else found.first_ms


def _say_what_would_be_done(
    invocation: Invocation, request: Request, span: Span, reprocess: Reprocess
) -> ExitCode:
    """Print which inputs would be counted, and why; change nothing.

    It takes no turn of the workspace, and keeps nobody from taking one: what is known of inputs is
    read from the journal, which can be read while it is written, and their times from the published
    file. The warehouse is not opened, for a run that begins meanwhile could not open it.
    """
    workspace, _ = look(invocation, request)
    refuse_lost_catalog_of_snapshot(workspace)
    found = find(request.paths, workspace)
    # Where there is a journal there is a key, or an error about it: none is made.
    configuring = configure if storage.exists(workspace.journal) else configure_for_reading
    configured = configuring(invocation.root, request.flags)
    ledger = plan_changes((), (entry for entry, _ in journal.read(workspace.journal)))
    refuse_other_key(workspace, ledger.keys, configured.client_key_id)
    earlier = configured.versions_under(ledger.keys[:-1])
    versions = Versions(RULES_VERSION, configured.catalog_version, request.dialect, earlier)
    known = KnownInputs({}, {}, set(), set())
    known.follow(ledger)
    as_they_are = sort_out(
        found.inputs, known, versions, include_forgotten=request.include_forgotten
    )
    asked = ask_again(as_they_are, reprocess)["todo"]
    times = LedgerTimes(known, published_times(workspace))
    chosen, outside = times.choose(asked, span, request.dialect)
    why = [why_counted(one, known, ledger, versions) for one in chosen]
    stdout.write_tables({"inputs": _table(chosen, why, times)}, request.form)
    messages.say(
        f"{len(chosen):,} of {len(found.inputs):,} inputs would be counted "
        f"({bytes_for_people(sum(one.size for one in chosen))}); {len(outside):,} have no flows in "
        f"the span, {len(found.inputs) - len(asked):,} need no counting, whenever their flows are. "
        "Nothing was changed",
        inputs=len(chosen),
        outside=len(outside),
    )
    return ExitCode.DONE


def _table(inputs: Sequence[FoundInput], why: Sequence[str], times: LedgerTimes) -> pa.Table:
    """One row an input; first and last are UTC, and null where only the file itself says them."""
    known = [times.of(one) for one in inputs]
    moment = pa.timestamp("ms")
    return pa.table(
        {
            "path": pa.array([storable(one.path) for one in inputs], pa.string()),
            "why": pa.array(why, pa.string()),
            "first": pa.array([one and one.first_ms for one in known], moment),
            "last": pa.array([one and one.last_ms for one in known], moment),
        }
    )
