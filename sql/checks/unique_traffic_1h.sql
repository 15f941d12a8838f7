-- what: traffic_1h has each key once
-- found: {window_start} {vantage} {app} {product} {client_region} {service_region} {network} {family} {ip_class} {underlay} {direction} stands there {times} times
-- severity: fail
-- scope: days
SELECT
  window_start, vantage, app, product, client_region, service_region, network, family,
  ip_class, underlay, direction,
  count(*) AS times
FROM traffic_1h
GROUP BY ALL
HAVING count(*) > 1
