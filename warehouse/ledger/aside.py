"""Moving aside what must not stay where it is, as a command for the user's shell."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def moves_of(files: Sequence[Path]) -> str:
    """What moves these files aside; empty for none. The files are all there."""
    return " && ".join(f"mv {quote(str(file))} {quote(f'{file}.lost')}" for file in files)


def moves_of_tables(journal: Path) -> str:
    """What moves aside all that was made from a journal, as far as it is there.

    Where lines of the journal are given up, whoever goes on must give up this too: it may hold what
    those lines said, and nothing is written over what the journal does not know.
    """
    workspace = Workspace(journal.parent.parent)
    made = (workspace.warehouse, workspace.published)
    return moves_of([file for file in made if storage.exists(file)])
