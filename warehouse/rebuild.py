"""Rebuilding: the warehouse made again from journal and fragments, and put in place at once."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from v6share.warehouse.commit import Applied, apply
from v6share.warehouse.database.connect import connect
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.lost_state import refuse_lost_runs
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def rebuild(
    workspace: Workspace, catalog: Mapping[str, pa.Table] | None, threads: int = 0
) -> Applied:
    """Make a new warehouse file and replace the old one, readable or not.

    catalog: the dimension tables, as for ``replace_dimensions``; None leaves them empty until the
    next run. Hold the workspace, with no connection to the warehouse open. A failure leaves the
    old file as it was. Raises UserError where the old or the published file holds runs or inputs
    that the journal does not know.
    """
    storage.remove_drafts(workspace.state)
    with storage.drafted(workspace.warehouse) as draft:
        applied = _build(draft, workspace, catalog, threads)
        # The old write-ahead log would not fit the new file. Without it the old file is only
        # older, and opening it applies the journal again, so a crash before the draft takes its
        # place loses nothing.
        storage.remove_log(workspace.warehouse)
    return applied


def _build(
    path: Path, workspace: Workspace, catalog: Mapping[str, pa.Table] | None, threads: int
) -> Applied:
    connection = connect(path, workspace, threads)
    try:
        applied = apply(connection, workspace)
        old = [workspace.warehouse] if storage.exists(workspace.warehouse) else []
        refuse_lost_runs(connection, workspace, *old)
        if catalog is not None:
            replace_dimensions(connection, catalog)
        connection.execute("CHECKPOINT")
    finally:
        connection.close()
    return applied
