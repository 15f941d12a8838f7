"""Longest-prefix match in bulk: prefixes become disjoint sorted intervals, found by one index.

The whole 128-bit space is covered: interval i holds the addresses from start i up to the start
of interval i + 1. IPv4 lives in ``::ffff:0:0/96``. A look-up answers with the interval's value.

A table over the leading 24 bits answers most IPv4 look-ups at once and leaves a short search to
the others. Decided against: a search over all intervals (4.5 M look-ups/s in NumPy), and a
multi-stride trie behind the table (a quarter slower: IPv6 prefixes crowd, and every node is one
more wait for memory, where the search stays within a few neighbouring lines).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I32, U8, U64

MAPPED = np.uint64(0xFFFF)
_MANY_INTERVALS = 20_000


@dataclass(frozen=True)
class Intervals:
    """Disjoint intervals of the whole space: ascending 128-bit starts, the first is ``::``."""

    hi: U64
    lo: U64
    value: I32


class FamilyIndex(NamedTuple):
    """Intervals of one family with a first level over the leading bits.

    slots (2^bits,): the value where one interval covers all addresses with these leading bits,
    else ``-1 - b``: bucket b says between which intervals to search.
    buckets (b, 2): the interval in which the slot begins, and the last one that starts in it.
    hi, lo, values: the intervals; IPv4 addresses stand in the upper half of hi.
    """

    bits: int
    slots: I32
    buckets: I32
    hi: U64
    lo: U64
    values: I32


class Index(NamedTuple):
    """One index a family."""

    v4: FamilyIndex
    v6: FamilyIndex


def flatten_prefixes(hi: U64, lo: U64, length: U8, value: I32, default: int) -> Intervals:
    """Flatten prefixes into disjoint intervals, the longest prefix winning.

    hi, lo: first addresses, host bits zero; length: 0 to 128 in the 128-bit space; value and
    default: 0 or more, because the index marks its buckets with negative numbers.
    Equal prefixes must have been refused before: here the later one would win.
    """
    order = np.lexsort((length, lo, hi))
    out_hi, out_lo, out_value, count = _sweep(
        hi[order], lo[order], length[order], value[order], np.int32(default)
    )
    return Intervals(out_hi[:count].copy(), out_lo[:count].copy(), out_value[:count].copy())


@compiled
def _after(hi: np.uint64, lo: np.uint64, length: np.uint8) -> tuple[np.uint64, np.uint64]:
    """Give the first address behind the prefix; 0, 0 at the end of the space."""
    one = np.uint64(1)
    if length == 0:
        return np.uint64(0), np.uint64(0)
    if length <= 64:
        return hi + (one << np.uint64(64 - length)), np.uint64(0)
    low = lo + (one << np.uint64(128 - length))
    return (hi + one if low == 0 else hi), low


@compiled
def _sweep(
    hi: U64, lo: U64, length: U8, value: I32, default: np.int32
) -> tuple[U64, U64, I32, int]:
    """Walk nested prefixes in address order with the stack of those still open."""
    n = len(hi)
    out_hi = np.empty(2 * n + 1, np.uint64)
    out_lo = np.empty(2 * n + 1, np.uint64)
    out_value = np.empty(2 * n + 1, np.int32)
    out_hi[0], out_lo[0], out_value[0] = np.uint64(0), np.uint64(0), default
    count = 1
    end_hi = np.empty(130, np.uint64)
    end_lo = np.empty(130, np.uint64)
    open_value = np.empty(130, np.int32)
    depth = 0
    open_value[0] = default
    for i in range(n):
        while depth > 0 and _ended(end_hi[depth], end_lo[depth], hi[i], lo[i]):
            at_hi, at_lo = end_hi[depth], end_lo[depth]
            depth -= 1
            count = _emit(out_hi, out_lo, out_value, count, at_hi, at_lo, open_value[depth])
        count = _emit(out_hi, out_lo, out_value, count, hi[i], lo[i], value[i])
        depth += 1
        end_hi[depth], end_lo[depth] = _after(hi[i], lo[i], length[i])
        open_value[depth] = value[i]
    while depth > 0:
        at_hi, at_lo = end_hi[depth], end_lo[depth]
        depth -= 1
        if at_hi != 0 or at_lo != 0:
            count = _emit(out_hi, out_lo, out_value, count, at_hi, at_lo, open_value[depth])
    return out_hi, out_lo, out_value, count


@compiled
def _ended(end_hi: np.uint64, end_lo: np.uint64, hi: np.uint64, lo: np.uint64) -> bool:
    """Tell whether a prefix ends at or before an address; 0, 0 stands behind the whole space."""
    if end_hi == 0 and end_lo == 0:
        return False
    return bool(end_hi < hi or (end_hi == hi and end_lo <= lo))


@compiled
def _emit(
    out_hi: U64,
    out_lo: U64,
    out_value: I32,
    count: int,
    hi: np.uint64,
    lo: np.uint64,
    value: np.int32,
) -> int:
    """Append a boundary; one at the same place is replaced, an equal neighbour is not repeated."""
    if out_hi[count - 1] == hi and out_lo[count - 1] == lo:
        out_value[count - 1] = value
        if count > 1 and out_value[count - 2] == value:
            return count - 1
        return count
    if out_value[count - 1] == value:
        return count
    out_hi[count], out_lo[count], out_value[count] = hi, lo, value
    return count + 1


def overlay(a: Intervals, b: Intervals) -> tuple[Intervals, I32]:
    """Cut two layers at the boundaries of both: intervals of a's values, and b's values."""
    hi, lo, a_value, b_value, count = _overlay(a.hi, a.lo, a.value, b.hi, b.lo, b.value)
    cut = Intervals(hi[:count].copy(), lo[:count].copy(), a_value[:count].copy())
    return cut, b_value[:count].copy()


@compiled
def _overlay(
    a_hi: U64, a_lo: U64, a_value: I32, b_hi: U64, b_lo: U64, b_value: I32
) -> tuple[U64, U64, I32, I32, int]:
    size = len(a_hi) + len(b_hi)
    hi, lo = np.empty(size, np.uint64), np.empty(size, np.uint64)
    from_a, from_b = np.empty(size, np.int32), np.empty(size, np.int32)
    i, j, count = 0, 0, 0
    while i < len(a_hi) or j < len(b_hi):
        a_next = j == len(b_hi) or (
            i < len(a_hi) and (a_hi[i] < b_hi[j] or (a_hi[i] == b_hi[j] and a_lo[i] <= b_lo[j]))
        )
        b_next = i == len(a_hi) or (
            j < len(b_hi) and (b_hi[j] < a_hi[i] or (b_hi[j] == a_hi[i] and b_lo[j] <= a_lo[i]))
        )
        if a_next:
            hi[count], lo[count] = a_hi[i], a_lo[i]
            i += 1
        if b_next:
            hi[count], lo[count] = b_hi[j], b_lo[j]
            j += 1
        from_a[count], from_b[count] = a_value[i - 1], b_value[j - 1]
        count += 1
    return hi, lo, from_a, from_b, count


def build_index(intervals: Intervals) -> Index:
    """Build the index of both families."""
    first, last = _mapped_range(intervals.hi, intervals.lo)
    v4_starts = intervals.lo[first:last] & np.uint64(0xFFFFFFFF)
    v4_values = intervals.value[first:last]
    # The interval that covers 0.0.0.0 may begin before the mapped range.
    if first == last or intervals.lo[first] != MAPPED << np.uint64(32):
        v4_starts = np.concatenate((np.zeros(1, np.uint64), v4_starts))
        v4_values = np.concatenate((intervals.value[first - 1 : first], v4_values))
    zeros = np.zeros(len(v4_starts), np.uint64)
    return Index(
        _family_index(v4_starts << np.uint64(32), zeros, v4_values),
        _family_index(intervals.hi, intervals.lo, intervals.value),
    )


def _family_index(hi: U64, lo: U64, values: I32) -> FamilyIndex:
    bits = 24 if len(hi) > _MANY_INTERVALS else 12
    slots, buckets = _first_level(hi, lo, values, bits)
    # Copied by NumPy, which asks for huge pages; look-ups are random, and a page that must be
    # looked up itself costs more than the memory.
    return FamilyIndex(
        bits, np.array(slots), np.array(buckets), np.array(hi), np.array(lo), np.array(values)
    )


@compiled
def _mapped_range(hi: U64, lo: U64) -> tuple[int, int]:
    first = 0
    while first < len(hi) and hi[first] == 0 and (lo[first] >> np.uint64(32)) < MAPPED:
        first += 1
    last = first
    while last < len(hi) and hi[last] == 0 and (lo[last] >> np.uint64(32)) == MAPPED:
        last += 1
    return first, last


@compiled
def _first_level(hi: U64, lo: U64, values: I32, bits: int) -> tuple[I32, I32]:
    """Fill the slots: a value where one interval covers it, else the bucket to search."""
    shift = np.uint64(64 - bits)
    slots = np.empty(1 << bits, np.int32)
    buckets = np.empty((len(hi), 2), np.int32)
    used = 0
    i = 0
    for s in range(1 << bits):
        begin = np.uint64(s) << shift
        while i + 1 < len(hi) and (hi[i + 1] < begin or (hi[i + 1] == begin and lo[i + 1] == 0)):
            i += 1
        last = i
        while last + 1 < len(hi) and (hi[last + 1] >> shift) == np.uint64(s):
            last += 1
        if last == i:
            slots[s] = values[i]
        else:
            slots[s] = -1 - used
            buckets[used, 0], buckets[used, 1] = i, last
            used += 1
            i = last
    return slots, buckets[:used]


def find_values(index: Index, hi: U64, lo: U64) -> I32:
    """Give the value of each address's interval; shapes (n,), (n,) -> (n,)."""
    out = np.empty(len(hi), np.int32)
    _find(index.v4, hi, lo, True, out)
    _find(index.v6, hi, lo, False, out)
    return out


@compiled
def _find(index: FamilyIndex, hi: U64, lo: U64, v4: bool, out: I32) -> None:
    """Look up the addresses of one family; the entries of the others are left alone.

    In short passes of independent reads without a branch between: so the processor overlaps
    their waiting for memory.
    """
    slots, buckets, values = index.slots, index.buckets, index.values
    starts_hi, starts_lo = index.hi, index.lo
    shift = np.uint64(64 - index.bits)
    n = len(hi)
    rows, found, keys = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint64)
    count = 0
    for i in range(n):
        rows[count] = i
        keys[count] = lo[i] << np.uint64(32) if v4 else hi[i]
        count += (hi[i] == 0 and (lo[i] >> np.uint64(32)) == MAPPED) == v4
    for k in range(count):
        found[k] = slots[keys[k] >> shift]
    left = 0
    for k in range(count):
        row, key, value = rows[k], keys[k], found[k]
        out[row] = value
        rows[left], keys[left], found[left] = row, key, value
        left += value < 0
    for k in range(left):
        row, key, bucket = rows[k], keys[k], -1 - found[k]
        low = np.uint64(0) if v4 else lo[row]
        a, b = buckets[bucket, 0], buckets[bucket, 1]
        while a < b:
            middle = (a + b + 1) >> 1
            if starts_hi[middle] < key or (starts_hi[middle] == key and starts_lo[middle] <= low):
                a = middle
            else:
                b = middle - 1
        out[row] = values[a]
