"""Flow batches in, groups kept: what one thread has counted of one input.

An accumulator belongs to one thread. Several of one input are merged at its end.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate import account as accounts
from v6share.pipelines.kernels.aggregate import clients as sketches
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.exporters import Exporters
from v6share.pipelines.kernels.aggregate.groups import Groups
from v6share.pipelines.kernels.aggregate.health import MEASURES as HEALTH_MEASURES
from v6share.pipelines.kernels.aggregate.health import HealthInputs, health_counts, pack_cell
from v6share.pipelines.kernels.aggregate.scale_counters import (
    COUNTED,
    MeasureInputs,
    Measures,
    counted_span,
    measure,
)
from v6share.pipelines.kernels.aggregate.siphash import TAG_SUBSCRIBER, hash_texts
from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.decide import CONTROL, DOCUMENTATION, Decisions
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.classify.places import Places, rows_flagged
from v6share.pipelines.kernels.flow_batch import I64, U16, U32, U64, Bool, FlowBatch, or_empty
from v6share.pipelines.kernels.normalise.faults import fault_bit
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import HOUR_MS, rtt_boundaries
from v6share.schemas.ledger import REJECT_REASONS

_EGRESS_COPY: Final = fault_bit("egress_copy")
_NO_INTERVAL: Final = REJECT_REASONS.index("no_sampling_interval")
_RTT_BOUNDS: Final = np.array(rtt_boundaries(), np.int64)
DOCUMENTATION_FINDING: Final = "documentation address"


class Accumulator:
    """Everything that one thread has counted of one input."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.exporters = Exporters(plan)
        self.traffic = Groups(t.MEASURES)
        self.error_unknown = Groups(t.ERROR_MEASURES)
        self.presence = Groups(t.PRESENCE_MEASURES)
        self.rtt = Groups(1)
        self.health = Groups(HEALTH_MEASURES)
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
        """Count one batch of flows: locate, classify, scale, aggregate."""
        if batch.rows == 0:
            return
        exporter = self.exporters.numbers_of(batch.exporter)
        places = locate(batch, self.plan.rules)
        decisions = classify(batch, self.plan.rules, places)
        measures = self.scale(batch, exporter)
        self._aggregate(batch, exporter, decisions, measures)
        self._note(batch, exporter, measures, places)

    def scale(self, batch: FlowBatch, exporter: U32) -> Measures:
        """Decide each flow's sampling interval and verdict, and scale its counters.

        exporter: their numbers in this accumulator.
        """
        return measure(
            MeasureInputs(
                batch.start_ms,
                batch.end_ms,
                self._faults(batch, exporter),
                batch.family,
                batch.packets,
                batch.octets,
                or_empty(batch.layer2_octets, np.int64),
                or_empty(batch.sampling_num, np.int64),
                or_empty(batch.sampling_den, np.int64),
                or_empty(batch.pre_scaled, np.bool_),
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

    def _aggregate(
        self, batch: FlowBatch, exporter: U32, decisions: Decisions, measures: Measures
    ) -> None:
        """Add the flows to every table of the fragment."""
        flows = t.TrafficInputs(
            batch.start_ms,
            batch.end_ms,
            batch.packets,
            batch.octets,
            batch.family,
            exporter,
            np.array(self.exporters.vantage, np.int32),
        )
        t.add_flows(self.traffic, flows, measures, decisions)
        t.add_errors(self.error_unknown, flows, measures, decisions)
        t.note_presence(self.presence, len(self.exporters.numbers), flows, measures)
        self._add_clients(batch, flows, measures, decisions)
        self._add_rtt(batch, flows, measures, decisions)
        self._add_health(batch, flows, measures, decisions)
        self._account(batch, measures)

    def _account(self, batch: FlowBatch, measures: Measures) -> None:
        """Add rows and counters to the account of the input, rejected ones under their reason."""
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
                or_empty(batch.retransmits, np.int64),
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
        documented = rows_flagged(self.plan.rules.arrays.place_flags, DOCUMENTATION, places)
        for finding, mask in (*batch.findings, (DOCUMENTATION_FINDING, documented)):
            if not mask.any():
                continue
            for name, rows in self._rows_by_exporter(exporter, mask & (verdict == COUNTED)):
                self.findings[name, finding] = self.findings.get((name, finding), 0) + rows
        for finding in batch.input_findings:
            self.findings["", finding] = self.findings.get(("", finding), 0) + batch.rows
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
