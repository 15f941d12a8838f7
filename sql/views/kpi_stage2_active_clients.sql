-- what:    active clients per family: per day, and over the 30 days to as_of; all and per network
-- unit:    clients, clients_union, both: prefixes or subscribers (unit), never added or divided
--          across families, except where subscribers are observed on both (family any); days:
--          days; rotation_ratio: times; subscribers: subscribers; penetration, standard_error:
--          share 0 to 1; client_keys: keys
-- columns: period: day, or 30_days to as_of; day: UTC day, NULL of 30_days; days: days of the 30
--          that have clients; basis: always clients; scope: all or network; id: the network, empty
--          of all; family: v4 or v6, the outermost IP header, and any: subscribers of both, each once;
--          clients: distinct active clients of the day, of 30_days the mean of the days;
--          clients_union: distinct clients of the 30 days together, NULL of a day and where they
--          were hashed with two client keys; standard_error: relative standard error of the sketch
--          alone
-- first:   period, day, scope, id, unit, family, clients, clients_union, penetration
-- formula: period day: distinct clients of the day. period 30_days: clients = mean of the daily
--          counts (over the days of the 30 that are days of data and have clients, without days
--          of two client keys), clients_union =
--          distinct clients of all the days, rotation_ratio = clients_union / mean of the daily
--          counts over the days on which there were any.
--          Distinct: unite sketches by theta = min(theta), count the distinct hashes below it,
--          divide by theta / 2^64; exact while theta is 2^64 - 1, else standard_error 1.6 %, the
--          sketch's alone. sampled: an exporter sampled in these 30 days, so that clients of whom
--          no packet was drawn are missing: all counts are lower bounds
--          client_keys: with how many client keys the hashes were made. Under another key the same
--          client has another hash, so where there are two, as in the 30 days after v6share key
--          rotate, clients_union and all that is made from it are NULL
--          both: subscribers seen on IPv4 and on IPv6 (family any). penetration: subscribers = IPv6
--          / any; prefixes = IPv6 clients / the network's subscribers of the catalog, else NULL.
--          Clients of relay networks are no users: clients_1d does not hold them.
--          Days are those of clients_1d: UTC, or the fixed reporting offset (where that is
--          negative, the newest one may not be whole)
-- source:  clients_1d, kpi_stage2_daily_clients, final_days, kpi_exporters_1d, dim_networks,
--          dim_vantages
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage2_active_clients AS
WITH month AS (
  SELECT d.day
  FROM results.final_days d
  JOIN results.final_span a ON d.day BETWEEN a.as_of - 29 AND a.as_of
),
sketches AS (
  SELECT
    c.day, c.scope, c.id, c.unit, c.family AS seen_on, c.family, c.theta, c.client_hashes,
    c.client_key
  FROM main.clients_1d c
  SEMI JOIN month USING (day)
  WHERE c.scope IN ('all', 'network') AND c.family IN ('v4', 'v6')
    AND c.vantage IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
),
sampling AS (
  SELECT coalesce(bool_or(e.sampling_min <> 1 OR e.sampling_max <> 1), false) AS sampled
  FROM results.kpi_exporters_1d e
  JOIN results.final_span a ON e.day BETWEEN a.as_of - 29 AND a.as_of
),
days AS (
  SELECT count(DISTINCT day) AS days FROM sketches
),
-- Subscribers have one hash whatever the family, so their families can be united.
with_any AS (
  SELECT * FROM sketches
  UNION ALL
  SELECT * REPLACE ('any' AS family) FROM sketches WHERE unit = 'subscriber'
),
-- Sketches are few and hashes many: the keys become one number before the hashes are unfolded.
keyed AS (
  SELECT
    *,
    dense_rank() OVER (ORDER BY scope, id, unit, family) AS line,
    min(theta) OVER (PARTITION BY scope, id, unit, family) AS union_theta
  FROM with_any
),
lines AS (
  SELECT
    line, scope, id, unit, family, union_theta AS theta, count(DISTINCT client_key) AS client_keys
  FROM keyed
  GROUP BY ALL
),
-- Hashes of two keys have nothing to do with each other: such lines have no union.
hashes AS (
  SELECT line, seen_on, union_theta, unnest(client_hashes) AS hash
  FROM keyed
  WHERE line IN (SELECT line FROM lines WHERE client_keys = 1)
),
daily AS (
  SELECT l.line, d.day, d.theta, d.clients, d.client_keys
  FROM results.kpi_stage2_daily_clients d
  JOIN lines l
    ON l.scope = d.scope AND l.id = d.id AND l.unit = d.unit AND l.family = d.family
  SEMI JOIN month USING (day)
),
unions AS (
  SELECT line, main.theta_estimate(count(DISTINCT hash), union_theta) AS clients_union
  FROM hashes
  WHERE hash < union_theta
  GROUP BY line, union_theta
),
overlap AS (
  SELECT line, main.theta_estimate(count(*), union_theta) AS clients_both
  FROM (
    SELECT line, union_theta
    FROM hashes
    WHERE hash < union_theta AND line IN (SELECT line FROM lines WHERE family = 'any')
    GROUP BY line, union_theta, hash
    HAVING count(DISTINCT seen_on) = 2
  )
  GROUP BY line, union_theta
),
means AS (
  -- In an order of its own: else the last digit would depend on which thread is first.
  SELECT
    line,
    sum(clients ORDER BY day) / nullif(max(days) - count(*) FILTER (client_keys > 1), 0)
      AS clients,
    sum(clients ORDER BY day) / count(clients) AS clients_where_any
  FROM daily CROSS JOIN days
  GROUP BY line
),
rows AS (
  SELECT
    '30_days' AS period, NULL::DATE AS day, l.scope, l.id, l.unit, l.family, l.theta,
    CASE WHEN m.line IS NULL THEN 0 ELSE m.clients END AS clients,
    CASE l.client_keys WHEN 1 THEN coalesce(u.clients_union, 0) END AS clients_union,
    u.clients_union / nullif(m.clients_where_any, 0) AS rotation_ratio,
    CASE WHEN l.family = 'any' AND l.client_keys = 1 THEN coalesce(o.clients_both, 0) END
      AS clients_both,
    max(u.clients_union) FILTER (l.family = 'any')
      OVER (PARTITION BY l.scope, l.id, l.unit) AS union_any,
    l.client_keys
  FROM lines l
  LEFT JOIN means m ON m.line = l.line
  LEFT JOIN unions u ON u.line = l.line
  LEFT JOIN overlap o ON o.line = l.line
  UNION ALL
  SELECT
    'day', d.day, l.scope, l.id, l.unit, l.family, d.theta, d.clients, NULL, NULL, NULL, NULL,
    d.client_keys
  FROM daily d
  JOIN lines l ON l.line = d.line
)
SELECT
  a.as_of, r.period, r.day, d.days, 'clients' AS basis, r.scope, r.id, n.kind, n.carrier,
  r.unit, r.family, r.clients, r.clients_union, r.rotation_ratio,
  r.clients_both AS "both", n.subscribers,
  CASE
    WHEN r.period <> '30_days' OR r.family <> 'v6' THEN NULL
    WHEN r.unit = 'subscriber' THEN r.clients_union / nullif(r.union_any, 0)
    ELSE r.clients / nullif(n.subscribers, 0)
  END AS penetration,
  CASE WHEN r.theta = 18446744073709551615 THEN 0.0 ELSE 0.016 END::DOUBLE AS standard_error,
  s.sampled, r.client_keys
FROM rows r
CROSS JOIN results.final_span a
CROSS JOIN days d
CROSS JOIN sampling s
LEFT JOIN main.dim_networks n ON r.scope = 'network' AND n.network = r.id
ORDER BY r.period, r.scope, r.id, r.unit, r.family, r.day
