"""What a crash of the machine must not take back: bytes of files, and their names."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make created, renamed and removed names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
