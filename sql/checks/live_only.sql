-- what: family sums, rejects, findings and overlaps belong to committed inputs, one row a key
-- found: {table} holds {part} of input {input_id} {times} times, or the input is not committed
-- severity: fail
-- scope: inputs
WITH parts AS (
  SELECT 'ledger_families' AS "table", input_id, family || ' ' || disposition AS part
  FROM ledger_families
  UNION ALL
  SELECT 'rejects', input_id, reason FROM rejects
  UNION ALL
  SELECT 'ledger_findings', input_id, exporter || ' ' || finding FROM ledger_findings
  UNION ALL
  SELECT 'ledger_overlaps', input_id, other_input_id FROM ledger_overlaps
)
SELECT "table", input_id, part, count(*) AS times
FROM parts
ANTI JOIN (SELECT input_id FROM ledger_files WHERE status = 'committed') USING (input_id)
GROUP BY ALL
UNION ALL
SELECT "table", input_id, part, count(*) AS times
FROM parts
GROUP BY ALL
HAVING count(*) > 1
