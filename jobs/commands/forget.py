"""``v6share forget``: inputs that no longer count."""

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.damage import damage_table
from v6share.jobs.steps.gate import job_gate
from v6share.jobs.steps.name_input import before_it_was_rewritten, called, hint, several
from v6share.jobs.steps.run_context import entry_of, utc_now
from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import SeveralForm
from v6share.schemas.errors import UserError
from v6share.warehouse.commit import record, withdraw_unapplied
from v6share.warehouse.database.connect import DamagedFile
from v6share.warehouse.fragment_damage import find_damaged, sources_of_journal
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.client_keys import refuse_other_key
from v6share.warehouse.ledger.journal import Forget, Run
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog
from v6share.warehouse.ledger.lost_state import (
    refuse_lost_entries,
    refuse_lost_journal,
    refuse_lost_runs,
)
from v6share.warehouse.ledger.named_inputs import (
    SHORTEST_ID,
    NamedInput,
    named_inputs,
)
from v6share.warehouse.ledger.rows import key_ids
from v6share.warehouse.merge.read_fragments import FragmentUnreadable
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.configured import Configured, configure
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

_UNDONE: Final = "nothing was withdrawn"


def main(
    invocation: Invocation,
    inputs: Sequence[str],
    *,
    older: bool,
    reason: str,
    wait: float,
    publish: bool,
    gate: bool | None,
    form: SeveralForm,
) -> ExitCode:
    """Withdraw the named inputs: all of them, or none where one name is not clear.

    older: what files held before they were rewritten, and not what they hold now.
    """
    found = find_workspace(invocation.root)
    refuse_lost_journal(found)  # before a key is made
    if not storage.exists(found.journal):
        raise UserError(f"{found.root}: nothing is counted here, so nothing can be withdrawn")
    configured = configure(invocation.root, {"--gate": gate})
    workspace = configured.workspace
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with (
        leaving,
        hold(workspace, invocation.command, wait),
        job_gate(workspace, configured.settings.quality) as judge,
    ):
        try:
            connection = open_warehouse(workspace, configured.settings.run.threads)
        except (FragmentUnreadable, DamagedFile) as error:
            ids = tuple(dict.fromkeys(inputs))
            entries = _entries(configured, invocation.command, ids, reason)
            return _withdraw_damaged(workspace, entries, error, form)
        try:
            refuse_lost_runs(connection, workspace)
            journal.refuse_damaged(workspace.journal)
            refuse_lost_catalog(connection, workspace)
            refuse_other_key(workspace, key_ids(connection), configured.client_key_id)
            known = named_inputs(connection)
            mean = _older_inputs_of if older else _input_of
            meant = {one.input_id: one for name in inputs for one in mean(name, known)}
            entries = _entries(configured, invocation.command, tuple(meant), reason)
            record(connection, workspace, entries)
            if stdout.is_wanted(form):
                stdout.write_tables({"withdrawn": _table(meant.values())}, form)
            _say_what_copies_lose(meant.values())
            check_and_publish(connection, workspace, judge, wanted=publish)
        finally:
            connection.close()
    messages.say("`v6share run` leaves them out from now on; --include-forgotten counts them again")
    return ExitCode.DONE


def _withdraw_damaged(
    workspace: Workspace,
    entries: tuple[Forget, Run],
    error: FragmentUnreadable | DamagedFile,
    form: SeveralForm,
) -> ExitCode:
    """Withdraw inputs by the journal alone, where the warehouse cannot be opened.

    Only such whose fragments are damaged, for these stand in the way of a new warehouse. Raises
    the given error where one is none of them, and UserError where the journal is an older one.
    """
    refuse_lost_entries(workspace)
    wanted = entries[0].input_ids
    damaged = find_damaged(sources_of_journal(workspace))
    named = [one for one in damaged if one.source.key.input_id in wanted]
    if len(named) < len(wanted):
        raise error
    withdraw_unapplied(workspace, entries)
    rows = damage_table(named).select(["input_id", "path", "problem"])
    if stdout.is_wanted(form):
        stdout.write_tables({"withdrawn": rows}, form)
    left = " ".join(one.source.key.input_id for one in damaged if one not in named)
    too = f"`v6share forget {left}` withdraws the others that are damaged, then " if left else ""
    messages.warn(
        f"withdrawn in the journal alone, for the warehouse cannot be opened ({error.found}). "
        f"Next, {too}`v6share rebuild` makes it again without them"
    )
    return ExitCode.DONE


def _say_what_copies_lose(inputs: Iterable[NamedInput]) -> None:
    for one in inputs:
        if len(one.paths) > 1:
            messages.warn(
                f"{min(one.paths)}: the same bytes stand under {len(one.paths)} paths; none of "
                "them counts any more",
                input_id=one.input_id,
            )


def _table(inputs: Iterable[NamedInput]) -> pa.Table:
    rows = [(one.input_id, sorted(one.paths)) for one in inputs]
    return pa.table({"input_id": [row[0] for row in rows], "paths": [row[1] for row in rows]})


def _input_of(name: str, inputs: Sequence[NamedInput]) -> list[NamedInput]:
    """The one input that a name means. Raises JobStopped and UserError for none and several."""
    live = _live_inputs_of(name, inputs)
    if len(live) > 1:
        ways = "the id, or --older for what it held before,"
        raise several(name, live, _UNDONE, of_a_path=ways)
    return live


def _older_inputs_of(name: str, inputs: Sequence[NamedInput]) -> list[NamedInput]:
    """What a file held before it was rewritten. Raises JobStopped where that is nothing."""
    older = before_it_was_rewritten(name, _live_inputs_of(name, inputs))
    if not older:
        raise JobStopped(
            ExitCode.NO_INPUT,
            f"{name}: --older: found no path at which anything counts but what lies there now; "
            f"{_UNDONE}. Give the whole path of a file that was rewritten in place",
        )
    return older


def _live_inputs_of(name: str, inputs: Sequence[NamedInput]) -> list[NamedInput]:
    """The inputs that a name means and that count or are refused. Raises JobStopped for none."""
    found = called(name, inputs)
    live = [one for one in found if not one.withdrawn]
    if live:
        return live
    if found:
        raise JobStopped(ExitCode.NO_INPUT, f"{name}: withdrawn already; nothing was changed")
    near = hint(name, [one for one in inputs if not one.withdrawn])
    raise JobStopped(
        ExitCode.NO_INPUT,
        f"{name}: no input that counts or is refused has this path or id (of an id, give at least "
        f"{SHORTEST_ID} digits); {_UNDONE}. {near}The table ledger_files lists paths and ids",
    )


def _entries(
    configured: Configured, command: str, ids: tuple[str, ...], reason: str
) -> tuple[Forget, Run]:
    now = utc_now()
    run = entry_of(command, configured.catalog_version, now, "committed")
    return Forget(run.run_id, now, ids, reason), run
