-- With which key of the client hash inputs were counted: sketches of two keys cannot be united.
CREATE TABLE ledger_keys (
  client_key SMALLINT NOT NULL,
  key_id VARCHAR NOT NULL,
  since TIMESTAMP NOT NULL
);
COMMENT ON TABLE ledger_keys IS 'Every key of the client hash that inputs were counted with. The last one counts now.';
COMMENT ON COLUMN ledger_keys.client_key IS '0 for the first key, then one more for each new one';
COMMENT ON COLUMN ledger_keys.key_id IS 'id of the key: 16 hex digits of its SHA-256';
COMMENT ON COLUMN ledger_keys.since IS 'when it was first noted; inputs count with it since, UTC';
ALTER TABLE ledger_files ADD COLUMN client_key SMALLINT DEFAULT 0;
ALTER TABLE ledger_files ALTER COLUMN client_key SET NOT NULL;
ALTER TABLE ledger_files ALTER COLUMN client_key DROP DEFAULT;
COMMENT ON COLUMN ledger_files.client_key IS 'number of the client key then, as in ledger_keys';
ALTER TABLE clients_1d ADD COLUMN client_key SMALLINT DEFAULT 0;
ALTER TABLE clients_1d ALTER COLUMN client_key SET NOT NULL;
ALTER TABLE clients_1d ALTER COLUMN client_key DROP DEFAULT;
COMMENT ON COLUMN clients_1d.client_key IS 'number of the key of the hashes, as in ledger_keys: only sketches of one key unite';
