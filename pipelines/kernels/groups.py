"""A growing table of groups: two-word keys to rows of integer measures, in first-seen order.

Kernels fill it until it is full and say where they stopped; ``Groups.grow`` doubles it and the
kernel goes on there. Memory is bounded by the number of distinct groups, never by rows.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I32, I64, U64, Bool

_FIRST_CAPACITY: Final = 1024


class GroupArrays(NamedTuple):
    """slots (2 * capacity,): group number or -1; keys (capacity,); measures (capacity, m)."""

    slots: I32
    key_a: U64
    key_b: U64
    measures: I64
    used: I64


@compiled
def _hash(a: np.uint64, b: np.uint64) -> np.uint64:
    """Mix two words (the finisher of splitmix64, Steele et al. 2014)."""
    x = (a * np.uint64(0x9E3779B97F4A7C15)) ^ b
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def group_of(table: GroupArrays, a: np.uint64, b: np.uint64) -> int:
    """Find the group of a key, or make it with zero measures. The caller keeps one row free."""
    mask = np.uint64(len(table.slots) - 1)
    at = _hash(a, b) & mask
    while True:
        group = table.slots[at]
        if group < 0:
            group = table.used[0]
            table.slots[at] = group
            table.key_a[group] = a
            table.key_b[group] = b
            table.used[0] = group + 1
            return int(group)
        if table.key_a[group] == a and table.key_b[group] == b:
            return int(group)
        at = (at + np.uint64(1)) & mask


@compiled
def _find_groups(table: GroupArrays, a: U64, b: U64, wanted: Bool, group: I32, first: int) -> int:
    """Find or make the groups of rows from ``first`` on; give the row that needs room, or n."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    slots, key_a, key_b, used = table.slots, table.key_a, table.key_b, table.used
    mask = np.uint64(len(slots) - 1)
    for i in range(first, len(a)):
        if not wanted[i]:
            group[i] = -1
            continue
        at = _hash(a[i], b[i]) & mask
        found = slots[at]
        while found >= 0 and (key_a[found] != a[i] or key_b[found] != b[i]):
            at = (at + np.uint64(1)) & mask
            found = slots[at]
        if found < 0:
            if used[0] == len(key_a):
                return i
            found = np.int32(used[0])
            slots[at] = found
            key_a[found], key_b[found] = a[i], b[i]
            used[0] += 1
        group[i] = found
    return len(a)


@compiled
def _refill(slots: I32, key_a: U64, key_b: U64, count: int) -> None:
    mask = np.uint64(len(slots) - 1)
    for group in range(count):
        at = _hash(key_a[group], key_b[group]) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = group


class Groups:
    """Owns the arrays of one table."""

    def __init__(self, measures: int) -> None:
        self.arrays = GroupArrays(
            np.full(2 * _FIRST_CAPACITY, -1, np.int32),
            np.empty(_FIRST_CAPACITY, np.uint64),
            np.empty(_FIRST_CAPACITY, np.uint64),
            np.zeros((_FIRST_CAPACITY, measures), np.int64),
            np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return int(self.arrays.used[0])

    def find(self, a: U64, b: U64, wanted: Bool) -> I32:
        """Give the group number of each key, made where it is new; -1 for rows not wanted."""
        group = np.empty(len(a), np.int32)
        at = 0
        while (at := _find_groups(self.arrays, a, b, wanted, group, at)) < len(a):
            self.grow()
        return group

    def grow(self) -> None:
        """Double the room."""
        old, count = self.arrays, len(self)
        capacity = 2 * len(old.key_a)
        slots = np.full(2 * capacity, -1, np.int32)
        key_a, key_b = np.empty(capacity, np.uint64), np.empty(capacity, np.uint64)
        measures = np.zeros((capacity, old.measures.shape[1]), np.int64)
        key_a[:count], key_b[:count] = old.key_a[:count], old.key_b[:count]
        measures[:count] = old.measures[:count]
        _refill(slots, key_a, key_b, count)
        self.arrays = GroupArrays(slots, key_a, key_b, measures, old.used)

    def filled(self) -> tuple[U64, U64, NDArray[np.int64]]:
        """Give the keys and measures so far: shapes (n,), (n,), (n, m)."""
        n = len(self)
        return self.arrays.key_a[:n], self.arrays.key_b[:n], self.arrays.measures[:n]
