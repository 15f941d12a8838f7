-- what:    the plan against what is enabled, cumulated over the whole history and the plan still to
--          come: how many apps, products and endpoints were due by a day, and how many enabled
-- unit:    due, enabled, overdue, planned: apps, products or endpoints (level); target: the same
-- columns: day: UTC day on which the plan or the enablement changes, and as_of; level: app, product
--          or endpoint; due: how many are due; enabled: how many are enabled, NULL after as_of;
--          planned: how many the catalog has; final: whether the day is not after as_of
-- first:   day, level, due, enabled, overdue, target, planned
-- formula: one row per level and day on which the plan or the enablement changes, and for as_of.
--          planned: all of the catalog. level endpoint: due = planned_on <= day, enabled =
--          enabled_on <= day, also where it is ahead of the plan. level app and product: due = at
--          least one endpoint is; enabled = dual-stacked on that day: at least one endpoint is
--          enabled, and every one that is due is; so it falls when a new endpoint comes due.
--          overdue: due, not enabled. enabled and overdue are NULL after as_of: the catalog's days
--          to come are no fact yet. final: not after as_of
-- source:  dim_endpoints, dim_apps, dim_products, dim_targets, final_span
-- kept:    whole
CREATE VIEW definitions.kpi_stage1_plan AS
WITH entities AS (
  -- Each row of the catalog is an endpoint, as in endpoint_status.
  SELECT
    'endpoint' AS level, row_number() OVER ()::VARCHAR AS id, planned_on, enabled_on
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
  SELECT e.enabled_on FROM main.dim_endpoints e JOIN results.final_span s ON e.enabled_on <= s.as_of
  UNION
  SELECT as_of FROM results.final_span WHERE as_of IS NOT NULL
),
judged AS (
  SELECT
    d.day, e.level, e.id,
    bool_or(coalesce(e.planned_on <= d.day, false)) AS due,
    bool_or(coalesce(e.enabled_on <= d.day, false))
      AND bool_and(coalesce(e.enabled_on <= d.day, false)
        OR NOT coalesce(e.planned_on <= d.day, false)) AS enabled
  FROM days d
  CROSS JOIN entities e
  GROUP BY d.day, e.level, e.id
),
counted AS (
  SELECT
    day, level, count(*) AS planned,
    count(*) FILTER (due) AS due,
    count(*) FILTER (enabled) AS enabled,
    count(*) FILTER (due AND NOT enabled) AS overdue
  FROM judged
  GROUP BY day, level
)
SELECT
  c.day, c.level, c.due,
  CASE WHEN c.day <= s.as_of THEN c.enabled END AS enabled,
  CASE WHEN c.day <= s.as_of THEN c.overdue END AS overdue,
  t.target::DOUBLE AS target, c.planned, coalesce(c.day <= s.as_of, false) AS final
FROM counted c
CROSS JOIN results.final_span s
LEFT JOIN main.dim_targets t
  ON t.metric = CASE c.level
    WHEN 'app' THEN 'apps_dual_stacked' WHEN 'product' THEN 'products_dual_stacked' END
ORDER BY c.day, main.place_of(c.level)
