-- what:    the plan against what is enabled, cumulated over the whole history and the plan still to
--          come: how many apps, products and endpoints were to be dual-stacked by a day, and were
-- unit:    planned, enabled, overdue, in_catalog: apps, products or endpoints (level); target: the
--          same
-- first:   day, level, planned, enabled, overdue, target, in_catalog
-- formula: one row per level and day on which the plan or the enablement changes, and for as_of.
--          level endpoint: planned = planned_on <= day, enabled = enabled_on <= day. level app and
--          product: planned = at least one endpoint is; enabled = dual-stacked on that day: at least
--          one endpoint is enabled, and every one that is planned is. overdue: planned, not enabled.
--          enabled and overdue are NULL after as_of: the catalog's days to come are no fact yet
-- source:  dim_endpoints, dim_apps, dim_products, dim_targets, final_span
-- kept:    whole
CREATE VIEW definitions.kpi_stage1_plan AS
WITH entities AS (
  SELECT 'endpoint' AS level, concat_ws(' ', app, product, region) AS id, planned_on, enabled_on
  FROM main.dim_endpoints
  UNION ALL
  SELECT 'app', e.app, e.planned_on, e.enabled_on
  FROM main.dim_endpoints e
  SEMI JOIN main.dim_apps a ON a.app = e.app
  UNION ALL
  SELECT 'product', e.product, e.planned_on, e.enabled_on
  FROM main.dim_endpoints e
  SEMI JOIN main.dim_products p ON p.product = e.product
),
days AS (
  SELECT planned_on AS day FROM main.dim_endpoints WHERE planned_on IS NOT NULL
  UNION
  SELECT e.enabled_on FROM main.dim_endpoints e JOIN main.final_span s ON e.enabled_on <= s.as_of
  UNION
  SELECT as_of FROM main.final_span WHERE as_of IS NOT NULL
),
judged AS (
  SELECT
    d.day, e.level, e.id,
    bool_or(coalesce(e.planned_on <= d.day, false)) AS planned,
    bool_or(coalesce(e.enabled_on <= d.day, false))
      AND bool_and(coalesce(e.enabled_on <= d.day, false)
        OR NOT coalesce(e.planned_on <= d.day, false)) AS enabled
  FROM days d
  CROSS JOIN entities e
  GROUP BY d.day, e.level, e.id
),
counted AS (
  SELECT
    day, level, count(*) AS in_catalog,
    count(*) FILTER (planned) AS planned,
    count(*) FILTER (enabled) AS enabled,
    count(*) FILTER (planned AND NOT enabled) AS overdue
  FROM judged
  GROUP BY day, level
)
SELECT
  c.day, c.level, c.planned,
  CASE WHEN c.day <= s.as_of THEN c.enabled END AS enabled,
  CASE WHEN c.day <= s.as_of THEN c.overdue END AS overdue,
  t.target::DOUBLE AS target, c.in_catalog, coalesce(c.day <= s.as_of, false) AS final
FROM counted c
CROSS JOIN main.final_span s
LEFT JOIN main.dim_targets t
  ON t.metric = CASE c.level
    WHEN 'app' THEN 'apps_dual_stacked' WHEN 'product' THEN 'products_dual_stacked' END
ORDER BY c.day, place_of(c.level)
