"""A DuckDB file written anew without its free blocks.

DuckDB gives the room of rows that were deleted to rows that come later, and never gives it back to
the disk. So a file out of which much was pruned stays as large as it was until it is written anew.
"""

from pathlib import Path
from typing import Final

import duckdb

from v6share.warehouse.database.blank import NO_DOWNLOADS
from v6share.warehouse.database.connect import MEMORY_LIMIT, clear_errors
from v6share.warehouse.database.migrate import STORAGE_VERSION
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# To write a file anew takes as long as to copy it: that pays where so much of it is free.
_WORTHWHILE: Final = 0.2


def is_worthwhile(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether much of the file of a connection is free blocks."""
    connection.execute("CHECKPOINT")
    ((free, total),) = connection.execute(
        "SELECT free_blocks, total_blocks FROM pragma_database_size() "
        "WHERE database_name = current_database()"
    ).fetchall()
    return bool(total and free / total > _WORTHWHILE)


def copy_compact(source: Path, target: Path, workspace: Workspace) -> None:
    """Write what a database holds to a path at which nothing is. No connection may be open to it.

    Raises DamagedFile where the source cannot be read, OSError or duckdb.Error where the target
    cannot be written.
    """
    spill = workspace.state / "tmp"
    storage.remove_folder(spill)
    config = {**NO_DOWNLOADS, "memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}
    with clear_errors(source), duckdb.connect(config=config) as connection:
        connection.execute("ATTACH ? AS source (READ_ONLY)", [str(source)])
        connection.execute(
            f"ATTACH ? AS target (STORAGE_VERSION '{STORAGE_VERSION}')", [str(target)]
        )
        connection.execute("COPY FROM DATABASE source TO target")
        connection.execute("CHECKPOINT target")
        connection.execute("DETACH target")


def compact(path: Path, workspace: Workspace) -> None:
    """Write a database anew in its place; a failure leaves it as it was. Errors as above."""
    with storage.drafted(path) as draft:
        copy_compact(path, draft, workspace)
        # Nothing stands in it: whoever had the file open has closed it. It would not fit the draft.
        storage.remove_log(path)
