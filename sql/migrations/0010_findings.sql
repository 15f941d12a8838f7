-- Findings have bytes and an example. What older rules counted has neither.
ALTER TABLE ledger_findings ADD COLUMN bytes HUGEINT;
ALTER TABLE ledger_findings ADD COLUMN example VARCHAR DEFAULT '';
ALTER TABLE ledger_findings ALTER COLUMN example SET NOT NULL;
ALTER TABLE ledger_findings ALTER COLUMN example DROP DEFAULT;
COMMENT ON TABLE ledger_findings IS 'What a reader should know of: oddities of counted rows, rejected rows by exporter, and counters that an input lacks.';
COMMENT ON COLUMN ledger_findings.finding IS 'what was seen; see docs/findings.md';
COMMENT ON COLUMN ledger_findings.bytes IS 'scaled layer-3 bytes of these rows, of rejected ones as exported; NULL where older rules counted the input [bytes]';
COMMENT ON COLUMN ledger_findings.example IS 'the first of these rows, counted from 0 in the file, as `v6share explain` takes it; empty where older rules counted the input, and of what concerns a whole input';
-- Exporters that report long connections piece by piece say how long a piece is.
ALTER TABLE dim_exporters ADD COLUMN active_timeout BIGINT;
COMMENT ON COLUMN dim_exporters.active_timeout IS 'after how long it reports a connection that goes on [seconds]';
