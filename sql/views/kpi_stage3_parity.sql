-- what:    the matrix core product x service region: is it served on IPv6?
-- unit:    planned, enabled: endpoints; ipv6_bytes, bytes: bytes; cells_carrying, cells: cells;
--          parity: share 0 to 1
-- columns: planned: endpoints of the cell in the catalog; enabled: endpoints of the cell that are
--          enabled; carrying: whether the cell carries IPv6; ipv6_bytes: bytes of native IPv6 to
--          clients in the last 30 final days; bytes: bytes to clients in the last 30 final days;
--          region: service region
-- first:   product, region, carrying, planned, enabled, ipv6_bytes, bytes, judged_by
-- formula: carrying: at least 2 records of native IPv6 to clients in that region and at least 2
--          distinct IPv6 clients there: where it went to two client regions or networks (relays
--          apart); else of the product in any region (see endpoint_status). Of a cell with an
--          endpoint that serves DNS, and where none of its IPv6 clients is counted, the records
--          decide: judged_by is records then.
--          parity = carrying cells / (core products x service regions), the same in every row.
--          Regions: all of endpoints.csv, and those that core products are seen from
-- source:  kpi_traffic_1d, clients_1d, dim_products, dim_endpoints, dim_networks
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_parity AS
WITH starts AS (
  SELECT unnest(generate_series(
    (as_of - 29)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 1 DAY)) AS window_start
  FROM results.final_span
),
days AS (
  SELECT window_start, CAST(window_start AS DATE) AS day FROM starts
),
core AS (
  SELECT product, name FROM main.dim_products WHERE core
),
traffic AS (
  SELECT
    t.product, t.service_region AS region,
    coalesce(sum(t.records) FILTER (t.strict), 0) AS records,
    coalesce(sum(t.bytes) FILTER (t.strict), 0)::HUGEINT AS ipv6_bytes,
    sum(t.bytes)::HUGEINT AS bytes,
    count(DISTINCT (t.client_region, t.network)) FILTER (t.strict AND t.bytes > 0 AND t.is_user)
      AS places,
    coalesce(sum(t.records) FILTER (t.strict AND t.is_user), 0) AS user_records
  FROM (
    SELECT
      *,
      network NOT IN (SELECT network FROM main.dim_networks WHERE kind = 'relay') AS is_user
    FROM results.kpi_traffic_1d
  ) t
  SEMI JOIN days USING (window_start)
  WHERE t.in_denominator AND t.direction = 'to_client'
    AND t.product IN (SELECT product FROM core)
  GROUP BY t.product, t.service_region
),
regions AS (
  SELECT region FROM main.dim_endpoints
  UNION
  SELECT region FROM traffic WHERE region <> 'unknown'
),
hashes AS (
  SELECT
    c.id, c.client_key, c.day IN (SELECT day FROM days) AS in_days,
    unnest(list_slice(c.client_hashes, 1, 2)) AS hash
  FROM main.clients_1d c
  JOIN results.final_span a ON c.day BETWEEN a.as_of - 30 AND a.as_of + 1
  WHERE c.scope = 'product' AND c.family = 'v6'
    AND c.vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
),
clients AS (
  -- Under another client key one client has another hash: it is no second client.
  SELECT id AS product, max(clients) AS clients
  FROM (
    SELECT id, client_key, count(DISTINCT hash) FILTER (in_days) AS clients
    FROM hashes
    GROUP BY id, client_key
  )
  GROUP BY id
),
endpoints AS (
  SELECT
    e.product, e.region,
    count(*) AS planned,
    count(*) FILTER (e.enabled_on <= a.as_of) AS enabled,
    bool_or(e.serves_dns) AS serves_dns
  FROM main.dim_endpoints e
  CROSS JOIN results.final_span a
  GROUP BY e.product, e.region
),
cells AS (
  SELECT
    c.product, c.name, r.region,
    coalesce(e.planned, 0) AS planned, coalesce(e.enabled, 0) AS enabled,
    CASE WHEN e.serves_dns OR (t.user_records > 0 AND t.places < 2 AND k.clients IS NULL)
      THEN 'records' ELSE 'clients' END AS judged_by,
    coalesce(t.records, 0) >= 2 AND coalesce(t.ipv6_bytes, 0) > 0
      AND CASE judged_by WHEN 'records' THEN t.user_records >= 2
        ELSE coalesce(t.places, 0) >= 2 OR coalesce(k.clients, 0) >= 2 END AS carrying,
    coalesce(t.ipv6_bytes, 0) AS ipv6_bytes, coalesce(t.bytes, 0) AS bytes
  FROM core c
  CROSS JOIN regions r
  LEFT JOIN traffic t ON t.product = c.product AND t.region = r.region
  LEFT JOIN clients k ON k.product = c.product
  LEFT JOIN endpoints e ON e.product = c.product AND e.region = r.region
)
SELECT
  a.as_of, c.product, c.name, c.region, c.planned, c.enabled, c.carrying, c.ipv6_bytes, c.bytes,
  c.judged_by,
  count(*) FILTER (c.carrying) OVER () AS cells_carrying,
  count(*) OVER () AS cells,
  main.share_of(count(*) FILTER (c.carrying) OVER (), count(*) OVER ()) AS parity
FROM cells c
CROSS JOIN results.final_span a
ORDER BY c.product, c.region
