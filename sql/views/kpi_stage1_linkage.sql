-- what:    the matrix app x product: how far is each pair?
-- unit:    planned, due, enabled, carrying, silent: endpoints; ipv6_bytes, bytes: bytes
-- columns: app: app id, empty: the product's own endpoints; due: endpoints with planned_on on or
--          before as_of; enabled: endpoints that are enabled; ipv6_bytes: bytes of native IPv6 to
--          clients in the last 30 final days; bytes: bytes to clients in the last 30 final days
-- first:   app, product, planned, due, enabled, carrying, silent, missing_regions
-- formula: counts of endpoint_status. planned: all endpoints in the catalog; due: planned_on <=
--          as_of. An empty app is the product's own endpoint
-- source:  endpoint_status
-- kept:    whole
CREATE VIEW definitions.kpi_stage1_linkage AS
SELECT
  app, product,
  count(*) AS planned,
  count(*) FILTER (due) AS due,
  count(*) FILTER (enabled) AS enabled,
  count(*) FILTER (enabled AND carrying) AS carrying,
  count(*) FILTER (silent) AS silent,
  list(region ORDER BY region) FILTER (due AND NOT enabled) AS missing_regions,
  sum(ipv6_bytes)::HUGEINT AS ipv6_bytes,
  sum(bytes)::HUGEINT AS bytes
FROM results.endpoint_status
GROUP BY app, product
ORDER BY app, product
