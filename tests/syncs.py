"""What is synced to disk while a test runs."""

import os
from pathlib import Path

import pytest


def note_syncs(monkeypatch: pytest.MonkeyPatch, made: Path) -> list[tuple[int, bool]]:
    """The inode of all that is synced from now on, and whether ``made`` was there already."""
    fsync = os.fsync
    synced: list[tuple[int, bool]] = []

    def noted(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, made.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return synced
