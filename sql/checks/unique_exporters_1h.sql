-- what: exporters_1h has each key once
-- severity: fail
SELECT
  window_start, exporter, family,
  count(*) AS times
FROM exporters_1h
GROUP BY ALL
HAVING count(*) > 1
