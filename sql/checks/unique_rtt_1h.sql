-- what: rtt_1h has each key once
-- severity: fail
SELECT
  window_start, vantage, app, client_region, network, family, side, bucket,
  count(*) AS times
FROM rtt_1h
GROUP BY ALL
HAVING count(*) > 1
