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
from v6share.pipelines.kernels.flows import I32, I64, U8, U64, Bool
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

# Word A of a key: window, vantage, then class, underlay, direction, family. Word B: service,
# client.
_VANTAGE_BITS: Final = 17
_TRAIT_BITS: Final = 11
_WINDOW_SHIFT: Final = _VANTAGE_BITS + _TRAIT_BITS


class TrafficInputs(NamedTuple):
    """Columns of n flows. ``exporter``: number of the exporter within the lane."""

    start_ms: I64
    end_ms: I64
    packets: I64
    octets: I64
    family: U8
    exporter: I32
    vantage: I32


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
    """Give (window number, vantage, ip_class, underlay, direction, family) of words A."""
    a = np.asarray(key_a, np.uint64)

    def field(shift: int, bits: int) -> np.ndarray:
        return ((a >> np.uint64(shift)) & np.uint64((1 << bits) - 1)).astype(np.int64)

    window = (a >> np.uint64(_WINDOW_SHIFT)).astype(np.int64)
    return (
        window,
        field(_TRAIT_BITS, _VANTAGE_BITS),
        *(field(shift, bits) for shift, bits in ((6, 5), (4, 2), (2, 2), (0, 2))),
    )


@compiled
def _add_piece(row: I64, weights: I64, wide: U64, before: int, upto: int, duration: int) -> None:
    """Add the part of a flow between two offsets of its duration to a group's measures.

    weights: its measures from ``PACKETS`` to ``SAMPLED_BYTES``, then its unknown error;
    wide: its variance, high and low.
    """
    for m in range(4):
        row[PACKETS + m] += split_before(weights[m], upto, duration) - split_before(
            weights[m], before, duration
        )
    row[ERROR_UNKNOWN] += split_before(weights[4], upto, duration) - split_before(
        weights[4], before, duration
    )
    if wide[0] != 0 or wide[1] != 0:
        upto_hi, upto_lo = split_wide_before(wide[0], wide[1], upto, duration)
        before_hi, before_lo = split_wide_before(wide[0], wide[1], before, duration)
        borrow = np.uint64(1) if upto_lo < before_lo else np.uint64(0)
        sum_hi, sum_lo = add(
            np.uint64(row[VARIANCE_HI]),
            np.uint64(row[VARIANCE_LO]),
            upto_hi - before_hi - borrow,
            upto_lo - before_lo,
        )
        row[VARIANCE_HI], row[VARIANCE_LO] = np.int64(sum_hi), np.int64(sum_lo)


@compiled
def _keys(flows: TrafficInputs, verdict: U8, decisions: Decisions) -> tuple[U64, U64, Bool]:
    """Give the key of each flow in the window of its start, and which flows go on behind it."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, families, vantages = flows.start_ms, flows.end_ms, flows.family, flows.vantage
    classes, underlays, directions = decisions.ip_class, decisions.underlay, decisions.direction
    services, clients = decisions.service, decisions.client
    n = len(starts)
    a, b, longer = np.empty(n, np.uint64), np.empty(n, np.uint64), np.zeros(n, np.bool_)
    for i in range(n):
        window = starts[i] // WINDOW_MS
        longer[i] = verdict[i] == COUNTED and ends[i] > (window + 1) * WINDOW_MS
        traits = _traits(int(classes[i]), int(underlays[i]), int(directions[i]), int(families[i]))
        low = np.uint64(vantages[i]) << np.uint64(_TRAIT_BITS) | np.uint64(traits)
        a[i] = np.uint64(window) << np.uint64(_WINDOW_SHIFT) | low
        b[i] = np.uint64(services[i]) << np.uint64(32) | np.uint64(clients[i])
    return a, b, longer


@compiled
def _add_within(
    table: GroupArrays, group: I32, flows: TrafficInputs, measures: Measures, longer: Bool
) -> None:
    """Add each flow to the group of its start: all of it, unless it goes on behind its window."""
    sums = table.measures
    sampled_packets, sampled_octets = flows.packets, flows.octets
    packets, octets, opens = measures.packets, measures.octets, measures.tcp_opens
    variance_hi, variance_lo = measures.variance_hi, measures.variance_lo
    unknown = measures.error_unknown
    for i in range(len(group)):
        g = group[i]
        if g < 0:
            continue
        sums[g, RECORDS] += 1
        sums[g, TCP_OPENS] += opens[i]
        if longer[i]:
            continue
        sums[g, PACKETS] += packets[i]
        sums[g, BYTES] += octets[i]
        sums[g, SAMPLED_PACKETS] += sampled_packets[i]
        sums[g, SAMPLED_BYTES] += sampled_octets[i]
        sums[g, ERROR_UNKNOWN] += unknown[i]
        low = np.uint64(sums[g, VARIANCE_LO]) + variance_lo[i]
        carry = np.uint64(1) if low < variance_lo[i] else np.uint64(0)
        sums[g, VARIANCE_LO] = np.int64(low)
        sums[g, VARIANCE_HI] += np.int64(variance_hi[i] + carry)


@compiled
def _add_over_windows(
    table: GroupArrays,
    a: U64,
    b: U64,
    starts: I64,
    ends: I64,
    weights: I64,
    wide: U64,
    first: int,
) -> int:
    """Add flows to every window that they touch; give the flow that needs room, or n."""
    sums, used, room = table.measures, table.used, len(table.key_a)
    for i in range(first, len(a)):
        start, end = starts[i], ends[i]
        window = start // WINDOW_MS
        windows = (end - 1) // WINDOW_MS - window + 1
        if used[0] + windows > room:
            return i
        before = 0
        for later in range(windows):
            upto = min((window + later + 1) * WINDOW_MS, end) - start
            group = group_of(table, a[i] + (np.uint64(later) << np.uint64(_WINDOW_SHIFT)), b[i])
            _add_piece(sums[group], weights[i], wide[i], before, upto, end - start)
            before = upto
    return len(a)


def add_flows(
    groups: Groups, flows: TrafficInputs, measures: Measures, decisions: Decisions
) -> None:
    """Add every counted flow of a batch to the traffic groups."""
    a, b, longer = _keys(flows, measures.verdict, decisions)
    group = groups.find(a, b, measures.verdict == COUNTED)
    _add_within(groups.arrays, group, flows, measures, longer)
    rows = np.flatnonzero(longer)
    weights = np.stack(
        [
            column[rows]
            for column in (
                measures.packets,
                measures.octets,
                flows.packets,
                flows.octets,
                measures.error_unknown,
            )
        ],
        axis=1,
    )
    wide = np.stack([measures.variance_hi[rows], measures.variance_lo[rows]], axis=1)
    starts, ends = flows.start_ms[rows], flows.end_ms[rows]
    a, b, at = a[rows], b[rows], 0
    while (at := _add_over_windows(groups.arrays, a, b, starts, ends, weights, wide, at)) < len(
        rows
    ):
        groups.grow()


SAMPLING_MIN: Final = 0
SAMPLING_MAX: Final = 1
FIRST_SEEN: Final = 2
LAST_SEEN: Final = 3
MET: Final = 4
HOUR_RECORDS: Final = 5
HOUR_PACKETS: Final = 6
HOUR_BYTES: Final = 7
PRESENCE_MEASURES: Final = 8


@compiled
def _note_presence(table: GroupArrays, flows: TrafficInputs, measures: Measures, first: int) -> int:
    """Note each flow in every hour that it touches; word A: hour, word B: exporter, family."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, exporters, families = flows.start_ms, flows.end_ms, flows.exporter, flows.family
    verdicts, intervals = measures.verdict, measures.interval
    packets, octets = measures.packets, measures.octets
    rows, count = table.measures, table.used
    room = len(table.key_a)
    known_a = known_b = ~np.uint64(0)
    group = 0
    for i in range(first, len(starts)):
        if verdicts[i] != COUNTED:
            continue
        start, end = starts[i], ends[i]
        first_hour = start // HOUR_MS
        last_hour = (end - 1) // HOUR_MS if end > start else first_hour
        if count[0] + (last_hour - first_hour + 1) > room:
            return i
        b = np.uint64(exporters[i]) << np.uint64(8) | np.uint64(families[i])
        for hour in range(first_hour, last_hour + 1):
            a = np.uint64(hour)
            # Neighbours mostly share the hour and the exporter.
            if a != known_a or b != known_b:
                group = group_of(table, a, b)
                known_a, known_b = a, b
            row = rows[group]
            if row[MET] == 0:
                row[SAMPLING_MIN] = row[SAMPLING_MAX] = intervals[i]
                row[FIRST_SEEN], row[LAST_SEEN], row[MET] = start, end, 1
            row[SAMPLING_MIN] = min(row[SAMPLING_MIN], intervals[i])
            row[SAMPLING_MAX] = max(row[SAMPLING_MAX], intervals[i])
            row[FIRST_SEEN] = min(row[FIRST_SEEN], start)
            row[LAST_SEEN] = max(row[LAST_SEEN], end)
            row[HOUR_RECORDS] += hour == first_hour
            if first_hour == last_hour:
                row[HOUR_PACKETS] += packets[i]
                row[HOUR_BYTES] += octets[i]
            else:
                # An hour's part is the sum of its windows' parts: both are differences of one
                # running number.
                before = max(hour * HOUR_MS - start, 0)
                upto = min((hour + 1) * HOUR_MS, end) - start
                duration = end - start
                row[HOUR_PACKETS] += split_before(packets[i], upto, duration) - split_before(
                    packets[i], before, duration
                )
                row[HOUR_BYTES] += split_before(octets[i], upto, duration) - split_before(
                    octets[i], before, duration
                )
    return len(starts)


def note_presence(groups: Groups, flows: TrafficInputs, measures: Measures) -> None:
    """Note per hour, exporter and family: its sums, sampling intervals, first and last time."""
    at = 0
    while (at := _note_presence(groups.arrays, flows, measures, at)) < len(flows.start_ms):
        groups.grow()


@compiled
def _add_counts(table: GroupArrays, group: I32, values: I64) -> None:
    for i in range(len(group)):
        for m in range(values.shape[1]):
            table.measures[group[i], m] += values[i, m]


def add_counts(groups: Groups, a: I64, b: I64, values: I64) -> None:
    """Add rows of counts under their keys; shapes (n,), (n,), (n, m)."""
    group = groups.find(a.view(np.uint64), b.view(np.uint64), np.ones(len(a), np.bool_))
    _add_counts(groups.arrays, group, values)
