-- what: the shares about to be published, by view and day: the least, the greatest, and how many
--       lie outside their bounds by more than rounding
-- key:  view, day
WITH shares AS (
  SELECT 'share_by_app' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM main.share_by_app
  WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day')
  UNION ALL BY NAME
  SELECT 'share_by_region' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM main.share_by_region
  WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day')
  UNION ALL BY NAME
  SELECT 'share_by_network' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM main.share_by_network
  WHERE day BETWEEN getvariable('first_day') AND getvariable('last_day')
  UNION ALL BY NAME
  SELECT 'kpi_headline' AS "view", as_of AS day, value AS share, ci_low, ci_high
  FROM main.kpi_headline
  WHERE metric = 'top_apps_ipv6_share' AND value IS NOT NULL
)
SELECT
  "view", day, count(share) AS shares, min(share) AS least, max(share) AS greatest,
  count(*) FILTER (
    greatest(ci_low - share, share - ci_high, share_low - share, share - share_high) > 1e-9
  ) AS outside
FROM shares
GROUP BY "view", day
ORDER BY "view", day
