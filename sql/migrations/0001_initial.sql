-- The first schema: aggregates, ledger, dimensions, and what is the warehouse's own affair.
-- Written out from schemas/; a test compares the two. Never edit it: add the next number.

CREATE SCHEMA private;
CREATE TABLE private.migrations (version BIGINT NOT NULL, name VARCHAR NOT NULL);
COMMENT ON TABLE private.migrations IS 'Migrations that were applied.';
CREATE TABLE private.state (key VARCHAR NOT NULL, value VARCHAR NOT NULL);
COMMENT ON TABLE private.state IS 'How far the journal is applied, what is published, and the like.';
CREATE TABLE private.seen (
  path VARCHAR NOT NULL,
  size BIGINT NOT NULL,
  mtime_ns BIGINT NOT NULL,
  input_id VARCHAR NOT NULL
);
COMMENT ON TABLE private.seen IS 'Files as last seen, so that a known one is not even opened.';

CREATE TABLE traffic_5m (
  window_start TIMESTAMP NOT NULL,
  vantage VARCHAR NOT NULL,
  app VARCHAR NOT NULL,
  product VARCHAR NOT NULL,
  client_region VARCHAR NOT NULL,
  service_region VARCHAR NOT NULL,
  network VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  ip_class VARCHAR NOT NULL,
  underlay VARCHAR NOT NULL,
  direction VARCHAR NOT NULL,
  records BIGINT NOT NULL,
  tcp_opens BIGINT NOT NULL,
  packets BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  sampled_packets BIGINT NOT NULL,
  sampled_bytes BIGINT NOT NULL,
  bytes_variance HUGEINT NOT NULL,
  bytes_error_unknown BIGINT NOT NULL
);
COMMENT ON TABLE traffic_5m IS 'Traffic per 5 minutes and app, product, regions, network, family and class.';
COMMENT ON COLUMN traffic_5m.window_start IS 'start of the 5 minutes, UTC';
COMMENT ON COLUMN traffic_5m.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN traffic_5m.app IS 'app id from apps.toml; else unclassified';
COMMENT ON COLUMN traffic_5m.product IS 'product id that the app or its match names; else unclassified';
COMMENT ON COLUMN traffic_5m.client_region IS 'region of the client''s address; else unknown';
COMMENT ON COLUMN traffic_5m.service_region IS 'region that the match names, else of the service''s address';
COMMENT ON COLUMN traffic_5m.network IS 'network of the client''s address; else unknown';
COMMENT ON COLUMN traffic_5m.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN traffic_5m.ip_class IS 'native, which transition technology, or which encapsulation';
COMMENT ON COLUMN traffic_5m.underlay IS 'outer family of an infrastructure tunnel whose inner header shows; else none';
COMMENT ON COLUMN traffic_5m.direction IS 'to_client, to_service or unknown';
COMMENT ON COLUMN traffic_5m.records IS 'flow records that start in the window, never scaled [records]';
COMMENT ON COLUMN traffic_5m.tcp_opens IS 'records with SYN times the sampling interval [opens]';
COMMENT ON COLUMN traffic_5m.packets IS 'packets, scaled by the sampling interval [packets]';
COMMENT ON COLUMN traffic_5m.bytes IS 'layer-3 bytes, scaled by the sampling interval [bytes]';
COMMENT ON COLUMN traffic_5m.sampled_packets IS 'packets as exported [packets]';
COMMENT ON COLUMN traffic_5m.sampled_bytes IS 'bytes as exported [bytes]';
COMMENT ON COLUMN traffic_5m.bytes_variance IS 'variance of bytes that sampling causes [bytes^2]';
COMMENT ON COLUMN traffic_5m.bytes_error_unknown IS 'scaled bytes whose sampling error is not known [bytes]';

CREATE TABLE clients_1d (
  day DATE NOT NULL,
  vantage VARCHAR NOT NULL,
  scope VARCHAR NOT NULL,
  id VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  unit VARCHAR NOT NULL,
  theta UBIGINT NOT NULL,
  client_hashes UBIGINT[] NOT NULL
);
COMMENT ON TABLE clients_1d IS 'Distinct active clients per UTC day: theta sketches of keyed hashes of client prefixes.';
COMMENT ON COLUMN clients_1d.day IS 'UTC day (or the fixed reporting offset)';
COMMENT ON COLUMN clients_1d.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN clients_1d.scope IS 'all, app, product, client_region or network';
COMMENT ON COLUMN clients_1d.id IS 'the app, product, region or network; empty for all';
COMMENT ON COLUMN clients_1d.family IS 'v4 or v6: the outermost IP header; v6 for translated clients';
COMMENT ON COLUMN clients_1d.unit IS 'subscriber or prefix';
COMMENT ON COLUMN clients_1d.theta IS 'threshold: hashes below it are kept; 2^64 - 1 while all of them are [hash]';
COMMENT ON COLUMN clients_1d.client_hashes IS 'the kept distinct hashes, ascending, at most 4,096 [hashes]';

CREATE TABLE rtt_1h (
  window_start TIMESTAMP NOT NULL,
  vantage VARCHAR NOT NULL,
  app VARCHAR NOT NULL,
  client_region VARCHAR NOT NULL,
  network VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  side VARCHAR NOT NULL,
  bucket SMALLINT NOT NULL,
  samples BIGINT NOT NULL
);
COMMENT ON TABLE rtt_1h IS 'Round-trip times as counts in logarithmic buckets of 1 % relative accuracy.';
COMMENT ON COLUMN rtt_1h.window_start IS 'start of the hour, UTC';
COMMENT ON COLUMN rtt_1h.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN rtt_1h.app IS 'app id from apps.toml; else unclassified';
COMMENT ON COLUMN rtt_1h.client_region IS 'region of the client''s address; else unknown';
COMMENT ON COLUMN rtt_1h.network IS 'network of the client''s address; else unknown';
COMMENT ON COLUMN rtt_1h.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN rtt_1h.side IS 'client or service: which half of the path was timed';
COMMENT ON COLUMN rtt_1h.bucket IS 'bucket number; bounds in dim_rtt_buckets';
COMMENT ON COLUMN rtt_1h.samples IS 'records that carried this round-trip time [records]';

CREATE TABLE health_1h (
  window_start TIMESTAMP NOT NULL,
  vantage VARCHAR NOT NULL,
  app VARCHAR NOT NULL,
  client_region VARCHAR NOT NULL,
  network VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  tcp_flows BIGINT NOT NULL,
  unanswered_flows BIGINT NOT NULL,
  retransmitted_packets BIGINT NOT NULL,
  packets BIGINT NOT NULL
);
COMMENT ON TABLE health_1h IS 'TCP health from unsampled exporters; sampled ones cannot show it.';
COMMENT ON COLUMN health_1h.window_start IS 'start of the hour, UTC';
COMMENT ON COLUMN health_1h.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN health_1h.app IS 'app id from apps.toml; else unclassified';
COMMENT ON COLUMN health_1h.client_region IS 'region of the client''s address; else unknown';
COMMENT ON COLUMN health_1h.network IS 'network of the client''s address; else unknown';
COMMENT ON COLUMN health_1h.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN health_1h.tcp_flows IS 'TCP records to the service with SYN [records]';
COMMENT ON COLUMN health_1h.unanswered_flows IS 'of these, SYN without ACK [records]';
COMMENT ON COLUMN health_1h.retransmitted_packets IS 'retransmitted packets, where exported [packets]';
COMMENT ON COLUMN health_1h.packets IS 'packets of the TCP records that carry a retransmission count [packets]';

CREATE TABLE exporters_1h (
  window_start TIMESTAMP NOT NULL,
  exporter VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  records BIGINT NOT NULL,
  packets BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  sampling_min BIGINT NOT NULL,
  sampling_max BIGINT NOT NULL,
  first_seen TIMESTAMP NOT NULL,
  last_seen TIMESTAMP NOT NULL
);
COMMENT ON TABLE exporters_1h IS 'What each exporter delivered, for completeness and for sampling surprises.';
COMMENT ON COLUMN exporters_1h.window_start IS 'start of the hour, UTC';
COMMENT ON COLUMN exporters_1h.exporter IS 'address or name of the exporter; empty where no column says it';
COMMENT ON COLUMN exporters_1h.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN exporters_1h.records IS 'counted records that start in the hour [records]';
COMMENT ON COLUMN exporters_1h.packets IS 'scaled packets of the hour [packets]';
COMMENT ON COLUMN exporters_1h.bytes IS 'scaled bytes of the hour [bytes]';
COMMENT ON COLUMN exporters_1h.sampling_min IS 'smallest sampling interval, rounded up; 0 = pre-scaled, interval unknown [1 in N]';
COMMENT ON COLUMN exporters_1h.sampling_max IS 'largest sampling interval [1 in N]';
COMMENT ON COLUMN exporters_1h.first_seen IS 'earliest start of a record [UTC]';
COMMENT ON COLUMN exporters_1h.last_seen IS 'latest end of a record [UTC]';

CREATE TABLE traffic_1h (
  window_start TIMESTAMP NOT NULL,
  vantage VARCHAR NOT NULL,
  app VARCHAR NOT NULL,
  product VARCHAR NOT NULL,
  client_region VARCHAR NOT NULL,
  service_region VARCHAR NOT NULL,
  network VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  ip_class VARCHAR NOT NULL,
  underlay VARCHAR NOT NULL,
  direction VARCHAR NOT NULL,
  records BIGINT NOT NULL,
  tcp_opens BIGINT NOT NULL,
  packets BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  sampled_packets BIGINT NOT NULL,
  sampled_bytes BIGINT NOT NULL,
  bytes_variance HUGEINT NOT NULL,
  bytes_error_unknown BIGINT NOT NULL
);
COMMENT ON TABLE traffic_1h IS 'Traffic per hour and app, product, regions, network, family and class.';
COMMENT ON COLUMN traffic_1h.window_start IS 'start of the hour, UTC';
COMMENT ON COLUMN traffic_1h.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN traffic_1h.app IS 'app id from apps.toml; else unclassified';
COMMENT ON COLUMN traffic_1h.product IS 'product id that the app or its match names; else unclassified';
COMMENT ON COLUMN traffic_1h.client_region IS 'region of the client''s address; else unknown';
COMMENT ON COLUMN traffic_1h.service_region IS 'region that the match names, else of the service''s address';
COMMENT ON COLUMN traffic_1h.network IS 'network of the client''s address; else unknown';
COMMENT ON COLUMN traffic_1h.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN traffic_1h.ip_class IS 'native, which transition technology, or which encapsulation';
COMMENT ON COLUMN traffic_1h.underlay IS 'outer family of an infrastructure tunnel whose inner header shows; else none';
COMMENT ON COLUMN traffic_1h.direction IS 'to_client, to_service or unknown';
COMMENT ON COLUMN traffic_1h.records IS 'flow records that start in the window, never scaled [records]';
COMMENT ON COLUMN traffic_1h.tcp_opens IS 'records with SYN times the sampling interval [opens]';
COMMENT ON COLUMN traffic_1h.packets IS 'packets, scaled by the sampling interval [packets]';
COMMENT ON COLUMN traffic_1h.bytes IS 'layer-3 bytes, scaled by the sampling interval [bytes]';
COMMENT ON COLUMN traffic_1h.sampled_packets IS 'packets as exported [packets]';
COMMENT ON COLUMN traffic_1h.sampled_bytes IS 'bytes as exported [bytes]';
COMMENT ON COLUMN traffic_1h.bytes_variance IS 'variance of bytes that sampling causes [bytes^2]';
COMMENT ON COLUMN traffic_1h.bytes_error_unknown IS 'scaled bytes whose sampling error is not known [bytes]';

CREATE TABLE traffic_1d (
  window_start TIMESTAMP NOT NULL,
  vantage VARCHAR NOT NULL,
  app VARCHAR NOT NULL,
  product VARCHAR NOT NULL,
  client_region VARCHAR NOT NULL,
  service_region VARCHAR NOT NULL,
  network VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  ip_class VARCHAR NOT NULL,
  underlay VARCHAR NOT NULL,
  direction VARCHAR NOT NULL,
  records BIGINT NOT NULL,
  tcp_opens BIGINT NOT NULL,
  packets BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  sampled_packets BIGINT NOT NULL,
  sampled_bytes BIGINT NOT NULL,
  bytes_variance HUGEINT NOT NULL,
  bytes_error_unknown BIGINT NOT NULL
);
COMMENT ON TABLE traffic_1d IS 'Traffic per day and app, product, regions, network, family and class.';
COMMENT ON COLUMN traffic_1d.window_start IS 'start of the day, UTC';
COMMENT ON COLUMN traffic_1d.vantage IS 'where the exporter stands, from exporters.csv; else unlisted';
COMMENT ON COLUMN traffic_1d.app IS 'app id from apps.toml; else unclassified';
COMMENT ON COLUMN traffic_1d.product IS 'product id that the app or its match names; else unclassified';
COMMENT ON COLUMN traffic_1d.client_region IS 'region of the client''s address; else unknown';
COMMENT ON COLUMN traffic_1d.service_region IS 'region that the match names, else of the service''s address';
COMMENT ON COLUMN traffic_1d.network IS 'network of the client''s address; else unknown';
COMMENT ON COLUMN traffic_1d.family IS 'v4, v6 or unknown: the outermost IP header';
COMMENT ON COLUMN traffic_1d.ip_class IS 'native, which transition technology, or which encapsulation';
COMMENT ON COLUMN traffic_1d.underlay IS 'outer family of an infrastructure tunnel whose inner header shows; else none';
COMMENT ON COLUMN traffic_1d.direction IS 'to_client, to_service or unknown';
COMMENT ON COLUMN traffic_1d.records IS 'flow records that start in the window, never scaled [records]';
COMMENT ON COLUMN traffic_1d.tcp_opens IS 'records with SYN times the sampling interval [opens]';
COMMENT ON COLUMN traffic_1d.packets IS 'packets, scaled by the sampling interval [packets]';
COMMENT ON COLUMN traffic_1d.bytes IS 'layer-3 bytes, scaled by the sampling interval [bytes]';
COMMENT ON COLUMN traffic_1d.sampled_packets IS 'packets as exported [packets]';
COMMENT ON COLUMN traffic_1d.sampled_bytes IS 'bytes as exported [bytes]';
COMMENT ON COLUMN traffic_1d.bytes_variance IS 'variance of bytes that sampling causes [bytes^2]';
COMMENT ON COLUMN traffic_1d.bytes_error_unknown IS 'scaled bytes whose sampling error is not known [bytes]';

CREATE TABLE ledger_files (
  input_id VARCHAR NOT NULL,
  dialect VARCHAR NOT NULL,
  rules_version BIGINT NOT NULL,
  catalog_version VARCHAR NOT NULL,
  path VARCHAR NOT NULL,
  size BIGINT NOT NULL,
  run_id VARCHAR NOT NULL,
  status VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  rows_in BIGINT NOT NULL,
  rows_counted BIGINT NOT NULL,
  rows_rejected BIGINT NOT NULL,
  first_start TIMESTAMP,
  last_end TIMESTAMP,
  committed_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE ledger_files IS 'Every input ever met; exactly one committed row per input_id.';
COMMENT ON COLUMN ledger_files.input_id IS 'SHA-256 of the input''s bytes, hex';
COMMENT ON COLUMN ledger_files.dialect IS 'dialect that read it; empty where none fitted';
COMMENT ON COLUMN ledger_files.rules_version IS 'version of the classification rules';
COMMENT ON COLUMN ledger_files.catalog_version IS 'hash of the catalog parts that alter rows';
COMMENT ON COLUMN ledger_files.path IS 'path it was committed under';
COMMENT ON COLUMN ledger_files.size IS 'size of the file [bytes]';
COMMENT ON COLUMN ledger_files.run_id IS 'run that last changed this row';
COMMENT ON COLUMN ledger_files.status IS 'committed, quarantined, superseded or forgotten';
COMMENT ON COLUMN ledger_files.reason IS 'why it was quarantined or forgotten; else empty';
COMMENT ON COLUMN ledger_files.rows_in IS 'rows met; a biflow''s reverse half is a row [rows]';
COMMENT ON COLUMN ledger_files.rows_counted IS 'rows counted [rows]';
COMMENT ON COLUMN ledger_files.rows_rejected IS 'rows rejected, each with a reason [rows]';
COMMENT ON COLUMN ledger_files.first_start IS 'earliest start of a counted row';
COMMENT ON COLUMN ledger_files.last_end IS 'latest end of a counted row';
COMMENT ON COLUMN ledger_files.committed_at IS 'when this row was last changed, UTC';

CREATE TABLE ledger_families (
  input_id VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  disposition VARCHAR NOT NULL,
  rows BIGINT NOT NULL,
  sampled_packets HUGEINT NOT NULL,
  sampled_bytes HUGEINT NOT NULL,
  packets HUGEINT NOT NULL,
  bytes HUGEINT NOT NULL
);
COMMENT ON TABLE ledger_families IS 'Per input, family and disposition: what came in, to the byte.';
COMMENT ON COLUMN ledger_families.input_id IS 'SHA-256 of the input''s bytes, hex';
COMMENT ON COLUMN ledger_families.family IS 'v4, v6 or unknown';
COMMENT ON COLUMN ledger_families.disposition IS 'counted or rejected';
COMMENT ON COLUMN ledger_families.rows IS 'rows [rows]';
COMMENT ON COLUMN ledger_families.sampled_packets IS 'packets as exported [packets]';
COMMENT ON COLUMN ledger_families.sampled_bytes IS 'bytes as exported [bytes]';
COMMENT ON COLUMN ledger_families.packets IS 'scaled packets; 0 for rejected rows [packets]';
COMMENT ON COLUMN ledger_families.bytes IS 'scaled layer-3 bytes; 0 for rejected rows [bytes]';

CREATE TABLE rejects (
  input_id VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  rows BIGINT NOT NULL,
  sampled_packets HUGEINT NOT NULL,
  sampled_bytes HUGEINT NOT NULL
);
COMMENT ON TABLE rejects IS 'Rows that were not counted, by reason.';
COMMENT ON COLUMN rejects.input_id IS 'SHA-256 of the input''s bytes, hex';
COMMENT ON COLUMN rejects.reason IS 'the first reason that applied; see docs/tables.md';
COMMENT ON COLUMN rejects.rows IS 'rows [rows]';
COMMENT ON COLUMN rejects.sampled_packets IS 'packets as exported [packets]';
COMMENT ON COLUMN rejects.sampled_bytes IS 'bytes as exported [bytes]';

CREATE TABLE ledger_findings (
  input_id VARCHAR NOT NULL,
  exporter VARCHAR NOT NULL,
  finding VARCHAR NOT NULL,
  rows BIGINT NOT NULL
);
COMMENT ON TABLE ledger_findings IS 'Oddities of counted rows that a reader should know of; nothing was lost.';
COMMENT ON COLUMN ledger_findings.input_id IS 'SHA-256 of the input''s bytes, hex';
COMMENT ON COLUMN ledger_findings.exporter IS 'exporter it concerns; empty for the whole input';
COMMENT ON COLUMN ledger_findings.finding IS 'what was seen';
COMMENT ON COLUMN ledger_findings.rows IS 'rows [rows]';

CREATE TABLE ledger_runs (
  run_id VARCHAR NOT NULL,
  command VARCHAR NOT NULL,
  code_version VARCHAR NOT NULL,
  rules_version BIGINT NOT NULL,
  catalog_version VARCHAR NOT NULL,
  started_at TIMESTAMP NOT NULL,
  finished_at TIMESTAMP NOT NULL,
  inputs_committed BIGINT NOT NULL,
  inputs_known BIGINT NOT NULL,
  inputs_quarantined BIGINT NOT NULL,
  rows_in BIGINT NOT NULL,
  rows_counted BIGINT NOT NULL,
  rows_rejected BIGINT NOT NULL,
  outcome VARCHAR NOT NULL
);
COMMENT ON TABLE ledger_runs IS 'Every run, with the versions that it used and what came of it.';
COMMENT ON COLUMN ledger_runs.run_id IS 'id of the run: start time and a random part';
COMMENT ON COLUMN ledger_runs.command IS 'the command line, without secrets';
COMMENT ON COLUMN ledger_runs.code_version IS 'version of v6share';
COMMENT ON COLUMN ledger_runs.rules_version IS 'version of the classification rules';
COMMENT ON COLUMN ledger_runs.catalog_version IS 'hash of the catalog parts that alter rows';
COMMENT ON COLUMN ledger_runs.started_at IS 'start, UTC';
COMMENT ON COLUMN ledger_runs.finished_at IS 'end, UTC';
COMMENT ON COLUMN ledger_runs.inputs_committed IS 'inputs committed by this run [inputs]';
COMMENT ON COLUMN ledger_runs.inputs_known IS 'inputs skipped, known from before [inputs]';
COMMENT ON COLUMN ledger_runs.inputs_quarantined IS 'inputs newly quarantined [inputs]';
COMMENT ON COLUMN ledger_runs.rows_in IS 'rows met in committed inputs [rows]';
COMMENT ON COLUMN ledger_runs.rows_counted IS 'rows counted [rows]';
COMMENT ON COLUMN ledger_runs.rows_rejected IS 'rows rejected [rows]';
COMMENT ON COLUMN ledger_runs.outcome IS 'committed, no-op or quarantined-some';

CREATE TABLE dim_apps (
  position BIGINT NOT NULL,
  app VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  product VARCHAR NOT NULL,
  owner VARCHAR
);
COMMENT ON TABLE dim_apps IS 'Apps in catalog order.';
COMMENT ON COLUMN dim_apps.position IS 'place in apps.toml, from 0';
COMMENT ON COLUMN dim_apps.app IS 'app id';
COMMENT ON COLUMN dim_apps.name IS 'name for people';
COMMENT ON COLUMN dim_apps.product IS 'product of the app where it names one; else unclassified';
COMMENT ON COLUMN dim_apps.owner IS 'team that owns the app';

CREATE TABLE dim_products (
  product VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  core BOOLEAN NOT NULL
);
COMMENT ON TABLE dim_products IS 'Products; core ones count for parity.';
COMMENT ON COLUMN dim_products.product IS 'product id';
COMMENT ON COLUMN dim_products.name IS 'name for people';
COMMENT ON COLUMN dim_products.core IS 'counts for global parity';

CREATE TABLE dim_endpoints (
  app VARCHAR NOT NULL,
  product VARCHAR NOT NULL,
  region VARCHAR NOT NULL,
  planned_on DATE,
  enabled_on DATE
);
COMMENT ON TABLE dim_endpoints IS 'What is to be dual-stacked, and since when it is.';
COMMENT ON COLUMN dim_endpoints.app IS 'app id; empty where the endpoint is a product''s alone';
COMMENT ON COLUMN dim_endpoints.product IS 'product id';
COMMENT ON COLUMN dim_endpoints.region IS 'service region';
COMMENT ON COLUMN dim_endpoints.planned_on IS 'day it is planned for';
COMMENT ON COLUMN dim_endpoints.enabled_on IS 'day since which it serves IPv6';

CREATE TABLE dim_networks (
  network VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  client_prefix_v4 BIGINT NOT NULL,
  client_prefix_v6 BIGINT NOT NULL,
  ipv6_since DATE,
  subscribers BIGINT,
  carrier VARCHAR
);
COMMENT ON TABLE dim_networks IS 'Client networks.';
COMMENT ON COLUMN dim_networks.network IS 'network id';
COMMENT ON COLUMN dim_networks.kind IS 'mobile, fixed, datacenter, partner or relay';
COMMENT ON COLUMN dim_networks.client_prefix_v4 IS 'prefix length of one IPv4 client [bits]';
COMMENT ON COLUMN dim_networks.client_prefix_v6 IS 'prefix length of one IPv6 client [bits]';
COMMENT ON COLUMN dim_networks.ipv6_since IS 'day since which the network offers IPv6';
COMMENT ON COLUMN dim_networks.subscribers IS 'subscribers of the network [subscribers]';
COMMENT ON COLUMN dim_networks.carrier IS 'carrier that runs it';

CREATE TABLE dim_exporters (
  exporter VARCHAR NOT NULL,
  vantage VARCHAR NOT NULL,
  role VARCHAR NOT NULL,
  sampling_interval BIGINT,
  white_box BOOLEAN NOT NULL,
  site VARCHAR,
  override BOOLEAN NOT NULL
);
COMMENT ON TABLE dim_exporters IS 'Exporters that the operator listed.';
COMMENT ON COLUMN dim_exporters.exporter IS 'address or name';
COMMENT ON COLUMN dim_exporters.vantage IS 'where it stands';
COMMENT ON COLUMN dim_exporters.role IS 'its role in the network';
COMMENT ON COLUMN dim_exporters.sampling_interval IS 'declared sampling interval [1 in N]';
COMMENT ON COLUMN dim_exporters.white_box IS 'a white-box router';
COMMENT ON COLUMN dim_exporters.site IS 'site';
COMMENT ON COLUMN dim_exporters.override IS 'the declared interval wins over the record''s';

CREATE TABLE dim_vantages (
  vantage VARCHAR NOT NULL,
  feeds_kpis BOOLEAN NOT NULL
);
COMMENT ON TABLE dim_vantages IS 'Vantages, and whether they feed the KPIs.';
COMMENT ON COLUMN dim_vantages.vantage IS 'vantage';
COMMENT ON COLUMN dim_vantages.feeds_kpis IS 'counts in the KPI views';

CREATE TABLE dim_targets (
  stage SMALLINT NOT NULL,
  metric VARCHAR NOT NULL,
  target DECIMAL(18,6) NOT NULL,
  by_date DATE,
  top_n BIGINT,
  weeks BIGINT,
  denominator VARCHAR,
  ranking VARCHAR,
  ranking_apps VARCHAR[]
);
COMMENT ON TABLE dim_targets IS 'One row per headline metric.';
COMMENT ON COLUMN dim_targets.stage IS '1 pilot, 2 expansion, 3 concentration';
COMMENT ON COLUMN dim_targets.metric IS 'metric of kpi_headline';
COMMENT ON COLUMN dim_targets.target IS 'the value to reach';
COMMENT ON COLUMN dim_targets.by_date IS 'day to reach it by';
COMMENT ON COLUMN dim_targets.top_n IS 'stage 3: how many top apps [apps]';
COMMENT ON COLUMN dim_targets.weeks IS 'stage 3: consecutive weeks at target [weeks]';
COMMENT ON COLUMN dim_targets.denominator IS 'stage 3: all, enabled or capable';
COMMENT ON COLUMN dim_targets.ranking IS 'stage 3: previous_quarter, live or pinned';
COMMENT ON COLUMN dim_targets.ranking_apps IS 'stage 3: the pinned app ids, in order';

CREATE TABLE dim_rtt_buckets (
  bucket SMALLINT NOT NULL,
  over_us BIGINT NOT NULL,
  to_us BIGINT NOT NULL
);
COMMENT ON TABLE dim_rtt_buckets IS 'Bounds of the round-trip buckets.';
COMMENT ON COLUMN dim_rtt_buckets.bucket IS 'bucket number';
COMMENT ON COLUMN dim_rtt_buckets.over_us IS 'lower bound, exclusive [us]';
COMMENT ON COLUMN dim_rtt_buckets.to_us IS 'upper bound, inclusive [us]';

CREATE TABLE dim_ip_class (
  ip_class VARCHAR NOT NULL,
  family VARCHAR NOT NULL,
  in_denominator BOOLEAN NOT NULL,
  in_strict BOOLEAN NOT NULL,
  in_wire BOOLEAN NOT NULL,
  in_service BOOLEAN NOT NULL,
  is_transition BOOLEAN NOT NULL
);
COMMENT ON TABLE dim_ip_class IS 'How each (ip_class, family) counts in the shares.';
COMMENT ON COLUMN dim_ip_class.ip_class IS 'class';
COMMENT ON COLUMN dim_ip_class.family IS 'outermost family';
COMMENT ON COLUMN dim_ip_class.in_denominator IS 'counts in the app denominator';
COMMENT ON COLUMN dim_ip_class.in_strict IS 'numerator of the strict share: native IPv6';
COMMENT ON COLUMN dim_ip_class.in_wire IS 'numerator of the wire share: outermost header is IPv6';
COMMENT ON COLUMN dim_ip_class.in_service IS 'numerator of the service share: inner or true family is IPv6';
COMMENT ON COLUMN dim_ip_class.is_transition IS 'tunnelled or translated';
