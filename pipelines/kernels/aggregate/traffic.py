"""Flows to traffic groups: every counter split over its 5-minute windows, to the byte.

RFC 7015's proportional distribution in integers: of a counter c over d milliseconds the first t
carry floor(c * t / d), a window carries the difference of two such numbers; so the pieces sum to
c and each is less than 1 off. Where c * t passes 64 bits, c = q * d + r makes of it
q * t + floor(r * t / d), which needs no wide product.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.groups import GroupArrays, Groups, group_of
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED, Measures
from v6share.pipelines.kernels.classify.decide import Decisions
from v6share.pipelines.kernels.flow_batch import I32, I64, U8, U32, U64
from v6share.pipelines.kernels.int128 import add, divide, multiply
from v6share.pipelines.kernels.jit import compiled
from v6share.schemas.aggregates import HOUR_MS, WINDOW_MS

RECORDS: Final = 0
TCP_OPENS: Final = 1
PACKETS: Final = 2
BYTES: Final = 3
SAMPLED_PACKETS: Final = 4
SAMPLED_BYTES: Final = 5
VARIANCE_HI: Final = 6
VARIANCE_LO: Final = 7
# Eight words are a cache line. Bytes whose error is not known are rare and stand in a table of
# their own, under the same keys.
MEASURES: Final = 8
ERROR_MEASURES: Final = 1

# Word A of a key: window, vantage, then class, underlay, direction, family. Word B: service,
# client.
_VANTAGE_BITS: Final = 17
_TRAIT_BITS: Final = 11
_WINDOW_SHIFT: Final = _VANTAGE_BITS + _TRAIT_BITS
# Counters of 64 bits that are split, from ``PACKETS`` on.
_SPLIT: Final = 4
# No duration reaches 2^31 ms, so a smaller counter times a part of one fits into 64 bits.
_NARROW: Final = np.uint64(1 << 33)
# Pieces of flows that are added at once.
_MOST_PIECES: Final = 1 << 18


class TrafficInputs(NamedTuple):
    """Columns of n flows. exporter: its number in the accumulator; vantage_of: of each exporter."""

    start_ms: I64
    end_ms: I64
    packets: I64
    octets: I64
    family: U8
    exporter: U32
    vantage_of: I32


@compiled
def split_before(counter: int, upto: int, duration: int) -> int:
    """Give the part of a counter that the first ``upto`` of ``duration`` milliseconds carry."""
    # Unsigned: nothing is negative here, and a signed division rounds the other way first.
    c, t, d = np.uint64(counter), np.uint64(upto), np.uint64(duration)
    if c < _NARROW:
        return int(c * t // d)
    return int(c // d * t + c % d * t // d)


@compiled
def split_wide_before(
    hi: np.uint64, lo: np.uint64, upto: int, duration: int
) -> tuple[np.uint64, np.uint64]:
    """Do the same for a counter of 128 bits; duration below 2^31."""
    if hi == 0:
        part = lo // np.uint64(duration) * np.uint64(upto)
        rest = lo % np.uint64(duration) * np.uint64(upto)
        return hi, part + rest // np.uint64(duration)
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


class _Keyed(NamedTuple):
    """Some flows: their rows, and their keys in the window of their start. Shapes (m,)."""

    rows: U32
    a: U64
    b: U64


@compiled
def _keys(flows: TrafficInputs, verdict: U8, decisions: Decisions) -> tuple[_Keyed, _Keyed]:
    """Part the counted flows: those that end in the window of their start, and the others."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, families = flows.start_ms, flows.end_ms, flows.family
    exporters, vantages = flows.exporter, flows.vantage_of
    classes, underlays, directions = decisions.ip_class, decisions.underlay, decisions.direction
    services, clients = decisions.service, decisions.client
    n = len(starts)
    within, longer = np.empty(n, np.uint32), np.empty(n, np.uint32)
    within_a, within_b = np.empty(n, np.uint64), np.empty(n, np.uint64)
    longer_a, longer_b = np.empty(n, np.uint64), np.empty(n, np.uint64)
    withins, longers = 0, 0
    for i in range(n):
        # Unsigned: what starts before 1970 is not counted, and a signed division rounds first.
        window = np.uint64(starts[i]) // np.uint64(WINDOW_MS)
        traits = _traits(int(classes[i]), int(underlays[i]), int(directions[i]), int(families[i]))
        low = np.uint64(vantages[exporters[i]]) << np.uint64(_TRAIT_BITS) | np.uint64(traits)
        a = window << np.uint64(_WINDOW_SHIFT) | low
        b = np.uint64(services[i]) << np.uint64(32) | np.uint64(clients[i])
        # Written to both and kept in one, or in none.
        within[withins], within_a[withins], within_b[withins] = i, a, b
        longer[longers], longer_a[longers], longer_b[longers] = i, a, b
        goes_on = ends[i] > np.int64((window + np.uint64(1)) * np.uint64(WINDOW_MS))
        counted = verdict[i] == COUNTED
        withins += counted & (not goes_on)
        longers += counted & goes_on
    return (
        _Keyed(within[:withins], within_a[:withins], within_b[:withins]),
        _Keyed(longer[:longers], longer_a[:longers], longer_b[:longers]),
    )


@compiled
def _add_within(
    table: GroupArrays, group: U32, rows: U32, flows: TrafficInputs, measures: Measures
) -> None:
    """Add flows that end in the window of their start: all of a flow to one group."""
    sums = table.measures
    sampled_packets, sampled_octets = flows.packets, flows.octets
    packets, octets, opens = measures.packets, measures.octets, measures.tcp_opens
    variance_hi, variance_lo = measures.variance_hi, measures.variance_lo
    for k in range(len(rows)):
        i, g = rows[k], group[k]
        sums[g, RECORDS] += 1
        sums[g, TCP_OPENS] += opens[i]
        sums[g, PACKETS] += packets[i]
        sums[g, BYTES] += octets[i]
        sums[g, SAMPLED_PACKETS] += sampled_packets[i]
        sums[g, SAMPLED_BYTES] += sampled_octets[i]
        low = np.uint64(sums[g, VARIANCE_LO]) + variance_lo[i]
        carry = np.uint64(low < variance_lo[i])
        sums[g, VARIANCE_LO] = np.int64(low)
        sums[g, VARIANCE_HI] += np.int64(variance_hi[i] + carry)


@compiled
def _windows(start: int, end: int) -> int:
    """Count the windows that a flow touches; a moment touches one."""
    return max((end - 1) // WINDOW_MS - start // WINDOW_MS + 1, 1)


@compiled
def _keys_of_pieces(
    keyed: _Keyed, starts: I64, ends: I64, first: int, most: int
) -> tuple[U64, U64, int]:
    """Give the keys of the pieces of flows, window by window, and the flow behind the last one.

    From flow ``first`` of keyed on; at most ``most`` pieces, but one flow at least.
    """
    rows, key_a, key_b = keyed.rows, keyed.a, keyed.b
    behind, pieces = first, 0
    while behind < len(rows):
        windows = _windows(starts[rows[behind]], ends[rows[behind]])
        if behind > first and pieces + windows > most:
            break
        pieces += windows
        behind += 1
    a, b = np.empty(pieces, np.uint64), np.empty(pieces, np.uint64)
    piece = 0
    for k in range(first, behind):
        for later in range(_windows(starts[rows[k]], ends[rows[k]])):
            a[piece] = key_a[k] + (np.uint64(later) << np.uint64(_WINDOW_SHIFT))
            b[piece] = key_b[k]
            piece += 1
    return a, b, behind


@compiled
def _add_over_windows(
    table: GroupArrays, group: U32, rows: U32, flows: TrafficInputs, measures: Measures
) -> None:
    """Add flows to every window that they touch; group: of each piece, flow after flow.

    What a window carries is the difference of two running numbers, so each is computed once.
    """
    sums = table.measures
    starts, ends = flows.start_ms, flows.end_ms
    sampled_packets, sampled_octets = flows.packets, flows.octets
    packets, octets, opens = measures.packets, measures.octets, measures.tcp_opens
    variance_hi, variance_lo = measures.variance_hi, measures.variance_lo
    whole, before = np.empty(_SPLIT, np.int64), np.empty(_SPLIT, np.int64)
    piece = 0
    for i in rows:
        start, duration = starts[i], ends[i] - starts[i]
        windows = _windows(start, ends[i])
        whole[0], whole[1] = packets[i], octets[i]
        whole[2], whole[3] = sampled_packets[i], sampled_octets[i]
        before[:] = 0
        before_hi, before_lo = np.uint64(0), np.uint64(0)
        sums[group[piece], RECORDS] += 1
        sums[group[piece], TCP_OPENS] += opens[i]
        for later in range(windows):
            g = group[piece]
            piece += 1
            upto = (start // WINDOW_MS + later + 1) * WINDOW_MS - start
            ends_here = later + 1 == windows
            for m in range(_SPLIT):
                part = whole[m] if ends_here else split_before(whole[m], upto, duration)
                sums[g, PACKETS + m] += part - before[m]
                before[m] = part
            part_hi, part_lo = variance_hi[i], variance_lo[i]
            if not ends_here:
                part_hi, part_lo = split_wide_before(part_hi, part_lo, upto, duration)
            borrow = np.uint64(part_lo < before_lo)
            sum_hi, sum_lo = add(
                np.uint64(sums[g, VARIANCE_HI]),
                np.uint64(sums[g, VARIANCE_LO]),
                part_hi - before_hi - borrow,
                part_lo - before_lo,
            )
            sums[g, VARIANCE_HI], sums[g, VARIANCE_LO] = np.int64(sum_hi), np.int64(sum_lo)
            before_hi, before_lo = part_hi, part_lo


def add_flows(
    groups: Groups, flows: TrafficInputs, measures: Measures, decisions: Decisions
) -> None:
    """Add every counted flow of a batch to the traffic groups."""
    within, longer = _keys(flows, measures.verdict, decisions)
    group = groups.find(within.a, within.b)
    _add_within(groups.arrays, group, within.rows, flows, measures)
    for rows, group in _found_pieces(groups, longer, flows):
        _add_over_windows(groups.arrays, group, rows, flows, measures)


def _found_pieces(groups: Groups, keyed: _Keyed, flows: TrafficInputs) -> Iterator[tuple[U32, U32]]:
    """Give flows, some at a time, and the group of each of their pieces, made where it is new."""
    first = 0
    while first < len(keyed.rows):
        a, b, behind = _keys_of_pieces(keyed, flows.start_ms, flows.end_ms, first, _MOST_PIECES)
        yield keyed.rows[first:behind], groups.find(a, b)
        first = behind


@compiled
def add_sums(table: GroupArrays, group: U32, values: I64) -> None:
    """Add rows of traffic measures to their groups; shapes (n,), (n, ``MEASURES``)."""
    sums = table.measures
    for k in range(len(group)):
        row, value = sums[group[k]], values[k]
        hi, lo = add(
            np.uint64(row[VARIANCE_HI]),
            np.uint64(row[VARIANCE_LO]),
            np.uint64(value[VARIANCE_HI]),
            np.uint64(value[VARIANCE_LO]),
        )
        for m in range(VARIANCE_HI):
            row[m] += value[m]
        row[VARIANCE_HI], row[VARIANCE_LO] = np.int64(hi), np.int64(lo)


@compiled
def _add_errors(
    table: GroupArrays, group: U32, rows: U32, flows: TrafficInputs, unknown: I64
) -> None:
    """Split the bytes whose error is not known like all others."""
    sums = table.measures
    starts, ends = flows.start_ms, flows.end_ms
    piece = 0
    for i in rows:
        start, end = starts[i], ends[i]
        windows, before = _windows(start, end), 0
        for later in range(windows):
            upto = (start // WINDOW_MS + later + 1) * WINDOW_MS - start
            ends_here = later + 1 == windows
            part = unknown[i] if ends_here else split_before(unknown[i], upto, end - start)
            sums[group[piece], 0] += part - before
            before = part
            piece += 1


def add_errors(
    groups: Groups, flows: TrafficInputs, measures: Measures, decisions: Decisions
) -> None:
    """Add the bytes whose sampling error is not known, under the keys of ``add_flows``."""
    unknown = measures.error_unknown
    if not unknown.any():
        return
    for keyed in _keys(flows, measures.verdict, decisions):
        some = unknown[keyed.rows] != 0
        those = _Keyed(keyed.rows[some], keyed.a[some], keyed.b[some])
        for rows, group in _found_pieces(groups, those, flows):
            _add_errors(groups.arrays, group, rows, flows, unknown)


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
def _note_presence(
    table: GroupArrays, exporters_met: int, flows: TrafficInputs, measures: Measures, first: int
) -> int:
    """Note each flow in every hour that it touches; word A: hour, word B: exporter, family."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, exporters, families = flows.start_ms, flows.end_ms, flows.exporter, flows.family
    verdicts, intervals = measures.verdict, measures.interval
    packets, octets = measures.packets, measures.octets
    rows, used = table.measures, table.used
    room = len(table.keys)
    # The hour that an exporter was last met in, by exporter and family, and its group.
    met_hour = np.full(4 * exporters_met, -1, np.int64)
    met_group = np.empty(4 * exporters_met, np.int64)
    for i in range(first, len(starts)):
        if verdicts[i] != COUNTED:
            continue
        start, end = starts[i], ends[i]
        hour = start // HOUR_MS
        last_hour = hour if end <= (hour + 1) * HOUR_MS else (end - 1) // HOUR_MS
        if used[0] + (last_hour - hour + 1) > room:
            return i
        who = 4 * np.int64(exporters[i]) + families[i]
        if met_hour[who] != hour:
            met_hour[who], met_group[who] = hour, group_of(table, np.uint64(hour), _who(who))
        row = rows[met_group[who]]
        _note_span(row, intervals[i], start, end)
        row[HOUR_RECORDS] += 1
        if hour == last_hour:
            row[HOUR_PACKETS] += packets[i]
            row[HOUR_BYTES] += octets[i]
            continue
        before_packets, before_octets = 0, 0
        for later in range(hour, last_hour + 1):
            row = rows[group_of(table, np.uint64(later), _who(who))]
            _note_span(row, intervals[i], start, end)
            # An hour's part is the sum of its windows' parts: both are differences of one
            # running number.
            upto_packets, upto_octets = packets[i], octets[i]
            if later < last_hour:
                upto = (later + 1) * HOUR_MS - start
                upto_packets = split_before(upto_packets, upto, end - start)
                upto_octets = split_before(upto_octets, upto, end - start)
            row[HOUR_PACKETS] += upto_packets - before_packets
            row[HOUR_BYTES] += upto_octets - before_octets
            before_packets, before_octets = upto_packets, upto_octets
    return len(starts)


@compiled
def _note_span(row: I64, interval: int, start: int, end: int) -> None:
    """Widen the span of intervals and times that a row of presence has."""
    if row[MET] == 0:
        row[SAMPLING_MIN], row[SAMPLING_MAX], row[MET] = interval, interval, 1
        row[FIRST_SEEN], row[LAST_SEEN] = start, end
    # Branches that are hardly ever taken cost less than a write at every flow.
    if interval < row[SAMPLING_MIN]:
        row[SAMPLING_MIN] = interval
    if interval > row[SAMPLING_MAX]:
        row[SAMPLING_MAX] = interval
    if start < row[FIRST_SEEN]:
        row[FIRST_SEEN] = start
    row[LAST_SEEN] = max(row[LAST_SEEN], end)


@compiled
def _who(number: int) -> np.uint64:
    """Word B of a presence key: exporter, then 8 bits of family."""
    return np.uint64(number >> 2) << np.uint64(8) | np.uint64(number & 3)


def note_presence(
    groups: Groups, exporters_met: int, flows: TrafficInputs, measures: Measures
) -> None:
    """Note per hour, exporter and family: its sums, sampling intervals, first and last time.

    exporters_met: how many exporters there are; their numbers are below.
    """
    at = 0
    while (at := _note_presence(groups.arrays, exporters_met, flows, measures, at)) < len(
        flows.start_ms
    ):
        groups.grow()


@compiled
def add_rows(table: GroupArrays, group: U32, values: I64) -> None:
    """Add rows of counts to their groups; shapes (n,), (n, m)."""
    for i in range(len(group)):
        for m in range(values.shape[1]):
            table.measures[group[i], m] += values[i, m]


def add_counts(groups: Groups, a: I64, b: I64, values: I64) -> None:
    """Add rows of counts under their keys; shapes (n,), (n,), (n, m)."""
    group = groups.find(a.view(np.uint64), b.view(np.uint64))
    add_rows(groups.arrays, group, values)
