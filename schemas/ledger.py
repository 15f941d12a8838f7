"""The ledger: what came in, what was counted, what was refused, and which run did it."""

from typing import Final

from v6share.schemas.columns import Column, Kind, Merge, Table


def _huge(name: str, meaning: str, unit: str) -> Column:
    return Column(name, Kind.HUGEINT, meaning, unit, Merge.SUM)


_INPUT = Column("input_id", Kind.TEXT, "SHA-256 of the input's bytes, hex")
_ROWS = Column("rows", Kind.BIGINT, "rows", "rows", Merge.SUM)

LEDGER_FILES: Final = Table(
    "ledger_files",
    "Every input ever met; exactly one committed row per input_id.",
    (
        _INPUT,
        Column("dialect", Kind.TEXT, "dialect that read it; empty where none fitted"),
        Column("rules_version", Kind.BIGINT, "version of the classification rules"),
        Column("catalog_version", Kind.TEXT, "hash of the catalog parts that alter rows"),
        Column("path", Kind.TEXT, "path it was committed under"),
        Column("size", Kind.BIGINT, "size of the file", "bytes"),
        Column("run_id", Kind.TEXT, "run that last changed this row"),
        Column(
            "status",
            Kind.TEXT,
            "committed, quarantined, accepted (quarantined, and acknowledged), awaiting_retry "
            "(quarantined, and tried again by the next run), superseded or forgotten",
        ),
        Column("reason", Kind.TEXT, "why it was quarantined or forgotten; else empty"),
        Column("rows_in", Kind.BIGINT, "rows met; a biflow's reverse half is a row", "rows"),
        Column("rows_counted", Kind.BIGINT, "rows counted", "rows"),
        Column("rows_rejected", Kind.BIGINT, "rows rejected, each with a reason", "rows"),
        Column("first_start", Kind.TIMESTAMP, "earliest start of a counted row", nullable=True),
        Column("last_end", Kind.TIMESTAMP, "latest end of a counted row", nullable=True),
        Column("committed_at", Kind.TIMESTAMP, "when this row was last changed, UTC"),
        Column("client_key", Kind.SMALLINT, "number of the client key then, as in ledger_keys"),
        Column(
            "sealed_at",
            Kind.TIMESTAMP,
            "when its fragment was pruned: it counts as it is, and can no longer be withdrawn or "
            "counted again; NULL before, UTC",
            nullable=True,
        ),
    ),
)

LEDGER_FAMILIES: Final = Table(
    "ledger_families",
    "Per input, family and disposition: what came in, to the byte.",
    (
        _INPUT,
        Column("family", Kind.TEXT, "v4, v6 or unknown"),
        Column("disposition", Kind.TEXT, "counted or rejected"),
        _ROWS,
        _huge("sampled_packets", "packets as exported", "packets"),
        _huge("sampled_bytes", "bytes as exported", "bytes"),
        _huge("packets", "scaled packets; 0 for rejected rows", "packets"),
        _huge("bytes", "scaled layer-3 bytes; 0 for rejected rows", "bytes"),
    ),
)

REJECTS: Final = Table(
    "rejects",
    "Rows that were not counted, by reason.",
    (
        _INPUT,
        Column("reason", Kind.TEXT, "the first reason that applied; see docs/tables.md"),
        _ROWS,
        _huge("sampled_packets", "packets as exported", "packets"),
        _huge("sampled_bytes", "bytes as exported", "bytes"),
    ),
)

FINDINGS: Final = Table(
    "ledger_findings",
    "What a reader should know of: oddities of counted rows, rejected rows by exporter, and "
    "counters that an input lacks.",
    (
        _INPUT,
        Column("exporter", Kind.TEXT, "exporter it concerns; empty for the whole input"),
        Column("finding", Kind.TEXT, "what was seen; see docs/findings.md"),
        _ROWS,
        Column(
            "bytes",
            Kind.HUGEINT,
            "scaled layer-3 bytes of these rows, of rejected ones as exported; NULL where older "
            "rules counted the input",
            "bytes",
            Merge.SUM,
            nullable=True,
        ),
        Column(
            "example",
            Kind.TEXT,
            "the first of these rows, counted from 0 in the file, as `v6share explain` takes it; "
            "empty where older rules counted the input, and of what concerns a whole input",
        ),
    ),
)

LEDGER_OVERLAPS: Final = Table(
    "ledger_overlaps",
    "Pairs of inputs that hold the same rows, which count twice; see docs/findings.md.",
    (
        Column(
            "input_id",
            Kind.TEXT,
            "SHA-256 of the later input's bytes, hex: that with the later first_start, or of two "
            "that begin together with the greater id",
        ),
        Column("other_input_id", Kind.TEXT, "SHA-256 of the earlier input's bytes, hex"),
        Column("rows", Kind.BIGINT, "rows that both files hold", "rows", Merge.SUM),
        Column("bytes", Kind.BIGINT, "scaled layer-3 bytes of these rows", "bytes", Merge.SUM),
        Column(
            "first_row",
            Kind.BIGINT,
            "where these rows begin in the later file, counted from 0, if they stand in both "
            "without a gap; else NULL, and rows and bytes are estimates",
            nullable=True,
        ),
    ),
)

# The outcome of a run that changed no number.
NO_OP: Final = "no-op"

LEDGER_RUNS: Final = Table(
    "ledger_runs",
    "Every run, with the versions that it used and what came of it.",
    (
        Column("run_id", Kind.TEXT, "id of the run: start time and a random part"),
        Column("command", Kind.TEXT, "the command line, without secrets"),
        Column("code_version", Kind.TEXT, "version of v6share"),
        Column("rules_version", Kind.BIGINT, "version of the classification rules"),
        Column("catalog_version", Kind.TEXT, "hash of the catalog parts that alter rows"),
        Column("started_at", Kind.TIMESTAMP, "start, UTC"),
        Column("finished_at", Kind.TIMESTAMP, "end, UTC"),
        Column("inputs_committed", Kind.BIGINT, "inputs committed by this run", "inputs"),
        Column("inputs_known", Kind.BIGINT, "inputs skipped, known from before", "inputs"),
        Column("inputs_quarantined", Kind.BIGINT, "inputs newly quarantined", "inputs"),
        Column("rows_in", Kind.BIGINT, "rows met in committed inputs", "rows"),
        Column("rows_counted", Kind.BIGINT, "rows counted", "rows"),
        Column("rows_rejected", Kind.BIGINT, "rows rejected", "rows"),
        Column("outcome", Kind.TEXT, "committed, no-op or quarantined-some"),
    ),
)

LEDGER_KEYS: Final = Table(
    "ledger_keys",
    "Every key of the client hash that inputs were counted with. The last one counts now.",
    (
        Column("client_key", Kind.SMALLINT, "0 for the first key, then one more for each new one"),
        Column("key_id", Kind.TEXT, "id of the key: 16 hex digits of its SHA-256"),
        Column("since", Kind.TIMESTAMP, "when it was first noted; inputs count with it since, UTC"),
    ),
)

LEDGER_FINAL_DAYS: Final = Table(
    "ledger_final_days",
    "Every day that was published as final: what the KPIs had of it then, and after each change.",
    (
        Column("day", Kind.DATE, "UTC day"),
        Column("revision", Kind.BIGINT, "0 as it was first; then the number of the change"),
        Column("published_at", Kind.TIMESTAMP, "when it was published so, UTC"),
        Column(
            "changed_at",
            Kind.TIMESTAMP,
            "newest commit or withdrawal of an input whose time covers the day; published_at where "
            "none came since the row before, as when the catalog changed; UTC",
        ),
        Column("records", Kind.HUGEINT, "as in kpi_sums_1d", "records"),
        Column("bytes", Kind.HUGEINT, "as in kpi_sums_1d", "bytes"),
        Column("ipv6_bytes", Kind.HUGEINT, "as in kpi_sums_1d", "bytes"),
        Column("content", Kind.TEXT, "as in kpi_sums_1d; empty where no traffic is left"),
    ),
)

LEDGER_PRUNED: Final = Table(
    "ledger_pruned",
    "Of what v6share prune removed old days; what has no row here was never pruned.",
    (
        Column("part", Kind.TEXT, "a table; or quarantine, the notes of refused inputs"),
        Column("kept_from", Kind.DATE, "the first day of which rows are kept, UTC"),
        Column("pruned_at", Kind.TIMESTAMP, "when that became the first day, UTC"),
        Column("run_id", Kind.TEXT, "run that did it"),
    ),
)

# Part of a fragment, beside the aggregates.
FRAGMENT_LEDGERS: Final = (LEDGER_FAMILIES, REJECTS, FINDINGS)
# Their rows belong to an input, whose input_id they have.
INPUT_LEDGERS: Final = (LEDGER_FILES, *FRAGMENT_LEDGERS, LEDGER_OVERLAPS)
LEDGERS: Final = (*INPUT_LEDGERS, LEDGER_RUNS, LEDGER_KEYS, LEDGER_FINAL_DAYS, LEDGER_PRUNED)

# Why a row is not counted, in order: a row has the first reason that applies to it.
REJECT_MEANINGS: Final = {
    "bad_address": "an address has the wrong length or cannot be read; or it is IPv6 that nobody "
    "was given, in a record with fewer bytes than its packets' headers take",
    "no_time": "no start, end, export or receive time, or none from 1990 to 9999-12-30",
    "end_before_start": "the end is before the start",
    "duration_too_long": "it lasts longer than the setting time.max_duration_hours",
    "future": "it ends over 10 minutes after its own export or receive time, or later than "
    "time.ahead_hours after the moment of reading",
    "stale": "it ends over time.stale_days before its own export or receive time",
    "action_reject": "the router dropped these packets, as the record says",
    "no_data": "the exporter says that there was no traffic",
    "skip_data": "the exporter says that it lost records, so some traffic is missing",
    "egress_copy": "it leaves an exporter that also reported it coming in, as exporters.csv says",
    "no_counters": "packets or bytes are null or absent",
    "bad_counter": "packets or bytes are negative, a fraction, 2^63 or more, or not a number",
    "zero_packets": "no packets",
    "total_counters": "only counters since the flow began, none of this record alone",
    "no_sampling_interval": "neither the record nor exporters.csv nor the settings know it",
    "counter_overflow": "packets or bytes, as exported or scaled, are over 2^53",
}
REJECT_REASONS: Final = tuple(REJECT_MEANINGS)
# Of rows that stand for no traffic, or for traffic that another row counts: however many there are.
REJECTS_BY_DESIGN: Final = ("egress_copy", "action_reject", "no_data", "zero_packets")
