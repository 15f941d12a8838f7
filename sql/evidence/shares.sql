-- what: the shares about to be published, by view and day: the least, the greatest, and how many
--       lie outside their bounds by more than rounding
-- key:  view, day
-- Of the views by day, the days in question and the kind that they show first: strict, of all bytes;
-- of apps by region and network without the sampling interval, which would cost more than all the
-- rest. Of the kept KPIs every kind, and of the headline what else has bounds, too: it is no share,
-- and so has no least and greatest.
WITH shares AS (
  SELECT 'share_by_app' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM results.share_by_app
  WHERE asked(day) AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'
  UNION ALL BY NAME
  SELECT 'share_by_region' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM results.share_by_region
  WHERE asked(day) AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'
  UNION ALL BY NAME
  SELECT 'share_by_network' AS "view", day, share, ci_low, ci_high, share_low, share_high
  FROM results.share_by_network
  WHERE asked(day) AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'
  UNION ALL BY NAME
  SELECT 'share_by_app_region' AS "view", day, share, share_low, share_high
  FROM results.share_by_app_region
  WHERE asked(day) AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'
  UNION ALL BY NAME
  SELECT 'share_by_app_network' AS "view", day, share, share_low, share_high
  FROM results.share_by_app_network
  WHERE asked(day) AND basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'
  UNION ALL BY NAME
  SELECT 'kpi_stage3_apps' AS "view", as_of AS day, share, ci_low, ci_high, share_low, share_high
  FROM results.kpi_stage3_apps
  UNION ALL BY NAME
  SELECT
    'kpi_stage3_concentration' AS "view", week_end AS day, share, ci_low, ci_high, share_low,
    share_high
  FROM results.kpi_stage3_concentration
  UNION ALL BY NAME
  SELECT
    'kpi_headline' AS "view", as_of AS day,
    CASE WHEN metric = 'top_apps_ipv6_share' THEN value END AS share,
    value, ci_low, ci_high
  FROM results.kpi_headline
)
SELECT
  "view", day, count(share) AS shares, min(share) AS least, max(share) AS greatest,
  count(*) FILTER (
    greatest(ci_low - coalesce(share, value), coalesce(share, value) - ci_high,
      share_low - share, share - share_high) > 1e-9
  ) AS outside
FROM shares
GROUP BY "view", day
ORDER BY "view", day
