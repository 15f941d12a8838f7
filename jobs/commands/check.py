"""``v6share check``: the quality gate on its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.age import NO_RECORD, age_record, fail_too_old
from v6share.jobs.steps.damage import damage_rows, say_damaged, say_if_altered
from v6share.jobs.steps.gate import JobGate, job_gate
from v6share.jobs.steps.strict import fail_where_unacknowledged
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.quality.gate import GateFailed
from v6share.render.text import Form
from v6share.schemas.errors import UserError
from v6share.schemas.settings import Quality
from v6share.schemas.text.durations import duration_for_people
from v6share.warehouse.age import DataAge, data_age
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
from v6share.warehouse.ledger.quarantined import RefusedInput, refused_inputs
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
    max_age: str | None,
    strict: bool,
    form: Form,
    wait: float,
) -> ExitCode:
    """Run the checks on the warehouse, the fragments and the journal; print what each found.

    results: compare every kept result with its definition as well. gate: judge what is plausible,
    too. docs: a folder for Data Docs of that. max_age: how old the newest record may be; None: as
    the settings say. strict: mind inputs that are quarantined and not acknowledged, too.

    Raises UserError where the journal is damaged, the client key is another one, or there is
    nothing to write Data Docs of; OSError where their folder cannot be made.
    """
    workspace = find_workspace(invocation.root)
    settings = read_settings(workspace, {"--gate": gate, "--max-age": max_age})
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    pages = None if docs is None else _folder_for_pages(docs, settings.quality)
    with (
        hold(workspace, invocation.command, wait),
        job_gate(workspace, settings.quality) as judge,
    ):
        in_place = key_id(read_client_key(workspace))
        refuse_other_key(workspace, keys_of_journal(workspace), in_place)
        judge.begin()
        # First: it reads the whole journal, and needs no warehouse that can be opened.
        damaged = find_damaged(sources_of_journal(workspace))
        say_damaged(damaged, messages.fail, opens=storage.exists(workspace.warehouse))
        seen = _look_at_warehouse(workspace, damaged, judge, pages, results=results)
        found = [*seen.checks, _of_fragments(damaged), _of_base(workspace)]
    limit = settings.check.max_age
    asked = [_of_refused(seen.refused)] if strict else []
    asked += [] if limit is None else [_of_age(seen.age, limit)]
    _print([*found, *asked], form)
    failing = [result for result in found if result.blocks]
    if failing:
        failed = [result.name for result in failing]
        messages.fail(f"failed: {', '.join(failed)}{_advice(failing)}", failed=failed)
        return ExitCode.GATE
    messages.say(f"{len(found)} checks of the numbers, none failed")
    code = ExitCode.DONE
    if limit is not None and seen.age.is_over(limit):
        fail_too_old(seen.age, limit)
        code = ExitCode.TOO_OLD
    if strict and fail_where_unacknowledged(seen.refused):
        code = ExitCode.INPUT_FAILED
    return code


def _print(found: Sequence[CheckResult], form: Form) -> None:
    table = _as_table(found)
    if form in ("table", "markdown"):
        table = table.drop_columns("example")
    stdout.write_table(table, form, title="Checks", limit=0)


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


@dataclass(frozen=True)
class _Seen:
    """What the warehouse shows: what its checks found, how old its newest record is, and which
    inputs are refused.

    Nothing where damage keeps its tables from being made.
    """

    checks: list[CheckResult] = field(default_factory=list)
    age: DataAge = field(default_factory=DataAge)
    refused: list[RefusedInput] = field(default_factory=list)


def _look_at_warehouse(
    workspace: Workspace,
    damaged: Sequence[FragmentUnreadable],
    judge: JobGate,
    docs: Path | None,
    *,
    results: bool,
) -> _Seen:
    try:
        connection = open_warehouse(workspace)
    except FragmentUnreadable as error:
        if not damaged:
            raise
        refuse_lost_entries(workspace)
        messages.warn(f"the tables were not checked, for they cannot be made ({error.found})")
        return _Seen()
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
        found += compare_results(connection) if results else []
        return _Seen(found, data_age(connection, now), refused_inputs(connection))
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


def _of_refused(refused: Sequence[RefusedInput]) -> CheckResult:
    left = [one for one in refused if not one.is_acknowledged]
    return CheckResult(
        name="quarantine",
        what="no input is quarantined that nobody has acknowledged",
        in_words="{path} is, for {reason}",
        severity="fail",
        found=len(left),
        sample=tuple({"path": one.path, "reason": one.reason} for one in left[:SAMPLE_ROWS]),
    )


def _of_age(age: DataAge, limit: timedelta) -> CheckResult:
    """Whether data still come. The row beside the finding says the age where all is well, too."""
    asked = int(limit.total_seconds())
    return CheckResult(
        name="max_age",
        what=f"the newest record is at most {duration_for_people(limit)} old",
        in_words=NO_RECORD if age.newest is None else "it is {age} old, of {newest_record}",
        severity="fail",
        found=int(age.is_over(limit)),
        sample=({**age_record(age), "max_age_seconds": asked},),
    )


def _as_table(results: Sequence[CheckResult]) -> pa.Table:
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
