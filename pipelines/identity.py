"""The identity of an input: SHA-256 of its bytes. Light to import; can be begun ahead of need."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final

from v6share.schemas.outcome import FoundInput

# Large, as between two chunks a thread must wait for its turn to speak to Python.
_CHUNK_BYTES: Final = 4 << 20


class Identities:
    """The identities of inputs, some of them begun ahead of need by a thread of their own."""

    def __init__(self) -> None:
        self._begun: dict[FoundInput, Future[str]] = {}

    def hash_early(self, inputs: Sequence[FoundInput], thread: Executor) -> None:
        """Begin to hash inputs, in order.

        ``of`` hashes an input itself, where the thread has not come to it when it is needed.
        """
        self._begun.update((found, thread.submit(_digest, found.path)) for found in inputs)

    def of(self, found: FoundInput) -> str:
        """Give an input's identity, hex. Raises OSError where its bytes cannot be had."""
        begun = self._begun.pop(found, None)
        if begun is None or begun.cancel():
            return _digest(found.path)
        return begun.result()


def _digest(path: str) -> str:
    sha, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
    with Path(path).open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            sha.update(buffer[:size])
    return sha.hexdigest()
