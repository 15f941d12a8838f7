"""Subscribers that have too many prefixes at once to be one: a text that stands for many of them.

Of each subscriber 64 bits are kept: a client's prefix sets the one that its hash names. So many
bits tell how many prefixes there are, and two parts are united by OR, in any order. It takes 40
bytes for each subscriber of an input.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.findings import Found
from v6share.pipelines.kernels.flow_batch import I64, U64

# As many bits are set, on average, by 24 prefixes: 64 (1 - e^(-24 / 64)).
_MANY_BITS: Final = 20
_BITS: Final = np.uint64(63)


class _Seen(NamedTuple):
    """Of each subscriber, ascending: its hash, its bits, rows, bytes in two limbs, first row."""

    subscriber: U64
    bits: U64
    rows: I64
    high: I64
    low: I64
    first_row: I64


def _none() -> _Seen:
    hashes, numbers = np.empty(0, np.uint64), np.empty(0, np.int64)
    return _Seen(hashes, hashes, numbers, numbers, numbers, numbers)


class Subscribers:
    """The subscribers that one thread has met in one input."""

    def __init__(self) -> None:
        """Have met nobody yet."""
        self._held = _none()
        self._waiting: list[_Seen] = []

    def add(self, subscribers: U64, prefixes: U64, octets: I64, rows: I64) -> None:
        """Add flows: hashes of subscriber and prefix, bytes, and their rows in the file."""
        bits = np.uint64(1) << (prefixes & _BITS)
        one = np.ones(len(rows), np.int64)
        self._waiting.append(
            _united([_Seen(subscribers, bits, one, octets >> 32, octets & 0xFFFFFFFF, rows)])
        )
        # Each is united about twice then, however many batches there are.
        if sum(len(seen.rows) for seen in self._waiting) > len(self._held.rows):
            self._held = self.all()
            self._waiting = []

    def all(self) -> _Seen:
        """All that were met."""
        return _united([self._held, *self._waiting])


def with_many_prefixes(parts: Iterable[Subscribers]) -> Found | None:
    """The flows of subscribers with about two dozen prefixes or more; None where there are none."""
    seen = _united([part.all() for part in parts])
    many = np.bitwise_count(seen.bits) >= _MANY_BITS
    if not many.any():
        return None
    first = int(seen.first_row[many].min())
    octets = (int(seen.high[many].sum()) << 32) + int(seen.low[many].sum())
    return Found(int(seen.rows[many].sum()), octets, first, f"row {first}")


def _united(parts: list[_Seen]) -> _Seen:
    """Several parts as one, each subscriber once."""
    joined = _Seen(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    subscriber, start = np.unique(joined.subscriber, return_inverse=True)
    order = np.argsort(start, kind="stable")
    begins = np.searchsorted(start[order], np.arange(len(subscriber)))
    if not len(subscriber):
        return _none()

    def folded(fold: np.ufunc, values: U64 | I64) -> np.ndarray:
        return fold.reduceat(values[order], begins)

    return _Seen(
        subscriber,
        folded(np.bitwise_or, joined.bits),
        folded(np.add, joined.rows),
        folded(np.add, joined.high),
        folded(np.add, joined.low),
        folded(np.minimum, joined.first_row),
    )
