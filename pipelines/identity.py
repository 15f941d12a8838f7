"""The identity of an input: SHA-256 of its bytes. Light to import; can be begun ahead of need.

With it goes what shows whether the file is the same one still when its rows have been counted: a
file may be written to meanwhile and have size and time as before, for both can be set. The time at
which the system changed it last cannot, and another file in its place has another number.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from os import fstat, stat_result
from pathlib import Path
from typing import Final, NamedTuple

from v6share.schemas.outcome import FoundInput

# Large, as between two chunks a thread must wait for its turn to speak to Python.
_CHUNK_BYTES: Final = 4 << 20


class Stamp(NamedTuple):
    """Which file it is, and how it was last changed: size, times in ns since 1970 UTC."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: stat_result) -> "Stamp":
        """The stamp of a file's status."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


class Identity(NamedTuple):
    """Hex digest of the bytes that were read, and the stamp of the file before."""

    input_id: str
    stamp: Stamp

    def is_still_that_of(self, found: FoundInput) -> bool:
        """Whether the file there is the one that was found and read, as it was then."""
        if (self.stamp.size, self.stamp.mtime_ns) != (found.size, found.mtime_ns):
            return False
        try:
            return Stamp.of(Path(found.path).stat()) == self.stamp
        except OSError:
            return False


class Identities:
    """The identities of inputs, some of them begun ahead of need by a thread of their own."""

    def __init__(self) -> None:
        self._begun: dict[FoundInput, Future[Identity]] = {}

    def hash_early(self, inputs: Sequence[FoundInput], thread: Executor) -> None:
        """Begin to hash inputs, in order.

        ``of`` hashes an input itself, where the thread has not come to it when it is needed.
        """
        self._begun.update((found, thread.submit(_digest, found.path)) for found in inputs)

    def of(self, found: FoundInput) -> Identity:
        """Give an input's identity. Raises OSError where its bytes cannot be had."""
        begun = self._begun.pop(found, None)
        if begun is None or begun.cancel():
            return _digest(found.path)
        return begun.result()


def _digest(path: str) -> Identity:
    sha, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
    with Path(path).open("rb", buffering=0) as file:
        stamp = Stamp.of(fstat(file.fileno()))
        while size := file.readinto(buffer):
            sha.update(buffer[:size])
    return Identity(sha.hexdigest(), stamp)
