-- what: an input is committed in one version only
-- found: input {input_id} is committed in {committed} versions
-- severity: fail
-- scope: inputs
SELECT input_id, count(*) AS committed
FROM ledger_files
WHERE status = 'committed'
GROUP BY input_id
HAVING count(*) > 1
