-- What was published of final days, and what became of it.
CREATE TABLE ledger_final_days (
  day DATE NOT NULL,
  revision BIGINT NOT NULL,
  published_at TIMESTAMP NOT NULL,
  changed_at TIMESTAMP NOT NULL,
  records HUGEINT NOT NULL,
  bytes HUGEINT NOT NULL,
  ipv6_bytes HUGEINT NOT NULL,
  content VARCHAR NOT NULL
);
COMMENT ON TABLE ledger_final_days IS 'Every day that was published as final: what the KPIs had of it then, and after each change.';
COMMENT ON COLUMN ledger_final_days.day IS 'UTC day';
COMMENT ON COLUMN ledger_final_days.revision IS '0 as it was first; then the number of the change';
COMMENT ON COLUMN ledger_final_days.published_at IS 'when it was published so, UTC';
COMMENT ON COLUMN ledger_final_days.changed_at IS 'newest commit or withdrawal of an input whose time covers the day; published_at where none came since the row before, as when the catalog changed; UTC';
COMMENT ON COLUMN ledger_final_days.records IS 'as in kpi_sums_1d [records]';
COMMENT ON COLUMN ledger_final_days.bytes IS 'as in kpi_sums_1d [bytes]';
COMMENT ON COLUMN ledger_final_days.ipv6_bytes IS 'as in kpi_sums_1d [bytes]';
COMMENT ON COLUMN ledger_final_days.content IS 'as in kpi_sums_1d; empty where no traffic is left';
