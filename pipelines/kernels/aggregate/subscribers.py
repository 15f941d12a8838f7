"""Subscribers that have too many prefixes at once to be one: a text that stands for many of them.

Of each subscriber 64 bits are kept: a client's prefix sets the one that its hash names. So many
bits tell how many prefixes there are, and two parts are united by OR, in any order. It takes some
100 bytes for each subscriber of an input.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from v6share.pipelines.kernels.aggregate.findings import Found
from v6share.pipelines.kernels.aggregate.groups import GroupArrays, Groups
from v6share.pipelines.kernels.flow_batch import I64, U32, U64
from v6share.pipelines.kernels.jit import compiled

# As many bits are set, on average, by 24 prefixes: 64 (1 - e^(-24 / 64)).
_MANY_BITS: Final = 20
# The measures of a subscriber. Bytes are two limbs of 32 bits; of the first row stands how far it
# is before _NO_ROW, so that measures that are 0 have met none.
_PREFIXES, _ROWS, _HIGH, _LOW, _FIRST = range(5)
_MEASURES: Final = 5
_NO_ROW: Final = 2**62


class Subscribers:
    """The subscribers that one thread has met in one input."""

    def __init__(self) -> None:
        """Have met nobody yet."""
        self.groups = Groups(_MEASURES)

    def add(self, subscribers: U64, prefixes: U64, octets: I64, rows: I64) -> None:
        """Add flows: hashes of subscriber and prefix, bytes, and their rows in the file."""
        group = self.groups.find(subscribers, np.zeros(len(subscribers), np.uint64))
        _add(self.groups.arrays, group, prefixes, octets, rows)


def with_many_prefixes(parts: Iterable[Subscribers]) -> Found | None:
    """The flows of subscribers with about two dozen prefixes or more; None where there are none."""
    met = Groups(_MEASURES)
    for part in parts:
        met.absorb(part.groups, _unite)
    _, _, measures = met.filled()
    many = measures[np.bitwise_count(measures[:, _PREFIXES].view(np.uint64)) >= _MANY_BITS]
    if not len(many):
        return None
    first = _NO_ROW - int(many[:, _FIRST].max())
    octets = (int(many[:, _HIGH].sum()) << 32) + int(many[:, _LOW].sum())
    return Found(int(many[:, _ROWS].sum()), octets, first, f"row {first}")


@compiled
def _add(table: GroupArrays, group: U32, prefixes: U64, octets: I64, rows: I64) -> None:
    measures = table.measures
    for i in range(len(group)):
        of = measures[group[i]]
        of[_PREFIXES] |= np.int64(1) << np.int64(prefixes[i] & np.uint64(63))
        of[_ROWS] += 1
        of[_HIGH] += octets[i] >> 32
        of[_LOW] += octets[i] & 0xFFFFFFFF
        of[_FIRST] = max(of[_FIRST], _NO_ROW - rows[i])


@compiled
def _unite(table: GroupArrays, group: U32, more: I64) -> None:
    measures = table.measures
    for i in range(len(group)):
        of = measures[group[i]]
        of[_PREFIXES] |= more[i, _PREFIXES]
        of[_FIRST] = max(of[_FIRST], more[i, _FIRST])
        for k in (_ROWS, _HIGH, _LOW):
            of[k] += more[i, k]
