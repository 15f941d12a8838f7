"""The key of the client hash. It never leaves the workspace; only its id may be shown."""

import hashlib
import secrets
from typing import Final

from v6share.schemas.errors import UserError
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

KEY_BYTES: Final = 16
OWNER_ALONE: Final = 0o600


def read_client_key(workspace: Workspace) -> bytes:
    """The key of the client hash; made at the first run, readable by its owner alone.

    Never replaced: with another key no client would be recognised any more. Raises UserError
    where it is gone and clients were counted with it, and where the file does not hold a key.
    """
    path = workspace.client_key
    is_there = storage.exists(path)
    if not is_there and any(map(storage.exists, (workspace.journal, workspace.published))):
        raise UserError(
            f"{path}: the key of the client hashes is gone. Restore it from a backup: with another "
            "one no client of the days before would be recognised. Where there is none, "
            "`v6share key rotate` makes a new one, and what was counted stays"
        )
    if not is_there:
        storage.create(path, new_client_key(), mode=OWNER_ALONE)
    key = storage.read(path)
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{path}: found {len(key)} bytes, expected {KEY_BYTES}. Restore it from a backup: with "
            "another one no client of the days before would be recognised. Where there is none, "
            "`v6share key rotate` makes a new one, and what was counted stays"
        )
    return key


def new_client_key() -> bytes:
    """A key that nobody knows yet."""
    return secrets.token_bytes(KEY_BYTES)


def key_id(client_key: bytes) -> str:
    """Give what may be shown of the client key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(client_key).hexdigest()[:16]
