-- what: rtt_1h has each key once
-- found: {window_start} {vantage} {app} {client_region} {network} {family} {side} {bucket} stands there {times} times
-- severity: fail
-- scope: days
SELECT
  window_start, vantage, app, client_region, network, family, side, bucket,
  count(*) AS times
FROM rtt_1h
GROUP BY ALL
HAVING count(*) > 1
