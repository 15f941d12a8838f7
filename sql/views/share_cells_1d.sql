-- what:    what all traffic shares are made of, kept so that no KPI reads traffic_1d: per day and
--          app, product, client region or network, one row for each way to count in a share
-- unit:    records: records; bytes, bytes_normalised, offloaded, error_unknown: bytes; tcp_opens:
--          opens; variance: bytes^2; flags
-- formula: kpi_traffic_1d summed up; see there for the flags. Each row of it is in one cell of every
--          scope. is_loose: of no known app. offloaded: offloaded_bytes of kpi_traffic_1d
-- source:  kpi_traffic_1d
-- kept:    by day
CREATE VIEW definitions.share_cells_1d AS
SELECT
  day,
  CASE grouping(app, product, client_region, network)
    WHEN 7 THEN 'app' WHEN 11 THEN 'product' WHEN 13 THEN 'client_region' ELSE 'network'
  END AS scope,
  coalesce(app, product, client_region, network) AS id,
  is_loose, in_denominator, strict, wire, service, undecided, enabled, network_capable,
  sum(records)::HUGEINT AS records,
  sum(bytes)::HUGEINT AS bytes,
  sum(bytes_normalised)::HUGEINT AS bytes_normalised,
  sum(tcp_opens)::HUGEINT AS tcp_opens,
  sum(bytes_variance)::HUGEINT AS variance,
  sum(bytes_error_unknown)::HUGEINT AS error_unknown,
  sum(offloaded_bytes)::HUGEINT AS offloaded
FROM (SELECT *, app = 'unclassified' AS is_loose FROM main.kpi_traffic_1d)
GROUP BY
  day, is_loose, in_denominator, strict, wire, service, undecided, enabled, network_capable,
  GROUPING SETS (app, product, client_region, network)
ORDER BY day, scope, id
