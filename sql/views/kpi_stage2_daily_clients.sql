-- what:    active clients per family and day, over the whole history: all, and per app, product,
--          client region and network. Days are UTC, or those of the fixed reporting offset
-- unit:    clients, hashes: prefixes or subscribers (unit), never added up over days, and never
--          over families, except where subscribers are observed on both (family any);
--          standard_error: share 0 to 1; theta: hash; client_keys: keys
-- columns: scope: all, app, product, client_region or network; id: the app, product, region or
--          network, empty of all; family: v4 or v6, the outermost IP header, and any: subscribers
--          of both, each once; clients: distinct active clients of the day, NULL where they were
--          hashed with two client keys; standard_error: relative standard error of the sketch alone
-- first:   day, scope, id, unit, family, clients, standard_error
-- formula: the sketches of all vantages that feed the KPIs united: theta = min(theta), hashes = the
--          distinct hashes below it, clients = hashes / (theta / 2^64): exact while theta is
--          2^64 - 1, else standard_error 1.6 %. family any: subscribers of both families, each once.
--          client_keys: with how many client keys the hashes were made. Under another key the same
--          client has another hash, so where there are two, as on a day of v6share key rotate,
--          nobody knows how many clients are in both: clients and hashes are NULL
--          Where exporters sample (sampled in kpi_stage2_active_clients says so), a client of whom
--          no packet was drawn is missing: a lower bound. Days of wrong
--          clocks stand here, too: final_days has those that count
--          Days whose sketches were pruned have the counts of then (client_counts_1d)
-- source:  clients_1d, client_counts_1d, dim_vantages
-- kept:    by day
CREATE VIEW definitions.kpi_stage2_daily_clients AS
WITH sketches AS (
  SELECT
    day, scope, id, unit, theta, client_hashes, client_key,
    -- Subscribers have one hash whatever the family, so their families can be united.
    unnest(CASE unit WHEN 'subscriber' THEN [family, 'any'] ELSE [family] END) AS family
  FROM main.clients_1d
  WHERE family IN ('v4', 'v6')
    AND vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
),
united AS (
  SELECT
    day, scope, id, unit, family, min(theta) AS theta,
    count(DISTINCT client_key) AS client_keys,
    -- Of one sketch alone every hash counts: only several need to be united.
    CASE WHEN count(*) = 1 THEN any_value(len(client_hashes)) END AS of_one,
    CASE WHEN count(*) > 1 THEN list(client_hashes) END AS several
  FROM sketches
  GROUP BY day, scope, id, unit, family
),
found AS (
  SELECT
    day, scope, id, unit, family, theta, client_keys,
    coalesce(of_one, list_unique(list_filter(flatten(several), lambda hash: hash < theta)))::BIGINT
      AS found
  FROM united
),
counted AS (
  SELECT
    day, scope, id, unit, family, CASE client_keys WHEN 1 THEN found END AS hashes, theta,
    client_keys
  FROM found
  WHERE found > 0
  UNION ALL
  SELECT day, scope, id, unit, family, hashes, theta, client_keys
  FROM main.client_counts_1d
)
SELECT
  day, scope, id, unit, family, hashes, theta,
  main.theta_estimate(hashes, theta) AS clients,
  CASE WHEN theta = 18446744073709551615 THEN 0.0 ELSE 0.016 END::DOUBLE AS standard_error,
  client_keys
FROM counted
ORDER BY day, scope, id, unit, family
