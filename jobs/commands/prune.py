"""``v6share prune``: what the settings do not keep goes, and no KPI changes."""

from contextlib import closing
from dataclasses import asdict

import pyarrow as pa

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.gate import JobGate, job_gate
from v6share.jobs.steps.run_context import entry_of, utc_now
from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import Form
from v6share.render.values import bytes_for_people
from v6share.schemas.errors import NO_ROOM, UserError, line_that_says
from v6share.schemas.settings import Retention, Settings
from v6share.warehouse.database.compact import compact, is_worthwhile
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.prune import Wanted, find_prunable, prune, sweep
from v6share.warehouse.status import newest_catalog_version
from v6share.workspace import storage
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("kept_from", pa.date32()),
        ("rows", pa.int64()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
    ]
)


def main(
    invocation: Invocation,
    *,
    dry_run: bool,
    wait: float,
    publish: bool,
    gate: bool | None,
    form: Form,
) -> ExitCode:
    """Print what goes; without ``dry_run`` let it go, check, publish, and tidy up the disk."""
    workspace = find_workspace(invocation.root)
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    settings = read_settings(workspace, {"--gate": gate})
    if settings.retention == Retention():
        messages.say("the settings keep all for ever: [retention] in v6share.toml says otherwise")
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with leaving, hold(workspace, invocation.command, wait):
        now = utc_now()
        with closing(open_warehouse(workspace, settings.run.threads)) as connection:
            refuse_lost_runs(connection, workspace)
            journal.refuse_damaged(workspace.journal)
            refresh_results(connection)
            wanted = find_prunable(connection, workspace, settings.retention, now)
            catalog_version = newest_catalog_version(connection)
        if dry_run:
            _write(wanted, form, "To be pruned")
            return ExitCode.DONE
        with job_gate(workspace, settings.quality) as judge:
            if wanted:
                run = entry_of(invocation.command, catalog_version, now, "committed")
                prune(workspace, wanted, run, settings.run.threads)
            if stdout.is_wanted(form):
                _write(wanted, form, "Pruned")
            _finish(workspace, settings, judge, publish=publish)
    return ExitCode.DONE


def _finish(workspace: Workspace, settings: Settings, judge: JobGate, *, publish: bool) -> None:
    """Tidy up the disk, also after a call that was broken off; then check and publish."""
    with closing(open_warehouse(workspace, settings.run.threads)) as connection:
        files, size_bytes = sweep(connection, workspace)
        pays = is_worthwhile(connection)
    if files:
        messages.say(
            f"{files:,} files of state are removed ({bytes_for_people(size_bytes)})",
            files=files,
            bytes=size_bytes,
        )
    if pays:
        _compact(workspace)
    with closing(open_warehouse(workspace, settings.run.threads)) as connection:
        check_and_publish(connection, workspace, judge, wanted=publish)


def _compact(workspace: Workspace) -> None:
    """Write the warehouse anew without free blocks, as far as there is room for it meanwhile."""
    # It would be brought up to date row by row, and stay as large as it is.
    storage.remove(workspace.standby)
    before = storage.size(workspace.warehouse)
    try:
        compact(workspace.warehouse, workspace)
        after = storage.size(workspace.warehouse)
        messages.say(
            f"the warehouse was written anew: {bytes_for_people(after)}, "
            f"{bytes_for_people(before)} before",
            bytes=after,
            bytes_before=before,
        )
    except Exception as error:
        if not line_that_says(error, NO_ROOM):
            raise
        messages.warn(
            "there is no room to write the warehouse anew, so its file stays as large as it is; "
            "what comes next goes into its free blocks"
        )


def _write(wanted: Wanted, form: Form, title: str) -> None:
    rows = [asdict(one) for one in wanted.parts]
    stdout.write_table(pa.Table.from_pylist(rows, _SCHEMA), form, title=title, limit=0)
    if not rows:
        messages.say("there is nothing to prune")
    if any(one.rows for one in wanted.parts):
        messages.say(
            "rows leave room for others in the file of the warehouse; the file itself gets smaller "
            "where over a fifth of it is free then, as it is written anew, and by `v6share rebuild`"
        )
    if wanted.waiting:
        messages.say(
            f"{wanted.waiting:,} more fragments are old enough: `v6share prune` again lets them go",
            fragments_waiting=wanted.waiting,
        )
