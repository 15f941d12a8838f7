"""The account of an input: rows and counters per family and verdict, exact in 128 bits.

A verdict is COUNTED, or the position of the reason for which a row is rejected in
``REJECT_REASONS``: here rejected rows are counted under their reason.
"""

from typing import Final

import numpy as np

from v6share.pipelines.kernels.flow_batch import I64, U8, U64
from v6share.pipelines.kernels.jit import compiled

_FAMILIES: Final = 3
_VERDICTS: Final = 256
ROWS: Final = 0
SAMPLED_PACKETS: Final = 1
SAMPLED_BYTES: Final = 2
PACKETS: Final = 3
BYTES: Final = 4
_COUNTERS: Final = 5


def new_tally() -> I64:
    """Zeros, shape (family, verdict, counter, 2): each counter as high and low 32-bit limbs."""
    return np.zeros((_FAMILIES, _VERDICTS, _COUNTERS, 2), np.int64)


@compiled
def _add(limbs: I64, value: int) -> None:
    # Limbs of 32 bits in 64 hold the sum of 2^31 rows; a negative counter has a negative high.
    limbs[0] += value >> 32
    limbs[1] += value & 0xFFFFFFFF


@compiled
def add_to_tally(
    tally: I64,
    family: U8,
    verdict: U8,
    sampled_packets: I64,
    sampled_octets: I64,
    packets: I64,
    octets: I64,
) -> None:
    """Add a batch: counters as exported for every row, scaled ones as measured."""
    for i in range(len(verdict)):
        entry = tally[family[i], verdict[i]]
        entry[ROWS, 1] += 1
        _add(entry[SAMPLED_PACKETS], sampled_packets[i])
        _add(entry[SAMPLED_BYTES], sampled_octets[i])
        _add(entry[PACKETS], packets[i])
        _add(entry[BYTES], octets[i])


def add_beyond(
    tally: I64,
    family: U8,
    verdict: U8,
    sampled_packets: U64 | None,
    sampled_octets: U64 | None,
) -> None:
    """Add exported counters of 2^63 and more, which stand as 0 in the columns of signed ones."""
    for counter, column in ((SAMPLED_PACKETS, sampled_packets), (SAMPLED_BYTES, sampled_octets)):
        if column is not None:
            high, low = column >> np.uint64(32), column & np.uint64(0xFFFFFFFF)
            np.add.at(tally[:, :, counter, 0], (family, verdict), high.astype(np.int64))
            np.add.at(tally[:, :, counter, 1], (family, verdict), low.astype(np.int64))


def total(limbs: I64) -> int:
    """Give the sum that two limbs stand for."""
    return (int(limbs[0]) << 32) + int(limbs[1])
