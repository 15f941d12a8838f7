-- What was checked before a file was published, and what that found.
CREATE TABLE checks (
  name VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  severity VARCHAR NOT NULL,
  what VARCHAR NOT NULL
);
COMMENT ON TABLE checks IS 'What was checked before this file was published.';
COMMENT ON COLUMN checks.name IS 'the check; an expectation of the gate is suite.expectation';
COMMENT ON COLUMN checks.kind IS 'invariant: holds by construction; plausibility: is expected';
COMMENT ON COLUMN checks.severity IS 'fail: keeps the numbers from being published; or warn';
COMMENT ON COLUMN checks.what IS 'what holds where all is well';
CREATE TABLE check_results (
  run_id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  checked_at TIMESTAMP NOT NULL,
  outcome VARCHAR NOT NULL,
  judged BIGINT,
  found BIGINT NOT NULL,
  example VARCHAR NOT NULL
);
COMMENT ON TABLE check_results IS 'What the checks found before this file was published: one row for each of them.';
COMMENT ON COLUMN check_results.run_id IS 'the newest run then; empty before any';
COMMENT ON COLUMN check_results.name IS 'as in checks';
COMMENT ON COLUMN check_results.checked_at IS 'when the file was checked, UTC';
COMMENT ON COLUMN check_results.outcome IS 'ok, warning, or not judged where there was nothing to judge';
COMMENT ON COLUMN check_results.judged IS 'rows that an expectation looked at; NULL for an invariant [rows]';
COMMENT ON COLUMN check_results.found IS 'rows that are not as they should be [rows]';
COMMENT ON COLUMN check_results.example IS 'one of them, in words; empty where there is none';
