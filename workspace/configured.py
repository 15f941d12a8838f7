"""From a workspace on disk to settings, catalog and client key. Reads files and the environment;
what the texts mean is the business of ``schemas``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from v6share.schemas.catalog.lint import doubts
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.catalog.version import catalog_version
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import CatalogError, UserError
from v6share.schemas.settings import Settings
from v6share.schemas.text.plain import is_utf8, storable
from v6share.workspace import storage
from v6share.workspace.catalog_files import (
    read_catalog,
    read_catalog_texts,
    read_settings,
    read_settings_text,
)
from v6share.workspace.client_key import KEY_BYTES, key_id, read_client_key
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class Configured:
    """A workspace with all that a job needs to know of it. ``client_key`` is secret.

    doubts: what is valid in settings and catalog, and yet looks like a mistake.
    """

    workspace: Workspace
    settings: Settings
    catalog: Catalog
    client_key: bytes
    doubts: tuple[CatalogError, ...] = ()

    @property
    def client_key_id(self) -> str:
        """What may be shown of the key: 16 hex digits of its SHA-256."""
        return key_id(self.client_key)

    @cached_property
    def catalog_version(self) -> str:
        """The version of everything declared that can alter a counted row."""
        return catalog_version(self.catalog, self.settings, self.client_key_id, dialects_digest())


def find_workspace(root: Path) -> Workspace:
    """The workspace at a directory. Raises UserError where that is none, or has an odd name."""
    refuse_odd_name(root)
    if root.exists() and not root.is_dir():
        raise UserError(f"-C {root}: not a directory; name the one that is to be the workspace")
    if not root.is_dir():
        raise UserError(
            f"-C {root}: no such directory; `v6share init {root}` makes a workspace there"
        )
    return Workspace(Path(os.path.abspath(root)))  # noqa: PTH100 - resolve would follow links


def refuse_odd_name(root: Path) -> None:
    """Raise UserError for a path that is not UTF-8: neither DuckDB nor a message could say it."""
    if not is_utf8(str(root.absolute())):
        raise UserError(f"-C {storable(str(root))}: the path is not UTF-8; give another place")


def configure(root: Path, flags: Mapping[str, Any] | None = None) -> Configured:
    """Everything of a workspace; makes the client key at the first run.

    flags: by name, as ``--threads``; None is "not given". Raises UserError and
    CatalogError.
    """
    workspace = find_workspace(root)
    return read_declared(workspace, read_settings(workspace, flags))


def read_declared(workspace: Workspace, settings: Settings) -> Configured:
    """The rest of a workspace whose settings are read. As ``configure``."""
    texts = read_catalog_texts(workspace)
    catalog = parse_catalog(texts)
    return Configured(
        workspace=workspace,
        settings=settings,
        catalog=catalog,
        client_key=read_client_key(workspace),
        doubts=doubts(texts, read_settings_text(workspace), catalog, settings),
    )


def configure_for_reading(root: Path, flags: Mapping[str, Any] | None = None) -> Configured:
    """The same, for a job that changes nothing: where there is no key yet, one of zeros."""
    workspace = find_workspace(root)
    key = read_client_key(workspace) if storage.exists(workspace.client_key) else bytes(KEY_BYTES)
    return Configured(
        workspace=workspace,
        settings=read_settings(workspace, flags),
        catalog=read_catalog(workspace),
        client_key=key,
    )
