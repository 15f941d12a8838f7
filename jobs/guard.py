"""What a job refuses to do because it would lose what the operator said before."""

from v6share.pipelines.declared import has_catalog
from v6share.schemas.errors import UserError
from v6share.schemas.workspace import Workspace
from v6share.warehouse.dimensions import declared_rows
from v6share.warehouse.open import Connection, open_snapshot


def refuse_lost_catalog(connection: Connection, workspace: Workspace) -> None:
    """Raise UserError where the numbers stand on a catalog that is no longer there.

    Counted without it, every flow would be ``unclassified`` and replace what is right. A
    workspace that never had a catalog may go on without one.
    """
    if has_catalog(workspace):
        return
    declared = declared_rows(connection)
    if declared:
        raise UserError(_lost(workspace, declared))


def refuse_lost_catalog_of_snapshot(workspace: Workspace) -> None:
    """The same where the warehouse may be unusable: the published file knows the catalog, too."""
    if has_catalog(workspace) or not workspace.published.exists():
        return
    try:
        with open_snapshot(workspace.published) as snapshot:
            declared = declared_rows(snapshot)
    except UserError:
        return  # damaged as well: nobody knows what was declared
    if declared:
        raise UserError(_lost(workspace, declared))


def _lost(workspace: Workspace, declared: dict[str, int]) -> str:
    what = "not there" if not workspace.catalog.exists() else "without any catalog file"
    known = ", ".join(f"{name}: {rows:,}" for name, rows in declared.items())
    return (
        f"{workspace.catalog}: {what}, but the last run had a catalog ({known}); without it every "
        "flow would be counted again, as unclassified. Restore the folder from a backup. To go on "
        f"without a catalog, `v6share init {workspace.root}` writes an empty one"
    )
