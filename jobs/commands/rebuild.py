"""``v6share rebuild``: the warehouse from fragments and journal."""

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.gate import job_gate
from v6share.jobs.terminal import interrupt, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import SeveralForm
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.errors import UserError
from v6share.warehouse.ledger.client_keys import keys_of_journal, refuse_other_key
from v6share.warehouse.ledger.lost_catalog import (
    refuse_lost_catalog_of_snapshot,
    remember_catalog,
    remembered,
)
from v6share.warehouse.ledger.lost_state import refuse_lost_journal
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace import storage
from v6share.workspace.configured import configure
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold


def main(
    invocation: Invocation, *, wait: float, publish: bool, gate: bool | None, form: SeveralForm
) -> ExitCode:
    """Make the warehouse anew, say what it holds, check it, publish it."""
    workspace = find_workspace(invocation.root)
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(
            f"{workspace.journal}: not there. Either nothing is counted here yet, or it is lost: "
            "then restore it from a backup, for it says which fragments count"
        )
    configured = configure(invocation.root, {"--gate": gate})
    threads = configured.settings.run.threads
    dimensions = dimension_tables(configured.catalog, configured.settings)
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with (
        leaving,
        hold(workspace, invocation.command, wait),
        job_gate(workspace, configured.settings.quality) as judge,
    ):
        refuse_lost_catalog_of_snapshot(workspace)
        refuse_other_key(workspace, keys_of_journal(workspace), configured.client_key_id)
        before = remembered(workspace)
        applied = rebuild(workspace, dimensions, threads)
        rebuilt = {
            "warehouse": str(workspace.warehouse),
            "journal_entries": applied.entries,
            "inputs_live": applied.added - applied.removed,
        }
        if stdout.is_wanted(form):
            stdout.write_tables({"rebuilt": rebuilt}, form)
        connection = open_warehouse(workspace, threads)
        try:
            remember_catalog(connection, configured.catalog, before)
            check_and_publish(connection, workspace, judge, wanted=publish)
        finally:
            connection.close()
    return ExitCode.DONE
