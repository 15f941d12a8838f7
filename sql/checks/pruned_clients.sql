-- what: client_counts_1d has each key once, and only of days whose sketches were pruned
-- found: {day} {scope} {id} {family} {unit} stands there {times} times, or clients_1d keeps the day
-- severity: fail
-- scope: replacements
SELECT c.day, c.scope, c.id, c.unit, c.family, count(*) AS times
FROM client_counts_1d c
GROUP BY ALL
HAVING count(*) > 1
  OR c.day >= coalesce(
    (SELECT max(kept_from) FROM ledger_pruned WHERE part = 'clients_1d'), '-infinity'::DATE)
