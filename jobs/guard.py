"""What a job refuses to do because it would lose what the operator said before."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from v6share.schemas.catalog import CATALOG_FILES, Catalog
from v6share.schemas.errors import UserError
from v6share.schemas.workspace import Workspace
from v6share.warehouse.dimensions import declared_rows
from v6share.warehouse.open import Connection, open_snapshot
from v6share.warehouse.state import read_state, write_state

_FILE_OF: Final = {Path(name).stem: name for name in CATALOG_FILES}


def refuse_lost_catalog(connection: Connection, workspace: Workspace) -> None:
    """Raise UserError where the numbers stand on a catalog file that is no longer there.

    Counted without it, every flow would be ``unclassified`` or ``unknown`` and replace what is
    right. A workspace that never had the file may go on without it.
    """
    others = json.loads(read_state(connection, "declared", "{}"))
    _refuse(workspace, {**declared_rows(connection), **others})


def remembered(workspace: Workspace) -> dict[str, int]:
    """What ``remember_catalog`` kept of files that are gone now; nothing where nobody can tell."""
    try:
        with open_snapshot(workspace.warehouse) as warehouse:
            known: dict[str, int] = json.loads(read_state(warehouse, "declared", "{}"))
    except UserError:
        return {}
    return {n: rows for n, rows in known.items() if not (workspace.catalog / _FILE_OF[n]).is_file()}


def remember_catalog(
    connection: Connection, catalog: Catalog, before: Mapping[str, int] | None = None
) -> None:
    """Keep how much stands in those files that no dimension table is made from.

    before: of files that are gone, and that no flow was counted without yet.
    """
    rows = {
        "prefixes": catalog.prefixes.num_rows,
        "transition": sum(len(prefixes) for _, prefixes in catalog.transition),
    }
    declared = json.dumps(
        {name: count for name, count in (rows | dict(before or {})).items() if count}
    )
    if declared != read_state(connection, "declared", "{}"):
        write_state(connection, "declared", declared)


def refuse_lost_catalog_of_snapshot(workspace: Workspace) -> None:
    """The same where the warehouse may be unusable: the published file knows the catalog, too."""
    if not workspace.published.exists():
        return
    try:
        with open_snapshot(workspace.published) as snapshot:
            declared = declared_rows(snapshot)
    except UserError:
        return  # damaged as well: nobody knows what was declared
    _refuse(workspace, declared)


def _refuse(workspace: Workspace, declared: dict[str, int]) -> None:
    """Raise UserError for files that are gone. declared: rows of the last run, by file's stem."""
    lost = {
        name: rows
        for name, rows in declared.items()
        if not (workspace.catalog / _FILE_OF[name]).is_file()
    }
    if not lost:
        return
    known = ", ".join(f"{name}: {rows:,}" for name, rows in lost.items())
    files = ", ".join(_FILE_OF[name] for name in lost)
    raise UserError(
        f"{workspace.catalog}: {files} not there, but the last run had it ({known}); without it "
        "flows would be counted again, as unclassified or unknown, and KPIs lose their rows. "
        f"Restore it from a backup. To go on without it, `v6share init {workspace.root}` writes an "
        "empty one"
    )
