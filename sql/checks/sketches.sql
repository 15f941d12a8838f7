-- what: a client sketch holds at most 4,096 ascending distinct hashes, all below its threshold
-- found: that of {scope} {id}, {family}, {unit}, {day}, has {hashes} hashes for the threshold {theta}, or they are not in order
-- severity: fail
-- scope: days
SELECT day, vantage, scope, id, family, unit, theta, len(client_hashes) AS hashes
FROM clients_1d
WHERE len(client_hashes) > 4096
  OR len(list_filter(
    client_hashes,
    lambda h, i: h IS NULL OR (i > 1 AND h <= client_hashes[i - 1])
  )) > 0
  OR client_hashes[-1] >= theta
  OR (theta < 18446744073709551615 AND len(client_hashes) < 4096)
