-- what: every exporter of the last 15 days of the data: how long it has been silent, and how it
--       samples
-- key:  exporter
-- silent_hours: since its last record, as of the newest record of all; clock_silent_hours: as of
-- the clock, NULL where the data are older than a week (a history is being loaded). pause_hours: 95
-- of 100 of its own pauses are no longer. sampling_factor: largest interval of its last day by the
-- largest of the days before, sampling_days.
WITH newest AS (
  SELECT moment FROM main.newest_record
),
recent AS (
  SELECT e.exporter, e.window_start, max(e.last_seen) AS last_seen, max(e.sampling_max) AS sampling
  FROM main.exporters_1h e
  JOIN newest n ON e.window_start BETWEEN n.moment - INTERVAL 15 DAY AND n.moment
  GROUP BY e.exporter, e.window_start
),
pauses AS (
  SELECT
    exporter,
    date_diff('hour', lag(window_start) OVER (PARTITION BY exporter ORDER BY window_start),
      window_start) AS hours
  FROM recent
),
usual AS (
  SELECT exporter, quantile_disc(hours, 0.95) AS pause_hours, count(hours) AS pauses
  FROM pauses
  GROUP BY exporter
),
last_day AS (
  SELECT exporter, max(CAST(window_start AS DATE)) AS day FROM recent GROUP BY exporter
),
sampling AS (
  SELECT
    r.exporter,
    max(r.sampling) FILTER (CAST(r.window_start AS DATE) = l.day) AS sampling_now,
    max(r.sampling) FILTER (CAST(r.window_start AS DATE) < l.day) AS sampling_before,
    count(DISTINCT CAST(r.window_start AS DATE)) FILTER (CAST(r.window_start AS DATE) < l.day)
      AS sampling_days
  FROM recent r
  JOIN last_day l ON l.exporter = r.exporter
  GROUP BY r.exporter
),
seen AS (
  SELECT exporter, max(last_seen) AS last_seen FROM recent GROUP BY exporter
)
SELECT
  s.exporter, s.last_seen,
  greatest(date_diff('hour', s.last_seen, n.moment), 0) AS silent_hours,
  CASE WHEN n.moment > getvariable('now') - INTERVAL 7 DAY
    THEN greatest(date_diff('hour', s.last_seen, getvariable('now')), 0)
  END AS clock_silent_hours,
  greatest(coalesce(u.pause_hours, 1), 1) AS pause_hours,
  greatest(date_diff('hour', s.last_seen, n.moment), 0) / greatest(coalesce(u.pause_hours, 1), 1)
    AS pauses_silent,
  u.pauses, p.sampling_before, p.sampling_now,
  p.sampling_now / nullif(p.sampling_before, 0) AS sampling_factor,
  p.sampling_days
FROM seen s
CROSS JOIN newest n
JOIN usual u ON u.exporter = s.exporter
JOIN sampling p ON p.exporter = s.exporter
ORDER BY s.exporter
