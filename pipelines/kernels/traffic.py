"""Flows to traffic groups: every counter split over its 5-minute windows, to the byte.

RFC 7015's proportional distribution in integers: of a counter c over d milliseconds the first t
carry floor(c * t / d), a window carries the difference of two such numbers; so the pieces sum to
c and each is less than 1 off. With c = q * d + r that is q * t + floor(r * t / d), which needs no
wide product.
"""

from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.classify import Decisions
from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I32, I64, U8, Bool
from v6share.pipelines.kernels.groups import GroupArrays, Groups, group_of
from v6share.pipelines.kernels.measure import COUNTED, Measures
from v6share.pipelines.kernels.wide import add, divide, multiply
from v6share.schemas.aggregates import HOUR_MS, WINDOW_MS

RECORDS: Final = 0
TCP_OPENS: Final = 1
PACKETS: Final = 2
BYTES: Final = 3
SAMPLED_PACKETS: Final = 4
SAMPLED_BYTES: Final = 5
VARIANCE_HI: Final = 6
VARIANCE_LO: Final = 7
ERROR_UNKNOWN: Final = 8
MEASURES: Final = 9

# Word A of a key: window, exporter, then class, underlay, direction, family. Word B: service,
# client.
EXPORTER_BITS: Final = 17
_TRAIT_BITS: Final = 11
_WINDOW_SHIFT: Final = EXPORTER_BITS + _TRAIT_BITS


class TrafficInputs(NamedTuple):
    """Columns of n flows. ``exporter``: number of the exporter within the input."""

    start_ms: I64
    end_ms: I64
    packets: I64
    octets: I64
    family: U8
    exporter: I32


@compiled
def split_before(counter: int, upto: int, duration: int) -> int:
    """Give the part of a counter that the first ``upto`` of ``duration`` milliseconds carry."""
    return (counter // duration) * upto + (counter % duration) * upto // duration


@compiled
def split_wide_before(
    hi: np.uint64, lo: np.uint64, upto: int, duration: int
) -> tuple[np.uint64, np.uint64]:
    """Do the same for a counter of 128 bits; duration below 2^31."""
    q_hi, q_lo, rest = divide(hi, lo, np.uint64(duration))
    part_hi, part_lo = multiply(q_lo, np.uint64(upto))
    part_hi += q_hi * np.uint64(upto)
    return add(part_hi, part_lo, np.uint64(0), rest * np.uint64(upto) // np.uint64(duration))


@compiled
def _traits(ip_class: int, underlay: int, direction: int, family: int) -> int:
    return (((ip_class << 2 | underlay) << 2) | direction) << 2 | family


def unpack_a(key_a: np.uint64 | np.ndarray) -> tuple[np.ndarray, ...]:
    """Give (window number, exporter, ip_class, underlay, direction, family) of words A."""
    a = np.asarray(key_a, np.uint64)

    def field(shift: int, bits: int) -> np.ndarray:
        return ((a >> np.uint64(shift)) & np.uint64((1 << bits) - 1)).astype(np.int64)

    window = (a >> np.uint64(_WINDOW_SHIFT)).astype(np.int64)
    return window, field(_TRAIT_BITS, EXPORTER_BITS), *(
        field(shift, bits) for shift, bits in ((6, 5), (4, 2), (2, 2), (0, 2))
    )


@compiled
def _add_piece(
    table: GroupArrays,
    group: int,
    i: int,
    flows: TrafficInputs,
    measures: Measures,
    before: int,
    upto: int,
    duration: int,
) -> None:
    """Add the part of flow i between two offsets of its duration to a group."""
    row = table.measures[group]
    row[PACKETS] += split_before(measures.packets[i], upto, duration) - split_before(
        measures.packets[i], before, duration
    )
    row[BYTES] += split_before(measures.octets[i], upto, duration) - split_before(
        measures.octets[i], before, duration
    )
    row[SAMPLED_PACKETS] += split_before(flows.packets[i], upto, duration) - split_before(
        flows.packets[i], before, duration
    )
    row[SAMPLED_BYTES] += split_before(flows.octets[i], upto, duration) - split_before(
        flows.octets[i], before, duration
    )
    row[ERROR_UNKNOWN] += split_before(
        measures.error_unknown[i], upto, duration
    ) - split_before(measures.error_unknown[i], before, duration)
    hi, lo = measures.variance_hi[i], measures.variance_lo[i]
    if hi != 0 or lo != 0:
        upto_hi, upto_lo = split_wide_before(hi, lo, upto, duration)
        before_hi, before_lo = split_wide_before(hi, lo, before, duration)
        borrow = np.uint64(1) if upto_lo < before_lo else np.uint64(0)
        _add_variance(row, upto_hi - before_hi - borrow, upto_lo - before_lo)


@compiled
def _add_variance(row: I64, hi: np.uint64, lo: np.uint64) -> None:
    sum_hi, sum_lo = add(
        np.uint64(row[VARIANCE_HI]), np.uint64(row[VARIANCE_LO]), hi, lo
    )
    row[VARIANCE_HI] = np.int64(sum_hi)
    row[VARIANCE_LO] = np.int64(sum_lo)


@compiled
def _add_flows(
    table: GroupArrays,
    flows: TrafficInputs,
    measures: Measures,
    decisions: Decisions,
    first: int,
) -> int:
    """Add flows from ``first`` on; give the flow for which room must be made, or n."""
    room = len(table.key_a)
    for i in range(first, len(flows.start_ms)):
        if measures.verdict[i] != COUNTED:
            continue
        start, end = flows.start_ms[i], flows.end_ms[i]
        window = start // WINDOW_MS
        last = (end - 1) // WINDOW_MS if end > start else window
        if table.count[0] + (last - window + 1) > room:
            return i
        traits = _traits(
            int(decisions.ip_class[i]),
            int(decisions.underlay[i]),
            int(decisions.direction[i]),
            int(flows.family[i]),
        )
        low = np.uint64(flows.exporter[i]) << np.uint64(_TRAIT_BITS) | np.uint64(traits)
        key_b = np.uint64(decisions.service[i]) << np.uint64(32) | np.uint64(decisions.client[i])
        group = group_of(table, np.uint64(window) << np.uint64(_WINDOW_SHIFT) | low, key_b)
        row = table.measures[group]
        row[RECORDS] += 1
        row[TCP_OPENS] += measures.tcp_opens[i]
        if last == window:
            row[PACKETS] += measures.packets[i]
            row[BYTES] += measures.octets[i]
            row[SAMPLED_PACKETS] += flows.packets[i]
            row[SAMPLED_BYTES] += flows.octets[i]
            row[ERROR_UNKNOWN] += measures.error_unknown[i]
            if measures.variance_hi[i] != 0 or measures.variance_lo[i] != 0:
                _add_variance(row, measures.variance_hi[i], measures.variance_lo[i])
            continue
        before = 0
        while window <= last:
            upto = min((window + 1) * WINDOW_MS, end) - start
            group = group_of(table, np.uint64(window) << np.uint64(_WINDOW_SHIFT) | low, key_b)
            _add_piece(table, group, i, flows, measures, before, upto, end - start)
            before = upto
            window += 1
    return len(flows.start_ms)


def add_flows(
    groups: Groups, flows: TrafficInputs, measures: Measures, decisions: Decisions
) -> None:
    """Add every counted flow of a batch to the traffic groups."""
    at = 0
    while (at := _add_flows(groups.arrays, flows, measures, decisions, at)) < len(flows.start_ms):
        groups.grow()


SAMPLING_MIN: Final = 0
SAMPLING_MAX: Final = 1
FIRST_SEEN: Final = 2
LAST_SEEN: Final = 3
MET: Final = 4
PRESENCE_MEASURES: Final = 5


@compiled
def _note_presence(
    table: GroupArrays, flows: TrafficInputs, intervals: I64, counted: Bool, first: int
) -> int:
    """Note each flow in every hour that it touches; word A: hour, word B: exporter, family."""
    room = len(table.key_a)
    known_a = known_b = ~np.uint64(0)
    group = 0
    for i in range(first, len(flows.start_ms)):
        if not counted[i]:
            continue
        start, end = flows.start_ms[i], flows.end_ms[i]
        hour = start // HOUR_MS
        last = (end - 1) // HOUR_MS if end > start else hour
        if table.count[0] + (last - hour + 1) > room:
            return i
        b = np.uint64(flows.exporter[i]) << np.uint64(8) | np.uint64(flows.family[i])
        while hour <= last:
            a = np.uint64(hour)
            # Neighbours mostly share the hour and the exporter.
            if a != known_a or b != known_b:
                group = group_of(table, a, b)
                known_a, known_b = a, b
            row = table.measures[group]
            if row[MET] == 0:
                row[SAMPLING_MIN] = row[SAMPLING_MAX] = intervals[i]
                row[FIRST_SEEN], row[LAST_SEEN], row[MET] = start, end, 1
            row[SAMPLING_MIN] = min(row[SAMPLING_MIN], intervals[i])
            row[SAMPLING_MAX] = max(row[SAMPLING_MAX], intervals[i])
            row[FIRST_SEEN] = min(row[FIRST_SEEN], start)
            row[LAST_SEEN] = max(row[LAST_SEEN], end)
            hour += 1
    return len(flows.start_ms)


def note_presence(groups: Groups, flows: TrafficInputs, measures: Measures) -> None:
    """Note per hour, exporter and family: sampling intervals seen, first and last time."""
    counted = measures.verdict == COUNTED
    at = 0
    while (
        at := _note_presence(groups.arrays, flows, measures.interval, counted, at)
    ) < len(flows.start_ms):
        groups.grow()


@compiled
def _add_counts(table: GroupArrays, a: I64, b: I64, values: I64, first: int) -> int:
    for i in range(first, len(a)):
        if table.count[0] == len(table.key_a):
            return i
        row = table.measures[group_of(table, np.uint64(a[i]), np.uint64(b[i]))]
        for m in range(values.shape[1]):
            row[m] += values[i, m]
    return len(a)


def add_counts(groups: Groups, a: I64, b: I64, values: I64) -> None:
    """Add rows of counts under their keys; shapes (n,), (n,), (n, m)."""
    at = 0
    while (at := _add_counts(groups.arrays, a, b, values, at)) < len(a):
        groups.grow()
