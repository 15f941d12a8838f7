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

from v6share.pipelines.kernels.classify import V6
from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I16, I32, I64, U8, U16, U64, Bool
from v6share.pipelines.kernels.times import FIRST_MS
from v6share.pipelines.kernels.wide import add, divide, multiply
from v6share.schemas.ledger import REJECT_REASONS

LARGEST_COUNTER: Final = 2**53
COUNTED: Final = 255
# No clock of a router shows the year 10000.
LAST_MS: Final = 253_402_300_799_999
_NO_TIME: Final = REJECT_REASONS.index("no_time")
_TOO_LONG: Final = REJECT_REASONS.index("duration_too_long")
_NO_INTERVAL: Final = REJECT_REASONS.index("no_sampling_interval")
_OVERFLOW: Final = REJECT_REASONS.index("counter_overflow")
_MINIMUM_V4: Final = 40
_MINIMUM_V6: Final = 60
# The product of two such numbers is below ``LARGEST_COUNTER``.
_SMALL: Final = 2**26
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
    exporter: I32
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
        _measure_exactly(flows, measures, int(row), max_packet)
    return measures


@compiled
def scale(count: int, num: int, den: int) -> int:
    """Scale a counter of at most 2^53 by num / den, halves up; -1 where it passes 2^53."""
    if den == 1:
        if count <= _SMALL and num <= _SMALL:
            return count * num
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
    bounded = packets > 1 and packets * smallest <= octets <= packets * largest
    all_octets = np.uint64(interval) * np.uint64(octets)
    if bounded or packets == 1:
        # Chosen, not branched: one packet or more changes from row to row.
        bound = octets * (smallest + largest) - packets * smallest * largest
        factor = np.uint64(interval) * np.uint64(interval - 1) if bounded else all_octets
        return _product(factor, np.uint64(bound) if bounded else all_octets - np.uint64(octets))
    hi, lo = _product(all_octets, all_octets - np.uint64(octets))
    hi, lo, rest = divide(hi, lo, np.uint64(packets))
    return add(hi, lo, np.uint64(0), np.uint64(1 if rest != 0 else 0))


@compiled
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Give a * b as (high, low); most products need no more than the low half."""
    if (a | b) >> np.uint64(32) == 0:
        return np.uint64(0), a * b
    return multiply(a, b)


@compiled
def _lowest_bit(bits: np.uint16) -> int:
    for i in range(16):
        if bits & np.uint16(1 << i):
            return i
    return COUNTED


@compiled
def _interval_of(
    num: int, den: int, pre_scaled: bool, declared: int, override: bool, unknown_interval: int
) -> tuple[int, int, bool]:
    """(num, den, error known) of a row, from what its record and the catalog say; num 0 = none."""
    if pre_scaled:
        return max(declared, 1), 1, declared > 0
    # An interval below 1 cannot be: as good as unknown.
    of_record = num >= max(den, 1)
    if declared > 0 and (override or not of_record):
        return declared, 1, True
    return (num, den, True) if of_record else (unknown_interval, 1, True)


@compiled
def _measure(
    flows: MeasureInputs, max_duration_ms: int, unknown_interval: int, max_packet: int
) -> tuple[Measures, Bool]:
    # Held in local names: to read an array from a tuple counts references, at every row.
    starts, ends, all_faults, families = flows.start_ms, flows.end_ms, flows.faults, flows.family
    all_packets, all_octets, layer2 = flows.packets, flows.octets, flows.layer2_octets
    nums, dens, all_pre_scaled = flows.sampling_num, flows.sampling_den, flows.pre_scaled
    protocols, tcp_flags = flows.protocol, flows.tcp_flags
    exporters, declared, override = flows.exporter, flows.declared, flows.override
    with_layer2, with_pre_scaled = len(layer2) > 0, len(all_pre_scaled) > 0
    with_num, with_den = len(nums) > 0, len(dens) > 0
    n = len(all_faults)
    verdict = np.empty(n, np.uint8)
    interval = np.zeros(n, np.int64)
    packets = np.zeros(n, np.int64)
    octets = np.zeros(n, np.int64)
    opens = np.zeros(n, np.int64)
    var_hi = np.zeros(n, np.uint64)
    var_lo = np.zeros(n, np.uint64)
    error_unknown = np.zeros(n, np.int64)
    wide = np.zeros(n, np.bool_)
    for i in range(n):
        faults, exporter = all_faults[i], exporters[i]
        if starts[i] < FIRST_MS or ends[i] > LAST_MS:
            faults |= np.uint16(1 << _NO_TIME)
        elif ends[i] - starts[i] > max_duration_ms:
            faults |= np.uint16(1 << _TOO_LONG)
        pre_scaled = with_pre_scaled and all_pre_scaled[i]
        num, den, error_known = _interval_of(
            nums[i] if with_num else 0,
            dens[i] if with_den else 1,
            pre_scaled,
            declared[exporter],
            override[exporter],
            unknown_interval,
        )
        if num == 0:
            faults |= np.uint16(1 << _NO_INTERVAL)
        verdict[i] = COUNTED
        if faults != 0:
            verdict[i] = _lowest_bit(faults)
            continue
        count, size = all_packets[i], all_octets[i]
        if with_layer2:
            size = max(size - layer2[i] * count, 0)
        if count > LARGEST_COUNTER or size > LARGEST_COUNTER:
            verdict[i] = _OVERFLOW
            continue
        if pre_scaled:
            packets[i], octets[i] = count, size
            count, size = max(count // num, 1), size // num
        else:
            if den >= 1 << 32 or num >= 1 << 62:
                verdict[i] = _OVERFLOW
                continue
            packets[i], octets[i] = scale(count, num, den), scale(size, num, den)
            if packets[i] < 0 or octets[i] < 0:
                verdict[i] = _OVERFLOW
                packets[i], octets[i] = 0, 0
                continue
        interval[i] = (num if den == 1 else -(-num // den)) if error_known else 0
        is_open = (protocols[i] == _TCP) & (tcp_flags[i] > 0) & (tcp_flags[i] & _SYN > 0)
        opens[i] = is_open * scale(1, num, den)
        if not error_known:
            error_unknown[i] = octets[i]
        elif num != den:
            if den != 1 or num >= 1 << 32 or size >= 1 << 46 or count >= 1 << 32:
                wide[i] = True
            else:
                smallest = _MINIMUM_V6 if families[i] == V6 else _MINIMUM_V4
                var_hi[i], var_lo[i] = variance(num, size, count, smallest, max_packet)
    return (
        Measures(verdict, interval, packets, octets, opens, var_hi, var_lo, error_unknown),
        wide,
    )


def _measure_exactly(flows: MeasureInputs, measures: Measures, row: int, max_packet: int) -> None:
    """Fill in the variance of a row whose interval is a fraction or whose numbers are huge."""
    exporter = flows.exporter[row]
    pre_scaled = len(flows.pre_scaled) > 0 and bool(flows.pre_scaled[row])
    num, den, _ = _interval_of(
        int(flows.sampling_num[row]) if len(flows.sampling_num) else 0,
        int(flows.sampling_den[row]) if len(flows.sampling_den) else 1,
        pre_scaled,
        int(flows.declared[exporter]),
        bool(flows.override[exporter]),
        0,
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
