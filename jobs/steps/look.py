"""The database to read for a command that only looks: the warehouse, or the published file."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from v6share.jobs.terminal import messages
from v6share.schemas.errors import UserError
from v6share.warehouse.database.connect import Connection, open_snapshot
from v6share.warehouse.ledger.lost_state import lost_journal, lost_runs
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.lock import WorkspaceBusy, hold
from v6share.workspace.paths import Workspace


@contextmanager
def open_to_look(workspace: Workspace, command: str) -> Iterator[tuple[Connection, bool]]:
    """The warehouse, which knows most, held while the block runs; and True.

    The published file, and False, while a run holds the warehouse, where the state is lost, and for
    whoever may not read the state, or not write to it: to open a warehouse is to write. It is said
    then why. Raises UserError where there is neither.
    """
    with ExitStack() as stack:
        if _may_open(workspace) and _hold(stack, workspace, command):
            connection = stack.enter_context(closing(open_warehouse(workspace)))
            _say_if_lost(lost_runs(connection, workspace))
            yield connection, True
        else:
            yield stack.enter_context(open_snapshot(workspace.published)), False


def may_read_journal(workspace: Workspace) -> bool:
    """Whether this user may, where there is one: the state is its owner's alone."""
    try:
        if storage.exists(workspace.journal):
            storage.open_file(workspace.journal).close()
    except PermissionError:
        return False
    return True


def _may_open(workspace: Workspace) -> bool:
    """Whether the warehouse may be opened, and is worth it; else it is said why not."""
    if not may_read_journal(workspace):
        messages.say(f"{workspace.state} is not yours to read; this is the state last published")
        return False
    if _say_if_lost(lost_journal(workspace)):
        return False
    if storage.exists(workspace.warehouse) and not storage.may_write(workspace.state):
        messages.say(f"{workspace.state} is not yours to write; this is the state last published")
        return False
    return True


def _hold(stack: ExitStack, workspace: Workspace, command: str) -> bool:
    """Hold the workspace until the stack is left; False, and said, where somebody else does."""
    try:
        stack.enter_context(hold(workspace, command))
    except WorkspaceBusy as busy:
        if not storage.exists(workspace.published):
            raise UserError(
                f"{workspace.root}: nothing is published yet; {busy.holder.advice}"
            ) from None
        messages.say(f"at work now: {busy.holder}; this is the state last published")
        return False
    return True


def _say_if_lost(lost: str) -> bool:
    """Say what of the state is lost; whether something is."""
    if lost:
        messages.warn(lost)
    return bool(lost)
