-- what: exporters_1h has each key once
-- found: {window_start} {exporter} {family} stands there {times} times
-- severity: fail
-- scope: days
SELECT
  window_start, exporter, family,
  count(*) AS times
FROM exporters_1h
GROUP BY ALL
HAVING count(*) > 1
