"""``v6share check``: the quality gate on its own."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.damage import damage_rows, say_damaged, say_if_altered
from v6share.jobs.steps.gate import JobGate, job_gate
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.quality.gate import GateFailed
from v6share.render.text import Form
from v6share.schemas.errors import UserError
from v6share.schemas.settings import Quality
from v6share.warehouse.base import BaseUnreadable, base_of_journal, check_base
from v6share.warehouse.checks import SAMPLE_ROWS, CheckResult, note_checked, run_checks
from v6share.warehouse.fragment_damage import find_damaged, sources_of_journal
from v6share.warehouse.kept.compare import compare_results
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.ledger.client_keys import keys_of_journal, refuse_other_key
from v6share.warehouse.ledger.lost_state import (
    refuse_lost_entries,
    refuse_lost_journal,
    refuse_lost_runs,
)
from v6share.warehouse.merge.read_fragments import FragmentUnreadable
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.remedies import what_mends
from v6share.workspace import storage
from v6share.workspace.client_key import key_id, read_client_key
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

FRAGMENTS: Final = "fragments"
BASE: Final = "base"


def main(
    invocation: Invocation,
    *,
    results: bool,
    gate: bool | None,
    docs: Path | None,
    form: Form,
    wait: float,
) -> ExitCode:
    """Run the checks on the warehouse, the fragments and the journal; print what each found.

    results: compare every kept result with its definition as well. gate: judge what is plausible,
    too. docs: a folder for Data Docs of that.

    Raises UserError where the journal is damaged, the client key is another one, or there is
    nothing to write Data Docs of; OSError where their folder cannot be made.
    """
    workspace = find_workspace(invocation.root)
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    settings = read_settings(workspace, {"--gate": gate}).quality
    pages = None if docs is None else _folder_for_pages(docs, settings)
    with (
        hold(workspace, invocation.command, wait),
        job_gate(workspace, settings) as judge,
    ):
        in_place = key_id(read_client_key(workspace))
        refuse_other_key(workspace, keys_of_journal(workspace), in_place)
        judge.begin()
        # First: it reads the whole journal, and needs no warehouse that can be opened.
        damaged = find_damaged(sources_of_journal(workspace))
        say_damaged(damaged, messages.fail, opens=storage.exists(workspace.warehouse))
        of_warehouse = _of_warehouse(workspace, damaged, judge, pages, results=results)
        found = [*of_warehouse, _of_fragments(damaged), _of_base(workspace)]
    table = _as_table(found)
    if form in ("table", "markdown"):
        table = table.drop_columns("example")
    stdout.write_table(table, form, title="Checks", limit=0)
    failing = [result for result in found if result.blocks]
    if failing:
        failed = [result.name for result in failing]
        messages.fail(f"failed: {', '.join(failed)}{_advice(failing)}", failed=failed)
        return ExitCode.GATE
    messages.say(f"{len(found)} checks, none failed")
    return ExitCode.DONE


def _folder_for_pages(docs: Path, settings: Quality) -> Path:
    """The folder, which is there now. Great Expectations takes no relative path."""
    if not settings.gate:
        raise UserError(
            "--docs: found a job without the gate, expected one with it, for Data Docs are pages "
            "of what it judges; leave out --no-gate, or `gate = false` in [quality]"
        )
    folder = docs.absolute()
    storage.make_folder(folder)
    if not storage.may_write(folder):
        raise UserError(
            f"--docs {docs}: found a folder that is not yours to write in; give another"
        )
    return folder


def _advice(failed: Sequence[CheckResult]) -> str:
    """The advice beside failed checks; that beside damaged files is said with them."""
    of_tables = [result for result in failed if result.name not in (FRAGMENTS, BASE)]
    advice = what_mends({result.suite for result in of_tables})
    return f"; {advice}" if advice else ""


def _of_warehouse(
    workspace: Workspace,
    damaged: Sequence[FragmentUnreadable],
    judge: JobGate,
    docs: Path | None,
    *,
    results: bool,
) -> list[CheckResult]:
    """What the checks of the tables found; nothing where damage keeps these from being made."""
    try:
        connection = open_warehouse(workspace)
    except FragmentUnreadable as error:
        if not damaged:
            raise
        refuse_lost_entries(workspace)
        messages.warn(f"the tables were not checked, for they cannot be made ({error.found})")
        return []
    try:
        refuse_lost_runs(connection, workspace)
        say_if_altered(connection, workspace)
        refresh_results(connection)
        now = datetime.now(UTC)
        found = run_checks(connection)
        try:
            found += judge.judge_due(connection, None, now, docs)
        except GateFailed as failure:
            raise JobStopped(
                ExitCode.GATE,
                f"the gate could not judge the numbers: {failure}. What is published stays as it "
                "is; `v6share check --no-gate` makes all other checks",
            ) from None
        note_checked(connection, now, found, whole=True)
        return [*found, *compare_results(connection)] if results else found
    finally:
        connection.close()


def _of_fragments(damaged: Sequence[FragmentUnreadable]) -> CheckResult:
    return CheckResult(
        name=FRAGMENTS,
        what="the fragment of every input that counts is there, as it was written",
        in_words="{fragment} of {path} (input {input_id}): {problem}",
        severity="fail",
        found=len(damaged),
        sample=tuple(damage_rows(damaged[:SAMPLE_ROWS])),
    )


def _of_base(workspace: Workspace) -> CheckResult:
    made, problem = base_of_journal(workspace), ""
    if made is not None:
        try:
            check_base(workspace.base(made.run_id), made)
        except BaseUnreadable as error:
            problem = error.found
            messages.fail(str(error))
    return CheckResult(
        name=BASE,
        what="the base, which holds the sums of inputs whose fragments were pruned, is as it was "
        "written",
        in_words="{problem}",
        severity="fail",
        found=int(bool(problem)),
        sample=({"problem": problem},) if problem else (),
    )


def _as_table(results: list[CheckResult]) -> pa.Table:
    return pa.table(
        {
            "check": pa.array([r.name for r in results], pa.string()),
            "result": pa.array([r.outcome for r in results], pa.string()),
            "rows": pa.array([r.found for r in results], pa.int64()),
            "what": pa.array([r.what for r in results], pa.string()),
            "found": pa.array([_found(r) for r in results], pa.string()),
            "example": pa.array([_example(r) for r in results], pa.string()),
        }
    )


def _found(result: CheckResult) -> str | None:
    """The first offending rows in words, and how many more there are; None where all is well."""
    if result.passed or result.error:
        return result.error or None
    more = result.found - len(result.sample)
    return "; ".join([*result.examples, *([f"and {more:,} more"] if more > 0 else [])])


def _example(result: CheckResult) -> str | None:
    return json.dumps(result.sample[0], default=str) if result.sample else None
