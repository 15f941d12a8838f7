"""The catalog files, which the operator writes: read, and not yet understood."""

from pathlib import Path
from typing import Final

from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.parse import exporters_header, parse_catalog
from v6share.schemas.catalog.propose import with_text_behind
from v6share.schemas.errors import CatalogError, UserError
from v6share.schemas.text.wording import nearest
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_ALIKE: Final = 0.75
_SUFFIXES: Final = {Path(name).suffix for name in CATALOG_FILES}


def read_catalog(workspace: Workspace) -> Catalog:
    """The files in ``catalog/``; a missing folder is an empty catalog. Raises CatalogError."""
    return parse_catalog(read_catalog_texts(workspace))


def append_to_apps(workspace: Workspace, text: str) -> None:
    """Put text behind what stands in apps.toml, which stays to the byte. All or nothing.

    Raises CatalogError, and leaves the file as it is, where the catalog would be none with it.
    """
    texts = read_catalog_texts(workspace)
    file = workspace.catalog / "apps.toml"
    data = with_text_behind(texts.get(file.name, b""), text)
    parse_catalog(texts | {file.name: data})
    storage.rewrite(file, data)


def read_catalog_texts(workspace: Workspace) -> dict[str, bytes]:
    """The content of each file in ``catalog/`` that may be one of the catalog, by name."""
    if storage.exists(workspace.catalog) and not workspace.catalog.is_dir():
        raise UserError(f"{workspace.catalog}: found a file, expected a folder of catalog files")
    files = filter(_may_be_meant, storage.list_files(workspace.catalog))
    return {file.name: storage.read(file) for file in files}


def _may_be_meant(file: Path) -> bool:
    """Tell a file that is one of the catalog, or that a slip of the hand keeps from being one.

    Not a backup: ``apps.toml.bak``, ``apps.old`` and ``apps.toml~`` are nobody's slip.
    """
    is_hidden = file.name.startswith(".") or file.name.endswith("~")
    return not is_hidden and nearest(file.suffix, _SUFFIXES, _ALIKE) is not None


def declared_stamp(workspace: Workspace) -> tuple[object, ...]:
    """What shows that catalog and settings are as they were, without reading them."""
    files = [*filter(_may_be_meant, storage.list_files(workspace.catalog)), workspace.settings]
    return tuple((file.name, storage.status(file)) for file in files)


def read_exporters_header(workspace: Workspace) -> tuple[str, ...]:
    """The columns of the workspace's ``exporters.csv``; none where it has no header to add to."""
    try:
        return tuple(exporters_header(storage.read(workspace.catalog / "exporters.csv")))
    except (OSError, CatalogError):
        return ()  # only advice is made from it; the run reads the file and says what is wrong
