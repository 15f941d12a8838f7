-- what: per family, traffic_5m holds exactly what the ledger counted, to the byte (traffic_1d where that was pruned)
-- found: of family {family} traffic holds {bytes_too_many} bytes, {packets_too_many} packets, {records_too_many} records too many (negative: too few)
-- severity: fail
-- scope: replacements
WITH ledger AS (
  SELECT
    family,
    sum("rows") AS records,
    sum(packets) AS packets,
    sum(bytes) AS bytes,
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes
  FROM ledger_families
  WHERE disposition = 'counted'
  GROUP BY family
),
kept AS (
  SELECT coalesce(max(kept_from), '-infinity'::DATE) AS since
  FROM ledger_pruned
  WHERE part = 'traffic_5m'
),
-- The finest rows there are of each day.
finest AS (
  SELECT * FROM traffic_5m
  UNION ALL
  SELECT * FROM traffic_1d WHERE window_start < (SELECT since FROM kept)
),
traffic AS (
  SELECT
    family,
    sum(records) AS records,
    sum(packets) AS packets,
    sum(bytes) AS bytes,
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes
  FROM finest
  GROUP BY family
)
SELECT
  family,
  coalesce(t.records, 0) - coalesce(l.records, 0) AS records_too_many,
  coalesce(t.packets, 0) - coalesce(l.packets, 0) AS packets_too_many,
  coalesce(t.bytes, 0) - coalesce(l.bytes, 0) AS bytes_too_many,
  coalesce(t.sampled_packets, 0) - coalesce(l.sampled_packets, 0) AS sampled_packets_too_many,
  coalesce(t.sampled_bytes, 0) - coalesce(l.sampled_bytes, 0) AS sampled_bytes_too_many
FROM ledger l
FULL JOIN traffic t USING (family)
WHERE coalesce(t.records, 0) <> coalesce(l.records, 0)
  OR coalesce(t.packets, 0) <> coalesce(l.packets, 0)
  OR coalesce(t.bytes, 0) <> coalesce(l.bytes, 0)
  OR coalesce(t.sampled_packets, 0) <> coalesce(l.sampled_packets, 0)
  OR coalesce(t.sampled_bytes, 0) <> coalesce(l.sampled_bytes, 0)
