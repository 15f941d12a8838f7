"""What a reader should know of the rows of an input: how many, their bytes, and the first of them.

Findings of several lanes merge in any order to the same: rows and bytes are added, and of two first
rows the earlier one is kept, with what it shows.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED, LAST_MS, Measures
from v6share.pipelines.kernels.classify.compile_catalog import Rules
from v6share.pipelines.kernels.classify.decide import DOCUMENTATION, NO_LIST, V4, V6
from v6share.pipelines.kernels.classify.intervals import MAPPED
from v6share.pipelines.kernels.classify.places import Places, rows_flagged
from v6share.pipelines.kernels.flow_batch import I64, U8, U32, U64, Bool, FlowBatch
from v6share.pipelines.kernels.jit import compiled
from v6share.pipelines.kernels.normalise.times import FIRST_MS
from v6share.schemas import findings as names
from v6share.schemas.ledger import REJECT_REASONS

# Of the compiled catalog: in no prefix of a region or network.
_NO_CLIENT: Final = 0
_HEADER_V4: Final = 20
_HEADER_V6: Final = 40
_MOST_PACKETS: Final = 2**63 // _HEADER_V6
_OF_TIMES: Final = tuple(REJECT_REASONS.index(reason) for reason in ("future", "stale"))
# How far a counter of uptime is from where it began anew: what waited in a queue, and clocks that
# differ, are not further off.
_ROLLS_OVER_MS: Final = 2**32
_WAITED_MS: Final = 3_600_000
# Smaller intervals are as usual with their bytes in either order.
_SWAPPED_FROM: Final = 2**8
_ENDS: Final = "ends"
_ANSWERS: Final = 64
_DISCARD_ONLY: Final = np.uint64(0x0100 << 48)


class Found(NamedTuple):
    """Rows of one finding. first_row: counted from 0 in the file; example: what it shows."""

    rows: int
    octets: int
    first_row: int
    example: str

    def and_also(self, other: "Found") -> "Found":
        """Both together."""
        first = min(self, other, key=lambda one: (one.first_row, one.example))
        rows, octets = self.rows + other.rows, self.octets + other.octets
        return Found(rows, octets, first.first_row, first.example)


# By exporter, "" for the whole input, and finding.
Findings = dict[tuple[str, str], Found]


def merge(parts: Iterable[Mapping[tuple[str, str], Found]]) -> Findings:
    """The findings of all lanes, sorted."""
    merged: Findings = {}
    for part in parts:
        for key, found in part.items():
            merged[key] = merged[key].and_also(found) if key in merged else found
    return {key: merged[key] for key in sorted(merged)}


def by_exporter(
    marked: "Marked", batch: FlowBatch, exporter: U32, known: Mapping[str, int]
) -> Iterator[tuple[str, Found]]:
    """The rows of a finding, of each exporter apart. known: the numbers of the exporters."""
    rows = np.flatnonzero(marked.rows)
    if not len(rows):
        return
    # In the order of the file, so that the first row of each exporter is met first.
    rows = rows[np.argsort(batch.rows_in_file(rows), kind="stable")]
    of_row, most = exporter[rows], len(known)
    numbers, first = np.unique(of_row, return_index=True)
    counts = np.bincount(of_row, minlength=most)
    # Limbs: the sum of a batch may pass 64 bits, and floats hold these exactly.
    high = np.bincount(of_row, weights=marked.octets[rows] >> 32, minlength=most)
    low = np.bincount(of_row, weights=marked.octets[rows] & 0xFFFFFFFF, minlength=most)
    named = {number: name for name, number in known.items()}
    in_file = batch.rows_in_file(rows[first]).tolist()
    for number, at, row in zip(numbers.tolist(), rows[first].tolist(), in_file, strict=True):
        octets = (int(high[number]) << 32) + int(low[number])
        example = f"row {row}{marked.shown(at)}"
        yield named[number], Found(int(counts[number]), octets, row, example)


class Marked(NamedTuple):
    """Rows of a batch that a finding is about. values: what each of them shows, behind ``what``."""

    finding: str
    rows: Bool
    octets: I64
    what: str = ""
    values: I64 | None = None

    def shown(self, at: int) -> str:
        """What a row shows beside the finding itself."""
        if self.values is None:
            return ""
        value = int(self.values[at])
        text = _utc(value) if self.what == _ENDS else f"{value:,}"
        return f", {self.what} {text}"


def find(
    batch: FlowBatch, measures: Measures, places: Places, rules: Rules, most_interval: int
) -> Iterator[Marked]:
    """All findings about rows of a batch. most_interval: larger ones are doubtful."""
    counted = measures.verdict == COUNTED
    documented = rows_flagged(rules.arrays.place_flags, DOCUMENTATION, places)
    for name, rows in (*batch.findings, (names.DOCUMENTATION, documented)):
        yield Marked(name, rows & counted, measures.octets)
    few = _has_few_bytes(batch)
    yield Marked(names.FEW_BYTES, few & counted, measures.octets)
    odd = odd_unicast(batch, places, rules)
    yield Marked(names.ODD_UNICAST, odd & counted, measures.octets)
    large, swapped = odd_intervals(measures.interval, most_interval)
    for name, rows in ((names.LARGE_INTERVAL, large), (names.SWAPPED_INTERVAL, swapped)):
        yield Marked(name, rows & counted, measures.octets, "interval", measures.interval)
    if not counted.all():
        yield from _rejected(batch, measures.verdict)


def read_at_wrong_place(batch: FlowBatch, places: Places, rules: Rules) -> Bool:
    """Mark the flows whose collector read their record at a wrong place.

    They show it twice: by an IPv6 address that nobody was given, and by fewer bytes than their
    packets' headers take.
    """
    few = _has_few_bytes(batch)
    return few & odd_unicast(batch, places, rules) if few.any() else few


def _has_few_bytes(batch: FlowBatch) -> Bool:
    return few_bytes(batch.packets, _layer3(batch), batch.family)


def _layer3(batch: FlowBatch) -> I64:
    if batch.layer2_octets is None:
        return batch.octets
    return np.maximum(batch.octets - batch.layer2_octets * batch.packets, 0)


def _rejected(batch: FlowBatch, verdicts: U8) -> Iterator[Marked]:
    octets = np.maximum(batch.octets, 0)
    for reason in np.unique(verdicts):
        if reason == COUNTED:
            continue
        name = names.rejected_finding(REJECT_REASONS[reason])
        rows = verdicts == reason
        if reason in _OF_TIMES:
            yield Marked(name, rows, octets, _ENDS, batch.end_ms)
            told = [one for one in (batch.exported_ms, batch.received_ms) if one is not None]
            if told:
                rolled = np.logical_or.reduce([rolled_over(batch.end_ms, one) for one in told])
                yield Marked(names.ROLLED_OVER, rows & rolled, octets, _ENDS, batch.end_ms)
        else:
            yield Marked(name, rows, octets)


def rolled_over(end_ms: I64, told_ms: I64) -> Bool:
    """Mark the ends that are wrong by a multiple of 2^32 ms, 49.7 days.

    told_ms: when the record was exported, or received.
    """
    off = (told_ms - end_ms + _WAITED_MS) % _ROLLS_OVER_MS
    wrong: Bool = (off <= 2 * _WAITED_MS) & (told_ms >= FIRST_MS)
    wrong &= np.abs(told_ms - end_ms) > _WAITED_MS
    return wrong


@compiled
def few_bytes(packets: I64, octets: I64, family: U8) -> Bool:
    """Mark the flows that have fewer bytes than the IP headers of their packets take."""
    few = np.empty(len(packets), np.bool_)
    for i in range(len(packets)):
        header = _HEADER_V6 if family[i] == V6 else _HEADER_V4
        known = (family[i] == V4) | (family[i] == V6)
        # No bytes are enough for so many packets, and their product would wrap.
        too_many = packets[i] > _MOST_PACKETS
        few[i] = known & (too_many | (packets[i] * header > octets[i]))
    return few


def odd_unicast(batch: FlowBatch, places: Places, rules: Rules) -> Bool:
    """Mark the flows with an IPv6 address that nobody was given.

    That is neither global (2000::/3) nor local (fc00::/7) nor special, and in no prefix that the
    catalog names.
    """
    odd = _outside(batch.src_hi, batch.src_lo) | _outside(batch.dst_hi, batch.dst_lo)
    rows = np.flatnonzero(odd)
    if len(rows):
        still = np.zeros(len(rows), np.bool_)
        for at, hi, lo in (
            (places.src, batch.src_hi, batch.src_lo),
            (places.dst, batch.dst_hi, batch.dst_lo),
        ):
            named = _is_named(rules, at[rows])
            still |= _outside(hi[rows], lo[rows]) & ~named
        odd[rows] = still
    return odd


def _is_named(rules: Rules, places: U32) -> Bool:
    """Whether places are in a special range, in a region or network, or in an app's prefix."""
    arrays = rules.arrays
    lists = arrays.place_list[places]
    named: Bool = arrays.place_special[places] | ((lists != 0) & (lists != NO_LIST))
    named |= arrays.place_client[places] != _NO_CLIENT
    return named


@compiled
def _outside(hi: U64, lo: U64) -> Bool:
    outside = np.empty(len(hi), np.bool_)
    for i in range(len(hi)):
        top = hi[i] >> np.uint64(56)
        usual = (top >> np.uint64(5) == np.uint64(1)) | (top >> np.uint64(1) == np.uint64(0x7E))
        # Multicast and link-local.
        usual |= (top == np.uint64(0xFF)) | (hi[i] >> np.uint64(54) == np.uint64(0x3FA))
        is_v4 = (hi[i] == 0) & ((lo[i] >> np.uint64(32) == MAPPED) | (lo[i] == 0))
        # What translators use, in RFC 6052 and in RFC 8215.
        translated = hi[i] >> np.uint64(32) == np.uint64(0x0064FF9B)
        # 100::/64, where unwanted traffic is sent to be discarded (RFC 6666).
        discarded = hi[i] == _DISCARD_ONLY
        outside[i] = not (usual | is_v4 | translated | discarded)
    return outside


def odd_intervals(intervals: I64, most: int) -> tuple[Bool, Bool]:
    """Mark the intervals over a limit, and those that are usual ones with their bytes swapped."""
    large, swapped = np.zeros(len(intervals), np.bool_), np.zeros(len(intervals), np.bool_)
    _mark_odd(intervals, most, large, swapped)
    return large, swapped


@compiled
def _mark_odd(intervals: I64, most: int, large: Bool, swapped: Bool) -> None:
    # The last answers: a batch has few intervals, and they alternate.
    asked, answers = np.zeros(_ANSWERS, np.int64), np.zeros(_ANSWERS, np.bool_)
    for i in range(len(intervals)):
        interval = intervals[i]
        at = (interval ^ (interval >> 6)) & (_ANSWERS - 1)
        if asked[at] != interval:
            asked[at], answers[at] = interval, _is_swapped(interval)
        large[i] = interval > most
        swapped[i] = answers[at]


@compiled
def _is_swapped(interval: int) -> bool:
    """Whether an interval is none that people set, and is one with its bytes in reverse order."""
    if interval < _SWAPPED_FROM or interval >= 2**32 or _is_usual(interval):
        return False
    if interval < 2**16:
        return _is_usual((interval & 0xFF) << 8 | interval >> 8)
    reverse = 0
    for byte in range(4):
        reverse = reverse << 8 | (interval >> (8 * byte)) & 0xFF
    return reverse < 2**16 and _is_usual(reverse)


@compiled
def _is_usual(interval: int) -> bool:
    """Whether an interval is a power of 2, or one or two digits with zeros behind them."""
    if interval & (interval - 1) == 0:
        return True
    while interval % 10 == 0:
        interval //= 10
    return interval < 100


def _utc(ms: int) -> str:
    """A time in words; times that no calendar has are shown as they are."""
    if not FIRST_MS <= ms <= LAST_MS:
        return f"{ms:,} ms"
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
