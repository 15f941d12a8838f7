-- what: traffic_1d equals traffic_1h summed up per day, app and family, where that is kept
-- found: on {window_start} app {app}, family {family}, has {bytes_rolled_up} bytes in traffic_1d, {bytes_summed} in traffic_1h, or other counters differ
-- severity: fail
-- scope: days
WITH coarse AS (
  SELECT
    window_start,
    app,
    family,
    sum(records) AS records,
    sum(tcp_opens) AS tcp_opens,
    sum(packets) AS packets,
    sum(bytes) AS bytes,
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes,
    sum(bytes_variance) AS bytes_variance,
    sum(bytes_error_unknown) AS bytes_error_unknown
  FROM traffic_1d
  WHERE window_start >= coalesce(
    (SELECT max(kept_from) FROM ledger_pruned WHERE part = 'traffic_1h'), '-infinity'::DATE)
  GROUP BY window_start, app, family
),
fine AS (
  SELECT
    date_trunc('day', window_start) AS window_start,
    app,
    family,
    sum(records) AS records,
    sum(tcp_opens) AS tcp_opens,
    sum(packets) AS packets,
    sum(bytes) AS bytes,
    sum(sampled_packets) AS sampled_packets,
    sum(sampled_bytes) AS sampled_bytes,
    sum(bytes_variance) AS bytes_variance,
    sum(bytes_error_unknown) AS bytes_error_unknown
  FROM traffic_1h
  GROUP BY date_trunc('day', window_start), app, family
)
SELECT
  window_start,
  app,
  family,
  c.bytes AS bytes_rolled_up,
  f.bytes AS bytes_summed
FROM coarse c
FULL JOIN fine f USING (window_start, app, family)
WHERE c.records IS DISTINCT FROM f.records
  OR c.tcp_opens IS DISTINCT FROM f.tcp_opens
  OR c.packets IS DISTINCT FROM f.packets
  OR c.bytes IS DISTINCT FROM f.bytes
  OR c.sampled_packets IS DISTINCT FROM f.sampled_packets
  OR c.sampled_bytes IS DISTINCT FROM f.sampled_bytes
  OR c.bytes_variance IS DISTINCT FROM f.bytes_variance
  OR c.bytes_error_unknown IS DISTINCT FROM f.bytes_error_unknown
