"""What a job refuses to do because it would lose what the operator said before."""

from pathlib import Path
from typing import Final

from v6share.schemas.catalog import CATALOG_FILES
from v6share.schemas.errors import UserError
from v6share.schemas.workspace import Workspace
from v6share.warehouse.dimensions import declared_rows
from v6share.warehouse.open import Connection, open_snapshot

_FILE_OF: Final = {Path(name).stem: name for name in CATALOG_FILES}


def refuse_lost_catalog(connection: Connection, workspace: Workspace) -> None:
    """Raise UserError where the numbers stand on a catalog file that is no longer there.

    Counted without it, every flow would be ``unclassified`` or ``unknown`` and replace what is
    right. A workspace that never had the file may go on without it.
    """
    _refuse(workspace, declared_rows(connection))


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
