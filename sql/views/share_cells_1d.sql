-- what:    what all traffic shares are made of, kept so that no KPI reads traffic_1d: per day and
--          app, product, client region, network or carrier, one row for each way to count in a share
-- unit:    records: records; bytes, bytes_normalised, offloaded, error_unknown: bytes; tcp_opens:
--          opens; variance: bytes^2; flags
-- columns: scope: app, product, client_region, network or carrier; id: the app, product, region,
--          network or carrier, as scope says; undecided: whether its family or class is
--          unknown
-- formula: kpi_traffic_1d summed up; see there for the flags. Each row of it is in one cell of every
--          scope; of the scope carrier, where its network has one. is_loose: of no known app. offloaded: offloaded_bytes of kpi_traffic_1d
-- source:  kpi_traffic_1d
-- kept:    by day
CREATE VIEW definitions.share_cells_1d AS
SELECT
  day,
  CASE grouping(app, product, client_region, network, carrier)
    WHEN 15 THEN 'app' WHEN 23 THEN 'product' WHEN 27 THEN 'client_region' WHEN 29 THEN 'network'
    ELSE 'carrier'
  END AS scope,
  coalesce(app, product, client_region, network, carrier) AS id,
  is_loose, in_denominator, strict, wire, service, undecided, enabled, network_capable,
  sum(records)::BIGINT AS records,
  sum(bytes)::HUGEINT AS bytes,
  sum(bytes_normalised)::HUGEINT AS bytes_normalised,
  sum(tcp_opens)::HUGEINT AS tcp_opens,
  sum(bytes_variance)::HUGEINT AS variance,
  sum(bytes_error_unknown)::HUGEINT AS error_unknown,
  sum(offloaded_bytes)::HUGEINT AS offloaded
FROM (SELECT *, app = 'unclassified' AS is_loose FROM results.kpi_traffic_1d)
GROUP BY
  day, is_loose, in_denominator, strict, wire, service, undecided, enabled, network_capable,
  GROUPING SETS (app, product, client_region, network, carrier)
HAVING coalesce(app, product, client_region, network, carrier) IS NOT NULL
ORDER BY day, scope, id
