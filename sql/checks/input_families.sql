-- what: per committed input, the family sums hold as many counted and rejected rows as the ledger
-- found: {path} has {rows_counted} rows counted and {rows_rejected} rejected, and {families_counted} and {families_rejected} by family
-- severity: fail
-- scope: inputs
WITH sums AS (
  SELECT
    input_id,
    coalesce(sum("rows") FILTER (disposition = 'counted'), 0) AS counted,
    coalesce(sum("rows") FILTER (disposition = 'rejected'), 0) AS rejected
  FROM ledger_families
  GROUP BY input_id
)
SELECT
  f.input_id,
  f.path,
  f.rows_counted,
  coalesce(s.counted, 0) AS families_counted,
  f.rows_rejected,
  coalesce(s.rejected, 0) AS families_rejected
FROM ledger_files f
LEFT JOIN sums s USING (input_id)
WHERE f.status = 'committed'
  AND (f.rows_counted <> coalesce(s.counted, 0) OR f.rows_rejected <> coalesce(s.rejected, 0))
