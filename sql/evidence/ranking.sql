-- what: the apps by their bytes of the newest seven final days, and by those of the seven before
-- key:  app
-- places: how many places an app went up, below 0 down; part: of all apps' bytes, in either week
-- the larger.
WITH weeks AS (
  SELECT
    c.id AS app,
    coalesce(sum(c.bytes) FILTER (c.day > s.as_of - 7), 0)::DOUBLE AS bytes_now,
    coalesce(sum(c.bytes) FILTER (c.day <= s.as_of - 7), 0)::DOUBLE AS bytes_before
  FROM results.share_cells_1d c
  JOIN results.final_span s ON c.day BETWEEN s.as_of - 13 AND s.as_of AND s.first_day <= s.as_of - 13
  WHERE c.scope = 'app' AND c.in_denominator AND NOT c.is_loose
  GROUP BY c.id
),
ranked AS (
  SELECT
    *,
    row_number() OVER (ORDER BY bytes_now DESC, app) AS rank_now,
    row_number() OVER (ORDER BY bytes_before DESC, app) AS rank_before
  FROM weeks
)
SELECT
  app, rank_before, rank_now, rank_before - rank_now AS places,
  greatest(bytes_now / nullif(sum(bytes_now) OVER (), 0),
    bytes_before / nullif(sum(bytes_before) OVER (), 0)) AS part
FROM ranked
ORDER BY rank_now
