"""From a workspace on disk to settings, catalog and client key. Reads files and the environment;
what the texts mean is the business of ``schemas``.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from v6share.schemas.catalog import CATALOG_FILES, Catalog, catalog_version, parse_catalog
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import UserError
from v6share.schemas.settings import Settings, parse_settings
from v6share.schemas.workspace import Workspace

KEY_BYTES: Final = 16


@dataclass(frozen=True)
class Configured:
    """A workspace with all that a job needs to know of it. ``client_key`` is secret."""

    workspace: Workspace
    settings: Settings
    catalog: Catalog
    client_key: bytes

    @property
    def client_key_id(self) -> str:
        """What may be shown of the key: 16 hex digits of its SHA-256."""
        return hashlib.sha256(self.client_key).hexdigest()[:16]

    @cached_property
    def catalog_version(self) -> str:
        """The version of everything declared that can alter a counted row."""
        return catalog_version(self.catalog, self.settings, self.client_key_id, dialects_digest())


def find_workspace(root: Path) -> Workspace:
    """The workspace at a directory. Raises UserError where that is no directory."""
    if not root.is_dir():
        what = "not a directory" if root.exists() else "no such directory"
        raise UserError(f"-C {root}: {what}; `v6share init {root}` makes a workspace there")
    return Workspace(Path(os.path.abspath(root)))  # noqa: PTH100 - resolve would follow links


def configure(root: Path, overrides: Mapping[str, Any] | None = None) -> Configured:
    """Everything of a workspace; makes the client key at the first run.

    overrides: flags by dotted settings key; None is "not given". Raises UserError and
    CatalogError.
    """
    workspace = find_workspace(root)
    return Configured(
        workspace=workspace,
        settings=read_settings(workspace, overrides),
        catalog=read_catalog(workspace),
        client_key=read_client_key(workspace),
    )


def configure_for_reading(root: Path, overrides: Mapping[str, Any] | None = None) -> Configured:
    """The same, for a job that changes nothing: where there is no key yet, one of zeros."""
    workspace = find_workspace(root)
    key = read_client_key(workspace) if workspace.client_key.exists() else bytes(KEY_BYTES)
    return Configured(
        workspace=workspace,
        settings=read_settings(workspace, overrides),
        catalog=read_catalog(workspace),
        client_key=key,
    )


def read_settings(workspace: Workspace, overrides: Mapping[str, Any] | None = None) -> Settings:
    """``v6share.toml``, the environment and the flags; the last one wins. Raises CatalogError."""
    text = None
    with contextlib.suppress(FileNotFoundError):
        text = _read_text(workspace.settings)
    return parse_settings(text, os.environ, overrides or {})


def read_catalog(workspace: Workspace) -> Catalog:
    """The files in ``catalog/``; a missing folder is an empty catalog. Raises CatalogError."""
    texts = {}
    if workspace.catalog.is_dir():
        texts = {
            file.name: file.read_bytes()
            for file in sorted(workspace.catalog.iterdir())
            if file.is_file() and file.suffix in _SUFFIXES and not file.name.startswith(".")
        }
    return parse_catalog(texts)


_SUFFIXES: Final = {Path(name).suffix for name in CATALOG_FILES}


def read_client_key(workspace: Workspace) -> bytes:
    """The key of the client hash; made at the first run, readable by its owner alone.

    Never replaced: with another key no client would be recognised any more. Raises UserError
    where the file does not hold a key.
    """
    path = workspace.client_key
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    # A link, unlike a rename, never replaces the key that another process has just made.
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    temporary.unlink()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None
