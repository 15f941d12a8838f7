-- what:    the ranking of apps that is in force in each calendar quarter; rank <= top_n
-- unit:    bytes: bytes; rank: 1 is the largest
-- columns: app: app id, never unclassified; bytes: scaled bytes of both families from from_day to
--          to_day, of denominator all, NULL where pinned
-- formula: previous_quarter: bytes of the full calendar quarter before (so the ranking stands still
--          within a quarter); where the data do not hold that quarter in full: live = the last 28
--          final days of the quarter (to as_of in the running one). live: always that. pinned: the
--          catalog's list. Ties by app id; unclassified never ranks
-- source:  share_cells_1d, ranking_quarters
-- kept:    whole
CREATE VIEW definitions.rankings AS
WITH ranges AS (
  SELECT
    quarter, mode, top_n, ranking_apps,
    CASE mode WHEN 'previous_quarter' THEN CAST(quarter - INTERVAL 3 MONTH AS DATE)
      ELSE last_day - 27 END AS from_day,
    CASE mode WHEN 'previous_quarter' THEN quarter - 1 ELSE last_day END AS to_day
  FROM results.ranking_quarters
),
app_days AS (
  SELECT id AS app, day, sum(bytes) AS bytes
  FROM results.share_cells_1d
  WHERE scope = 'app' AND in_denominator AND NOT is_loose
  GROUP BY id, day
),
ranked AS (
  SELECT
    r.quarter, r.mode, r.from_day, r.to_day, r.top_n, d.app, sum(d.bytes)::HUGEINT AS bytes,
    row_number() OVER (PARTITION BY r.quarter ORDER BY sum(d.bytes) DESC, d.app) AS rank
  FROM ranges r
  JOIN app_days d ON d.day BETWEEN r.from_day AND r.to_day
  WHERE r.mode <> 'pinned'
  GROUP BY r.quarter, r.mode, r.from_day, r.to_day, r.top_n, d.app
),
pinned AS (
  SELECT
    quarter, mode, top_n, unnest(ranking_apps) AS app,
    unnest(generate_series(1, len(ranking_apps))) AS rank
  FROM ranges
  WHERE mode = 'pinned'
)
SELECT quarter, mode, from_day, to_day, app, bytes, rank
FROM ranked
WHERE rank <= top_n
UNION ALL
SELECT quarter, mode, NULL, NULL, app, NULL, rank
FROM pinned
WHERE rank <= top_n
ORDER BY quarter, rank
