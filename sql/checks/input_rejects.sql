-- what: per input, the rejects by reason add up to the rejected family sums
-- found: input {input_id} has {family_rows} rejected rows ({family_bytes} bytes) by family, {reason_rows} ({reason_bytes} bytes) by reason
-- severity: fail
-- scope: inputs
WITH by_family AS (
  SELECT
    input_id,
    sum("rows") AS "rows",
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes
  FROM ledger_families
  WHERE disposition = 'rejected'
  GROUP BY input_id
),
by_reason AS (
  SELECT
    input_id,
    sum("rows") AS "rows",
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes
  FROM rejects
  GROUP BY input_id
)
SELECT
  input_id,
  f."rows" AS family_rows,
  r."rows" AS reason_rows,
  f.sampled_packets AS family_packets,
  r.sampled_packets AS reason_packets,
  f.sampled_bytes AS family_bytes,
  r.sampled_bytes AS reason_bytes
FROM by_family f
FULL JOIN by_reason r USING (input_id)
WHERE f."rows" IS DISTINCT FROM r."rows"
  OR f.sampled_packets IS DISTINCT FROM r.sampled_packets
  OR f.sampled_bytes IS DISTINCT FROM r.sampled_bytes
