-- What the file of a fragment must be, from the entry that made it count; none for older entries.
CREATE TABLE private.fragments (
  input_id VARCHAR NOT NULL,
  dialect VARCHAR NOT NULL,
  rules_version BIGINT NOT NULL,
  catalog_version VARCHAR NOT NULL,
  sha256 VARCHAR NOT NULL,
  size BIGINT NOT NULL
);
COMMENT ON TABLE private.fragments IS 'SHA-256 and size of the fragment files, by their keys.';
