"""Opening the warehouse of a workspace, up to date with the journal."""

from v6share.schemas.errors import UserError
from v6share.warehouse.commit import apply
from v6share.warehouse.database.connect import Connection, clear_errors, connect
from v6share.warehouse.database.migrate import STORAGE_VERSION, migrate
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def open_warehouse(workspace: Workspace, threads: int = 0) -> Connection:
    """The warehouse, created if need be, migrated, with every journal entry applied.

    Hold the workspace (``lock.hold``) while it is open. threads: 0 = all cores. Raises UserError
    where the file is held by another process, damaged, or of a newer version.
    """
    for folder in (workspace.state, workspace.quarantine):
        storage.remove_drafts(folder)
    connection = connect(workspace.warehouse, workspace, threads)
    try:
        with clear_errors(workspace.warehouse):
            _check_storage(connection)
            migrate(connection)
            apply(connection, workspace)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_storage(connection: Connection) -> None:
    """Raises UserError where the file has a format that older DuckDB clients cannot read.

    It is published as it is.
    """
    found = connection.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() "
        "WHERE database_name = current_database()"
    ).fetchall()
    if found != [(f"{STORAGE_VERSION}+",)]:
        raise UserError(
            f"the warehouse has DuckDB's storage version {found[0][0]}, expected "
            f"{STORAGE_VERSION}+; `v6share rebuild` makes it again from the journal and the "
            "fragments"
        )
