-- what:    what the KPIs have of a day in one row: its sums, and a digest of all that they are made
--          of. Two rows with the same digest give the same KPIs of that day
-- unit:    records: records; bytes, ipv6_bytes: bytes
-- columns: records: flow records of the day, all of them; bytes: scaled bytes of the day, of
--          denominator all
-- formula: records: all of them; bytes: denominator all; ipv6_bytes: the strict part of it; their
--          quotient is the strict IPv6 share of the day. content: MD5 of the rows of share_cells_1d,
--          but for those of carriers, which are sums of networks, and of the counts of kpi_stage2_daily_clients. What goes into it may not change without
--          need: every final day would count as changed in the view revisions
-- source:  share_cells_1d, kpi_stage2_daily_clients
-- kept:    by day
CREATE VIEW definitions.kpi_sums_1d AS
WITH lines AS (
  SELECT
    day,
    concat_ws(chr(9),
      scope, id, is_loose, in_denominator, strict, wire, service, undecided, enabled,
      network_capable, records, bytes, bytes_normalised, tcp_opens, variance, error_unknown,
      offloaded) AS line,
    CASE WHEN scope = 'app' THEN records END AS records,
    CASE WHEN scope = 'app' AND in_denominator THEN bytes END AS bytes,
    CASE WHEN scope = 'app' AND in_denominator AND strict THEN bytes END AS ipv6_bytes
  FROM results.share_cells_1d
  WHERE scope <> 'carrier'
  UNION ALL
  SELECT
    day, concat_ws(chr(9), 'clients', scope, id, unit, family, hashes, theta), NULL, NULL, NULL
  FROM results.kpi_stage2_daily_clients
)
SELECT
  day,
  coalesce(sum(records), 0)::BIGINT AS records,
  coalesce(sum(bytes), 0)::HUGEINT AS bytes,
  coalesce(sum(ipv6_bytes), 0)::HUGEINT AS ipv6_bytes,
  md5(string_agg(line, chr(10) ORDER BY line)) AS content
FROM lines
GROUP BY day
ORDER BY day
