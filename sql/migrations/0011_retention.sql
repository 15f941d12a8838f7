-- What v6share prune removed, and what stays of it.
CREATE TABLE ledger_pruned (
  part VARCHAR NOT NULL,
  kept_from DATE NOT NULL,
  pruned_at TIMESTAMP NOT NULL,
  run_id VARCHAR NOT NULL
);
COMMENT ON TABLE ledger_pruned IS 'Of what v6share prune removed old days; what has no row here was never pruned.';
COMMENT ON COLUMN ledger_pruned.part IS 'a table; or quarantine, the notes of refused inputs';
COMMENT ON COLUMN ledger_pruned.kept_from IS 'the first day of which rows are kept, UTC';
COMMENT ON COLUMN ledger_pruned.pruned_at IS 'when that became the first day, UTC';
COMMENT ON COLUMN ledger_pruned.run_id IS 'run that did it';
CREATE TABLE client_counts_1d (
  day DATE NOT NULL,
  scope VARCHAR NOT NULL,
  id VARCHAR NOT NULL,
  unit VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  hashes BIGINT,
  theta UBIGINT NOT NULL,
  client_keys BIGINT NOT NULL
);
COMMENT ON TABLE client_counts_1d IS 'Distinct clients of the days whose sketches were pruned, as they were then (ledger_pruned).';
COMMENT ON COLUMN client_counts_1d.day IS 'as in clients_1d';
COMMENT ON COLUMN client_counts_1d.scope IS 'as in clients_1d';
COMMENT ON COLUMN client_counts_1d.id IS 'as in clients_1d';
COMMENT ON COLUMN client_counts_1d.unit IS 'as in clients_1d';
COMMENT ON COLUMN client_counts_1d.family IS 'v4, v6, or any: subscribers of both families, each once';
COMMENT ON COLUMN client_counts_1d.hashes IS 'distinct hashes below theta, of all vantages that fed the KPIs; NULL where they were made with several client keys [hashes]';
COMMENT ON COLUMN client_counts_1d.theta IS 'as in clients_1d, the lowest of the vantages [hash]';
COMMENT ON COLUMN client_counts_1d.client_keys IS 'with how many client keys they were made [keys]';
ALTER TABLE ledger_files ADD COLUMN sealed_at TIMESTAMP;
COMMENT ON COLUMN ledger_files.sealed_at IS 'when its fragment was pruned: it counts as it is, and can no longer be withdrawn or counted again; NULL before, UTC';
COMMENT ON TABLE traffic_5m IS 'Traffic per 5 minutes and app, product, regions, network, family and class. Days before kept_from in ledger_pruned are not kept.';
COMMENT ON TABLE traffic_1h IS 'Traffic per hour and app, product, regions, network, family and class. Days before kept_from in ledger_pruned are not kept.';
COMMENT ON TABLE clients_1d IS 'Distinct active clients per UTC day: theta sketches of keyed hashes of client prefixes. Days before kept_from in ledger_pruned are not kept. client_counts_1d has how many they were.';
COMMENT ON TABLE rtt_1h IS 'Round-trip times as counts in logarithmic buckets of 1 % relative accuracy. Days before kept_from in ledger_pruned are not kept.';
COMMENT ON TABLE health_1h IS 'TCP health from unsampled exporters; sampled ones cannot show it. Days before kept_from in ledger_pruned are not kept.';
