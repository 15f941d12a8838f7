"""How every command ends that counts flow files: check, publish, and say what it did."""

from functools import partial

from v6share.jobs.steps import report
from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.render.text import SeveralForm


def finish(run: RunContext, done: report.Done, *, publish: bool, form: SeveralForm) -> ExitCode:
    """Check and publish what is committed, print the summary, and give the exit code.

    publish: False checks only. Raises JobStopped (GATE) when a check fails.
    """
    report.say_what_needs_a_look(run, done)
    try:
        published = check_and_publish(
            run.connection,
            run.workspace,
            run.gate,
            wanted=publish,
            plan=partial(run.ahead.plan, run.configured),
        )
    except Exception:
        # What was counted is committed all the same, so it is said before the failure is.
        report.write_summary(run, done, form, published=False)
        raise
    report.write_summary(run, done, form, published=published)
    report.say_what_next(run, done, published=published)
    return ExitCode.DONE if done.is_whole else ExitCode.INPUT_FAILED
