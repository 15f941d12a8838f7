-- what:    as share_cells_1d, per day, app and client region, and per day, app and network
-- unit:    records: records; bytes, bytes_normalised, offloaded, error_unknown: bytes; tcp_opens:
--          opens; variance: bytes^2; flags
-- columns: scope: app_client_region or app_network; id: the client region or network; undecided:
--          whether its family or class is unknown
-- formula: kpi_traffic_1d summed up; each row of it is in one cell of both scopes
-- source:  kpi_traffic_1d
-- kept:    by day
CREATE VIEW definitions.share_cells_app_1d AS
SELECT
  day,
  CASE grouping(client_region, network) WHEN 1 THEN 'app_client_region' ELSE 'app_network'
  END AS scope,
  app,
  coalesce(client_region, network) AS id,
  in_denominator, strict, wire, service, undecided, enabled, network_capable,
  sum(records)::BIGINT AS records,
  sum(bytes)::HUGEINT AS bytes,
  sum(bytes_normalised)::HUGEINT AS bytes_normalised,
  sum(tcp_opens)::HUGEINT AS tcp_opens,
  sum(bytes_variance)::HUGEINT AS variance,
  sum(bytes_error_unknown)::HUGEINT AS error_unknown,
  sum(offloaded_bytes)::HUGEINT AS offloaded
FROM results.kpi_traffic_1d
GROUP BY
  day, app, in_denominator, strict, wire, service, undecided, enabled, network_capable,
  GROUPING SETS (client_region, network)
ORDER BY day, scope, app, id
