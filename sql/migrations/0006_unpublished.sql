-- What the two published files lack, so that one of them is brought up to date without a whole copy.
CREATE TABLE private.unpublished (
  relation VARCHAR NOT NULL,
  since TIMESTAMP,
  until TIMESTAMP,
  id VARCHAR,
  is_published BOOLEAN NOT NULL
);
COMMENT ON TABLE private.unpublished IS 'What changed in relations: a half-open span of time, the rows of an id, or all where both are NULL. is_published: the published file has it, the standby lacks it.';
