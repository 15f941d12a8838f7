-- what:    what a reader should know of the rows of each input: oddities of counted rows, and rejected
--          rows by exporter; what can make a share wrong first, then those with most bytes
-- unit:    rows: rows; bytes: bytes
-- columns: finding: what was seen, see docs/findings.md; rows: rows of the input that it is about;
--          bytes: scaled layer-3 bytes of these rows, of rejected ones as exported, NULL where rules
--          before version 7 counted the input; exporter: address or name of the exporter, empty
--          where the whole input is concerned; input: path of the input; example: one of these rows,
--          counted from 0, as `v6share explain` takes it; of rows of another input, where they begin
--          and the path of that input; doubtful: whether it can make a share wrong
-- first:   finding, exporter, rows, bytes, doubtful, input, example
-- formula: ledger_findings with the path of the input. Rows of another input: what the input shares
--          with the one that it shares most with, of those in ledger_overlaps, so that a row that
--          several hold is told of once. docs/findings.md says of each finding what it does to which
--          KPI, and what to do
-- source:  ledger_findings, ledger_overlaps, ledger_files
CREATE VIEW definitions.findings AS
WITH live AS (
  SELECT input_id, path FROM main.ledger_files WHERE status = 'committed'
),
shared AS (
  SELECT o.*, l.path AS other, count(*) OVER (PARTITION BY o.input_id) - 1 AS more
  FROM main.ledger_overlaps o JOIN live l ON l.input_id = o.other_input_id
  QUALIFY 1 = row_number() OVER (
    PARTITION BY o.input_id ORDER BY o.bytes DESC, o."rows" DESC, o.other_input_id
  )
),
found AS (
  SELECT input_id, exporter, finding, "rows", bytes, example FROM main.ledger_findings
  UNION ALL
  SELECT
    input_id, '', 'rows of another input', "rows", bytes,
    concat(
      CASE WHEN first_row IS NULL THEN 'scattered rows' ELSE concat('row ', first_row, ' on') END,
      ', as in ', other, CASE WHEN more > 0 THEN concat(' and ', more, ' more') ELSE '' END
    )
  FROM shared
)
SELECT
  f.finding, f.exporter, f.rows, f.bytes, l.path AS input, f.example, f.input_id,
  f.finding IN ('two address families', 'addresses of another family than told',
    'fewer bytes than headers', 'IPv6 outside unicast', 'sampling interval over the limit',
    'sampling interval with swapped bytes', 'counters of a longer connection',
    'rows of another input') AS doubtful
FROM found f
JOIN live l ON l.input_id = f.input_id
ORDER BY
  doubtful DESC, f.bytes DESC NULLS LAST, f.rows DESC, f.finding, f.exporter, l.path, f.input_id
