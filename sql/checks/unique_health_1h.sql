-- what: health_1h has each key once
-- severity: fail
SELECT
  window_start, vantage, app, client_region, network, family,
  count(*) AS times
FROM health_1h
GROUP BY ALL
HAVING count(*) > 1
