-- what: a listed exporter has sent in the newest day of the data
-- found: exporter {exporter} has not; its last record ends at: {last_seen}
-- severity: warn
WITH days AS (
  SELECT
    CAST(window_start AS DATE) AS day, sum(records) AS records, max(last_seen) AS last_seen,
    floor(sqrt(sum(records)))::BIGINT AS weight
  FROM exporters_1h
  GROUP BY CAST(window_start AS DATE)
),
usual AS (
  SELECT max(records) AS records
  FROM (SELECT records, sum(weight) OVER (ORDER BY records DESC, day) AS so_far FROM days)
  WHERE 2 * so_far >= (SELECT sum(weight) FROM days)
),
-- Of the days that count as data (see the view data_days): a wrong clock silences nobody.
newest AS (
  SELECT max(d.last_seen) AS moment FROM days d, usual u WHERE 100 * d.records >= u.records
)
SELECT d.exporter, max(e.last_seen) AS last_seen
FROM dim_exporters d
LEFT JOIN exporters_1h e USING (exporter)
WHERE (SELECT moment FROM newest) IS NOT NULL
GROUP BY d.exporter
HAVING max(e.last_seen) IS NULL
  OR max(e.last_seen) < (SELECT moment FROM newest) - INTERVAL 1 DAY
