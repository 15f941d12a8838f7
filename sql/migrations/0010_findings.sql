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
-- Inputs that hold the same rows are found by a sample of the rows of each, which is not published.
CREATE TABLE private.sampled_rows (
  input_id VARCHAR NOT NULL,
  first_start TIMESTAMP NOT NULL,
  last_end TIMESTAMP NOT NULL,
  digest UINTEGER NOT NULL,
  file_row BIGINT NOT NULL,
  times BIGINT NOT NULL,
  bytes_before BIGINT NOT NULL,
  is_reverse BOOLEAN NOT NULL,
  file_rows BIGINT NOT NULL,
  file_bytes BIGINT NOT NULL
);
COMMENT ON TABLE private.sampled_rows IS 'A sample of the counted rows of each input, more of those near its first and its last row.';
CREATE TABLE ledger_overlaps (
  input_id VARCHAR NOT NULL,
  other_input_id VARCHAR NOT NULL,
  rows BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  first_row BIGINT
);
COMMENT ON TABLE ledger_overlaps IS 'Pairs of inputs that hold the same rows, which count twice; see docs/findings.md.';
COMMENT ON COLUMN ledger_overlaps.input_id IS 'SHA-256 of the later input''s bytes, hex: that with the later first_start, or of two that begin together with the greater id';
COMMENT ON COLUMN ledger_overlaps.other_input_id IS 'SHA-256 of the earlier input''s bytes, hex';
COMMENT ON COLUMN ledger_overlaps.rows IS 'rows that both files hold [rows]';
COMMENT ON COLUMN ledger_overlaps.bytes IS 'scaled layer-3 bytes of these rows [bytes]';
COMMENT ON COLUMN ledger_overlaps.first_row IS 'where these rows begin in the later file, counted from 0, if they stand in both without a gap; else NULL, and rows and bytes are estimates';
