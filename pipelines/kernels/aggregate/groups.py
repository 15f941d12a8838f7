"""A growing table of groups: two-word keys to rows of integer measures, in first-seen order.

Kernels fill it until it is full and say where they stopped; ``Groups.grow`` doubles it and the
kernel goes on there. Memory is bounded by the number of distinct groups, never by rows.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aligned import zeros_in_lines
from v6share.pipelines.kernels.flow_batch import I64, U32, U64
from v6share.pipelines.kernels.jit import compiled

_FIRST_CAPACITY: Final = 1024
_BLOCK: Final = 1024
# A slot without a group.
_NONE: Final = np.uint32(0xFFFFFFFF)


class GroupArrays(NamedTuple):
    """slots (2 * capacity,): group number, or ``_NONE``; keys, measures (capacity, 2 or m)."""

    slots: U32
    keys: U64
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
    return _probe(table.slots, table.keys, table.used, _hash(a, b), a, b)


@compiled
def _probe(slots: U32, keys: U64, used: I64, at: np.uint64, a: np.uint64, b: np.uint64) -> int:
    """Find or make a group, from a slot on; -1 where it must be made and no row is free."""
    mask = np.uint64(len(slots) - 1)
    at &= mask
    while True:
        group = slots[at]
        if group == _NONE:
            made = np.uint32(used[0])
            if made == len(keys):
                return -1
            slots[at] = made
            keys[made, 0], keys[made, 1] = a, b
            used[0] += 1
            return int(made)
        if keys[group, 0] == a and keys[group, 1] == b:
            return int(group)
        at = (at + np.uint64(1)) & mask


@compiled
def _find_groups(table: GroupArrays, a: U64, b: U64, group: U32, first: int) -> int:
    """Find or make the groups of keys from ``first`` on; give the key that needs room, or n.

    In short passes of independent reads, so that the processor overlaps their waiting.
    """
    # Held in local names: to read an array from a tuple counts references, at every row.
    slots, keys, used = table.slots, table.keys, table.used
    mask = np.uint64(len(slots) - 1)
    at, near = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint32)
    for begin in range(first, len(a), _BLOCK):
        count = min(_BLOCK, len(a) - begin)
        for k in range(count):
            at[k] = _hash(a[begin + k], b[begin + k]) & mask
        for k in range(count):
            near[k] = slots[at[k]]
        for k in range(count):
            i = begin + k
            found = near[k]
            if found != _NONE and keys[found, 0] == a[i] and keys[found, 1] == b[i]:
                group[i] = found
                continue
            number = _probe(slots, keys, used, at[k], a[i], b[i])
            if number < 0:
                return i
            group[i] = number
    return len(a)


@compiled
def _refill(slots: U32, keys: U64, count: int) -> None:
    mask = np.uint64(len(slots) - 1)
    for group in range(count):
        at = _hash(keys[group, 0], keys[group, 1]) & mask
        while slots[at] != _NONE:
            at = (at + np.uint64(1)) & mask
        slots[at] = group


class Groups:
    """Owns the arrays of one table."""

    def __init__(self, measures: int) -> None:
        self.arrays = _room(_FIRST_CAPACITY, measures)

    def __len__(self) -> int:
        return int(self.arrays.used[0])

    def find(self, a: U64, b: U64) -> U32:
        """Give the group number of each key, made where it is new."""
        group = np.empty(len(a), np.uint32)
        at = 0
        while (at := _find_groups(self.arrays, a, b, group, at)) < len(a):
            self.grow()
        return group

    def grow(self) -> None:
        """Double the room."""
        old, count = self.arrays, len(self)
        new = _room(2 * len(old.keys), old.measures.shape[1])
        new.keys[:count], new.measures[:count] = old.keys[:count], old.measures[:count]
        new.used[0] = count
        _refill(new.slots, new.keys, count)
        self.arrays = new

    def absorb(self, other: "Groups", add: Callable[[GroupArrays, U32, I64], None]) -> None:
        """Add the groups of another table; ``add`` adds rows of measures to groups."""
        a, b, measures = other.filled()
        group = self.find(a, b)
        add(self.arrays, group, measures)

    def filled(self) -> tuple[U64, U64, I64]:
        """Give the keys and measures so far: shapes (n,), (n,), (n, m)."""
        n = len(self)
        return self.arrays.keys[:n, 0], self.arrays.keys[:n, 1], self.arrays.measures[:n]


def _room(capacity: int, measures: int) -> GroupArrays:
    return GroupArrays(
        np.full(2 * capacity, _NONE, np.uint32),
        np.empty((capacity, 2), np.uint64),
        zeros_in_lines((capacity, measures), np.int64),
        np.zeros(1, np.int64),
    )
