-- what: no table holds rows of days that were pruned of it
-- found: {table} holds {rows} rows of {day}, and is kept from {kept_from}
-- severity: fail
-- scope: days
WITH days AS (
  SELECT 'traffic_5m' AS part, CAST(window_start AS DATE) AS day FROM traffic_5m
  UNION ALL
  SELECT 'traffic_1h', CAST(window_start AS DATE) FROM traffic_1h
  UNION ALL
  SELECT 'rtt_1h', CAST(window_start AS DATE) FROM rtt_1h
  UNION ALL
  SELECT 'health_1h', CAST(window_start AS DATE) FROM health_1h
  UNION ALL
  SELECT 'clients_1d', day FROM clients_1d
)
SELECT d.part AS "table", d.day, p.kept_from, count(*) AS "rows"
FROM days d
JOIN ledger_pruned p ON p.part = d.part AND d.day < p.kept_from
GROUP BY ALL
