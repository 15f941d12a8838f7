"""What a workspace declares, read from its files: the catalog, and the key of the client hash.

Here and not in ``jobs``, because a worker on another machine reads them, too.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from v6share.schemas.catalog.parse import CATALOG_FILES, Catalog, parse_catalog
from v6share.schemas.errors import UserError
from v6share.schemas.text.wording import nearest
from v6share.workspace.durable import sync_directory
from v6share.workspace.paths import Workspace

KEY_BYTES: Final = 16
_ALIKE: Final = 0.75
_SUFFIXES: Final = {Path(name).suffix for name in CATALOG_FILES}


def read_catalog(workspace: Workspace) -> Catalog:
    """The files in ``catalog/``; a missing folder is an empty catalog. Raises CatalogError."""
    return parse_catalog(read_catalog_texts(workspace))


def read_catalog_texts(workspace: Workspace) -> dict[str, bytes]:
    """The content of each file in ``catalog/`` that may be one of the catalog, by name."""
    if workspace.catalog.exists() and not workspace.catalog.is_dir():
        raise UserError(f"{workspace.catalog}: found a file, expected a folder of catalog files")
    if not workspace.catalog.is_dir():
        return {}
    return {
        file.name: file.read_bytes()
        for file in sorted(workspace.catalog.iterdir())
        if file.is_file() and _may_be_meant(file)
    }


def _may_be_meant(file: Path) -> bool:
    """Tell a file that is one of the catalog, or that a slip of the hand keeps from being one.

    Not a backup: ``apps.toml.bak``, ``apps.old`` and ``apps.toml~`` are nobody's slip.
    """
    is_hidden = file.name.startswith(".") or file.name.endswith("~")
    return not is_hidden and nearest(file.suffix, _SUFFIXES, _ALIKE) is not None


def read_client_key(workspace: Workspace) -> bytes:
    """The key of the client hash; made at the first run, readable by its owner alone.

    Never replaced: with another key no client would be recognised any more. Raises UserError
    where it is gone and clients were counted with it, and where the file does not hold a key.
    """
    path = workspace.client_key
    if not path.exists() and (workspace.journal.exists() or workspace.published.exists()):
        raise UserError(
            f"{path}: the key of the client hashes is gone. Restore it from a backup: with another "
            "one no client of the days before would be recognised. Where there is none, begin a "
            "new workspace and count the flow files again"
        )
    if not path.exists():
        _write_client_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{path}: found {len(key)} bytes, expected {KEY_BYTES}. Restore it from a backup; "
            "without it the clients of earlier days cannot be recognised"
        )
    return key


def _write_client_key(path: Path) -> None:
    """Write under another name first: a torn key would be worse than none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by the process number: in a container that is the same for a run that was killed here.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _name_key(temporary, path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _name_key(temporary: Path, path: Path) -> None:
    """Give the key its name. A link never replaces one that another process has just made.

    Where the file system knows no links (vfat, some network ones) a rename has to do.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            temporary.replace(path)


def key_id(client_key: bytes) -> str:
    """Give what may be shown of the client key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(client_key).hexdigest()[:16]
