-- what: the IPv6 share of every app of the ranking and of all traffic on the final days in
--       question, beside the seven final days before
-- key:  app, day
-- errors: how far it moved, in standard errors: of sampling and of the usual scatter from day to
-- day, as the 28 final days before show it. days_before: how many of these there are. An error is
-- at least half a point: a share that stood still at 0 or 1 has none of its own, and a move from
-- there is a move all the same.
WITH cells AS (
  SELECT
    c.day, c.id AS app,
    coalesce(sum(c.bytes) FILTER (c.strict), 0)::DOUBLE AS hit, sum(c.bytes)::DOUBLE AS whole,
    sum(c.variance)::DOUBLE AS variance
  FROM results.share_cells_1d c
  JOIN results.final_days d ON d.day = c.day
  WHERE c.scope = 'app' AND c.in_denominator
    AND asked(c.day, before := 28)
  GROUP BY c.day, c.id
),
sums AS (
  SELECT day, app, hit, whole, variance FROM cells WHERE app IN (SELECT app FROM results.top_apps)
  UNION ALL
  SELECT day, '(all)', sum(hit), sum(whole), sum(variance) FROM cells GROUP BY day
),
shares AS (
  SELECT
    day, app, whole, hit / nullif(whole, 0) AS share,
    variance * hit / nullif(whole, 0) * (1 - hit / nullif(whole, 0)) / nullif(whole * whole, 0)
      AS sampling
  FROM sums
),
beside AS (
  SELECT
    s.*,
    avg(share) OVER week AS usual,
    stddev_samp(share) OVER month AS scatter,
    count(share) OVER month AS days_before
  FROM shares s
  WINDOW
    week AS (PARTITION BY app ORDER BY day
      RANGE BETWEEN INTERVAL 7 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING),
    month AS (PARTITION BY app ORDER BY day
      RANGE BETWEEN INTERVAL 28 DAY PRECEDING AND INTERVAL 1 DAY PRECEDING)
)
SELECT
  app, day, share, usual, days_before,
  (share - usual) / greatest(sqrt(scatter * scatter + coalesce(sampling, 0)), 0.005) AS errors
FROM beside
WHERE asked(day)
ORDER BY app, day
