"""One batch of a source file, read by its dialect, in canonical form.

A row stays a row, in order; a record with counters of both directions gives a second batch with
the ends swapped. Nothing is dropped: what is wrong with a row is a bit in ``faults``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from v6share.pipelines.kernels.flow_batch import I16, I32, I64, U8, U16, U64, Bool, Coded, FlowBatch
from v6share.pipelines.kernels.normalise.addresses import MALFORMED, Halves, read_addresses
from v6share.pipelines.kernels.normalise.column_values import (
    Whole,
    has_four_bytes,
    holds_in,
    whole,
)
from v6share.pipelines.kernels.normalise.families import (
    MIXED,
    UNKNOWN,
    V4,
    V6,
    as_told,
    combined_family,
    forget_unclear,
    outer_family,
    separate,
    separate_family,
    tells_otherwise,
)
from v6share.pipelines.kernels.normalise.faults import (
    counter_faults,
    fault_bit,
    settled_times,
    whole_mask,
)
from v6share.pipelines.kernels.normalise.header_sizes import sizes_before
from v6share.pipelines.kernels.normalise.numbers import narrow_numbers
from v6share.pipelines.kernels.normalise.plain_columns import read_plain, read_plain_reverse
from v6share.pipelines.kernels.normalise.sampling_fractions import (
    LARGEST_PART,
    of_probability,
    reduce_fractions,
)
from v6share.pipelines.kernels.normalise.source_columns import SourceRows
from v6share.pipelines.kernels.normalise.times import MISSING
from v6share.schemas import findings as finding_names
from v6share.schemas.dialects import LARGEST_LAYER2, Dialect, Interval, Layer2
from v6share.schemas.flow import FLOW_COLUMNS, Columns
from v6share.schemas.protocols import parse_protocol
from v6share.schemas.source_kinds import NumberSource, Source, TimeSource

_LARGEST_PROTOCOL: Final = FLOW_COLUMNS["protocol"].limit
_LARGEST_OUTER_PROTOCOL: Final = FLOW_COLUMNS["outer_protocol"].limit
_LARGEST_STATUS: Final = FLOW_COLUMNS["forwarding_status"].limit
_FAMILY: Final = {"v4": V4, "v6": V6}
_BAD_ADDRESS: Final = fault_bit("bad_address")
_NO_COUNTERS: Final = fault_bit("no_counters")
_TOTAL_COUNTERS: Final = fault_bit("total_counters")
_ACTION_REJECT: Final = fault_bit("action_reject")
_NO_DATA: Final = fault_bit("no_data") | fault_bit("skip_data")
_NO_ROWS: Final[Bool] = np.empty(0, np.bool_)
_OF_TIMES: Final = (finding_names.TIME_FALLBACK, finding_names.UNREADABLE_TIME)


def normalise(batch: pa.RecordBatch, dialect: Dialect, first_row: int = 0) -> tuple[FlowBatch, ...]:
    """The canonical batches of a source batch: the flows, then the reverse halves, if any.

    Columns of ``batch`` that the dialect does not know are ignored, those that it lacks are
    absent. Types must have passed ``source_types.check_types``. first_row: of the file.
    """
    row = _Flows(batch, dialect)
    forward = replace(row.flows(), first_row=first_row)
    if dialect.other_direction is None:
        return (forward,)
    reverse = row.reverse_flows(forward, dialect.other_direction)
    return (forward,) if reverse is None else (forward, reverse)


def taken(flows: FlowBatch, rows: np.ndarray[Any, np.dtype[np.intp]]) -> FlowBatch:
    """Some rows of a batch, by position."""
    fields: dict[str, Any] = {}
    for name, value in vars(flows).items():
        if isinstance(value, np.ndarray):
            fields[name] = value[rows]
        elif isinstance(value, Coded):
            fields[name] = Coded(value.codes[rows], value.values)
        elif name == "findings":
            fields[name] = tuple((n, m[rows]) for n, m in value if m[rows].any())
        else:
            fields[name] = value
    return FlowBatch(**fields)


class _Flows(SourceRows):
    """The canonical columns, one question after the other."""

    def flows(self) -> FlowBatch:
        columns, rows = self.dialect.columns, self.rows
        faults = np.zeros(rows, np.uint16)
        addresses = self.addresses(faults)
        self.exported = self.moment_of(columns.export)
        self.received = self.moment_of(columns.received)
        start, end, time_findings = self.times(columns, faults)
        counters = self.counters(columns.packets, columns.octets, faults)
        protocol = _small(self.narrow(columns.protocol, _LARGEST_PROTOCOL, parse_protocol))
        _forget_protocol_0(protocol, addresses["family"])
        consumed = self.forwarding(faults)
        egress = self.any_of(self.dialect.egress)
        self.rejects(faults)
        return FlowBatch(
            **addresses,
            start_ms=start,
            end_ms=end,
            faults=faults,
            **counters,
            protocol=protocol,
            **read_plain(self, columns),
            layer2_octets=self.layer2(),
            **self.interval(),
            pre_scaled=self.any_of(self.dialect.pre_scaled),
            exported_ms=self.exported if len(self.exported) else None,
            received_ms=self.received if len(self.received) else None,
            consumed=consumed,
            segment_routing=self.any_of(self.dialect.segment_routing),
            egress=egress,
            findings=(*time_findings, *self.findings(egress)),
            input_findings=self.missing_counters(),
        )

    def addresses(self, faults: U16) -> dict[str, Any]:
        columns = self.dialect.columns
        src = [self.address(s, faults) for s in self.present(columns.src)]
        dst = [self.address(s, faults) for s in self.present(columns.dst)]
        family = np.empty(self.rows, np.uint8)
        self.mixed = np.zeros(self.rows, np.bool_)
        underlay: U8 | None = None
        if len(src) == len(dst) == 1:
            (src_hi, src_lo, _), (dst_hi, dst_lo, _) = src[0], dst[0]
            clear = combined_family(src_hi, src_lo, dst_hi, dst_lo, family)
        else:
            src4, src_hi, src_lo = self.both(src)
            dst4, dst_hi, dst_lo = self.both(dst)
            inner = self.inner_family()
            under = np.zeros(self.rows, np.uint8)
            clear = separate_family(
                src4, src_hi, src_lo, dst4, dst_hi, dst_lo, inner, family, under
            )
            underlay = under if under.any() else None
        self.contradicted = np.zeros(self.rows, np.bool_)
        told, weak = self.told_family()
        if told is not None:
            cut = self.cut_addresses() if tells_otherwise(told, family) else _NO_ROWS
            as_told(told, weak, cut, src_hi, src_lo, dst_hi, dst_lo, family, self.contradicted)
            clear &= len(cut) == 0
        if not clear:
            forget_unclear(src_hi, src_lo, dst_hi, dst_lo, family)
            self.mixed = family == MIXED
            family[self.mixed] = UNKNOWN
            unknown = (family == UNKNOWN) & ~self.mixed & ~self.contradicted
            if unknown.any() and told is not None:
                family[unknown] = told[unknown]
        addresses = {
            "src_hi": src_hi,
            "src_lo": src_lo,
            "dst_hi": dst_hi,
            "dst_lo": dst_lo,
            "family": family,
            "underlay": underlay,
        }
        return self.tunnels(addresses, faults)

    def address(self, source: Source, faults: U16) -> Halves:
        array = self.columns[source.column]
        hi, lo, state = read_addresses(array)
        if source.missing:
            gone = holds_in(array, source.missing)
            hi, lo, state = _without(hi, gone), _without(lo, gone), _without(state, gone)
        if not (pt.is_fixed_size_binary(array.type) and array.type.byte_width == 16):
            malformed = state == MALFORMED
            if malformed.any():
                faults[malformed] |= _BAD_ADDRESS
        return hi, lo, state

    def both(self, parts: Sequence[Halves]) -> tuple[U64, U64, U64]:
        """Of several columns, the IPv4 address (mapped low half) and the IPv6 one of each row."""
        four, hi, lo = (np.zeros(self.rows, np.uint64) for _ in range(3))
        for part_hi, part_lo, _ in parts:
            separate(part_hi, part_lo, four, hi, lo)
        return four, hi, lo

    def inner_family(self) -> U8:
        inner = np.zeros(self.rows, np.uint8)
        for rule in self.dialect.inner:
            holds = self.all_of(rule.when)
            if holds is not None:
                inner[holds & (inner == UNKNOWN)] = _FAMILY[rule.family]
        return inner

    def told_family(self) -> tuple[U8 | None, Bool]:
        """What a version or ethertype column says, None where the file has no such column; and
        where that proves nothing, shape (0,) where it always does.
        """
        sources = self.present(self.dialect.columns.family)
        if not sources:
            return None, _NO_ROWS
        family = np.zeros(self.rows, np.uint8)
        weak = np.zeros(self.rows, np.bool_) if any(s.weak for s in sources) else _NO_ROWS
        for source in sources:
            array = self.columns[source.column]
            open_ = family == UNKNOWN
            family[open_ & holds_in(array, source.v4)] = V4
            family[open_ & holds_in(array, source.v6)] = V6
            if source.weak:
                weak |= open_ & (family != UNKNOWN)
        return family, weak

    def cut_addresses(self) -> Bool:
        """Where an address has 4 bytes, in a column that may hold more."""
        columns = self.dialect.columns
        cut = np.zeros(self.rows, np.bool_)
        for source in self.present((*columns.src, *columns.dst)):
            if source.family is None:
                cut |= has_four_bytes(self.columns[source.column])
        return cut

    def tunnels(self, addresses: dict[str, Any], faults: U16) -> dict[str, Any]:
        """Outer headers beside the inner addresses: the family is the outer one's."""
        family, underlay = addresses["family"], addresses["underlay"]
        columns = self.dialect.columns
        outer_src = [self.address(s, faults) for s in self.present(columns.outer_src)]
        outer_dst = [self.address(s, faults) for s in self.present(columns.outer_dst)]
        shown = np.zeros(self.rows, np.uint8) if underlay is None else underlay.copy()
        for hi, lo, _ in (*outer_src, *outer_dst):
            outer_family(hi, lo, shown)
        for rule in self.dialect.underlay:
            holds = self.all_of(rule.when)
            if holds is not None:
                shown[holds & (family != UNKNOWN) & (shown == UNKNOWN)] = _FAMILY[rule.family]
        if not shown.any():
            return addresses
        under = shown != UNKNOWN
        protocol = _small(
            self.narrow(columns.outer_protocol, _LARGEST_OUTER_PROTOCOL, parse_protocol)
        )
        if outer_dst:
            addresses |= {"outer_dst_hi": outer_dst[0][0], "outer_dst_lo": outer_dst[0][1]}
        return addresses | {
            "family": np.where(under, shown, family),
            "underlay": shown,
            "outer_protocol": np.where(under, protocol, np.int16(-1)).astype(np.int16),
        }

    def times(self, columns: Columns, faults: U16) -> tuple[I64, I64, list[tuple[str, Bool]]]:
        start, bad_start = self.time(columns.start)
        end, bad_end = self.time(columns.end)
        start, end = self.completed(start, end, columns.duration)
        return settled_times(start, end, self.exported, self.received, bad_start, bad_end, faults)

    def completed(self, start: I64, end: I64, durations: Sequence[TimeSource]) -> tuple[I64, I64]:
        """Times, of which one that is missing is made of the other and the duration."""
        if not self.present(durations):
            return start, end
        lasted = self.lasted(durations)
        no_start = (start == MISSING) & (end != MISSING) & (lasted != MISSING)
        no_end = (end == MISSING) & (start != MISSING) & (lasted != MISSING)
        # Of a flow whose times are missing both is nothing known but how long it was.
        lasted = np.where(lasted == MISSING, 0, lasted)
        return np.where(no_start, end - lasted, start), np.where(no_end, start + lasted, end)

    def moment_of(self, sources: Sequence[TimeSource]) -> I64:
        """When each record was exported, or received; shape (0,) where the file does not say it."""
        return self.time(sources)[0] if self.present(sources) else np.empty(0, np.int64)

    def counters(
        self, packets: Sequence[NumberSource], octets: Sequence[NumberSource], faults: U16
    ) -> dict[str, Any]:
        p, o = self.number(packets), self.number(octets)
        counter_faults(p.values, p.absent, p.bad, o.values, o.absent, o.bad, faults)
        columns = self.dialect.columns
        if not self.present((*columns.total_packets, *columns.total_octets)):
            return _counters(p, o)
        all_p, all_o = self.number(columns.total_packets), self.number(columns.total_octets)
        if len(p.absent):
            totals = ~whole_mask(all_p.absent, self.rows) | ~whole_mask(all_o.absent, self.rows)
            only = p.absent & whole_mask(o.absent, self.rows) & totals
            faults[only] = (faults[only] & ~_NO_COUNTERS) | _TOTAL_COUNTERS
        # An absent total is 0 here, so it is not more.
        continued = (all_p.values > p.values) | (all_o.values > o.values)
        return _counters(p, o) | {
            "continued": continued,
            "active_timeout_ms": 1000 * self.timeout().clip(0),
        }

    def timeout(self) -> I64:
        """After how many seconds a connection that goes on is reported; -1 where not told."""
        timeout = FLOW_COLUMNS["active_timeout"]
        return self.narrow(self.dialect.columns.active_timeout, timeout.limit).astype(np.int64)

    def interval(self) -> dict[str, Any]:
        num: I64 | None = None
        den: I64 | None = None
        for form in self.dialect.interval:
            one = self.one_interval(form)
            if one is None:
                continue
            if num is None:
                num, den = one
            else:
                use = (num == 0) & (one[0] > 0)
                num, den = np.where(use, one[0], num), _where_either(use, one[1], den)
            if (num > 0).all():
                break
        return {"sampling_num": num, "sampling_den": den}

    def one_interval(self, form: Interval) -> tuple[I64, I64 | None] | None:
        """(num, den), reduced, num 0 where unknown; None where the file cannot show it."""
        names = (*(form.num or ()), *(form.den or ()))
        if form.probability is not None:
            names = (form.probability,)
        if any(n not in self.columns for n in names):
            return None
        use = self.all_of(form.when)
        if form.when and use is None:
            return None
        den: I64 | None = None
        if form.probability is not None:
            num, den = of_probability(self.columns[form.probability])
        elif form.constant is not None:
            num = np.full(self.rows, form.constant, np.int64)
        else:
            num = self.sum_of(form.num or ())
            if form.bits is not None:
                num = num & ((1 << form.bits) - 1)
            den = None if form.den is None else self.sum_of(form.den)
        if use is not None:
            num = np.where(use, num, 0)
        if den is None:
            return num, None
        out_num, out_den = np.empty(self.rows, np.int64), np.empty(self.rows, np.int64)
        reduce_fractions(num, den, out_num, out_den)
        return out_num, out_den

    def sum_of(self, names: Sequence[str]) -> I64:
        """The sum of columns, 0 where one of them is absent or absurd."""
        parts = [whole(self.columns[name]) for name in names]
        known = [np.empty(self.rows, np.int64) for _ in parts]
        absurd = 0 if len(parts) == 1 else -1
        for part, out in zip(parts, known, strict=True):
            narrow_numbers(part.values, part.absent, part.bad, LARGEST_PART - 1, absurd, out)
        if len(known) == 1:
            return known[0]
        sums: I64 = np.where(np.minimum.reduce(known) < 0, 0, np.add.reduce(known))
        return sums

    def layer2(self) -> I64 | None:
        octets: I64 | None = None
        for rule in self.dialect.layer2:
            holds = self.all_of(rule.when)
            if holds is None or not holds.any():
                continue
            of_rule = self.layer2_of(rule)
            if of_rule is not None:
                octets = np.zeros(self.rows, np.int64) if octets is None else octets
                use = holds & (octets == 0)
                octets[use] = of_rule[use]
        return octets

    def layer2_of(self, rule: Layer2) -> I64 | None:
        """What a packet has by this rule, 0 where it says nothing; None where the file cannot."""
        if rule.headers is None:
            return np.full(self.rows, rule.octets, np.int64)
        names, sizes = (self.columns.get(column) for column in rule.columns)
        if names is None or sizes is None:
            return None
        shown = sizes_before(names, sizes, rule.headers.until, LARGEST_LAYER2)
        return np.where(shown > 0, shown + rule.octets, 0)

    def forwarding(self, faults: U16) -> Bool | None:
        """Dropped packets get a fault; the rows that the router consumed itself are returned."""
        sources = self.dialect.columns.forwarding_status
        if not self.present(sources):
            return None
        status = self.narrow(sources, _LARGEST_STATUS)
        dropped = (status >> 6) == 0b10
        if dropped.any():
            faults[dropped] |= _ACTION_REJECT
        consumed: Bool = (status >> 6) == 0b11
        return consumed

    def rejects(self, faults: U16) -> None:
        for rule in self.dialect.reject:
            holds = self.all_of(rule.when)
            if holds is not None:
                faults[holds] |= fault_bit(rule.reason)

    def findings(self, egress: Bool | None) -> list[tuple[str, Bool]]:
        found = [(rule.name, self.all_of(rule.when)) for rule in self.dialect.finding]
        found.append((finding_names.TWO_FAMILIES, self.mixed))
        found.append((finding_names.OTHER_FAMILY, self.contradicted))
        found.append((finding_names.EGRESS_FINDING, egress))
        return [(name, holds) for name, holds in found if holds is not None and holds.any()]

    def missing_counters(self) -> tuple[str, ...]:
        columns = self.dialect.columns
        counters = (
            (finding_names.NO_PACKETS_FINDING, columns.packets),
            (finding_names.NO_BYTES_FINDING, columns.octets),
        )
        return tuple(finding for finding, sources in counters if not self.present(sources))

    def reverse_flows(self, forward: FlowBatch, reverse: Columns) -> FlowBatch | None:
        """The rows that have counters of the other direction, with the ends swapped."""
        if not self.present((*reverse.packets, *reverse.octets)):
            return None
        p, o = self.number(reverse.packets), self.number(reverse.octets)
        rows = np.flatnonzero(_something(p, self.rows) | _something(o, self.rows))
        if len(rows) == 0:
            return None
        own = np.zeros(self.rows, np.uint16)
        start, end, findings = self.reverse_times(reverse, own)
        counter_faults(p.values, p.absent, p.bad, o.values, o.absent, o.bad, own)
        shared = forward.faults & (_BAD_ADDRESS | _ACTION_REJECT | _NO_DATA)
        flows = replace(
            forward,
            src_hi=forward.dst_hi,
            src_lo=forward.dst_lo,
            dst_hi=forward.src_hi,
            dst_lo=forward.src_lo,
            outer_dst_hi=None,
            outer_dst_lo=None,
            source_rows=np.arange(forward.first_row, forward.first_row + self.rows),
            start_ms=start,
            end_ms=end,
            faults=shared | own,
            **_counters(p, o),
            **read_plain_reverse(self, forward, reverse),
            findings=(*findings, *(f for f in forward.findings if f[0] not in _OF_TIMES)),
            input_findings=(),
        )
        return taken(flows, rows)

    def reverse_times(
        self, reverse: Columns, faults: U16
    ) -> tuple[I64, I64, list[tuple[str, Bool]]]:
        """The reverse direction's own times; where it has none at all, the flow's."""
        columns = self.dialect.columns
        start, bad_start = self.time(reverse.start)
        end, bad_end = self.time(reverse.end)
        start, end = self.completed(start, end, reverse.duration)
        none = (start == MISSING) & (end == MISSING)
        if none.any():
            flow_start, flow_bad_start = self.time(columns.start)
            flow_end, flow_bad_end = self.time(columns.end)
            start, end = np.where(none, flow_start, start), np.where(none, flow_end, end)
            bad_start = whole_mask(bad_start, self.rows) | (
                whole_mask(flow_bad_start, self.rows) & none
            )
            bad_end = whole_mask(bad_end, self.rows) | (whole_mask(flow_bad_end, self.rows) & none)
        return settled_times(start, end, self.exported, self.received, bad_start, bad_end, faults)


def _where_either(use: Bool, new: I64 | None, old: I64 | None) -> I64 | None:
    """Choose between denominators, None being 1 everywhere."""
    if new is None and old is None:
        return None
    return np.where(use, 1 if new is None else new, 1 if old is None else old)


def _counters(packets: Whole, octets: Whole) -> dict[str, Any]:
    return {
        "packets": packets.values,
        "octets": octets.values,
        "packets_beyond": packets.beyond if packets.beyond.any() else None,
        "octets_beyond": octets.beyond if octets.beyond.any() else None,
    }


def _something(number: Whole, rows: int) -> Bool:
    there: Bool = (number.values != 0) & ~whole_mask(number.absent, rows)
    return there | whole_mask(number.bad, rows)


def _without(values: Any, gone: Bool) -> Any:
    return np.where(gone, values.dtype.type(0), values)


def _small(values: I32) -> I16:
    return values.astype(np.int16)


def _forget_protocol_0(protocol: I16, family: U8) -> None:
    """0 is the hop-by-hop header of IPv6; anywhere else collectors mean "none" by it."""
    zero = protocol == 0
    if zero.any():
        protocol[zero & (family != V6)] = -1
