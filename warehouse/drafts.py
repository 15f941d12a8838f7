"""Files that are made beside their place and renamed into it, and what killed runs left of them."""

import os
from pathlib import Path


def draft_in(folder: Path, kind: str) -> Path:
    """Where this process makes a DuckDB file of a kind."""
    return folder / f".{kind}.{os.getpid()}.duckdb"


def remove_drafts(folder: Path, kind: str) -> None:
    """Remove all drafts of a kind, and their logs. Hold the workspace: nobody else writes then."""
    for file in folder.glob(f".{kind}.*.duckdb*"):
        file.unlink(missing_ok=True)
