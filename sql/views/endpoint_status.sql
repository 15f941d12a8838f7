-- what:    every endpoint of the catalog as of now: due, enabled, carrying, silent, late
-- unit:    records: records; clients_at_least: clients; ipv6_bytes, bytes: bytes; interval: 1 in N;
--          late_days: days
-- columns: app: app id, empty where the endpoint is a product's alone; due: whether planned_on <=
--          as_of; enabled: whether enabled_on <= as_of; carrying: whether it carried native IPv6 to
--          clients in the last 30 final days; silent: whether it is enabled and not carrying;
--          records: records of native IPv6 to clients in the last 30 final days; ipv6_bytes: bytes
--          of native IPv6 to clients in the last 30 final days; bytes: bytes to clients in the last
--          30 final days
-- first:   app, product, region, status, late_days, judged_by, clients_of
-- formula: due       planned_on <= as_of
--          enabled   enabled_on <= as_of
--          carrying  at least 2 records of native IPv6 to clients, and at least 2 distinct IPv6
--                    clients. clients_of says whose: of the endpoint where its native IPv6 went to
--                    two client regions or networks (relays apart), which are two clients at least,
--                    but where prefixes.csv moved a client within these days or cuts one in two.
--                    Else of its app (of its product where app is empty) in all service regions, as
--                    clients are not kept per endpoint: an approximation that can call an endpoint
--                    carrying whose only client is one.
--                    The records alone decide, relays apart, of an endpoint that serves DNS by the
--                    catalog (dim_endpoints), as clients of DNS are not counted, and where none of
--                    its IPv6 clients is counted, as behind ICMP: judged_by is records then, and
--                    clients_of NULL
--          silent    enabled, not carrying
--          The traffic of an app that has an endpoint of its own there is not the product's own
--          late_days from planned_on to enabled_on, or to as_of while it is not enabled
--          Traffic that shows no product counts for the endpoint of its app in that region when
--          there is only one. interval: the largest sampling interval of these days, 0 where
--          one is not known
-- source:  dim_endpoints, dim_networks, kpi_traffic_1d, clients_1d, kpi_exporters_1d
-- kept:    whole, of final days
CREATE VIEW definitions.endpoint_status AS
WITH starts AS (
  SELECT unnest(generate_series(
    (as_of - 29)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 1 DAY)) AS window_start
  FROM results.final_span
),
days AS (
  SELECT window_start, CAST(window_start AS DATE) AS day FROM starts
),
traffic AS (
  SELECT
    t.app, t.product, t.service_region AS region, t.client_region, t.network,
    coalesce(sum(t.records) FILTER (t.strict), 0) AS records,
    coalesce(sum(t.bytes) FILTER (t.strict), 0) AS ipv6_bytes,
    sum(t.bytes) AS bytes
  FROM results.kpi_traffic_1d t
  SEMI JOIN days USING (window_start)
  WHERE t.in_denominator AND t.direction = 'to_client'
  GROUP BY t.app, t.product, t.service_region, t.client_region, t.network
),
lone AS (
  SELECT app, region, min(product) AS product
  FROM main.dim_endpoints
  WHERE app <> ''
  GROUP BY app, region
  HAVING count(DISTINCT product) = 1
),
matched AS (
  SELECT e.app, e.product, e.region, t.client_region, t.network, t.records, t.ipv6_bytes, t.bytes
  FROM main.dim_endpoints e
  JOIN traffic t ON t.app = e.app AND t.product = e.product AND t.region = e.region
  WHERE e.app <> ''
  UNION ALL
  SELECT l.app, l.product, l.region, t.client_region, t.network, t.records, t.ipv6_bytes, t.bytes
  FROM lone l
  JOIN traffic t ON t.app = l.app AND t.region = l.region AND t.product = 'unclassified'
  WHERE l.product <> 'unclassified'
  UNION ALL
  SELECT e.app, e.product, e.region, t.client_region, t.network, t.records, t.ipv6_bytes, t.bytes
  FROM main.dim_endpoints e
  JOIN traffic t ON t.product = e.product AND t.region = e.region
  ANTI JOIN main.dim_endpoints own
    ON own.app = t.app AND own.product = t.product AND own.region = t.region
  WHERE e.app = ''
),
seen AS (
  SELECT
    app, product, region,
    sum(records) AS records, sum(ipv6_bytes) AS ipv6_bytes, sum(bytes) AS bytes,
    count(DISTINCT (client_region, network)) FILTER (ipv6_bytes > 0 AND is_user) AS places,
    coalesce(sum(records) FILTER (is_user), 0) AS user_records
  FROM (
    SELECT
      *,
      network NOT IN (SELECT network FROM main.dim_networks WHERE kind = 'relay') AS is_user
    FROM matched
  )
  GROUP BY app, product, region
),
-- Two distinct clients or more: the first two hashes of every day's sketch are enough to tell. The
-- days of clients may begin at another hour than those of traffic, so the days next to them tell
-- whether clients are counted at all.
hashes AS (
  SELECT
    c.scope, c.id, c.client_key, c.day IN (SELECT day FROM days) AS in_days,
    unnest(list_slice(c.client_hashes, 1, 2)) AS hash
  FROM main.clients_1d c
  JOIN results.final_span a ON c.day BETWEEN a.as_of - 30 AND a.as_of + 1
  WHERE c.scope IN ('app', 'product') AND c.family = 'v6'
    AND c.vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
),
clients AS (
  -- Under another client key one client has another hash: it is no second client.
  SELECT scope, id, least(max(clients), 2) AS clients
  FROM (
    SELECT scope, id, client_key, count(DISTINCT hash) FILTER (in_days) AS clients
    FROM hashes
    GROUP BY scope, id, client_key
  )
  GROUP BY scope, id
),
sampling AS (
  SELECT CASE WHEN min(e.sampling_min) > 0 THEN max(e.sampling_max) ELSE 0 END AS interval
  FROM results.kpi_exporters_1d e
  SEMI JOIN days USING (day)
),
judged AS (
  SELECT
    e.app, e.product, e.region, e.planned_on, e.enabled_on, a.as_of,
    coalesce(e.planned_on <= a.as_of, false) AS due,
    coalesce(e.enabled_on <= a.as_of, false) AS enabled,
    coalesce(s.records, 0)::BIGINT AS records,
    coalesce(s.ipv6_bytes, 0)::HUGEINT AS ipv6_bytes,
    coalesce(s.bytes, 0)::HUGEINT AS bytes,
    CASE WHEN s.places >= 2 THEN 2 ELSE coalesce(c.clients, 0) END AS clients_at_least,
    CASE WHEN e.serves_dns OR (s.user_records > 0 AND s.places < 2 AND c.clients IS NULL)
      THEN 'records' ELSE 'clients' END AS judged_by,
    CASE WHEN judged_by = 'records' THEN NULL WHEN s.places >= 2 THEN 'endpoint'
      WHEN e.app = '' THEN 'product' ELSE 'app' END AS clients_of,
    coalesce(s.records, 0) >= 2 AND coalesce(s.ipv6_bytes, 0) > 0
      AND CASE judged_by WHEN 'records' THEN s.user_records >= 2 ELSE clients_at_least >= 2 END
      AS carrying,
    n.interval
  FROM main.dim_endpoints e
  CROSS JOIN results.final_span a
  CROSS JOIN sampling n
  LEFT JOIN seen s ON s.app = e.app AND s.product = e.product AND s.region = e.region
  LEFT JOIN clients c
    ON c.scope = CASE e.app WHEN '' THEN 'product' ELSE 'app' END
    AND c.id = CASE e.app WHEN '' THEN e.product ELSE e.app END
)
SELECT
  *,
  enabled AND NOT carrying AS silent,
  CASE
    WHEN enabled AND carrying THEN 'carrying'
    WHEN enabled THEN 'silent'
    WHEN carrying THEN 'carrying, not enabled by the catalog'
    WHEN due THEN 'overdue'
    ELSE 'planned'
  END AS status,
  CASE WHEN planned_on IS NOT NULL AND as_of IS NOT NULL
    THEN greatest(0, CASE WHEN enabled THEN enabled_on ELSE as_of END - planned_on)
  END AS late_days
FROM judged
ORDER BY app, product, region
