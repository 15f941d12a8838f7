-- what: clients_1d has each key once
-- found: {day} {vantage} {scope} {id} {family} {unit} of key {client_key} stands there {times} times
-- severity: fail
-- scope: days
SELECT
  day, vantage, scope, id, family, unit, client_key,
  count(*) AS times
FROM clients_1d
GROUP BY ALL
HAVING count(*) > 1
