-- what:    enabled endpoints without IPv6 traffic to clients, by name
-- unit:    ipv6_records: records; ipv6_bytes, bytes: bytes; days_since_enabled: days
-- columns: app: app id, empty where the endpoint is a product's alone; ipv6_bytes: bytes of native
--          IPv6 to clients in the last 30 final days; bytes: bytes to clients in the last 30 final
--          days; note: what sampling could have missed
-- first:   app, product, region, days_since_enabled, note
-- formula: see endpoint_status. With packet sampling of 1 in N, silence means "fewer than about
--          3 N packets" (95 % of the time at least one of 3 N packets is sampled), and says so
-- source:  endpoint_status, dim_apps, dim_products
-- kept:    whole
CREATE VIEW definitions.kpi_stage1_silent AS
SELECT
  e.as_of, e.app, a.name AS app_name, a.owner, e.product, p.name AS product_name, e.region,
  e.enabled_on, e.as_of - e.enabled_on AS days_since_enabled,
  e.records AS ipv6_records, e.ipv6_bytes, e.bytes,
  CASE
    WHEN e.records > 0 AND e.judged_by = 'records'
      THEN 'IPv6 to clients, but fewer than 2 records of users; judged by records (DNS, ICMP)'
    WHEN e.records > 0 THEN 'IPv6 to clients, but too little: fewer than 2 records or 2 clients'
    WHEN e.interval > 1
      THEN format('no IPv6 to clients: fewer than about {:d} packets in 30 days (sampling 1 in {:d})',
        3 * e.interval::HUGEINT, e.interval)
    WHEN e.interval = 0 THEN 'no IPv6 to clients; the sampling interval is not known'
    ELSE 'no IPv6 to clients'
  END AS note
FROM results.endpoint_status e
LEFT JOIN main.dim_apps a ON a.app = e.app
LEFT JOIN main.dim_products p ON p.product = e.product
WHERE e.silent
ORDER BY e.app, e.product, e.region
