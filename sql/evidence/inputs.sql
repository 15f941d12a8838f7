-- what: the inputs that are published for the first time
-- key:  path
-- reject_share, future_share: of its rows, without those that stand for no traffic, or for traffic
-- that another row counts (as in kpi_headline): that they are rejected is as it should be;
-- hours_ahead: how far its newest row lies after the
-- clock; late_days: how far its first day lies before the newest day that was final when it came,
-- 0 where its days were not final yet; twins: other inputs with the same rows, sums and times.
WITH new AS (
  SELECT f.* FROM main.ledger_files f SEMI JOIN temp.new_inputs USING (input_id)
  WHERE f.status = 'committed'
),
sums AS (
  SELECT
    f.input_id, f.rows_counted, f.first_start, f.last_end,
    sum(l.sampled_bytes) AS octets, sum(l.sampled_packets) AS packets
  FROM main.ledger_files f
  JOIN main.ledger_families l ON l.input_id = f.input_id AND l.disposition = 'counted'
  WHERE f.status = 'committed' AND f.first_start IN (SELECT first_start FROM new)
  GROUP BY f.input_id, f.rows_counted, f.first_start, f.last_end
),
twins AS (
  SELECT s.input_id, count(*) AS twins, min(o.path) AS twin
  FROM sums s
  JOIN sums t ON t.input_id <> s.input_id AND t.rows_counted = s.rows_counted
    AND t.first_start = s.first_start AND t.last_end = s.last_end
    AND t.octets = s.octets AND t.packets = s.packets
  JOIN main.ledger_files o ON o.input_id = t.input_id AND o.status = 'committed'
  GROUP BY s.input_id
),
rejected AS (
  SELECT
    input_id, coalesce(sum("rows") FILTER (by_design), 0) AS left_out,
    coalesce(sum("rows") FILTER (NOT by_design), 0) AS lost,
    coalesce(sum("rows") FILTER (reason = 'future'), 0) AS future
  FROM (
    SELECT *, reason IN ('egress_copy', 'action_reject', 'no_data', 'zero_packets') AS by_design
    FROM main.rejects
  )
  GROUP BY input_id
),
before AS (
  SELECT n.input_id, max(d.day) AS newest
  FROM new n
  JOIN main.ledger_final_days d ON d.published_at < n.committed_at
  GROUP BY n.input_id
)
SELECT
  n.path, n.rows_in, n.rows_rejected,
  coalesce(r.lost, 0) / nullif(n.rows_in - coalesce(r.left_out, 0), 0) AS reject_share,
  coalesce(r.future, 0) / nullif(n.rows_in - coalesce(r.left_out, 0), 0) AS future_share,
  greatest(date_diff('minute', getvariable('now'), n.last_end) / 60, 0) AS hours_ahead,
  greatest(coalesce(b.newest - CAST(n.first_start AS DATE), 0), 0) AS late_days,
  coalesce(t.twins, 0) AS twins, t.twin
FROM new n
LEFT JOIN twins t ON t.input_id = n.input_id
LEFT JOIN rejected r ON r.input_id = n.input_id
LEFT JOIN before b ON b.input_id = n.input_id
ORDER BY n.path
