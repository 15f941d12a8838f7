-- What becomes of an input that is refused: somebody acknowledges it, or has it tried again.
COMMENT ON COLUMN ledger_files.status IS 'committed, quarantined, accepted (quarantined, and acknowledged), awaiting_retry (quarantined, and tried again by the next run), superseded or forgotten';
