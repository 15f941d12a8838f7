"""Flow batches in, groups kept: what one thread has counted of one input.

An accumulator belongs to one thread. Several of one input are merged at its end.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate import account as accounts
from v6share.pipelines.kernels.aggregate import clients as sketches
from v6share.pipelines.kernels.aggregate import findings
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.exporters import Exporters
from v6share.pipelines.kernels.aggregate.findings import Found
from v6share.pipelines.kernels.aggregate.groups import Groups
from v6share.pipelines.kernels.aggregate.health import MEASURES as HEALTH_MEASURES
from v6share.pipelines.kernels.aggregate.health import HealthInputs, health_counts, pack_cell
from v6share.pipelines.kernels.aggregate.row_sample import RowSample
from v6share.pipelines.kernels.aggregate.scale_counters import (
    COUNTED,
    LAST_MS,
    MeasureInputs,
    Measures,
    counted_span,
    measure,
)
from v6share.pipelines.kernels.aggregate.siphash import TAG_SUBSCRIBER, hash_texts
from v6share.pipelines.kernels.aggregate.subscribers import Subscribers
from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.decide import CONTROL, Decisions
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.classify.places import Places
from v6share.pipelines.kernels.flow_batch import I64, U16, U32, U64, Bool, FlowBatch, or_empty
from v6share.pipelines.kernels.normalise.faults import fault_bit
from v6share.pipelines.kernels.normalise.times import FIRST_MS
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import HOUR_MS, rtt_boundaries
from v6share.schemas.findings import SINCE_CONNECTION_START
from v6share.schemas.ledger import REJECT_REASONS

_BAD_ADDRESS: Final = fault_bit("bad_address")
_EGRESS_COPY: Final = fault_bit("egress_copy")
_FUTURE: Final = fault_bit("future")
_STALE: Final = fault_bit("stale")
_NO_INTERVAL: Final = REJECT_REASONS.index("no_sampling_interval")
_RTT_BOUNDS: Final = np.array(rtt_boundaries(), np.int64)


class Accumulator:
    """Everything that one thread has counted of one input."""

    def __init__(self, plan: Plan, read_at_ms: int = LAST_MS, file_rows: int = 0) -> None:
        """Have counted nothing yet.

        read_at_ms: when the input is read; else no time is ahead. file_rows: how many rows it has;
        else none is sampled.
        """
        self.plan = plan
        self._latest_ms = read_at_ms + plan.ahead_ms
        self.exporters = Exporters(plan)
        self.traffic = Groups(t.MEASURES)
        self.error_unknown = Groups(t.ERROR_MEASURES)
        self.presence = Groups(t.PRESENCE_MEASURES)
        self.rtt = Groups(1)
        self.health = Groups(HEALTH_MEASURES)
        self.tally = accounts.new_tally()
        self.findings: findings.Findings = {}
        self.without_interval: dict[str, int] = {}
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.subscribers = Subscribers()
        self.row_sample = RowSample(plan.client_key, file_rows)
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
        as_read, batch = batch, self.settled(batch, exporter)
        places = locate(batch, self.plan.rules)
        decisions = classify(batch, self.plan.rules, places)
        measures = self.scale(batch, exporter, places)
        self._aggregate(batch, exporter, decisions, measures)
        self._note(batch, exporter, measures, places)
        self.row_sample.add(as_read, measures)

    def settled(self, batch: FlowBatch, exporter: U32) -> FlowBatch:
        """Let flows that go on begin where their exporter last reported them, where that is known.

        exporter: their numbers in this accumulator. Where it is not known it is a finding.
        """
        if batch.continued is None or not batch.continued.any():
            return batch
        timeout = np.array(self.exporters.timeout_ms, np.int64)[exporter]
        if batch.active_timeout_ms is not None:
            told = batch.active_timeout_ms
            timeout = np.where(told > 0, told, timeout)
        longer = batch.continued & (batch.end_ms - batch.start_ms > timeout)
        known = longer & (timeout > 0)
        found = (*batch.findings, (SINCE_CONNECTION_START, longer & (timeout == 0)))
        start_ms = np.where(known, batch.end_ms - timeout, batch.start_ms)
        return replace(batch, start_ms=start_ms, findings=found)

    def scale(self, batch: FlowBatch, exporter: U32, places: Places) -> Measures:
        """Decide each flow's sampling interval and verdict, and scale its counters.

        exporter: their numbers in this accumulator. places: ``locate``'s.
        """
        return measure(
            MeasureInputs(
                batch.start_ms,
                batch.end_ms,
                self._faults(batch, exporter, places),
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

    def _faults(self, batch: FlowBatch, exporter: U32, places: Places) -> U16:
        """What is wrong with each flow; also by settings and catalog, and by the clock."""
        faults = self._with_copies(self._with_times(batch), batch, exporter)
        shifted = findings.read_at_wrong_place(batch, places, self.plan.rules)
        return np.where(shifted, faults | _BAD_ADDRESS, faults) if shifted.any() else faults

    def _with_times(self, batch: FlowBatch) -> U16:
        """Rows that were stale when exported or received, and rows of days that are yet to come."""
        faults = batch.faults
        ahead = batch.end_ms > self._latest_ms
        if ahead.any():
            faults = np.where(ahead, faults | _FUTURE, faults)
        for told in (batch.exported_ms, batch.received_ms):
            if told is None:
                continue
            stale = (told - batch.end_ms > self.plan.stale_ms) & (told >= FIRST_MS)
            if stale.any():
                faults = np.where(stale, faults | _STALE, faults)
        return faults

    def _with_copies(self, faults: U16, batch: FlowBatch, exporter: U32) -> U16:
        """With the second reports of one flow on its way out, where the catalog says so."""
        if batch.egress is None or not any(self.exporters.both):
            return faults
        copies = batch.egress & np.array(self.exporters.both, np.bool_)[exporter]
        return np.where(copies, faults | _EGRESS_COPY, faults)

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
        if len(inputs.subscriber):
            self._note_subscribers(batch, inputs, measures, decisions)

    def _note_subscribers(
        self,
        batch: FlowBatch,
        inputs: sketches.ClientInputs,
        measures: Measures,
        decisions: Decisions,
    ) -> None:
        rows = np.flatnonzero((measures.verdict == COUNTED) & (inputs.subscriber != 0))
        prefixes = sketches.prefix_hashes(
            inputs, self._client_rules, decisions, rows.astype(np.uint32)
        )
        # An address that is absent is no prefix.
        rows, prefixes = rows[prefixes != 0], prefixes[prefixes != 0]
        self.subscribers.add(
            inputs.subscriber[rows], prefixes, measures.octets[rows], batch.rows_in_file(rows)
        )

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
        most = self.plan.max_interval
        for marked in findings.find(batch, measures, places, self.plan.rules, most):
            known = self.exporters.numbers
            for name, found in findings.by_exporter(marked, batch, exporter, known):
                self._found(name, marked.finding, found)
        for finding in batch.input_findings:
            self._found("", finding, Found(batch.rows, 0, 0, ""))
        for name, rows in self._rows_by_exporter(exporter, verdict == _NO_INTERVAL):
            self.without_interval[name] = self.without_interval.get(name, 0) + rows

    def _found(self, exporter: str, finding: str, found: Found) -> None:
        before = self.findings.get((exporter, finding))
        self.findings[exporter, finding] = found if before is None else before.and_also(found)

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
