-- what:    the work queue: every byte of the top apps that is not native IPv6, in exactly one place
-- unit:    place: 1 is the largest; bytes: bytes; part: share 0 to 1
-- columns: app: app id of a top app, never unclassified; reason: the first that holds, see formula;
--          bytes: scaled bytes of the last 28 final days that are not native IPv6
-- first:   place, reason, app, service_region, part, bytes, network, client_region
-- formula: the first that holds, of
--          tunnelled_or_translated  a transition technology, or native IPv6 inside IPv4
--          not_enabled              the service's endpoint was not enabled on that day
--          client_not_capable       the client's network was not IPv6-capable on that day
--          residual                 device, hard-coded address or fallback: not separable without
--                                   subscriber ids
--          per app, service region, client region and network, most bytes first. The rows add up
--          to denominator - numerator of the strict byte share over the same days (denominator all)
-- source:  kpi_traffic_1d, top_apps
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_waterfall AS
WITH days AS (
  SELECT unnest(generate_series(
    (as_of - 27)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 1 DAY)) AS window_start
  FROM results.final_span
),
places AS (
  SELECT
    CASE
      WHEN t.transition THEN 'tunnelled_or_translated'
      WHEN NOT t.enabled THEN 'not_enabled'
      WHEN NOT t.network_capable THEN 'client_not_capable'
      ELSE 'residual'
    END AS reason,
    t.app, t.service_region, t.client_region, t.network, sum(t.bytes)::HUGEINT AS bytes
  FROM results.kpi_traffic_1d t
  SEMI JOIN days USING (window_start)
  WHERE t.in_denominator AND NOT t.strict AND t.app IN (SELECT app FROM results.top_apps)
  GROUP BY ALL
)
SELECT
  row_number() OVER (
    ORDER BY bytes DESC, reason, app, service_region, client_region, network) AS place,
  reason, app, service_region, client_region, network, bytes,
  main.share_of(bytes, sum(bytes) OVER ()) AS part
FROM places
ORDER BY place
