-- what: every exporter of the last 15 days of the data, and of the last 60 where the catalog lists
--       it: how long it has been silent, and how it samples
-- key:  exporter
-- silent_hours: since its last record, as of the newest record of all; clock_silent_hours: as of
-- the clock, NULL where the data are not live, or ended over 60 days ago. They are live where an
-- input of their last day was committed within three days of the newest record: when a history was
-- loaded, the clock says nothing of its exporters. pause_hours: 95 of 100 of its own pauses in its
-- last 15 days, pauses, are no longer. new_intervals: sampling intervals of its last 24 hours that
-- it did not have in the 24 hours with records before; NULL where there are none of these, and where
-- it is silent for a day: each change is said for a day.
WITH seen AS (
  SELECT exporter, max(last_seen) AS last_seen, max(last_hour) AS last_hour
  FROM results.exporters_1d
  WHERE day >= CAST(getvariable('newest') AS DATE) - 60 AND day <= CAST(getvariable('newest') AS DATE)
  GROUP BY exporter
  HAVING max(last_hour) >= getvariable('newest') - INTERVAL 15 DAY
    OR exporter IN (SELECT exporter FROM main.dim_exporters)
),
live AS (
  SELECT count(*) > 0 AND getvariable('now') < getvariable('newest') + INTERVAL 60 DAY AS is_live
  FROM main.ledger_files
  WHERE status = 'committed' AND first_start <= getvariable('newest')
    AND last_end >= getvariable('newest') - INTERVAL 1 DAY
    AND committed_at <= getvariable('newest') + INTERVAL 3 DAY
),
hours AS (
  SELECT
    e.exporter, e.window_start, e.window_start > s.last_hour - INTERVAL 24 HOUR AS is_last_day,
    min(e.sampling_min) AS sampling_min, max(e.sampling_max) AS sampling_max
  FROM main.exporters_1h e
  JOIN seen s ON s.exporter = e.exporter
    AND e.window_start BETWEEN s.last_hour - INTERVAL 15 DAY AND s.last_hour
  WHERE e.window_start >= getvariable('newest') - INTERVAL 76 DAY
  GROUP BY e.exporter, e.window_start, s.last_hour
),
beside AS (
  SELECT
    *,
    date_diff('hour', lag(window_start) OVER (PARTITION BY exporter ORDER BY window_start),
      window_start) AS pause,
    max(window_start) FILTER (NOT is_last_day) OVER (PARTITION BY exporter) - INTERVAL 24 HOUR
      AS day_before
  FROM hours
),
usual AS (
  SELECT exporter, quantile_disc(pause, 0.95) AS pause_hours, count(pause) AS pauses
  FROM beside
  GROUP BY exporter
),
intervals AS (
  SELECT
    exporter,
    list_sort(list(DISTINCT interval) FILTER (is_last_day)) AS sampling_now,
    list_sort(list(DISTINCT interval) FILTER (NOT is_last_day)) AS sampling_before
  FROM (
    SELECT exporter, is_last_day, unnest([sampling_min, sampling_max]) AS interval
    FROM beside
    WHERE is_last_day OR window_start > day_before
  )
  GROUP BY exporter
)
SELECT
  s.exporter, s.last_seen,
  greatest(date_diff('hour', s.last_seen, getvariable('newest')), 0) AS silent_hours,
  CASE WHEN l.is_live THEN greatest(date_diff('hour', s.last_seen, getvariable('now')), 0) END
    AS clock_silent_hours,
  greatest(coalesce(u.pause_hours, 1), 1) AS pause_hours,
  silent_hours / greatest(coalesce(u.pause_hours, 1), 1) AS pauses_silent,
  u.pauses,
  array_to_string(i.sampling_now, ', ') AS sampling_now,
  array_to_string(i.sampling_before, ', ') AS sampling_before,
  CASE WHEN i.sampling_before IS NOT NULL
    AND s.last_hour > getvariable('newest') - INTERVAL 24 HOUR
    THEN len(i.sampling_now) - len(list_intersect(i.sampling_now, i.sampling_before))
  END AS new_intervals
FROM seen s
CROSS JOIN live l
JOIN usual u ON u.exporter = s.exporter
JOIN intervals i ON i.exporter = s.exporter
ORDER BY s.exporter
