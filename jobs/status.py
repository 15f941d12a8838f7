"""``v6share status``: how things stand."""

from dataclasses import fields

from v6share.jobs import console, output
from v6share.jobs.advice import directions_advice
from v6share.jobs.configure import find_workspace
from v6share.jobs.exits import ExitCode
from v6share.jobs.invocation import Invocation
from v6share.schemas.errors import UserError
from v6share.schemas.workspace import Workspace
from v6share.warehouse.lock import WorkspaceBusy, hold
from v6share.warehouse.open import open_snapshot, open_warehouse
from v6share.warehouse.reads import StatusReport, status_report


def main(invocation: Invocation, *, form: output.SeveralForm) -> ExitCode:
    """Print runs, files, rejects, findings, exporters, versions and refused inputs."""
    workspace = find_workspace(invocation.root)
    if not workspace.journal.exists():
        raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    report = _read(workspace, invocation.command)
    tables = {part.name: getattr(report, part.name) for part in fields(report)}
    output.write_tables(tables, form)
    advice = directions_advice(report.both_directions.to_pylist())
    if advice is not None:
        console.say(advice)
    if report.inputs_of_old_versions:
        console.say(
            f"{report.inputs_of_old_versions:,} inputs were counted by older rules or an older "
            "catalog; run their files again to bring them up to date",
            inputs_of_old_versions=report.inputs_of_old_versions,
        )
    return ExitCode.DONE


def _read(workspace: Workspace, command: str) -> StatusReport:
    """From the warehouse, which knows most; while a run holds it, from the snapshot."""
    try:
        with hold(workspace, command):
            connection = open_warehouse(workspace)
            try:
                return status_report(connection)
            finally:
                connection.close()
    except WorkspaceBusy as busy:
        console.say(f"at work now: {busy.holder}; this is the state last published")
        with open_snapshot(workspace.published) as snapshot:
            return status_report(snapshot)
