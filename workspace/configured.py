"""From a workspace on disk to settings, catalog and client key. Reads files and the environment;
what the texts mean is the business of ``schemas``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from v6share.schemas.catalog.lint import doubts
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.catalog.version import catalog_version
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Settings
from v6share.workspace import storage
from v6share.workspace.catalog_files import (
    read_catalog,
    read_catalog_texts,
)
from v6share.workspace.client_key import KEY_BYTES, key_id, read_client_key
from v6share.workspace.find import find_workspace
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings, read_settings_text


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
        return self.version_under(self.client_key_id)

    def version_under(self, key_id: str) -> str:
        """What that version is where the client key is the one with this id, all else the same."""
        return catalog_version(self.catalog, self.settings, key_id, dialects_digest())

    def versions_under(self, key_ids: Iterable[str]) -> frozenset[str]:
        """The same under each of some keys, without the present version."""
        return frozenset(map(self.version_under, key_ids)) - {self.catalog_version}


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
