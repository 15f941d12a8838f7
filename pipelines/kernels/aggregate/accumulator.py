"""One lane of work: flow batches in, groups kept. A lane belongs to one thread and one input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate import account as accounts
from v6share.pipelines.kernels.aggregate import clients as sketches
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.groups import Groups
from v6share.pipelines.kernels.aggregate.health import HealthInputs, health_counts, pack_cell
from v6share.pipelines.kernels.aggregate.scale_counters import (
    COUNTED,
    MeasureInputs,
    Measures,
    counted_span,
    measure,
)
from v6share.pipelines.kernels.aggregate.siphash import TAG_SUBSCRIBER, hash_texts
from v6share.pipelines.kernels.classify.compile_catalog import Rules, name_hits
from v6share.pipelines.kernels.classify.decide import (
    CONTROL,
    DOCUMENTATION,
    SRV6_LOCATOR,
    Decisions,
    Embedded,
    FlowArrays,
    NameArrays,
    Places,
    decide,
    find_embedded,
    find_special,
    rows_flagged,
)
from v6share.pipelines.kernels.classify.intervals import find_values
from v6share.pipelines.kernels.flow_batch import I32, I64, U16, U32, U64, Bool, Coded, FlowBatch
from v6share.pipelines.kernels.normalise.faults import fault_bit
from v6share.schemas.aggregates import HOUR_MS, UNLISTED, rtt_boundaries
from v6share.schemas.ledger import REJECT_REASONS

_EGRESS_COPY: Final = fault_bit("egress_copy")
_NO_INTERVAL: Final = REJECT_REASONS.index("no_sampling_interval")
_RTT_BOUNDS: Final = np.array(rtt_boundaries(), np.int64)
DOCUMENTATION_FINDING: Final = "documentation address"


@dataclass(frozen=True)
class Plan:
    """All that decides how rows are counted; the same in every lane of a run.

    exporters: exporter text -> (vantage, declared sampling interval or 0, override).
    both_directions: the exporters that report a flow on its way in and again on its way out.
    unknown_interval: what an unknown sampling interval counts as; 0 = reject.
    """

    rules: Rules
    exporters: Mapping[str, tuple[str, int, bool]]
    client_key: bytes
    unknown_interval: int = 0
    max_packet_bytes: int = 1500
    max_duration_ms: int = 86_400_000
    reporting_offset_ms: int = 0
    both_directions: frozenset[str] = frozenset()

    @cached_property
    def vantages(self) -> tuple[str, ...]:
        """The vantages there are, ascending."""
        return tuple(sorted({UNLISTED, *(v for v, _, _ in self.exporters.values())}))

    @cached_property
    def client_scopes(self) -> tuple[tuple[tuple[str, str], ...], I64]:
        """The (scope, id) there are, and the numbers of those of each cell of client sketches.

        Shape (cells, 3); a cell that is part of two has -1 besides.
        """
        of_cells = [
            *([("all", ""), ("app", a), ("product", p)] for a, p in self.rules.pairs),
            *([("client_region", r), ("network", n)] for r, n in self.rules.clients),
        ]
        number: dict[tuple[str, str], int] = {}
        numbers = np.full((len(of_cells), 3), -1, np.int64)
        for cell, scopes in enumerate(of_cells):
            for place, scope in enumerate(scopes):
                numbers[cell, place] = number.setdefault(scope, len(number))
        return tuple(number), numbers


@dataclass
class _Exporters:
    """Numbers the exporters of an input as they are met."""

    plan: Plan
    numbers: dict[str, int] = field(default_factory=dict)
    vantage: list[int] = field(default_factory=list)
    declared: list[int] = field(default_factory=list)
    override: list[bool] = field(default_factory=list)
    both: list[bool] = field(default_factory=list)

    def number(self, exporter: str) -> int:
        known = self.numbers.get(exporter)
        if known is not None:
            return known
        vantage, declared, override = self.plan.exporters.get(exporter, (UNLISTED, 0, False))
        self.numbers[exporter] = len(self.numbers)
        self.vantage.append(self.plan.vantages.index(vantage))
        self.declared.append(declared)
        self.override.append(override)
        self.both.append(exporter in self.plan.both_directions)
        return self.numbers[exporter]

    def numbers_of(self, coded: Coded) -> U32:
        """Give each row's number; a null exporter is the empty text."""
        of_code = [self.number(v) for v in coded.values]
        if len(of_code) == 1 and (coded.codes == 0).all():
            return np.full(len(coded.codes), of_code[0], np.uint32)
        of_code.append(self.number(""))
        return np.array(of_code, np.uint32)[coded.codes]


def _or_empty(column: NDArray[np.generic] | None, dtype: type) -> np.ndarray:
    return np.empty(0, dtype) if column is None else column


def _arrays(batch: FlowBatch, rules: Rules) -> FlowArrays:
    return FlowArrays(
        batch.src_hi,
        batch.src_lo,
        batch.dst_hi,
        batch.dst_lo,
        batch.family,
        _or_empty(batch.underlay, np.uint8),
        _or_empty(batch.outer_protocol, np.int16),
        batch.protocol,
        batch.src_port,
        batch.dst_port,
        _or_empty(batch.consumed, np.bool_),
        _segment_routing(batch, rules),
    )


def _segment_routing(batch: FlowBatch, rules: Rules) -> Bool:
    """Mark the flows whose record shows the header, or an outer destination that is a locator."""
    shown: Bool = _or_empty(batch.segment_routing, np.bool_)
    if batch.outer_dst_hi is None or batch.outer_dst_lo is None:
        return shown
    places = find_values(rules.index, batch.outer_dst_hi, batch.outer_dst_lo)
    located: Bool = rules.arrays.place_flags[places] & SRV6_LOCATOR != 0
    return located | shown if len(shown) else located


def _names(batch: FlowBatch, rules: Rules) -> NameArrays:
    def met(
        coded: Coded | None, conditions: Sequence[str], below: bool
    ) -> tuple[I32, NDArray[np.bool_]]:
        codes, hits = np.empty(0, np.int32), np.empty((0, 0), np.bool_)
        if coded is not None and conditions:
            codes, hits = coded.codes.view(), name_hits(coded.values, conditions, below)
        # As codes that stand in a file's own memory are: a kernel is compiled for one kind alone.
        codes.flags.writeable = False
        return codes, hits

    return NameArrays(
        *met(batch.server_name, rules.server_names, True),
        *met(batch.app_name, rules.app_names, False),
        *met(batch.app_id, rules.app_ids, False),
        _or_empty(batch.src_as, np.int64),
        _or_empty(batch.dst_as, np.int64),
    )


def find_places(batch: FlowBatch, rules: Rules) -> Places:
    """Look up the addresses of a batch, and those embedded in them."""
    src = find_values(rules.index, batch.src_hi, batch.src_lo)
    dst = find_values(rules.index, batch.dst_hi, batch.dst_lo)
    special = find_special(rules.arrays.place_special, src, dst)
    return Places(
        src,
        dst,
        special,
        _embedded(rules, special, src, batch.src_hi, batch.src_lo),
        _embedded(rules, special, dst, batch.dst_hi, batch.dst_lo),
    )


def _embedded(rules: Rules, special: U32, places: U32, hi: U64, lo: U64) -> Embedded:
    rows, low = find_embedded(rules.arrays.place_embedded, special, places, hi, lo)
    found = np.empty(len(places) if len(rows) else 0, np.uint32)
    if len(rows):
        found[rows] = find_values(rules.index, np.zeros(len(rows), np.uint64), low)
    return Embedded(rows, found)


def classify_flows(batch: FlowBatch, rules: Rules) -> tuple[Decisions, Places]:
    """Decide every flow: the decisions, and the places of its addresses."""
    places = find_places(batch, rules)
    return decide(_arrays(batch, rules), rules.arrays, _names(batch, rules), places), places


class Lane:
    """Everything one thread has counted of one input."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.exporters = _Exporters(plan)
        self.traffic = Groups(t.MEASURES)
        self.errors = Groups(t.ERROR_MEASURES)
        self.presence = Groups(t.PRESENCE_MEASURES)
        self.rtt = Groups(1)
        self.health = Groups(4)
        self.tally = accounts.new_tally()
        self.findings: dict[tuple[str, str], int] = {}
        self.without_interval: dict[str, int] = {}
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.clients = sketches.Sketches(len(plan.rules.pairs) + len(plan.rules.clients))
        k0, k1 = np.frombuffer(plan.client_key, "<u8")
        self._client_rules = sketches.ClientRules(
            plan.rules.client_length_v4,
            plan.rules.client_length_v6,
            plan.rules.client_is_user,
            len(plan.rules.pairs),
            len(plan.rules.clients),
            k0,
            k1,
            plan.reporting_offset_ms,
        )

    def add(self, batch: FlowBatch) -> None:
        """Count one batch of flows."""
        if batch.rows == 0:
            return
        exporter = self.exporters.numbers_of(batch.exporter)
        decisions, places = classify_flows(batch, self.plan.rules)
        measures = self.measure(batch, exporter)
        vantage_of = np.array(self.exporters.vantage, np.int32)
        flows = t.TrafficInputs(
            batch.start_ms,
            batch.end_ms,
            batch.packets,
            batch.octets,
            batch.family,
            exporter,
            vantage_of,
        )
        t.add_flows(self.traffic, flows, measures, decisions)
        t.add_errors(self.errors, flows, measures, decisions)
        t.note_presence(self.presence, len(self.exporters.numbers), flows, measures)
        self._add_clients(batch, flows, measures, decisions)
        self._add_rtt(batch, flows, measures, decisions)
        self._add_health(batch, flows, measures, decisions)
        accounts.add_to_tally(
            self.tally,
            batch.family,
            measures.verdict,
            batch.packets,
            batch.octets,
            measures.packets,
            measures.octets,
        )
        accounts.add_beyond(
            self.tally,
            batch.family,
            measures.verdict,
            batch.packets_beyond,
            batch.octets_beyond,
        )
        self._note(batch, exporter, measures, places)

    def measure(self, batch: FlowBatch, exporter: U32) -> Measures:
        """Weigh the flows of a batch; exporter: their numbers in this lane."""
        return measure(
            MeasureInputs(
                batch.start_ms,
                batch.end_ms,
                self._faults(batch, exporter),
                batch.family,
                batch.packets,
                batch.octets,
                _or_empty(batch.layer2_octets, np.int64),
                _or_empty(batch.sampling_num, np.int64),
                _or_empty(batch.sampling_den, np.int64),
                _or_empty(batch.pre_scaled, np.bool_),
                batch.protocol,
                batch.tcp_flags,
                exporter,
                np.array(self.exporters.declared, np.int64),
                np.array(self.exporters.override, np.bool_),
            ),
            self.plan.max_duration_ms,
            self.plan.unknown_interval,
            self.plan.max_packet_bytes,
        )

    def _faults(self, batch: FlowBatch, exporter: U32) -> U16:
        """What is wrong with each flow; with it the second reports of one flow on its way out."""
        if batch.egress is None or not any(self.exporters.both):
            return batch.faults
        copies = batch.egress & np.array(self.exporters.both, np.bool_)[exporter]
        return np.where(copies, batch.faults | _EGRESS_COPY, batch.faults)

    def _add_clients(
        self, batch: FlowBatch, flows: t.TrafficInputs, measures: Measures, decisions: Decisions
    ) -> None:
        inputs = sketches.ClientInputs(
            batch.src_hi,
            batch.src_lo,
            batch.dst_hi,
            batch.dst_lo,
            batch.family,
            batch.src_port,
            batch.dst_port,
            batch.start_ms,
            batch.end_ms,
            flows.exporter,
            flows.vantage_of,
            self._subscribers(batch),
        )
        self.clients.add(inputs, self._client_rules, measures.verdict, decisions)

    def _subscribers(self, batch: FlowBatch) -> U64:
        if batch.subscriber is None or not batch.subscriber.values:
            return np.empty(0, np.uint64)
        texts = [v.encode() for v in batch.subscriber.values]
        offsets = np.cumsum([0, *(len(x) for x in texts)]).astype(np.int64)
        data = np.frombuffer(b"".join(texts), np.uint8)
        rules = self._client_rules
        hashes = hash_texts(rules.key_0, rules.key_1, TAG_SUBSCRIBER, offsets, data)
        hashes[hashes == 0] = 1
        # An empty id is no id; neither is null.
        hashes[np.diff(offsets) == 0] = 0
        return np.append(hashes, np.uint64(0))[batch.subscriber.codes]

    def _add_rtt(
        self, batch: FlowBatch, flows: t.TrafficInputs, measures: Measures, decisions: Decisions
    ) -> None:
        for side, column in enumerate((batch.rtt_client_us, batch.rtt_server_us)):
            if column is None:
                continue
            rows = np.flatnonzero(
                (measures.verdict == COUNTED) & (column >= 0) & (decisions.ip_class != CONTROL)
            )
            bucket = np.minimum(
                np.searchsorted(_RTT_BOUNDS, column[rows], "left"), len(_RTT_BOUNDS) - 1
            )
            a = (
                (batch.start_ms[rows] // HOUR_MS) << 32
                | bucket << 16
                | flows.vantage_of[flows.exporter[rows]]
            )
            b = _cell(decisions, batch, rows) << 1 | side
            t.add_counts(self.rtt, a, b, np.ones((len(rows), 1), np.int64))

    def _add_health(
        self, batch: FlowBatch, flows: t.TrafficInputs, measures: Measures, decisions: Decisions
    ) -> None:
        a, b, values = health_counts(
            HealthInputs(
                batch.start_ms,
                batch.packets,
                batch.family,
                batch.protocol,
                batch.tcp_flags,
                flows.exporter,
                flows.vantage_of,
                _or_empty(batch.retransmits, np.int64),
            ),
            measures,
            decisions,
        )
        t.add_counts(self.health, a, b, values)

    def _note(self, batch: FlowBatch, exporter: U32, measures: Measures, places: Places) -> None:
        verdict = measures.verdict
        first, last = counted_span(batch.start_ms, batch.end_ms, verdict)
        if first <= last:
            self.first_ms = first if self.first_ms is None else min(first, self.first_ms)
            self.last_ms = last if self.last_ms is None else max(last, self.last_ms)
        documented = rows_flagged(self.plan.rules.arrays, DOCUMENTATION, places)
        for finding, mask in (*batch.findings, (DOCUMENTATION_FINDING, documented)):
            if not mask.any():
                continue
            for name, rows in self._rows_by_exporter(exporter, mask & (verdict == COUNTED)):
                self.findings[name, finding] = self.findings.get((name, finding), 0) + rows
        for name, rows in self._rows_by_exporter(exporter, verdict == _NO_INTERVAL):
            self.without_interval[name] = self.without_interval.get(name, 0) + rows

    def _rows_by_exporter(self, exporter: U32, mask: Bool) -> Iterator[tuple[str, int]]:
        if not mask.any():
            return
        rows = np.bincount(exporter[mask], minlength=len(self.exporters.numbers))
        for name, number in self.exporters.numbers.items():
            if rows[number]:
                yield name, int(rows[number])


def _cell(decisions: Decisions, batch: FlowBatch, rows: NDArray[np.intp]) -> I64:
    """Pack (app, client, family) of rows: the cell in which performance is compared."""
    app = decisions.app[rows].astype(np.int64)
    cells: I64 = pack_cell(app, decisions.client[rows], batch.family[rows])
    return cells
