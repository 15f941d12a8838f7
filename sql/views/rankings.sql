-- what:    the ranking of apps that is in force in each calendar quarter; rank <= top_n
-- unit:    bytes of both families in the app denominator
-- formula: previous_quarter: bytes of the full calendar quarter before (so the ranking stands still
--          within a quarter); where the data do not hold that quarter in full: live = the last 28
--          final days of the quarter (to as_of in the running one). live: always that. pinned: the
--          catalog's list. Ties by app id; unclassified never ranks
-- source:  kpi_traffic_1d, dim_targets
-- needs: kpi_traffic_1d, as_of
CREATE VIEW rankings AS
WITH settings AS (
  SELECT
    coalesce(max(top_n), 20) AS top_n,
    coalesce(max(ranking), 'previous_quarter') AS ranking,
    any_value(ranking_apps) AS ranking_apps
  FROM dim_targets
  WHERE metric = 'top_apps_ipv6_share'
),
quarters AS (
  SELECT
    CAST(unnest(generate_series(
      date_trunc('quarter', first_day)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 3 MONTH)) AS DATE)
      AS quarter,
    as_of, first_day
  FROM as_of
  WHERE as_of IS NOT NULL
),
windows AS (
  SELECT
    quarter,
    CASE
      WHEN s.ranking = 'pinned' THEN 'pinned'
      WHEN s.ranking = 'previous_quarter' AND first_day <= CAST(quarter - INTERVAL 3 MONTH AS DATE)
        THEN 'previous_quarter'
      ELSE 'live'
    END AS mode,
    least(as_of, CAST(quarter + INTERVAL 3 MONTH AS DATE) - 1) AS last_day
  FROM quarters CROSS JOIN settings s
),
ranges AS (
  SELECT
    quarter, mode,
    CASE mode WHEN 'previous_quarter' THEN CAST(quarter - INTERVAL 3 MONTH AS DATE)
      ELSE last_day - 27 END AS from_day,
    CASE mode WHEN 'previous_quarter' THEN quarter - 1 ELSE last_day END AS to_day
  FROM windows
),
app_days AS (
  SELECT app, day, sum(bytes) AS bytes
  FROM kpi_traffic_1d
  WHERE in_denominator AND app <> 'unclassified'
  GROUP BY app, day
),
ranked AS (
  SELECT
    r.quarter, r.mode, r.from_day, r.to_day, d.app, sum(d.bytes)::HUGEINT AS bytes,
    row_number() OVER (PARTITION BY r.quarter ORDER BY sum(d.bytes) DESC, d.app) AS rank
  FROM ranges r
  JOIN app_days d ON d.day BETWEEN r.from_day AND r.to_day
  WHERE r.mode <> 'pinned'
  GROUP BY r.quarter, r.mode, r.from_day, r.to_day, d.app
),
pinned AS (
  SELECT
    r.quarter, r.mode, unnest(s.ranking_apps) AS app,
    unnest(generate_series(1, len(s.ranking_apps))) AS rank
  FROM ranges r CROSS JOIN settings s
  WHERE r.mode = 'pinned'
)
SELECT quarter, mode, from_day, to_day, app, bytes, rank
FROM ranked
WHERE rank <= (SELECT top_n FROM settings)
UNION ALL
SELECT quarter, mode, NULL, NULL, app, NULL, rank
FROM pinned
WHERE rank <= (SELECT top_n FROM settings)
