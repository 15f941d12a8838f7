"""The blank snapshot: the public tables and views, without a row; made once and kept.

To create a view DuckDB binds it with all views below it: half a second for all of them, at every
publish. A file in which they stand is attached in 10 ms. So one is kept in the user's cache for
each state of the statements, behind a seal: SHA-256 over the statements and the file. Where it
cannot be kept, or is not what was kept, it is made.
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
    text = "\n".join((duckdb.__version__, STORAGE_VERSION, *wanted)).encode()
    kept = _place(text)
    blank = _kept(kept, text)
    if blank is None:
        _make(path, wanted)
        _keep(kept, text, path.read_bytes())
    else:
        path.write_bytes(blank)
    _attach(connection, path)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"ATTACH ? AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')", [str(path)])


def _place(text: bytes) -> Path:
    """Where the blank of these statements is kept, as this DuckDB makes it."""
    name = hashlib.sha256(text).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("v6share"), "snapshots", name)


def _seal(text: bytes, blank: bytes) -> bytes:
    return hashlib.sha256(text + blank).digest()


def _kept(kept: Path, text: bytes) -> bytes | None:
    """The blank that is kept; None where there is none, or another file stands in its place."""
    try:
        whole = kept.read_bytes() if kept.is_file() else b""
    except OSError:
        return None
    seal, blank = whole[:_SEAL_BYTES], whole[_SEAL_BYTES:]
    return blank if seal == _seal(text, blank) else None


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


def _keep(kept: Path, text: bytes, blank: bytes) -> None:
    """Keep it for the next time: whole, or not. Without it all works, a little slower."""
    whole = kept.with_name(f".{kept.name}.{os.getpid()}")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            whole.write_bytes(_seal(text, blank) + blank)
            whole.replace(kept)
        finally:
            whole.unlink(missing_ok=True)
