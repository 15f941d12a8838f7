"""``v6share run``: find, sort out, count, commit, check, publish, say."""

from v6share.jobs.steps import report
from v6share.jobs.steps.begin import Request, begun
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import count, say_catalog_advice
from v6share.jobs.steps.finish import finish
from v6share.jobs.steps.strict import fail_where_unacknowledged
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.timespan import choose_inputs, parse_span
from v6share.warehouse.ledger.quarantined import refused_inputs
from v6share.warehouse.ledger.rerun import passed_over, sort_out


def main(invocation: Invocation, request: Request, *, strict: bool) -> ExitCode:
    """Count what is new among the inputs and publish the result.

    strict: fail while an input is quarantined that nobody has acknowledged.
    """
    span = parse_span(request.since, request.until)
    with begun(invocation, request, hashes=span.is_unbounded) as (run, found):
        fates = sort_out(
            found.inputs, run.known, run.versions, include_forgotten=run.include_forgotten
        )
        chosen, outside = choose_inputs(fates["todo"], span, run.dialect)
        if chosen:
            say_catalog_advice(run.configured)
        outcomes = count(run, chosen)
        entry, result = commit(run, outcomes, passed_over(fates))
        done = report.Done(found, fates, chosen, outside, entry, result)
        code = finish(run, done, publish=request.publish, form=request.form)
        if strict and fail_where_unacknowledged(refused_inputs(run.connection)):
            return ExitCode.INPUT_FAILED
        return code
