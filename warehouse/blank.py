"""The blank snapshot: the public tables and views, without a row; made once and kept.

To create a view DuckDB binds it with all views below it: half a second for all of them, at every
publish. A file in which they stand is attached in 10 ms. So one is kept in the user's cache for
each state of the statements; where it cannot be kept, it is made each time.
"""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb
import platformdirs

from v6share.schemas.dimensions import DIMENSIONS
from v6share.schemas.ledger import LEDGERS
from v6share.warehouse.merge import AGGREGATES
from v6share.warehouse.open import NO_DOWNLOADS
from v6share.warehouse.transaction import transaction
from v6share.warehouse.views import read_macros, read_views

PUBLIC_TABLES: Final = (*AGGREGATES, *LEDGERS, *DIMENSIONS)

# Readable by DuckDB 1.5 tools, too.
STORAGE_VERSION: Final = "v1.5.0"


def statements() -> list[str]:
    """Everything that a snapshot holds but its rows, in an order in which it can be made."""
    tables = [statement for t in PUBLIC_TABLES for statement in (t.ddl(), *t.comments())]
    views = [statement for v in read_views() for statement in (v.sql, v.comment)]
    return [*tables, read_macros(), *views]


def attach_blank(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach a blank snapshot as ``snapshot``; nothing may be at its path yet.

    Raises OSError or duckdb.Error where the file cannot be made.
    """
    wanted = statements()
    kept = _kept(wanted)
    try:
        shutil.copyfile(kept, path)
        _attach(connection, path)
    except (OSError, duckdb.Error):
        # None is kept yet, or it is damaged; or else the same happens again, and is said.
        path.unlink(missing_ok=True)
        _make(path, wanted)
        _keep(path, kept)
        _attach(connection, path)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"ATTACH ? AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')", [str(path)])


def _kept(wanted: list[str]) -> Path:
    """Where the blank of these statements is kept, as this DuckDB makes it."""
    text = "\n".join((duckdb.__version__, STORAGE_VERSION, *wanted))
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("v6share"), "snapshots", f"{name}.duckdb")


def _make(path: Path, wanted: list[str]) -> None:
    with duckdb.connect(config=NO_DOWNLOADS) as connection:
        _attach(connection, path)
        # Inside the snapshot names resolve to its own tables, and views keep no database name.
        connection.execute("USE snapshot")
        with transaction(connection):
            for statement in wanted:
                connection.execute(statement)
        connection.execute("USE memory")
        connection.execute("DETACH snapshot")


def _keep(path: Path, kept: Path) -> None:
    """Keep a copy for the next time: whole, or none. Without it all works, a little slower."""
    whole = kept.with_name(f".{kept.name}.{os.getpid()}")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, whole)
            whole.replace(kept)
        finally:
            whole.unlink(missing_ok=True)
