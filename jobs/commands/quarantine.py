"""``v6share quarantine``: which inputs are refused, and what becomes of them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from shlex import quote
from typing import Any, Final, Literal

import pyarrow as pa

from v6share.jobs.steps.look import open_to_look
from v6share.jobs.steps.name_input import called, hint, several
from v6share.jobs.steps.run_context import entry_of, utc_now
from v6share.jobs.terminal import interrupt, messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import Form
from v6share.schemas.errors import UserError
from v6share.schemas.ledger import NO_OP
from v6share.warehouse.commit import record
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import Decision, Run
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.named_inputs import NamedInput, named_inputs
from v6share.warehouse.ledger.quarantine_notes import read_refusal
from v6share.warehouse.ledger.quarantined import RefusedInput, refused_inputs
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.status import newest_catalog_version
from v6share.workspace import storage
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

Verdict = Literal["accept", "retry"]

_UNDONE: Final = "nothing was changed"
_NAMED: Final = 10
_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("since", pa.timestamp("us")),
        ("acknowledged", pa.bool_()),
        ("present", pa.bool_()),
        ("decided", pa.string()),
        ("dialect", pa.string()),
        ("size", pa.int64()),
        ("input_id", pa.string()),
    ]
)


def show(invocation: Invocation, *, form: Form) -> ExitCode:
    """Print the inputs that are refused, those first that nobody has acknowledged."""
    workspace = _workspace(invocation)
    with open_to_look(workspace, invocation.command) as (connection, _):
        refused = refused_inputs(connection)
    refused.sort(key=lambda one: one.is_acknowledged)
    stdout.write_table(_table(workspace, refused), form, title="Quarantined inputs", limit=0)
    messages.say(_in_words(refused))
    return ExitCode.DONE


def decide(
    invocation: Invocation,
    names: Sequence[str],
    decision: Verdict,
    *,
    every: bool,
    reason: str,
    wait: float,
    form: Form,
) -> ExitCode:
    """Note what becomes of refused inputs: all that are named, or none where a name is not clear.

    every: those that nobody has acknowledged, in place of names. reason: why, for who looks later.
    """
    if every == bool(names):
        found = "inputs and --all" if every else "neither"
        raise UserError(f"found {found}, expected the inputs that you mean, or --all")
    workspace = _workspace(invocation)
    with (
        interrupt.leaving(interrupt.NOTHING_HALF_DONE),
        hold(workspace, invocation.command, wait),
        closing(open_warehouse(workspace)) as connection,
    ):
        refuse_lost_runs(connection, workspace)
        journal.refuse_damaged(workspace.journal)
        meant = _meant(connection, names)
        if meant:
            record(connection, workspace, _entries(connection, invocation, meant, decision, reason))
        decided = [one for one in refused_inputs(connection) if one.input_id in meant]
    if stdout.is_wanted(form):
        stdout.write_table(_table(workspace, decided), form, title="Decided", limit=0)
    messages.say(_what_next(decision, decided) if decided else f"{_in_words(())}: {_UNDONE}")
    return ExitCode.DONE


def _workspace(invocation: Invocation) -> Workspace:
    """Raises UserError where nothing is counted, or the journal is lost."""
    workspace = find_workspace(invocation.root)
    if not storage.exists(workspace.published):
        refuse_lost_journal(workspace)
        if not storage.exists(workspace.journal):
            raise UserError(f"{workspace.root}: nothing is counted yet; use `v6share run PATH...`")
    return workspace


def _meant(connection: Connection, names: Sequence[str]) -> list[str]:
    """The ids of the refused inputs that names mean; without names, of all not acknowledged."""
    refused = refused_inputs(connection)
    if not names:
        return [one.input_id for one in refused if not one.is_acknowledged]
    ids = {one.input_id for one in refused}
    known = named_inputs(connection)
    return list(dict.fromkeys(_input_called(name, known, ids) for name in names))


def _input_called(name: str, inputs: Sequence[NamedInput], refused: Collection[str]) -> str:
    """The id of the refused input that a name means. Raises JobStopped and UserError."""
    found = called(name, inputs)
    meant = [one for one in found if one.input_id in refused]
    if len(meant) == 1:
        return meant[0].input_id
    if meant:
        raise several(name, meant, _UNDONE)
    near = hint(name, [one for one in inputs if one.input_id in refused])
    what = "it is not quarantined" if found else "no quarantined input has this path or id"
    raise JobStopped(
        ExitCode.NO_INPUT,
        f"{name}: {what}; {_UNDONE}. {near}`v6share quarantine list` shows paths and ids",
    )


def _entries(
    connection: Connection,
    invocation: Invocation,
    input_ids: Sequence[str],
    decision: Verdict,
    reason: str,
) -> tuple[Decision, Run]:
    now = utc_now()
    run = entry_of(invocation.command, newest_catalog_version(connection), now, NO_OP)
    return Decision(run.run_id, now, tuple(input_ids), decision, reason), run


def _what_next(decision: Verdict, decided: Sequence[RefusedInput]) -> str:
    if decision == "accept":
        return (
            "refused until the bytes change, and no longer minded by --strict; "
            "`v6share quarantine retry` has them tried again after all"
        )
    paths = [quote(one.path) for one in decided[:_NAMED]]
    paths += ["..."] if len(decided) > _NAMED else []
    return f"tried again by the next run that finds them: `v6share run {' '.join(paths)}`"


def _in_words(refused: Sequence[RefusedInput]) -> str:
    """How many inputs are refused, how many of them nobody has acknowledged, and how many of these
    are gone.
    """
    if not refused:
        return "nothing is quarantined"
    left = [one for one in refused if not one.is_acknowledged]
    what = "1 input is" if len(refused) == 1 else f"{len(refused):,} inputs are"
    gone = sum(not one.is_present for one in left)
    settled = (
        f"; no longer there: {gone:,}, which `v6share quarantine accept` settles" if gone else ""
    )
    return f"{what} quarantined, {len(left):,} not acknowledged{settled}"


def _table(workspace: Workspace, refused: Sequence[RefusedInput]) -> pa.Table:
    rows = [_row(one, read_refusal(workspace, one.input_id)) for one in refused]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _row(one: RefusedInput, note: Mapping[str, Any]) -> dict[str, object]:
    """What is shown of an input; what only its note knows is null where that is gone."""
    decided = note.get("decided") or {}
    since = note.get("at")
    return {
        "path": one.path,
        "reason": one.reason,
        "detail": note.get("detail"),
        "since": one.at if since is None else datetime.fromisoformat(since),
        "acknowledged": one.is_acknowledged,
        "present": one.is_present,
        "decided": decided.get("reason"),
        "dialect": one.dialect,
        "size": one.size,
        "input_id": one.input_id,
    }
