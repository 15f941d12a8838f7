"""What ends every job that may have changed the numbers.

The kept results are brought up to date, the checks are run, and the published snapshot is replaced.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from v6share.jobs.steps.damage import say_if_altered
from v6share.jobs.steps.gate import JobGate, gate_in_words
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.run_context import utc_now
from v6share.jobs.terminal import messages
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.quality.gate import GateFailed
from v6share.render.values import bytes_for_people
from v6share.warehouse.checks import CheckResult, note_checked, run_checks, what_to_check
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.final_days import record_final_days
from v6share.warehouse.kept.check_results import write_check_results
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.kept.snapshot import write_snapshot
from v6share.warehouse.publish import (
    Published,
    drop_damaged,
    needs_publish,
    note_unpublished,
    noting_damage,
    publish,
    why_unpublished,
)
from v6share.warehouse.remedies import (
    COULD_NOT_JUDGE,
    FAILED_CHECKS,
    what_mends,
    what_publishes,
)
from v6share.warehouse.said import warnings_to_say
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.pipelines.kernels.plan import Plan


def check_and_publish(
    connection: Connection,
    workspace: Workspace,
    gate: JobGate,
    *,
    wanted: bool,
    plan: "Callable[[], Plan] | None" = None,
) -> bool:
    """Check the warehouse and replace the snapshot where readers would see a difference.

    wanted: False checks only. plan: gives that with which inputs were counted. Returns
    whether a snapshot was published. Raises JobStopped (GATE) when a check fails, and DamagedFile
    where one meets damage; the old snapshot stays.
    """
    say_if_altered(connection, workspace)
    if not needs_publish(connection, workspace):
        if why_unpublished(connection):
            note_unpublished(connection, workspace, "")  # whatever it was, readers have it all
        messages.detail(f"{workspace.published} is up to date")
        return False
    results = refresh_and_check(connection, workspace, gate, plan=plan)
    report_checks(connection, results)
    if not wanted:
        note_unpublished(connection, workspace, "--no-publish was given")
        messages.say("not published, as --no-publish says")
        return False
    published = publish_checked(connection, workspace, results)
    messages.say(
        f"published {published.path} ({bytes_for_people(published.size_bytes)}); "
        f"the gate: {gate_in_words(results)}",
        published=published.path,
    )
    return True


def refresh_and_check(
    connection: Connection,
    workspace: Workspace,
    gate: JobGate,
    *,
    whole: bool = False,
    trusts_commits: bool = False,
    plan: "Callable[[], Plan] | None" = None,
    phases: Phases | None = None,
) -> list[CheckResult]:
    """Bring the results up to date, run the checks and the gate, and note it when one fails.

    whole: check all there is, whatever changed. trusts_commits: leave out what each commit proved
    of itself, which takes the longer the more there is. plan: as for ``check_and_publish``.
    phases: notes how long the steps take. Raises DamagedFile, and JobStopped (GATE) where the gate
    cannot judge, which is noted, too.
    """
    phases = phases or Phases()
    now = utc_now()
    with noting_damage(connection, workspace):
        with phases.timed("results"):
            made_again = refresh_results(connection)
        with phases.timed("checks"):
            changed = None if whole else what_to_check(connection, now)
            if changed is not None and not trusts_commits:
                changed = replace(changed, replaced=True)
            results = run_checks(connection, changed)
        with phases.timed("gate"):
            # What is wrong in itself need not be judged as plausible.
            if not any(result.blocks for result in results):
                try:
                    results += gate.judge_due(connection, changed, now, plan=plan)
                except GateFailed as failure:
                    note_unpublished(connection, workspace, COULD_NOT_JUDGE)
                    raise JobStopped(
                        ExitCode.GATE,
                        f"the gate could not judge the numbers: {failure}; nothing was published, "
                        f"readers see the state before. {what_publishes(COULD_NOT_JUDGE)}",
                    ) from None
            note_results(connection, workspace, now, results, whole=changed is None)
            if changed is None:
                drop_damaged(connection, workspace)
    messages.detail(f"results made again: {', '.join(made_again) or 'none'}")
    return results


def note_results(
    connection: Connection,
    workspace: Workspace,
    now: datetime,
    results: Sequence[CheckResult],
    *,
    whole: bool,
) -> None:
    """Note what the checks found, for the next ones and for ``status``. As ``note_checked``."""
    note_checked(connection, now, results, whole=whole)
    failed = ", ".join(result.name for result in results if result.blocks)
    if failed:
        note_unpublished(connection, workspace, f"{FAILED_CHECKS}: {failed}")


def publish_checked(
    connection: Connection,
    workspace: Workspace,
    results: Sequence[CheckResult],
    *,
    files_wait: bool = False,
) -> Published:
    """Replace the snapshot after checks of which none failed. Errors as those of ``publish``.

    files_wait: more is known to come at once, so that no day is noted as published as final yet:
    a history that is loaded batch by batch would make a revision of each batch.
    """
    now = utc_now()
    warned = sum(not result.passed for result in results)
    with noting_damage(connection, workspace):
        if not files_wait:
            record_final_days(connection, workspace, now)
        write_check_results(connection, now, results)
        write_snapshot(connection, now, failed=0, warned=warned, gate=gate_in_words(results))
    return publish(connection, workspace)


def report_checks(connection: Connection, results: Sequence[CheckResult]) -> None:
    """Say what the checks found. Raises JobStopped (GATE) when one of them must block."""
    for result in warnings_to_say(connection, results):
        messages.warn(described(result), check=result.name)
    failed = [result for result in results if result.blocks]
    for result in failed:
        messages.fail(described(result), check=result.name)
    if failed:
        raise JobStopped(
            ExitCode.GATE,
            f"{len(failed)} of {len(results)} checks failed; nothing was published, readers see "
            "the state before. `v6share check` shows the first rows; "
            f"{what_mends({result.suite for result in failed})}",
        )


def described(result: CheckResult) -> str:
    """What a check found, as a sentence."""
    if result.error:
        return f"check {result.name}: could not be carried out: {result.error}"
    more = result.found - 1
    others = f"; and {more:,} more such row{'s' if more > 1 else ''}" if more else ""
    return f"check {result.name}: expected that {result.what}, but {result.example}{others}"
