-- what: health_1h has each key once
-- found: {window_start} {vantage} {app} {client_region} {network} {family} stands there {times} times
-- severity: fail
-- scope: days
SELECT
  window_start, vantage, app, client_region, network, family,
  count(*) AS times
FROM health_1h
GROUP BY ALL
HAVING count(*) > 1
