-- what:    one row per target of the rollout: where it stands as of the last final day
-- unit:    value, ci_low, ci_high, target: of the metric (apps, products, clients, share 0 to 1);
--          stage: 1 to 3
-- columns: ci_low: lower end of the 95 % interval, of sampling for shares, of the sketch for
--          clients, NULL for counts and where it is not known; ci_high: upper end of that interval
-- first:   metric, value, target, attained, ci_low, ci_high, note
-- formula: apps_dual_stacked, products_dual_stacked  count of dual_stacked in kpi_stage1_enablement:
--            what the catalog declares; the note says how much of it was seen to carry IPv6; NULL
--            before the first final day
--          active_ipv6_clients_30d  where exporters carry subscriber ids: distinct subscribers on
--            IPv6 in 30 days, judged. Else: mean daily count of active IPv6 prefixes, attained NULL,
--            because a prefix is not a user
--          top_apps_ipv6_share  strict byte share of the newest week, in the target's denominator;
--            attained from the first day on which the rule of the attainment view was met until the
--            first day on which it is lost; both days stand, whatever comes later
--          ci_low, ci_high  sampling error (share), sketch error (clients; NULL where exporters
--            sample, because a client of whom no packet was drawn is missing), NULL for plain counts
--          the note of a share says which part of the rows read was rejected, from 1 % on. Left out
--            are rows that stand for no traffic, or for traffic that another row counts; and which
--            finding of those that can make a share wrong is about over 1 % of the bytes that the
--            inputs of its week have of exporters that feed the KPIs (docs/findings.md)
-- source:  dim_targets, kpi_stage1_enablement, kpi_stage2_active_clients,
--          attainment, top_apps, dim_apps, ledger_files, ledger_families, findings, rejects,
--          kpi_exporters_1d, exporters_1h
-- kept:    whole
CREATE VIEW definitions.kpi_headline AS
WITH metrics AS (
  SELECT
    m.stage, m.metric, t.target::DOUBLE AS target, t.by_date, a.as_of, a.stray_records,
    CASE WHEN a.as_of IS NULL
      THEN concat_ws('; ', 'no final day in the data yet',
        format('{} is final once every exporter has records after {}',
          a.next_day::VARCHAR, strftime(a.final_once, '%Y-%m-%d %H:%M'))) END AS waits
  FROM (VALUES
    (1, 'apps_dual_stacked'), (1, 'products_dual_stacked'),
    (2, 'active_ipv6_clients_30d'), (3, 'top_apps_ipv6_share')
  ) AS m(stage, metric)
  CROSS JOIN results.as_of a
  LEFT JOIN main.dim_targets t ON t.metric = m.metric
),
enablement AS (
  SELECT
    CASE level WHEN 'app' THEN 'apps_dual_stacked' ELSE 'products_dual_stacked' END AS metric,
    count(*) FILTER (dual_stacked)::DOUBLE AS value,
    format('{:d} declared dual-stacked, {:d} of them with IPv6 seen at every enabled endpoint; '
      '{:d} overdue ({:d} of them partial); of {:d} in the catalog',
      count(*) FILTER (dual_stacked), count(*) FILTER (dual_stacked AND silent = 0),
      count(*) FILTER (due > 0 AND NOT dual_stacked), count(*) FILTER (partial), count(*)) AS note
  FROM results.kpi_stage1_enablement
  WHERE level IN ('app', 'product')
  GROUP BY level
),
found AS (
  SELECT
    max(days) AS days,
    bool_or(sampled) AS sampled,
    -- Ids that are seen on IPv4 alone are ids too: then none is on IPv6.
    coalesce(bool_or(unit = 'subscriber'), false) AS has_ids,
    max(clients_union) FILTER (unit = 'subscriber' AND family = 'v6') AS subscribers,
    max(standard_error) FILTER (unit = 'subscriber' AND family = 'v6') AS subscribers_error,
    max(client_keys) FILTER (unit = 'subscriber' AND family = 'v6') AS subscribers_keys,
    max(clients) FILTER (unit = 'prefix' AND family = 'v6') AS prefixes,
    max(standard_error) FILTER (unit = 'prefix' AND family = 'v6') AS prefixes_error,
    max(client_keys) FILTER (unit = 'prefix' AND family = 'v6') AS prefixes_keys
  FROM results.kpi_stage2_active_clients
  WHERE period = '30_days' AND scope = 'all'
),
active AS (
  SELECT
    *,
    -- Hashes of two client keys cannot be united; means of single days need no union.
    CASE WHEN has_ids THEN subscribers_keys ELSE prefixes_keys END AS client_keys,
    coalesce(client_keys > 1 AND (has_ids OR prefixes IS NULL), false) AS is_split
  FROM found
),
clients AS (
  SELECT
    'active_ipv6_clients_30d' AS metric,
    CASE WHEN days IS NOT NULL AND NOT is_split
      THEN CASE WHEN has_ids THEN coalesce(subscribers, 0) ELSE coalesce(prefixes, 0) END
    END AS value,
    CASE WHEN NOT sampled
      THEN CASE WHEN has_ids THEN coalesce(subscribers_error, 0) ELSE prefixes_error END
    END AS error,
    has_ids AS judged,
    concat_ws('; ',
      CASE
        WHEN days IS NULL THEN 'no final day with clients yet'
        WHEN is_split THEN format(
          'not known: these {:d} days were counted with {:d} client keys, and under another key '
          'the same client has another hash; known again 30 days after v6share key rotate, or once '
          'v6share backfill --reprocess all has counted the days before it again',
          days, client_keys)
        WHEN NOT has_ids AND prefixes IS NULL THEN 'no IPv6 clients seen'
        WHEN NOT has_ids THEN format(
          'mean of {:d} daily counts of active IPv6 prefixes; a prefix is not a user and no '
          'exporter carries subscriber ids, so the target cannot be judged', days)
        WHEN prefixes IS NULL THEN format('distinct subscriber ids on IPv6 in {:d} days', days)
        ELSE format(
          'distinct subscriber ids on IPv6 in {:d} days; beside them {:.0f} IPv6 prefixes a day '
          'whose exporters carry no subscriber id and that are not counted', days, prefixes)
      END,
      CASE WHEN NOT is_split AND client_keys > 1
        THEN 'a day on which the client key changed is left out' END,
      CASE WHEN sampled AND value > 0
        THEN 'a lower bound: exporters sample, and a client of whom no packet was drawn is not '
          'seen' END
    ) AS note
  FROM active
),
rejected AS (
  SELECT
    sum(r."rows")::BIGINT AS lost,
    arg_max(r.reason, (r."rows", r.reason)) AS most_as
  FROM (SELECT reason, sum("rows") AS "rows" FROM main.rejects GROUP BY reason) r
  WHERE r.reason NOT IN ('egress_copy', 'action_reject', 'no_data', 'zero_packets')
),
read AS (
  SELECT sum(rows_in)::BIGINT AS rows_in FROM main.ledger_files WHERE status = 'committed'
),
week AS (
  SELECT as_of - 6 AS first_day, as_of AS last_day FROM results.as_of
),
feeding AS (
  SELECT DISTINCT e.exporter
  FROM results.kpi_exporters_1d e
  JOIN week w ON e.day BETWEEN w.first_day AND w.last_day
),
-- How much of an input is of exporters that feed the KPIs is not kept: as much as of the week.
fed AS (
  SELECT
    coalesce(sum(e.bytes) FILTER (f.exporter IS NOT NULL), 0)::DOUBLE / nullif(sum(e.bytes), 0)
      AS part
  FROM main.exporters_1h e
  JOIN week w ON CAST(e.window_start AS DATE) BETWEEN w.first_day AND w.last_day
  LEFT JOIN feeding f ON f.exporter = e.exporter
),
of_week AS (
  SELECT f.input_id
  FROM main.ledger_files f
  JOIN week w ON f.first_start < w.last_day + 1 AND f.last_end >= w.first_day
  WHERE f.status = 'committed'
),
doubtful AS (
  -- In a struct NULL would be the most: the bytes of what older rules counted.
  SELECT
    max_by(finding, (bytes, finding)) FILTER (bytes IS NOT NULL) AS finding, max(bytes) AS bytes
  FROM (
    SELECT
      n.finding,
      -- Rows of another input are of no exporter.
      sum(n.bytes * CASE n.finding WHEN 'rows of another input' THEN p.part ELSE 1 END)::DOUBLE
        AS bytes
    FROM results.findings n
    SEMI JOIN of_week o ON o.input_id = n.input_id
    CROSS JOIN fed p
    LEFT JOIN feeding f ON f.exporter = n.exporter
    WHERE n.doubtful AND (f.exporter IS NOT NULL OR n.finding = 'rows of another input')
    GROUP BY n.finding
  ) f
),
counted AS (
  SELECT sum(b.bytes)::DOUBLE * any_value(p.part) AS bytes
  FROM main.ledger_families b
  SEMI JOIN of_week o ON o.input_id = b.input_id
  CROSS JOIN fed p
  WHERE b.disposition = 'counted'
),
departed AS (
  SELECT count(*) AS apps FROM results.top_apps WHERE app NOT IN (SELECT app FROM main.dim_apps)
),
judged AS MATERIALIZED (
  SELECT * FROM results.attainment
),
last_met AS (
  SELECT min(day) FILTER (met) AS first_attained, max(day) FILTER (met) AS day FROM judged
),
last_below AS (
  SELECT max(j.day) AS day
  FROM judged j
  JOIN last_met m ON j.below AND j.day BETWEEN m.first_attained AND m.day
),
history AS (
  SELECT
    any_value(m.first_attained) AS first_attained,
    min(j.day) FILTER (j.below AND j.day > m.day) AS lost,
    -- The end of the loss that was made good last, and the first day after it that met the rule.
    any_value(b.day) AS lost_until,
    min(j.day) FILTER (j.met AND j.day > b.day) AS attained_again
  FROM judged j
  CROSS JOIN last_met m
  CROSS JOIN last_below b
),
concentration AS (
  SELECT
    'top_apps_ipv6_share' AS metric,
    w.share AS value, w.ci_low, w.ci_high,
    h.first_attained IS NOT NULL AND h.lost IS NULL AS attained,
    concat_ws('; ',
      CASE
        WHEN h.first_attained IS NULL
          THEN format('{:d} of {:d} weeks meet the rule', w.weeks_met, t.weeks)
        WHEN h.lost IS NULL
          THEN format('first attained {}', h.first_attained::VARCHAR)
        ELSE format('lost {}, first attained {}', h.lost::VARCHAR, h.first_attained::VARCHAR)
      END,
      CASE WHEN h.lost_until IS NOT NULL
        THEN format('in between below the target until {}, attained again {}',
          h.lost_until::VARCHAR, h.attained_again::VARCHAR) END,
      CASE WHEN w.differences BETWEEN 1 AND 11
        THEN format('week-to-week spread from {:d} of 12 differences', w.differences) END,
      CASE WHEN w.days < 7
        THEN format('only {:d} {} of data', w.days,
          CASE WHEN w.days = 1 THEN 'day' ELSE 'days' END) END,
      CASE WHEN w.ranking = 'live'
        THEN concat('live ranking of the last 28 days',
          CASE WHEN NOT EXISTS (SELECT 1 FROM main.dim_targets WHERE ranking = 'live')
            THEN ', as the data hold no full quarter before' END) END,
      format('between {:.2f} % and {:.2f} % if all unclassified and unknown traffic were IPv4 or '
        'IPv6', 100 * w.share_low, 100 * w.share_high),
      CASE WHEN w.ci_low IS NULL THEN 'sampling error not known' END,
      CASE WHEN w.suppressed THEN 'too few samples for the interval' END,
      CASE WHEN w.completeness < 0.98
        THEN format('completeness {:.1f} %', 100 * w.completeness) END,
      CASE WHEN t.denominator <> 'all'
        THEN format('among {} traffic', t.denominator) END,
      CASE WHEN d.apps > 0
        THEN format('apps in the ranking that the catalog does not know (any more): {:d}', d.apps)
      END,
      CASE WHEN 100 * r.lost >= i.rows_in
        THEN format('{:.1f} % of the rows read were rejected, most of them as {}: see rejects',
          100 * r.lost / i.rows_in, r.most_as) END,
      CASE WHEN 100 * f.bytes > b.bytes
        THEN format('{:.1f} % of the bytes of the week''s inputs are doubtful, "{}": see findings',
          100 * f.bytes / b.bytes, f.finding) END
    ) AS note
  FROM judged w
  JOIN results.as_of a ON a.as_of = w.day AND w.ranking IS NOT NULL
  CROSS JOIN history h
  CROSS JOIN results.target_share t
  CROSS JOIN departed d
  CROSS JOIN rejected r
  CROSS JOIN doubtful f
  CROSS JOIN counted b
  CROSS JOIN read i
)
SELECT
  m.stage::SMALLINT AS stage, m.metric,
  CASE
    WHEN m.stage <> 1 THEN coalesce(k.value, c.value)
    WHEN m.as_of IS NOT NULL THEN coalesce(e.value, 0.0)
  END AS value,
  coalesce(c.ci_low, k.value * (1 - 1.959963985 * k.error)) AS ci_low,
  coalesce(c.ci_high, k.value * (1 + 1.959963985 * k.error)) AS ci_high,
  m.target,
  CASE
    WHEN m.target IS NULL OR m.as_of IS NULL THEN NULL
    WHEN m.stage = 1 THEN coalesce(e.value, 0.0) >= m.target
    WHEN m.stage = 2 THEN CASE WHEN k.judged THEN k.value >= m.target END
    ELSE c.attained
  END AS attained,
  m.as_of,
  concat_ws('; ',
    m.waits,
    CASE WHEN m.target IS NULL THEN 'no target in the catalog' END,
    CASE
      WHEN m.stage = 1 AND e.metric IS NULL THEN 'nothing in the catalog'
      WHEN m.as_of IS NOT NULL THEN e.note
    END,
    k.note,
    CASE WHEN m.stage = 3 AND m.as_of IS NOT NULL AND c.value IS NULL
      THEN 'no app of the catalog has traffic in the ranking period' END,
    c.note,
    CASE WHEN m.stage = 3 AND m.stray_records > 0
      THEN format('{:d} records lie days off all others (a wrong clock?) and move no day: see '
        'data_days', m.stray_records) END,
    CASE WHEN m.by_date < m.as_of
      AND NOT coalesce(CASE m.stage WHEN 1 THEN e.value >= m.target
        WHEN 2 THEN k.judged AND k.value >= m.target ELSE c.attained END, false)
      THEN format('target date {} passed {:d} days ago',
        m.by_date::VARCHAR, (m.as_of - m.by_date)::BIGINT) END
  ) AS note
FROM metrics m
LEFT JOIN enablement e ON e.metric = m.metric
LEFT JOIN clients k ON k.metric = m.metric
LEFT JOIN concentration c ON c.metric = m.metric
ORDER BY m.stage, m.metric
