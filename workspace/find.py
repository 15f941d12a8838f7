"""Which directory is the workspace. Light to import: who only asks loads no catalog."""

import os
from pathlib import Path

from v6share.schemas.errors import UserError
from v6share.schemas.text.plain import is_utf8, storable
from v6share.workspace.paths import Workspace


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
