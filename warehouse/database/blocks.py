"""Whether all blocks of a DuckDB file are as DuckDB wrote them, without reading what they mean.

DuckDB keeps a checksum with each block and compares it when it reads that block, not before: what
nobody has read yet may be damaged. To read every value of every table takes ten times as long as
to compare the checksums.

The file is three headers of 4 KiB and then blocks of 256 KiB. Each begins with its checksum: the
exclusive or of 5381 and all its other 64-bit words, each times an odd number, modulo 2^64. So one
changed word never goes unseen. Source: ``src/common/checksum.cpp`` and
``src/storage/single_file_block_manager.cpp`` of DuckDB.
"""

from io import SEEK_END, BufferedReader
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from v6share.workspace import storage

HEADERS: Final = 3
HEADER_BYTES: Final = 4096
BLOCK_BYTES: Final = 262_144
_SEED: Final = np.uint64(5381)
_FACTOR: Final = np.uint64(0xBF58476D1CE4E5B9)


def all_as_written(path: Path) -> bool:
    """Whether every header and block has the checksum that it was written with.

    False is no verdict: the block may be a free one that a killed run left half written, or the
    file may have another layout. Raises OSError.
    """
    with storage.open_file(path) as file:
        size = file.seek(0, SEEK_END) - HEADERS * HEADER_BYTES
        if size < 0 or size % BLOCK_BYTES:
            return False
        file.seek(0)
        headers = _all_fit(file, HEADERS, HEADER_BYTES)
        return headers and _all_fit(file, size // BLOCK_BYTES, BLOCK_BYTES)


def _all_fit(file: BufferedReader, count: int, size_bytes: int) -> bool:
    """Whether so many parts of a size, from where the file stands, have their checksum each."""
    words = np.empty(size_bytes // 8, "<u8")
    for _ in range(count):
        if file.readinto(words.data) != size_bytes or not _fits(words):
            return False
    return True


def _fits(words: NDArray[np.uint64]) -> bool:
    found = np.bitwise_xor.reduce(words[1:] * _FACTOR, initial=_SEED)
    return bool(found == words[0])
