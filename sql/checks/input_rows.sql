-- what: every committed input has rows_in = rows_counted + rows_rejected
-- found: {path} has {rows_in} rows, {rows_counted} of them counted and {rows_rejected} rejected
-- severity: fail
-- scope: inputs
SELECT input_id, path, rows_in, rows_counted, rows_rejected
FROM ledger_files
WHERE status = 'committed' AND rows_in <> rows_counted + rows_rejected
