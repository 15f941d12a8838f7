-- what: the sketches of the 30 days that the KPIs unite are kept
-- found: they are kept from {kept_from}, and are needed from {needed_from}
-- severity: warn
SELECT p.kept_from, a.as_of - 29 AS needed_from
FROM ledger_pruned p
CROSS JOIN as_of a
WHERE p.part = 'clients_1d' AND p.kept_from > a.as_of - 29
