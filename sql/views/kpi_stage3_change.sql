-- what:    why did the top apps' share change between the last two full weeks?
-- unit:    weight_1, weight_2, share_1, share_2, total_share_1, total_share_2: share 0 to 1; rate,
--          mix, total_change: points (0.01 is one)
-- first:   app, basis, denominator, share_kind, rate, mix, share_1, share_2, weight_1, weight_2,
--          total_change
-- formula: Kitagawa (1955), exact: dS = sum over apps of rate + mix, with
--          rate = (w1 + w2) / 2 * (s2 - s1)                     the app itself changed
--          mix  = (w2 - w1) * ((s1 + s2) / 2 - (S1 + S2) / 2)   traffic moved between apps
--          w: the app's part of the denominator, s: its share, S: the share of all. An app that is
--          absent in one week takes the other week's s, so that its coming or going is mix alone.
--          Where packets are no packets (share_by_app), bytes_normalised has no rows here
-- source:  share_sums_1d, top_apps
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_change AS
WITH weeks AS (
  SELECT
    s.id AS app, s.basis, s.denominator, s.share_kind,
    sum(s.numerator) FILTER (s.day <= a.as_of - 7) AS numerator_1,
    sum(s.denominator_value) FILTER (s.day <= a.as_of - 7) AS denominator_1,
    sum(s.numerator) FILTER (s.day > a.as_of - 7) AS numerator_2,
    sum(s.denominator_value) FILTER (s.day > a.as_of - 7) AS denominator_2,
    sum(s.offloaded) AS offloaded
  FROM main.share_sums_1d s
  JOIN main.final_span a ON s.day BETWEEN a.as_of - 13 AND a.as_of AND a.first_day <= a.as_of - 13
  WHERE s.scope = 'app' AND s.id IN (SELECT app FROM main.top_apps)
  GROUP BY s.id, s.basis, s.denominator, s.share_kind
),
-- Materialized: DuckDB 1.5.3 cannot bind the windows over it otherwise.
filled AS MATERIALIZED (
  SELECT
    app, basis, denominator, share_kind,
    coalesce(numerator_1, 0) AS numerator_1, coalesce(denominator_1, 0) AS denominator_1,
    coalesce(numerator_2, 0) AS numerator_2, coalesce(denominator_2, 0) AS denominator_2,
    offloaded
  FROM weeks
),
parts AS (
  SELECT
    *,
    main.share_of(denominator_1, sum(denominator_1) OVER same) AS weight_1,
    main.share_of(denominator_2, sum(denominator_2) OVER same) AS weight_2,
    coalesce(
      main.share_of(numerator_1, denominator_1), main.share_of(numerator_2, denominator_2), 0) AS share_1,
    coalesce(
      main.share_of(numerator_2, denominator_2), main.share_of(numerator_1, denominator_1), 0) AS share_2,
    main.share_of(sum(numerator_1) OVER same, sum(denominator_1) OVER same) AS total_1,
    main.share_of(sum(numerator_2) OVER same, sum(denominator_2) OVER same) AS total_2,
    main.offload_allows(
      sum(offloaded) OVER same, sum(denominator_1 + denominator_2) OVER same) AS has_share
  FROM filled
  WINDOW same AS (PARTITION BY basis, denominator, share_kind)
)
SELECT
  a.as_of - 13 AS from_week_start, a.as_of - 6 AS to_week_start,
  p.basis, p.denominator, p.share_kind, p.app,
  p.weight_1, p.weight_2, p.share_1, p.share_2,
  (p.weight_1 + p.weight_2) / 2 * (p.share_2 - p.share_1) AS rate,
  (p.weight_2 - p.weight_1) * ((p.share_1 + p.share_2) / 2 - (p.total_1 + p.total_2) / 2) AS mix,
  p.total_1 AS total_share_1, p.total_2 AS total_share_2,
  p.total_2 - p.total_1 AS total_change
FROM parts p
CROSS JOIN main.final_span a
WHERE p.has_share
ORDER BY
  main.place_of(p.basis), main.place_of(p.denominator), main.place_of(p.share_kind), abs(rate + mix) DESC, p.app
