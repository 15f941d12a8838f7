"""The blank snapshot: the public tables and views, without a row; made once and kept.

To create a view DuckDB binds it with all views below it: half a second for all of them, at every
publish. A file in which they stand is attached in 10 ms. So one is kept in the user's cache for
each state of the statements, named by them, behind a seal over its name and bytes. Where it cannot
be kept, or is not what was kept, it is made.
"""

import hashlib
import os
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
_SEAL_BYTES: Final = 32


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
    place = _place(wanted)
    blank = _kept(place)
    if blank is None:
        _make(path, wanted)
        _keep(place, path.read_bytes())
    else:
        path.write_bytes(blank)
    _attach(connection, path)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"ATTACH ? AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')", [str(path)])


def _place(wanted: list[str]) -> Path:
    """Where the blank of these statements is kept, as this DuckDB makes it."""
    text = "\n".join((duckdb.__version__, STORAGE_VERSION, *wanted))
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("v6share"), "snapshots", name)


def _seal(place: Path, blank: bytes) -> bytes:
    return hashlib.sha256(place.name.encode() + blank).digest()


def _kept(place: Path) -> bytes | None:
    """The blank that is kept; None where there is none, or another file stands in its place."""
    try:
        whole = place.read_bytes() if place.is_file() else b""
    except OSError:
        return None
    seal, blank = whole[:_SEAL_BYTES], whole[_SEAL_BYTES:]
    return blank if seal == _seal(place, blank) else None


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


def _keep(place: Path, blank: bytes) -> None:
    """Keep it for the next time: whole, or not. Without it all works, a little slower."""
    whole = place.with_name(f".{place.name}.{os.getpid()}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            whole.write_bytes(_seal(place, blank) + blank)
            whole.replace(place)
        finally:
            whole.unlink(missing_ok=True)
