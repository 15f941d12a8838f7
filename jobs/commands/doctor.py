"""``v6share doctor``: what is damaged, what that means for the numbers, and what mends it."""

import stat
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.gate import job_gate
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.quality.suites import read_suites
from v6share.render.text import SeveralForm
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.errors import UserError, in_one_line
from v6share.warehouse.diagnose import Finding, diagnose, why_nothing_is_published
from v6share.warehouse.ledger.client_keys import OTHER_KEY_MEANS, WAYS_OUT, keys_of_journal
from v6share.warehouse.ledger.lost_catalog import (
    refuse_lost_catalog_of_snapshot,
    remember_catalog,
    remembered,
)
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import drop_damaged, note_unpublished
from v6share.warehouse.rebuild import rebuild
from v6share.warehouse.remedies import what_publishes
from v6share.workspace import storage
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.client_key import key_id, read_client_key
from v6share.workspace.configured import configure, read_settings_first
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

_REPAIR: Final = "`v6share doctor --repair` mends it, and loses nothing"


def main(invocation: Invocation, *, repair: bool, wait: float, form: SeveralForm) -> ExitCode:
    """Look at every part of the workspace; with ``repair``, mend what can be without a loss."""
    workspace = find_workspace(invocation.root)
    # A state that is only not mounted stays as it is, and nobody is at work without one.
    is_there = storage.exists(workspace.state)
    with hold(workspace, invocation.command, wait) if is_there else nullcontext():
        found = _look(workspace)
        if repair and is_there and any(one.repair for one in found):
            _repair(invocation.root, workspace, found)
            found = _look(workspace)
    stdout.write_tables({"parts": _as_table(found)}, form)
    odd = [one for one in found if one.is_amiss]
    for one in odd:
        advice = one.mends or (_REPAIR if one.repair else "")
        said = ". ".join(filter(None, (one.found, one.means, advice)))
        messages.fail(f"{one.part}: {said}", part=one.part)
    if odd:
        return ExitCode.USAGE
    messages.say("nothing is damaged")
    return ExitCode.DONE


def _look(workspace: Workspace) -> list[Finding]:
    return [
        _settings(workspace),
        _key(workspace),
        _access(workspace),
        *diagnose(workspace),
    ]


def _settings(workspace: Workspace) -> Finding:
    try:
        read_settings_first(workspace)
        read_catalog(workspace)
        read_suites(workspace)
    except UserError as error:
        means = "no command runs until it is mended; what is published stays"
        said = in_one_line(error)
        return Finding("settings, catalog and suites", "damaged", said, means, "edit it")
    return Finding("settings, catalog and suites", "ok", "all can be read")


def _key(workspace: Workspace) -> Finding:
    if not any(map(storage.exists, (workspace.journal, workspace.client_key, workspace.published))):
        return Finding("client key", "missing", "nothing is counted yet")
    try:
        found = key_id(read_client_key(workspace))
    except UserError as error:
        means = "clients of other days could not be recognised; nothing is counted until it is back"
        return Finding("client key", "lost", str(error), means, WAYS_OUT)
    try:
        keys = keys_of_journal(workspace)
    except UserError:
        return Finding("client key", "ok", f"{found}; the journal, which knows it, is damaged")
    if keys and keys[-1] != found:
        said = f"found the key {found}, but this workspace counts with the key {keys[-1]}"
        return Finding("client key", "lost", said, OTHER_KEY_MEANS, WAYS_OUT)
    return Finding("client key", "ok", f"{found}, with which this workspace counts")


def _access(workspace: Workspace) -> Finding:
    """Whether others may enter the state or read the key.

    Every command that holds the workspace makes the state private where it is its own. It cannot
    where another user owns it, or where the file system keeps no permissions.
    """
    for path, most in ((workspace.state, 0o700), (workspace.client_key, 0o600)):
        found = storage.status(path)
        mode = 0 if found is None else stat.S_IMODE(found.mode)
        if mode & 0o077:
            means = "other users may read the key of the hashes, or hold the lock"
            said = f"{path} has the mode {mode:04o}, expected {most:04o}"
            return Finding("access", "strange", said, means, f"`chmod {most:o} {quote(str(path))}`")
    return Finding("access", "ok", "state and key are their owner's alone")


def _repair(root: Path, workspace: Workspace, found: Sequence[Finding]) -> None:
    """Do what loses nothing, in an order in which each finds what it needs."""
    wanted = {one.repair for one in found}
    unmended = [one for one in found if one.condition in ("damaged", "lost")]
    blocked = [one for one in unmended if not one.repair]
    if "remove standby" in wanted:
        storage.remove(workspace.standby)
        messages.say("removed the standby; the next publish copies the whole")
    if not wanted & {"rebuild", "publish"}:
        return
    if blocked:
        parts = ", ".join(one.part for one in blocked)
        messages.warn(f"not made anew: {parts} must be mended first")
        return
    configured = configure(root)
    settings = configured.settings
    held_back = why_nothing_is_published(workspace)
    if "rebuild" in wanted:
        refuse_lost_catalog_of_snapshot(workspace)
        before = remembered(workspace)
        rebuild(workspace, dimension_tables(configured.catalog, settings), settings.run.threads)
        messages.say("made the warehouse anew from the journal and the fragments")
        connection = open_warehouse(workspace, settings.run.threads)
        remember_catalog(connection, configured.catalog, before)
    else:
        connection = open_warehouse(workspace, settings.run.threads)
    try:
        # A published file whose bytes rot looks as it did.
        drop_damaged(connection, workspace)
        if held_back:
            # Also for the warehouse that was made anew, which does not know of it.
            note_unpublished(connection, workspace, held_back)
            messages.warn(f"not published: {held_back}. {what_publishes(held_back)}")
            return
        with job_gate(workspace, settings.quality) as gate:
            check_and_publish(connection, workspace, gate, wanted=True)
        # The one before, which stands by now.
        drop_damaged(connection, workspace)
    finally:
        connection.close()


def _as_table(found: Sequence[Finding]) -> pa.Table:
    names = ("part", "condition", "found", "means", "mends")
    rows = [{name: messages.as_typed_here(getattr(one, name)) for name in names} for one in found]
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
