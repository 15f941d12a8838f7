-- what:    how the apps are ranked in each calendar quarter of the data
-- unit:    top_n: apps; last_day: UTC day
-- columns: last_day: last final day of the quarter, as_of in the running one
-- formula: pinned: by the catalog's list. previous_quarter: by the full calendar quarter before.
--          live: that is the setting, or the data do not hold that quarter in full: they begin
--          after its first day, or fewer than 9 of 10 of its days are days of data. last_day: the
--          last final day of the quarter, as_of in the running one
-- source:  final_span, final_days, dim_targets
-- kept:    whole
CREATE VIEW definitions.ranking_quarters AS
WITH settings AS (
  SELECT
    coalesce(max(top_n), 20) AS top_n,
    coalesce(max(ranking), 'previous_quarter') AS ranking,
    any_value(ranking_apps) AS ranking_apps
  FROM main.dim_targets
  WHERE metric = 'top_apps_ipv6_share'
),
quarters AS (
  SELECT
    CAST(unnest(generate_series(
      date_trunc('quarter', first_day)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 3 MONTH)) AS DATE)
      AS quarter,
    as_of, first_day
  FROM results.final_span
  WHERE as_of IS NOT NULL
),
held AS (
  SELECT CAST(date_trunc('quarter', day) AS DATE) AS quarter, count(*) AS days
  FROM results.final_days
  GROUP BY CAST(date_trunc('quarter', day) AS DATE)
),
previous AS (
  SELECT q.*, CAST(q.quarter - INTERVAL 3 MONTH AS DATE) AS before
  FROM quarters q
)
SELECT
  p.quarter,
  CASE
    WHEN s.ranking = 'pinned' THEN 'pinned'
    WHEN s.ranking = 'previous_quarter' AND p.first_day <= p.before
      AND 10 * h.days >= 9 * (p.quarter - p.before) THEN 'previous_quarter'
    ELSE 'live'
  END AS mode,
  least(p.as_of, CAST(p.quarter + INTERVAL 3 MONTH AS DATE) - 1) AS last_day,
  s.top_n, s.ranking_apps
FROM previous p
CROSS JOIN settings s
LEFT JOIN held h ON h.quarter = p.before
ORDER BY p.quarter
