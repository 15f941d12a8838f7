-- what:    how many apps, products and client regions have IPv6 traffic, per calendar month?
-- unit:    days: days; numerator, denominator_value, with_ipv6, of: entities; share: share 0 to 1
-- columns: days: final days of data in the month; basis: always entities; denominator: always
--          all; share_kind: always strict; numerator: how many have native IPv6 traffic in the month;
--          denominator_value: how many there are
-- first:   month, dimension, with_ipv6, of, share, without
-- formula: with_ipv6 = entities with native IPv6 bytes in the month; of = apps and products of the
--          catalog, or the client regions seen in any month (unknown is no region). days: final days
--          of data in the month (data_days)
-- source:  share_cells_1d, final_days, dim_apps, dim_products
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage2_coverage AS
WITH carried AS (
  SELECT
    CAST(date_trunc('month', day) AS DATE) AS month, day, scope AS dimension, id,
    coalesce(sum(bytes) FILTER (strict), 0) AS ipv6_bytes
  FROM results.share_cells_1d
  WHERE scope IN ('app', 'product', 'client_region') AND day IN (SELECT day FROM results.final_days)
  GROUP BY ALL
),
months AS (
  SELECT month, count(DISTINCT day) AS days FROM carried GROUP BY month
),
entities AS (
  SELECT 'app' AS dimension, app AS id FROM main.dim_apps
  UNION ALL
  SELECT 'product', product FROM main.dim_products
  UNION ALL
  SELECT DISTINCT dimension, id FROM carried WHERE dimension = 'client_region' AND id <> 'unknown'
),
found AS (
  SELECT DISTINCT month, dimension, id FROM carried WHERE ipv6_bytes > 0
)
SELECT
  m.month, m.days, e.dimension,
  'entities' AS basis, 'all' AS denominator, 'strict' AS share_kind,
  count(f.id) AS numerator, count(*) AS denominator_value,
  count(f.id) AS with_ipv6,
  count(*) AS "of",
  main.share_of(count(f.id), count(*)) AS share,
  list(e.id ORDER BY e.id) FILTER (f.id IS NULL) AS without
FROM months m
CROSS JOIN entities e
LEFT JOIN found f ON f.month = m.month AND f.dimension = e.dimension AND f.id = e.id
GROUP BY m.month, m.days, e.dimension
ORDER BY m.month, e.dimension
