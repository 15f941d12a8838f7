"""``v6share key``: which key the client hash has, and a new one."""

from contextlib import closing
from typing import Final

from v6share.jobs.steps.run_context import utc_now
from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import Form
from v6share.schemas.errors import UserError
from v6share.warehouse.commit import record
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.client_keys import LOST_KEY, refuse_other_key, rotation
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.rows import key_ids
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.status import client_keys
from v6share.workspace import storage
from v6share.workspace.client_key import OWNER_ALONE, key_id, new_client_key, read_client_key
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

_COSTS: Final = (
    "What is counted from now on has hashes of the new key; what was counted stays. Distinct "
    "clients of 30 days are not known until all 30 are counted with it: in 30 days, or once "
    "`v6share backfill --reprocess all --since T --until T PATH...` has counted the files of the "
    "last 30 days again"
)


def rotate(invocation: Invocation, *, wait: float, form: Form) -> ExitCode:
    """Put a new key in place of the one that counts, and say what that costs.

    The journal knows the new key before it is in place. Where the power fails in between, every
    command that counts says so, and the same command ends it.
    """
    workspace = find_workspace(invocation.root)
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(
            f"{workspace.root}: nothing is counted here, so there is no key to change; the first "
            "`v6share run PATH...` makes one"
        )
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with (
        leaving,
        hold(workspace, invocation.command, wait),
        closing(open_warehouse(workspace)) as connection,
    ):
        refuse_lost_runs(connection, workspace)
        journal.refuse_damaged(workspace.journal)
        new = new_client_key()
        entries = rotation(key_ids(connection), _id_in_place(workspace), key_id(new), utc_now())
        with storage.replacing(workspace.client_key, new, OWNER_ALONE):
            record(connection, workspace, entries)
        stdout.write_table(client_keys(connection), form, title="Client keys")
    messages.say(_COSTS)
    return ExitCode.DONE


def show(invocation: Invocation, *, wait: float, form: Form) -> ExitCode:
    """Print the ids of all keys that counted, and how many inputs count with each.

    Warns where the key in place is another one, or none.
    """
    workspace = find_workspace(invocation.root)
    refuse_lost_journal(workspace)
    if not storage.exists(workspace.journal):
        raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    with (
        hold(workspace, invocation.command, wait),
        closing(open_warehouse(workspace)) as connection,
    ):
        keys = client_keys(connection)
    if stdout.is_wanted(form):
        stdout.write_table(keys, form, title="Client keys")
    try:
        in_place = key_id(read_client_key(workspace))
        refuse_other_key(workspace, keys.column("key_id").to_pylist(), in_place)
    except UserError as error:
        messages.warn(str(error))
    return ExitCode.DONE


def _id_in_place(workspace: Workspace) -> str:
    try:
        return key_id(read_client_key(workspace))
    except UserError:
        return LOST_KEY
