-- what: IPv4 and IPv6 of every exporter, app and network on the final days in question, beside the
--       seven final days before
-- key:  kind, id, family, day
-- expected_records: the records of the other family, times this family's by the other's before;
-- usual_days: days before on which this one had any. Of a day that goes on, the files of one family
-- may come before those of the other.
WITH counted AS (
  SELECT 'exporter' AS kind, exporter AS id, CAST(window_start AS DATE) AS day, family, records
  FROM main.exporters_1h
  WHERE asked(window_start, before := 7)
  UNION ALL
  SELECT 'app', app, CAST(window_start AS DATE), family, records
  FROM main.traffic_1d
  WHERE asked(window_start, before := 7)
  UNION ALL
  SELECT 'network', network, CAST(window_start AS DATE), family, records
  FROM main.traffic_1d
  WHERE asked(window_start, before := 7)
),
sums AS (
  SELECT
    c.kind, c.id, c.day,
    sum(c.records) FILTER (c.family = 'v4') AS v4, sum(c.records) FILTER (c.family = 'v6') AS v6
  FROM counted c
  JOIN results.final_days d ON d.day = c.day
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
WHERE asked(day)
ORDER BY kind, id, family, day
