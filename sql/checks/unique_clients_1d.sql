-- what: clients_1d has each key once
-- severity: fail
SELECT
  day, vantage, scope, id, family, unit,
  count(*) AS times
FROM clients_1d
GROUP BY ALL
HAVING count(*) > 1
