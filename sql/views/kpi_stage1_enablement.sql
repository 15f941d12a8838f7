-- what:    which apps, products and endpoints are dual-stacked, by what the catalog declares
--          (enabled), as of the last final day; and which of them carry IPv6 traffic?
-- unit:    planned, due, enabled, carrying, silent: endpoints; late_days: days
-- columns: level: app, product or endpoint; app: app id, NULL of a product; product: product id,
--          NULL of an app; region: service region, NULL of an app or a product; due: endpoints with
--          planned_on on or before as_of; enabled: endpoints that are enabled; planned_on: day of
--          the last that is planned; enabled_on: day of the last that is enabled; late_days: days
--          late of its latest endpoint; judged_by: clients or records, as in endpoint_status, both
--          where its endpoints differ
-- first:   level, app, product, region, status, planned, enabled, carrying, silent, late_days,
--          dual_stacked, judged_by
-- formula: level endpoint: one row each, see endpoint_status. level app, product: counts of their
--          endpoints; dual_stacked: at least one is enabled and every one with planned_on <= as_of
--          is; partial: some are enabled, but it is not dual-stacked; late_days: of the latest
--          endpoint. planned: endpoints in the catalog. Overdue is, at every level, what is due and
--          not dual_stacked: status says so of endpoints, and of apps and products where nothing is
--          enabled yet; what is partial is overdue as well
-- source:  endpoint_status, final_span, dim_apps, dim_products
-- kept:    whole
CREATE VIEW definitions.kpi_stage1_enablement AS
WITH status AS MATERIALIZED (
  SELECT * FROM results.endpoint_status
),
owned AS (
  SELECT 'app' AS level, app AS id, e.* FROM status e WHERE app <> ''
  UNION ALL
  SELECT 'product', product, e.* FROM status e
),
counted AS (
  SELECT
    level, id,
    count(*) AS planned,
    count(*) FILTER (due) AS due,
    count(*) FILTER (enabled) AS enabled,
    count(*) FILTER (enabled AND carrying) AS carrying,
    count(*) FILTER (silent) AS silent,
    count(*) FILTER (enabled) > 0 AND count(*) FILTER (due AND NOT enabled) = 0 AS dual_stacked,
    max(planned_on) AS planned_on,
    max(enabled_on) FILTER (enabled) AS enabled_on,
    max(late_days) AS late_days,
    string_agg(DISTINCT judged_by, ', ' ORDER BY judged_by) FILTER (enabled) AS judged_by
  FROM owned
  GROUP BY level, id
),
named AS (
  SELECT 'app' AS level, position, app AS id, name, owner FROM main.dim_apps
  UNION ALL
  SELECT 'product', NULL, product, name, NULL FROM main.dim_products
),
groups AS (
  SELECT
    n.level, n.position, n.id, n.name, n.owner,
    coalesce(c.planned, 0) AS planned, coalesce(c.due, 0) AS due,
    coalesce(c.enabled, 0) AS enabled, coalesce(c.carrying, 0) AS carrying,
    coalesce(c.silent, 0) AS silent, coalesce(c.dual_stacked, false) AS dual_stacked,
    c.planned_on, c.enabled_on, c.late_days, c.judged_by
  FROM named n
  LEFT JOIN counted c ON c.level = n.level AND c.id = n.id
),
all_levels AS (
  SELECT
    a.as_of, g.level,
    CASE g.level WHEN 'app' THEN g.id END AS app,
    CASE g.level WHEN 'product' THEN g.id END AS product,
    NULL::VARCHAR AS region, g.name, g.owner,
    g.planned, g.due, g.enabled, g.carrying, g.silent,
    g.dual_stacked,
    g.enabled > 0 AND NOT g.dual_stacked AS partial,
    CASE
      WHEN g.planned = 0 THEN 'no endpoint in the catalog'
      WHEN g.dual_stacked THEN 'dual-stacked'
      WHEN g.enabled > 0 THEN 'partial'
      WHEN g.due > 0 THEN 'overdue'
      ELSE 'planned'
    END AS status,
    g.planned_on, g.enabled_on, g.late_days, g.judged_by
  FROM groups g
  CROSS JOIN results.final_span a
  UNION ALL
  SELECT
    e.as_of, 'endpoint', e.app, e.product, e.region, NULL, NULL,
    1, e.due::INTEGER, e.enabled::INTEGER, (e.enabled AND e.carrying)::INTEGER, e.silent::INTEGER,
    e.enabled, false, e.status, e.planned_on, e.enabled_on, e.late_days,
    CASE WHEN e.enabled THEN e.judged_by END
  FROM status e
)
SELECT * FROM all_levels
ORDER BY main.place_of(level), app, product, region
