"""The file of settings, which the operator writes."""

import os
from collections.abc import Mapping
from typing import Any

from v6share.schemas.errors import UserError
from v6share.schemas.settings import Settings, parse_settings
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def read_settings(workspace: Workspace, flags: Mapping[str, Any] | None = None) -> Settings:
    """``v6share.toml``, the environment and the flags; the last one wins. Raises CatalogError."""
    return parse_settings(read_settings_text(workspace), os.environ, flags or {})


def read_settings_text(workspace: Workspace) -> str | None:
    """The text of ``v6share.toml``; None where there is none. Raises UserError."""
    path = workspace.settings
    try:
        return storage.read(path).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None
