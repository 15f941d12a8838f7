-- what: no record lies days off all others, as with a wrong clock (see the view data_days)
-- found: exporter {exporter} sent records of {day}: {records}
-- severity: warn
WITH days AS (
  SELECT CAST(window_start AS DATE) AS day, exporter, sum(records) AS records
  FROM exporters_1h
  GROUP BY CAST(window_start AS DATE), exporter
),
sums AS (
  SELECT day, sum(records) AS records, floor(sqrt(sum(records)))::BIGINT AS weight
  FROM days
  GROUP BY day
),
usual AS (
  SELECT max(records) AS records
  FROM (SELECT records, sum(weight) OVER (ORDER BY records DESC, day) AS so_far FROM sums)
  WHERE 2 * so_far >= (SELECT sum(weight) FROM sums)
),
span AS (
  SELECT min(s.day) AS first_day, max(s.day) AS last_day
  FROM sums s, usual u
  WHERE 100 * s.records >= u.records
)
SELECT d.exporter, d.day, d.records
FROM days d
JOIN span s ON d.day NOT BETWEEN s.first_day - 1 AND s.last_day + 1
WHERE d.records > 0
ORDER BY d.records DESC, d.exporter, d.day
