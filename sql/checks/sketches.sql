-- what: a client sketch holds at most 4,096 ascending distinct hashes, all below its threshold
-- severity: fail
SELECT day, vantage, scope, id, family, unit, theta, len(client_hashes) AS hashes
FROM clients_1d
WHERE len(client_hashes) > 4096
  OR client_hashes <> list_sort(list_distinct(client_hashes))
  OR client_hashes[-1] >= theta
  OR (theta < 18446744073709551615 AND len(client_hashes) < 4096)
