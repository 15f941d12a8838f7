-- what:    did every exporter deliver? Per exporter and overall (exporter NULL), per UTC day and
--          per week (7 days, counted back from as_of)
-- unit:    hours_seen, hours_expected: hours; completeness: share 0 to 1
-- columns: period: day, or week of 7 days, counted back from as_of; exporter: address or name of
--          the exporter, NULL: all of them together; silent: whether it is silent for over 24 hours
--          by now, whatever the period, and of all together whether a listed one is; vantage: where
--          the exporter stands, from exporters.csv, else unlisted
-- first:   period, period_end, exporter, completeness, hours_seen, hours_expected
-- formula: completeness = hours with records / hours expected. Expected are the hours from the
--          exporter's first to its last; a listed exporter that is silent for over 24 h is expected
--          up to the newest hour of all, so that its silence shows. Overall: sums of hours. An
--          exporter that never sent has no first hour and is not expected. silent: by now, whatever
--          the period; overall: a listed exporter is. Hours before the first
--          day of data, or later than the day after the last one, are those of a wrong clock
-- source:  exporters_1d of the vantages that feed the KPIs
-- kept:    whole
CREATE VIEW definitions.completeness AS
WITH days_of_data AS (
  SELECT e.*
  FROM results.kpi_exporters_1d e
  JOIN results.as_of a ON e.day BETWEEN a.first_day AND a.last_day + 1
),
spans AS (
  SELECT
    exporter, vantage, listed,
    min(first_hour) AS first_hour,
    max(last_hour) AS last_hour,
    max(last_seen) AS last_seen,
    max(max(last_hour)) OVER () AS newest_hour,
    max(max(last_seen)) OVER () AS newest_seen
  FROM days_of_data
  GROUP BY exporter, vantage, listed
),
expected AS (
  SELECT
    exporter, vantage, listed, first_hour,
    last_seen < newest_seen - INTERVAL 24 HOUR AS silent,
    CASE WHEN listed AND last_seen < newest_seen - INTERVAL 24 HOUR
      THEN newest_hour ELSE last_hour
    END + INTERVAL 1 HOUR AS until
  FROM spans
),
days AS (
  SELECT
    exporter, vantage, listed, silent, first_hour, until,
    unnest(generate_series(
      CAST(first_hour AS DATE)::TIMESTAMP, until - INTERVAL 1 HOUR, INTERVAL 1 DAY)) AS start
  FROM expected
),
hours AS (
  SELECT
    d.exporter, d.vantage, d.listed, d.silent, CAST(d.start AS DATE) AS day,
    coalesce(s.hours, 0) AS hours_seen,
    date_diff('hour',
      greatest(d.start, d.first_hour), least(d.start + INTERVAL 1 DAY, d.until)) AS hours_expected
  FROM days d
  LEFT JOIN days_of_data s ON s.exporter = d.exporter AND s.day = CAST(d.start AS DATE)
),
periods AS (
  SELECT
    'day' AS period, h.day AS period_start, h.day AS period_end,
    coalesce(h.day <= a.as_of, false) AS final, h.*
  FROM hours h CROSS JOIN results.as_of a
  UNION ALL
  SELECT
    'week', a.as_of - 7 * ((a.as_of - h.day) // 7)::INTEGER - 6,
    a.as_of - 7 * ((a.as_of - h.day) // 7)::INTEGER, true, h.*
  FROM hours h CROSS JOIN results.as_of a
  WHERE h.day <= a.as_of
)
SELECT
  period, period_start, period_end, exporter,
  any_value(vantage) AS vantage,
  bool_or(listed) AS listed,
  bool_or(silent) AS silent,
  sum(hours_seen)::BIGINT AS hours_seen,
  sum(hours_expected)::BIGINT AS hours_expected,
  main.share_of(sum(hours_seen), sum(hours_expected)) AS completeness,
  final
FROM periods
GROUP BY period, period_start, period_end, exporter, final
UNION ALL
SELECT
  period, period_start, period_end, NULL, NULL, NULL, bool_or(silent AND listed),
  sum(hours_seen)::BIGINT, sum(hours_expected)::BIGINT,
  main.share_of(sum(hours_seen), sum(hours_expected)),
  final
FROM periods
GROUP BY period, period_start, period_end, final
ORDER BY period DESC, period_end DESC, exporter NULLS FIRST
