-- what:    the stage 3 target as the views use it; always one row
-- unit:    target: share 0 to 1; weeks: weeks
-- columns: denominator: denominator that the target names
-- formula: catalog values; where targets.toml is silent: no target, 4 weeks, denominator all
-- source:  dim_targets
CREATE VIEW definitions.target_share AS
SELECT
  max(target)::DOUBLE AS target,
  coalesce(max(weeks), 4) AS weeks,
  coalesce(max(denominator), 'all') AS denominator,
  max(by_date) AS by_date
FROM main.dim_targets
WHERE metric = 'top_apps_ipv6_share'
