-- what:    the inputs behind the view revisions: what was counted, counted anew or withdrawn after a
--          day was first published as final; the newest first
-- unit:    rows_counted: rows
-- columns: day: UTC day that changed; status: committed, superseded, forgotten or quarantined;
--          reason: why it was withdrawn or refused, of a superseded version how the input counts
--          now
-- first:   day, committed_at, status, path, reason
-- formula: for days that changed: rows of ledger_files with committed_at after first_final_at whose
--          time (first_start to last_end) covers the day. An input counted anew has two rows of one
--          committed_at: superseded (the version before) and committed. reason: why it was withdrawn
--          or refused; of a superseded version how the input counts now
-- source:  revisions, ledger_files
CREATE VIEW definitions.revision_inputs AS
WITH counting AS (
  SELECT
    input_id,
    'counts now by rules ' || rules_version || ', catalog ' || catalog_version
      || ', dialect ' || dialect AS in_words
  FROM main.ledger_files
  WHERE status = 'committed'
)
SELECT
  r.day, f.committed_at, f.status, f.path,
  CASE WHEN f.status = 'superseded' AND f.reason = ''
    THEN coalesce(n.in_words, 'withdrawn since')
    ELSE f.reason END AS reason,
  f.rows_counted, f.run_id, f.input_id
FROM results.revisions r
JOIN main.ledger_files f
  ON f.committed_at > r.first_final_at
  AND r.day BETWEEN CAST(f.first_start AS DATE) AND CAST(f.last_end AS DATE)
LEFT JOIN counting n ON n.input_id = f.input_id
WHERE r.changes > 0
ORDER BY r.day DESC, f.committed_at DESC, f.path, f.status
