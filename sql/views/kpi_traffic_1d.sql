-- what:    daily traffic of the vantages that feed the KPIs, with everything that decides how a
--          row counts in a share; the base of all traffic KPIs
-- unit:    records: records; tcp_opens: opens; packets: packets; bytes, bytes_normalised,
--          offloaded_bytes, bytes_error_unknown: bytes; bytes_variance: bytes^2; flags
-- columns: carrier: carrier that runs the network, from networks.csv, NULL where that names none;
--          undecided: whether its family or class is unknown
-- formula: strict / wire  as dim_ip_class says, corrected by a visible infrastructure tunnel:
--                         native IPv6 inside an IPv4 underlay is not strict and not wire; anything
--                         inside an IPv6 underlay is wire
--          transition     tunnelled or translated; native IPv6 inside an IPv4 underlay is tunnelled
--          undecided      app traffic of unknown family, and traffic of unknown class
--          enabled        the endpoint of (app, product, service_region) has enabled_on <= day. The
--                         endpoint that names the app wins over the product's own (app empty).
--                         Traffic that shows no product is enabled when every endpoint of its app
--                         in that region is; traffic whose service region is unknown, as behind
--                         NAT64, when every endpoint of its app is. Without an endpoint: not enabled
--          network_capable  the client network has ipv6_since <= day; capable = both
--          bytes_normalised  bytes - 40 * packets (IPv6), - 20 * packets (IPv4, unknown); 0 where
--                            an exporter reports fewer bytes than the headers alone take
--          offloaded_bytes   bytes_normalised of rows over 9,216 bytes a packet: larger than any
--                            jumbo frame, so that the exporter's packets are not packets (host
--                            offload). A record that is cut at midnight may leave up to a packet's
--                            bytes without their packet on its first day, so one packet a record
--                            is added. Normalised, like what they are compared with
-- source:  traffic_1d, dim_vantages, dim_ip_class, enabled_since, dim_networks
CREATE VIEW definitions.kpi_traffic_1d AS
SELECT
  t.window_start, CAST(t.window_start AS DATE) AS day,
  t.vantage, t.app, t.product, t.client_region, t.service_region, t.network,
  t.family, t.ip_class, t.underlay, t.direction,
  c.in_denominator,
  c.in_strict AND t.underlay <> 'v4' AS strict,
  CASE t.underlay WHEN 'v4' THEN false WHEN 'v6' THEN c.in_denominator ELSE c.in_wire END AS wire,
  c.in_service AS service,
  c.is_transition OR (c.in_service AND NOT c.in_strict)
    OR (c.in_strict AND t.underlay = 'v4') AS transition,
  t.ip_class = 'unknown'
    OR (t.family = 'unknown' AND (c.is_transition OR t.ip_class IN ('native_v4', 'native_v6')))
    AS undecided,
  coalesce(
    CASE
      WHEN named.app IS NOT NULL THEN named.enabled_on
      WHEN wide.product IS NOT NULL THEN wide.enabled_on
      WHEN whole.app IS NOT NULL THEN whole.enabled_on
      ELSE everywhere.enabled_on
    END <= CAST(t.window_start AS DATE), false) AS enabled,
  coalesce(n.ipv6_since <= CAST(t.window_start AS DATE), false) AS network_capable,
  n.carrier,
  t.records, t.tcp_opens, t.packets, t.bytes,
  greatest(t.bytes - CASE t.family WHEN 'v6' THEN 40 ELSE 20 END * t.packets::HUGEINT, 0)
    AS bytes_normalised,
  CASE WHEN t.bytes > 9216 * (t.packets::HUGEINT + t.records)
    THEN greatest(t.bytes - CASE t.family WHEN 'v6' THEN 40 ELSE 20 END * t.packets::HUGEINT, 0)
    ELSE 0
  END AS offloaded_bytes,
  t.bytes_variance, t.bytes_error_unknown
FROM main.traffic_1d t
JOIN main.dim_ip_class c ON c.ip_class = t.ip_class AND c.family = t.family
LEFT JOIN results.enabled_since named
  ON named.level = 'endpoint' AND named.app = t.app AND named.product = t.product
  AND named.region = t.service_region
LEFT JOIN results.enabled_since wide
  -- left(t.app, 0) is '': where no endpoint has an empty app, DuckDB 2.0 takes a comparison with a
  -- constant for an empty join, and then ignores the LIMIT and CASE of queries on this view.
  ON wide.level = 'endpoint' AND wide.app = left(t.app, 0) AND wide.product = t.product
  AND wide.region = t.service_region
LEFT JOIN results.enabled_since whole
  ON whole.level = 'app_in_region' AND t.product = 'unclassified' AND whole.app = t.app
  AND whole.region = t.service_region
LEFT JOIN results.enabled_since everywhere
  ON everywhere.level = 'app' AND t.service_region = 'unknown' AND everywhere.app = t.app
LEFT JOIN main.dim_networks n ON n.network = t.network
WHERE t.vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
