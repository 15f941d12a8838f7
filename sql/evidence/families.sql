-- what: IPv4 and IPv6 of every exporter, app and network on the days in question, beside the seven
--       days of data before
-- key:  kind, id, family, day
-- expected_records: the records of the other family, times this family's by the other's before;
-- usual_days: days before on which this one had any.
WITH days AS (
  SELECT day FROM main.data_days
  WHERE is_data AND day BETWEEN getvariable('first_day') - 7 AND getvariable('last_day')
),
counted AS (
  SELECT 'exporter' AS kind, exporter AS id, CAST(window_start AS DATE) AS day, family, records
  FROM main.exporters_1h
  WHERE window_start >= getvariable('first_day') - 7 AND window_start < getvariable('last_day') + 1
  UNION ALL
  SELECT 'app', app, CAST(window_start AS DATE), family, records
  FROM main.traffic_1d
  WHERE window_start >= getvariable('first_day') - 7 AND window_start < getvariable('last_day') + 1
  UNION ALL
  SELECT 'network', network, CAST(window_start AS DATE), family, records
  FROM main.traffic_1d
  WHERE window_start >= getvariable('first_day') - 7 AND window_start < getvariable('last_day') + 1
),
sums AS (
  SELECT
    c.kind, c.id, c.day,
    sum(c.records) FILTER (c.family = 'v4') AS v4, sum(c.records) FILTER (c.family = 'v6') AS v6
  FROM counted c
  JOIN days d ON d.day = c.day
  GROUP BY c.kind, c.id, c.day
),
by_family AS (
  SELECT kind, id, day, f.family, coalesce(CASE f.family WHEN 'v4' THEN v4 ELSE v6 END, 0) AS records,
    coalesce(CASE f.family WHEN 'v4' THEN v6 ELSE v4 END, 0) AS other_records
  FROM sums
  CROSS JOIN (VALUES ('v4'), ('v6')) AS f(family)
),
beside AS (
  SELECT
    *,
    sum(records) OVER before AS records_before,
    sum(other_records) OVER before AS other_before,
    count(*) FILTER (records > 0) OVER before AS usual_days
  FROM by_family
  WINDOW before AS (
    PARTITION BY kind, id, family ORDER BY day
    RANGE BETWEEN INTERVAL 7 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING
  )
)
SELECT
  kind, id, family, day, records::BIGINT AS records, other_records::BIGINT AS other_records,
  usual_days, other_records * records_before / nullif(other_before, 0) AS expected_records
FROM beside
WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day')
ORDER BY kind, id, family, day
