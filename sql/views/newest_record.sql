-- what:    when the newest record of the data ended, as all exporters together saw it; one row
-- unit:    moment: UTC
-- formula: of the days of data of the KPIs (data_days), and of those on which the exporters of all
--          vantages together saw at least 1 % of the usual day; of both those of the bulk, which no
--          gap of more than 731 days divides (all as data_days finds it): a wrong clock says nothing
--          of who is silent, and a vantage that stopped is not the measure
-- source:  data_days, exporters_1d
CREATE VIEW definitions.newest_record AS
WITH days AS (
  SELECT
    day, sum(records) AS records, max(last_seen) AS last_seen,
    floor(sqrt(sum(records)))::BIGINT AS weight
  FROM results.exporters_1d
  GROUP BY day
),
usual AS (
  SELECT max(records) AS records
  FROM (SELECT records, sum(weight) OVER (ORDER BY records DESC, day) AS so_far FROM days)
  WHERE 2 * so_far >= (SELECT sum(weight) FROM days)
),
enough AS (
  SELECT d.day, d.records, d.last_seen, d.day - lag(d.day) OVER (ORDER BY d.day) AS days_since
  FROM days d
  CROSS JOIN usual u
  WHERE 100 * d.records >= u.records OR d.day IN (SELECT day FROM results.data_days WHERE is_data)
),
stretches AS (
  SELECT records, last_seen, count(*) FILTER (days_since > 731) OVER (ORDER BY day) AS stretch
  FROM enough
),
bulks AS (
  SELECT sum(records) AS records, max(last_seen) AS last_seen FROM stretches GROUP BY stretch
)
-- Of equal ones the earliest, as in data_days.
SELECT arg_max(last_seen, (records, -epoch(last_seen))) AS moment FROM bulks
