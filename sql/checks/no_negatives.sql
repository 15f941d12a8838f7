-- what: no measure is negative
-- found: {negative} rows of {table} have a negative measure in the window {window_start}
-- severity: fail
-- scope: days
SELECT 'traffic_5m' AS "table", window_start, count(*) AS negative
FROM traffic_5m
WHERE least(records, tcp_opens, packets, bytes, sampled_packets, sampled_bytes) < 0
  OR least(bytes_variance, bytes_error_unknown) < 0
GROUP BY ALL
UNION ALL
SELECT 'rtt_1h' AS "table", window_start, count(*) AS negative
FROM rtt_1h
WHERE samples < 0
GROUP BY ALL
UNION ALL
SELECT 'health_1h' AS "table", window_start, count(*) AS negative
FROM health_1h
WHERE least(tcp_flows, unanswered_flows, retransmitted_packets, packets) < 0
GROUP BY ALL
UNION ALL
SELECT 'exporters_1h' AS "table", window_start, count(*) AS negative
FROM exporters_1h
WHERE least(records, packets, bytes) < 0
GROUP BY ALL
UNION ALL
SELECT 'traffic_1h' AS "table", window_start, count(*) AS negative
FROM traffic_1h
WHERE least(records, tcp_opens, packets, bytes, sampled_packets, sampled_bytes) < 0
  OR least(bytes_variance, bytes_error_unknown) < 0
GROUP BY ALL
UNION ALL
SELECT 'traffic_1d' AS "table", window_start, count(*) AS negative
FROM traffic_1d
WHERE least(records, tcp_opens, packets, bytes, sampled_packets, sampled_bytes) < 0
  OR least(bytes_variance, bytes_error_unknown) < 0
GROUP BY ALL
