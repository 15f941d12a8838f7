"""The file beside the published one that says why newer numbers are held back.

Who reads the published file may not read the warehouse, where the reason is kept, too.
"""

from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def say_held_back(workspace: Workspace, why: str) -> None:
    """Write why the published file misses something; nothing is left where why is empty."""
    if why:
        storage.write(workspace.held_back, f"{why}\n".encode())
    else:
        storage.remove(workspace.held_back)


def why_held_back(workspace: Workspace) -> str:
    """What stands beside the published file; empty where it misses nothing, or nobody can tell."""
    try:
        return storage.read(workspace.held_back).decode(errors="replace").strip()
    except OSError:
        return ""
