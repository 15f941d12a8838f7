-- what:    the days with records, and whether each counts as a day of data. A few records whose
--          clock is years off are counted like all others, but they say nothing of what is final
-- unit:    records, usual_records: records; one row per UTC day that has any
-- columns: records: flow records that start on the day; usual_records: records of the usual day,
--          see formula
-- formula: usual_records: the median of the days' records, each day weighed by the square root of
--          its records, rounded down; of two middle days the one with more. Weighed so, neither
--          many days with a stray record each become the usual day, nor one day that has a hundred
--          times the records of all others. is_data: the day has at least 1 % of that, and no gap
--          of more than 731 days without such a day divides it from the bulk: of the stretches
--          between such gaps the one with the most records, of equal ones the earliest. Of the
--          stretches between gaps of more than 7 days those are no data in which one exporter alone
--          was heard, where the one with the most records is of several: its clock is wrong
-- source:  share_cells_1d: all rows of traffic_1d of the vantages that feed the KPIs;
--          kpi_exporters_1d
-- kept:    whole
CREATE VIEW definitions.data_days AS
WITH days AS (
  SELECT day, sum(records)::BIGINT AS records
  FROM results.share_cells_1d
  WHERE scope = 'app'
  GROUP BY day
),
busiest_first AS (
  SELECT
    records,
    sum(floor(sqrt(records))::BIGINT) OVER (ORDER BY records DESC, day) AS so_far,
    sum(floor(sqrt(records))::BIGINT) OVER () AS total
  FROM days
),
usual AS (
  SELECT max(records) AS records FROM busiest_first WHERE 2 * so_far >= total
),
enough AS (
  SELECT d.day, d.records, d.day - lag(d.day) OVER (ORDER BY d.day) AS days_since
  FROM days d
  JOIN usual u ON 100 * d.records >= u.records
),
-- Views make a row for every day between the first and the last day of data. A gap of a wrong
-- clock may be thousands of years wide.
stretches AS (
  SELECT day, records, count(*) FILTER (days_since > 731) OVER (ORDER BY day) AS stretch
  FROM enough
),
bulk AS (
  SELECT min(day) AS first_day, max(day) AS last_day
  FROM stretches
  GROUP BY stretch
  ORDER BY sum(records) DESC, first_day
  LIMIT 1
),
numbered AS (
  SELECT e.day, e.records, count(*) FILTER (e.days_since > 7) OVER (ORDER BY e.day) AS run
  FROM enough e
  JOIN bulk b ON e.day BETWEEN b.first_day AND b.last_day
),
runs AS MATERIALIZED (
  SELECT run, min(day) AS first_day, max(day) AS last_day, sum(records) AS records
  FROM numbered
  GROUP BY run
),
heard AS (
  SELECT r.run, r.first_day, r.last_day, r.records, count(DISTINCT e.exporter) AS exporters
  FROM runs r
  JOIN results.kpi_exporters_1d e ON e.day BETWEEN r.first_day AND r.last_day
  GROUP BY r.run, r.first_day, r.last_day, r.records
),
alone AS (
  SELECT first_day, last_day
  FROM heard
  WHERE exporters = 1
    AND (SELECT arg_max(exporters, (records, -run)) FROM heard) > 1
)
SELECT
  d.day, d.records, u.records AS usual_records,
  100 * d.records >= u.records AND d.day BETWEEN b.first_day AND b.last_day
    AND a.first_day IS NULL AS is_data
FROM days d
CROSS JOIN usual u
CROSS JOIN bulk b
LEFT JOIN alone a ON d.day BETWEEN a.first_day AND a.last_day
ORDER BY d.day
