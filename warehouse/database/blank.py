"""The blank warehouse: all tables and views, without a row; made once and kept.

To create a view DuckDB binds it with all views below it: half a second for all of them, before the
first run of every workspace. So a file in which they stand is kept in the user's cache for each
state of the statements, named by them, behind a seal over its name and bytes. Where it cannot be
kept, or is not what was kept, it is made.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb
import platformdirs

from v6share.warehouse.database.migrate import STORAGE_VERSION, migrate, statements
from v6share.warehouse.drafts import draft_in, remove_drafts
from v6share.workspace.durable import sync_directory, sync_file

Config = dict[str, str | bool | int | float | list[str]]
NO_DOWNLOADS: Final[Config] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_SEAL_BYTES: Final = 32


def put_blank(path: Path) -> None:
    """Put a blank warehouse at a path at which nothing is: whole, or not at all.

    Hold the workspace. Raises OSError or duckdb.Error where the file cannot be made.
    """
    place = _place()
    draft = draft_in(path.parent, "blank")
    try:
        blank = _kept(place)
        if blank is None:
            _make(draft)
            _keep(place, draft.read_bytes())
        else:
            draft.write_bytes(blank)
        sync_file(draft)
        draft.replace(path)
        sync_directory(path.parent)
    finally:
        remove_drafts(path.parent, "blank")


def _place() -> Path:
    """Where the blank of this version is kept, as this DuckDB makes it."""
    text = "\n".join((duckdb.__version__, STORAGE_VERSION, *statements()))
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("v6share"), "blanks", name)


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


def _make(path: Path) -> None:
    with duckdb.connect(config=NO_DOWNLOADS) as connection:
        connection.execute(
            f"ATTACH ? AS warehouse (STORAGE_VERSION '{STORAGE_VERSION}')", [str(path)]
        )
        connection.execute("USE warehouse")
        migrate(connection)
        connection.execute("USE memory")
        connection.execute("DETACH warehouse")


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
