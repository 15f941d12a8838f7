"""What a flow weighs: its sampling interval, its scaled counters, their error, its verdict.

Integers throughout. scaled = floor((c * num + den // 2) / den). The variance is
V = N (N - 1) Q, rounded up, with Q = o^2 for one packet and the Bhatia-Davis bound
o (m + M) - k m M, at least o^2 / k, for k packets of o octets in all (docs/kpis.md). Counters
stay below 2^53, so N^2 o^2 stays below 2^106 and 128 bits hold every product.
"""

from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.sampling_interval import (
    interval_of,
    sampling_intervals,
)
from v6share.pipelines.kernels.classify.decide import V6
from v6share.pipelines.kernels.flow_batch import I16, I64, U8, U16, U32, U64, Bool
from v6share.pipelines.kernels.int128 import add, divide, multiply
from v6share.pipelines.kernels.jit import compiled
from v6share.pipelines.kernels.normalise.times import FIRST_MS
from v6share.schemas.ledger import REJECT_REASONS

LARGEST_COUNTER: Final = 2**53
COUNTED: Final = 255
# No clock of a router shows the last day of 9999; its reporting day might be one too late to name.
LAST_MS: Final = 253_402_214_399_999
_NO_TIME: Final = REJECT_REASONS.index("no_time")
_TOO_LONG: Final = REJECT_REASONS.index("duration_too_long")
_NO_INTERVAL: Final = REJECT_REASONS.index("no_sampling_interval")
_OVERFLOW: Final = REJECT_REASONS.index("counter_overflow")
_MINIMUM_V4: Final = 40
_MINIMUM_V6: Final = 60
# So N (N - 1) Q stays below 2^15 2^15 2^33 for several packets, 2^15 2^15 2^16 2^16 for one.
_USUAL_INTERVAL: Final = 2**15
_USUAL_OCTETS: Final = 2**20
_USUAL_PACKET: Final = 2**16
_USUAL_BOUND: Final = 2**33
_SYN: Final = 2
_TCP: Final = 6


class MeasureInputs(NamedTuple):
    """Columns of n flows; ``layer2_octets``, ``sampling_*``, ``pre_scaled`` may have shape (0,):
    no interval, and a denominator of 1.

    exporter: number of each row's exporter. declared: an exporter's sampling interval in the
    catalog, 0 = none; override: it wins over the record's. Both have one entry an exporter.
    """

    start_ms: I64
    end_ms: I64
    faults: U16
    family: U8
    packets: I64
    octets: I64
    layer2_octets: I64
    sampling_num: I64
    sampling_den: I64
    pre_scaled: Bool
    protocol: I16
    tcp_flags: I16
    exporter: U32
    declared: I64
    override: Bool


class Measures(NamedTuple):
    """Per flow: verdict (``COUNTED`` or a position in ``REJECT_REASONS``) and its weights.

    interval: N rounded up, so that only 1 is unsampled; 0 where counters were scaled already and
    N is not known.
    """

    verdict: U8
    interval: I64
    packets: I64
    octets: I64
    tcp_opens: I64
    variance_hi: U64
    variance_lo: U64
    error_unknown: I64


def measure(
    flows: MeasureInputs, max_duration_ms: int, unknown_interval: int, max_packet: int
) -> Measures:
    """Weigh every flow.

    unknown_interval: what an unknown interval counts as; 0 = reject the row.
    max_packet: M of the bound, bytes.
    """
    measures, wide = _measure(flows, max_duration_ms, unknown_interval, max_packet)
    for row in np.flatnonzero(wide):
        _measure_exactly(flows, measures, int(row), unknown_interval, max_packet)
    return measures


@compiled
def counted_span(starts: I64, ends: I64, verdict: U8) -> tuple[int, int]:
    """Give the first start and the last end of the counted flows; without any, first > last."""
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for i in range(len(verdict)):
        counted = verdict[i] == COUNTED
        first = min(first, starts[i]) if counted else first
        last = max(last, ends[i]) if counted else last
    return first, last


@compiled
def scale(count: int, num: int, den: int) -> int:
    """Scale a counter of at most 2^53 by num / den, halves up; -1 where it passes 2^53."""
    if den == 1:
        # count * num may pass 64 bits, the quotient tells before multiplying.
        if count > 0 and num > LARGEST_COUNTER // count:
            return -1
        return count * num
    hi, lo = multiply(np.uint64(count), np.uint64(num))
    hi, lo = add(hi, lo, np.uint64(0), np.uint64(den // 2))
    quotient_hi, quotient_lo, _ = divide(hi, lo, np.uint64(den))
    if quotient_hi != 0 or quotient_lo > np.uint64(LARGEST_COUNTER):
        return -1
    return int(quotient_lo)


@compiled
def variance(
    interval: int, octets: int, packets: int, smallest: int, largest: int
) -> tuple[np.uint64, np.uint64]:
    """Give V as (high, low) for a whole interval below 2^32 and octets below 2^46.

    The bound less o^2 / k is k (M - o / k) (o / k - m), so it is the greater one exactly where
    the mean packet lies between m and M.
    """
    if packets > 1 and packets * smallest <= octets <= packets * largest:
        bound = octets * (smallest + largest) - packets * smallest * largest
        return multiply(np.uint64(interval) * np.uint64(interval - 1), np.uint64(bound))
    all_octets = np.uint64(interval) * np.uint64(octets)
    hi, lo = multiply(all_octets, all_octets - np.uint64(octets))
    if packets == 1:
        return hi, lo
    hi, lo, rest = divide(hi, lo, np.uint64(packets))
    return add(hi, lo, np.uint64(0), np.uint64(1 if rest != 0 else 0))


@compiled
def _lowest_bit(bits: np.uint16) -> int:
    for i in range(16):
        if bits & np.uint16(1 << i):
            return i
    return COUNTED


@compiled
def _measure(
    flows: MeasureInputs, max_duration_ms: int, unknown_interval: int, max_packet: int
) -> tuple[Measures, Bool]:
    n = len(flows.faults)
    measures = Measures(
        np.empty(n, np.uint8),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.uint64),
        np.empty(n, np.uint64),
        np.empty(n, np.int64),
    )
    wide = np.zeros(n, np.bool_)
    nums, dens, known = sampling_intervals(
        flows.exporter,
        flows.sampling_num,
        flows.sampling_den,
        flows.pre_scaled,
        flows.declared,
        flows.override,
        unknown_interval,
    )
    usual = _measure_usual(flows, nums, max_duration_ms, max_packet, measures)
    if len(dens) > 0 or len(flows.layer2_octets) > 0:
        usual[:] = False
    for i in range(n):
        if not usual[i]:
            den = dens[i] if len(dens) > 0 else 1
            error_known = known[i] if len(known) > 0 else True
            wide[i] = _measure_one(
                flows, i, nums[i], den, error_known, max_duration_ms, max_packet, measures
            )
    return measures, wide


@compiled
def _measure_usual(
    flows: MeasureInputs, nums: I64, max_duration_ms: int, max_packet: int, measures: Measures
) -> Bool:
    """Weigh every row as if it were a usual one, and give which ones are.

    Usual: nothing is wrong with it, its numbers are so small that no product passes 64 bits, and
    the mean packet lies between the smallest and the largest. One loop without branches, which
    the compiler does for several rows at once; the others are weighed again, one by one.
    """
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, faults, families = flows.start_ms, flows.end_ms, flows.faults, flows.family
    all_packets, all_octets, protocols = flows.packets, flows.octets, flows.protocol
    tcp_flags, verdict, interval = flows.tcp_flags, measures.verdict, measures.interval
    packets, octets, opens = measures.packets, measures.octets, measures.tcp_opens
    var_hi, var_lo, unknown = measures.variance_hi, measures.variance_lo, measures.error_unknown
    n = len(faults)
    usual = np.empty(n, np.bool_)
    for i in range(n):
        num, count, size = nums[i], all_packets[i], all_octets[i]
        smallest = _MINIMUM_V6 if families[i] == V6 else _MINIMUM_V4
        scaled = size * num
        bound = size * (smallest + max_packet) - count * (smallest * max_packet)
        single = count == 1
        # N (N - 1) Q, with Q = o^2 for a packet.
        var_lo[i] = np.uint64(scaled * (scaled - size) if single else num * (num - 1) * bound)
        is_open = (protocols[i] == _TCP) & (tcp_flags[i] > 0) & (tcp_flags[i] & _SYN > 0)
        verdict[i], interval[i], var_hi[i], unknown[i] = COUNTED, num, 0, 0
        packets[i], octets[i], opens[i] = count * num, scaled, num * is_open
        fits = (faults[i] == 0) & (starts[i] >= FIRST_MS) & (ends[i] <= LAST_MS)
        fits &= (ends[i] - starts[i] <= max_duration_ms) & (num > 0) & (num <= _USUAL_INTERVAL)
        fits &= (size >= 0) & (size <= _USUAL_OCTETS) & (count >= 1) & (count <= _USUAL_OCTETS)
        bounded = (count * smallest <= size) & (size <= count * max_packet)
        bounded &= bound <= _USUAL_BOUND
        usual[i] = fits & ((single & (size <= _USUAL_PACKET)) | (bounded & (not single)))
    if len(flows.pre_scaled) > 0:
        usual &= ~flows.pre_scaled
    return usual


@compiled
def _measure_one(
    flows: MeasureInputs,
    i: int,
    num: int,
    den: int,
    error_known: bool,
    max_duration_ms: int,
    max_packet: int,
    measures: Measures,
) -> bool:
    """Weigh any row; tell whether its variance needs ``_measure_exactly``."""
    measures.interval[i], measures.packets[i], measures.octets[i] = 0, 0, 0
    measures.tcp_opens[i], measures.error_unknown[i] = 0, 0
    measures.variance_hi[i], measures.variance_lo[i] = 0, 0
    faults = flows.faults[i]
    if flows.start_ms[i] < FIRST_MS or flows.end_ms[i] > LAST_MS:
        faults |= np.uint16(1 << _NO_TIME)
    elif flows.end_ms[i] - flows.start_ms[i] > max_duration_ms:
        faults |= np.uint16(1 << _TOO_LONG)
    if num == 0:
        faults |= np.uint16(1 << _NO_INTERVAL)
    measures.verdict[i] = _lowest_bit(faults)
    if faults != 0:
        return False
    count, size = flows.packets[i], flows.octets[i]
    if len(flows.layer2_octets) > 0:
        size = max(size - flows.layer2_octets[i] * count, 0)
    if count > LARGEST_COUNTER or size > LARGEST_COUNTER or den >= 1 << 32 or num >= 1 << 62:
        measures.verdict[i] = _OVERFLOW
        return False
    if len(flows.pre_scaled) > 0 and flows.pre_scaled[i]:
        packets, octets = count, size
        count, size = max(count // num, 1), size // num
    else:
        packets, octets = scale(count, num, den), scale(size, num, den)
        if packets < 0 or octets < 0:
            measures.verdict[i] = _OVERFLOW
            return False
    measures.packets[i], measures.octets[i] = packets, octets
    measures.interval[i] = -(-num // den) if error_known else 0
    if flows.protocol[i] == _TCP and flows.tcp_flags[i] > 0 and flows.tcp_flags[i] & _SYN:
        measures.tcp_opens[i] = scale(1, num, den)
    if not error_known:
        measures.error_unknown[i] = octets
        return False
    if num == den:
        return False
    if den != 1 or num >= 1 << 32 or size >= 1 << 46 or count >= 1 << 32:
        return True
    smallest = _MINIMUM_V6 if flows.family[i] == V6 else _MINIMUM_V4
    hi, lo = variance(num, size, count, smallest, max_packet)
    measures.variance_hi[i], measures.variance_lo[i] = hi, lo
    return False


def _measure_exactly(
    flows: MeasureInputs, measures: Measures, row: int, unknown_interval: int, max_packet: int
) -> None:
    """Fill in the variance of a row whose interval is a fraction or whose numbers are huge."""
    exporter = flows.exporter[row]
    pre_scaled = len(flows.pre_scaled) > 0 and bool(flows.pre_scaled[row])
    num, den, _ = interval_of(
        int(flows.sampling_num[row]) if len(flows.sampling_num) else 0,
        int(flows.sampling_den[row]) if len(flows.sampling_den) else 1,
        pre_scaled,
        int(flows.declared[exporter]),
        bool(flows.override[exporter]),
        unknown_interval,
    )
    interval = Fraction(int(num), int(den))
    count, size = int(flows.packets[row]), int(flows.octets[row])
    if len(flows.layer2_octets):
        size = max(size - int(flows.layer2_octets[row]) * count, 0)
    if pre_scaled:
        count, size = max(count // int(num), 1), size // int(num)
    smallest = _MINIMUM_V6 if flows.family[row] == V6 else _MINIMUM_V4
    value = exact_variance(interval, size, count, smallest, max_packet)
    measures.variance_hi[row] = value >> 64
    measures.variance_lo[row] = value & (2**64 - 1)


def exact_variance(
    interval: Fraction, octets: int, packets: int, smallest: int, largest: int
) -> int:
    """Give V = ceil(N (N - 1) Q) in exact arithmetic: the definition, for any numbers."""
    q = Fraction(octets * octets, packets)
    if packets > 1:
        q = max(q, Fraction(octets * (smallest + largest) - packets * smallest * largest))
    return ceil(interval * (interval - 1) * q)
