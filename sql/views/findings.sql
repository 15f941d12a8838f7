-- what:    what a reader should know of the rows of each input: oddities of counted rows, and rejected
--          rows by exporter; those with most bytes first
-- unit:    rows: rows; bytes: bytes
-- columns: finding: what was seen, see docs/findings.md; rows: rows of the input that it is about;
--          bytes: scaled layer-3 bytes of these rows, of rejected ones as exported, NULL where rules
--          before version 7 counted the input; exporter: address or name of the exporter, empty
--          where the whole input is concerned; input: path of the input; example: one of these rows,
--          counted from 0, as `v6share explain` takes it
-- first:   finding, exporter, rows, bytes, input, example
-- formula: ledger_findings with the path of the input. docs/findings.md says of each finding what it
--          does to which KPI, and what to do
-- source:  ledger_findings, ledger_files
CREATE VIEW definitions.findings AS
SELECT f.finding, f.exporter, f.rows, f.bytes, l.path AS input, f.example, f.input_id
FROM main.ledger_findings f
JOIN main.ledger_files l ON l.input_id = f.input_id AND l.status = 'committed'
ORDER BY f.bytes DESC NULLS LAST, f.rows DESC, f.finding, f.exporter, l.path, f.input_id
