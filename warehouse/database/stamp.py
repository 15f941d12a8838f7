"""The stamp of the published file: whether it is still the one that this warehouse put in place."""

from pathlib import Path

import duckdb

from v6share.warehouse.database.state import read_state
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def file_stamp(path: Path) -> str:
    """What shows that a file is still the one that it was; reads nothing of it."""
    found = storage.status(path)
    return "none" if found is None else f"{found.size} {found.mtime_ns}"


def is_own(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> bool:
    """Whether this warehouse put the published file in place, and so knows all that it holds."""
    noted = read_state(connection, "published_file")
    # A run may have been killed between putting a file in place and noting that it did.
    return file_stamp(workspace.published) in (noted, read_state(connection, "publishing_file"))
