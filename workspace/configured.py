"""From a workspace on disk to settings, catalog and client key. Reads files and the environment;
what the texts mean is the business of ``schemas``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from v6share.schemas.catalog.lint import doubts
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.catalog.version import catalog_version
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import CatalogError, Mistakes, joined
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
    return read_declared(workspace, read_settings_first(workspace, flags))


def read_settings_first(workspace: Workspace, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings, of a workspace whose catalog is read later.

    Raises CatalogError as ``read_settings``; what is wrong in the catalog is said in the same go.
    """
    try:
        return read_settings(workspace, flags)
    except CatalogError as error:
        mistakes = Mistakes()
        mistakes.add(error)
        with mistakes.gathered():
            read_catalog(workspace)
        raise joined(mistakes.found) from None


def read_declared(workspace: Workspace, settings: Settings) -> Configured:
    """The rest of a workspace whose settings are read. As ``configure``."""
    return _declared(workspace, settings, lambda: read_client_key(workspace))


def _declared(workspace: Workspace, settings: Settings, key: Callable[[], bytes]) -> Configured:
    """The catalog first: what is wrong in it makes no key."""
    texts = read_catalog_texts(workspace)
    catalog = parse_catalog(texts)
    return Configured(
        workspace=workspace,
        settings=settings,
        catalog=catalog,
        client_key=key(),
        doubts=doubts(texts, read_settings_text(workspace), catalog, settings, _today()),
    )


def _today() -> date:
    return datetime.now(UTC).date()


def configure_for_reading(root: Path, flags: Mapping[str, Any] | None = None) -> Configured:
    """The same, for a job that changes nothing: where there is no key yet, one of zeros."""
    workspace = find_workspace(root)
    settings = read_settings_first(workspace, flags)
    has_key = storage.exists(workspace.client_key)
    return _declared(
        workspace, settings, lambda: read_client_key(workspace) if has_key else bytes(KEY_BYTES)
    )
