-- what:    why did the top apps' share change between the last two full weeks, and between the last
--          two full calendar months, and is that more than sampling and the usual scatter?
-- unit:    weight_1, weight_2, share_1, share_2, total_share_1, total_share_2: share 0 to 1; rate,
--          rate_ci_low, rate_ci_high, rate_scatter, mix, mix_ci_low, mix_ci_high, mix_scatter,
--          total_change, total_ci_low, total_ci_high, total_scatter: points (0.01 is one);
--          earlier_changes: changes
-- columns: period: week of 7 days, counted back from as_of, or month of the calendar; from_start:
--          first day of the earlier period, UTC; from_end: last day of the earlier period, UTC;
--          to_start: first day of the later period, UTC; to_end: last day of the later period, UTC;
--          app: app id of a top app, never unclassified; weight_1: the app's part of the denominator
--          in the earlier period; weight_2: the app's part of the denominator in the later period;
--          share_1: the app's share in the earlier period; share_2: the app's share in the later
--          period; rate: what the app's own change did to the share of all; rate_ci_low: lower end
--          of the 95 % interval of rate that sampling makes, NULL where that is not known: of all
--          bases but bytes; rate_ci_high: upper end of the 95 % interval of rate that sampling
--          makes, NULL where rate_ci_low is; rate_scatter: how far rate usually scatters from one
--          period to the next, NULL with fewer than 2 earlier changes; rate_verdict: whether rate is
--          more than sampling and scatter make: real rise, real drop, within sampling and scatter,
--          or not known: and why (the sampling error is not, too few samples, fewer than 2 earlier
--          changes); mix: what traffic that moved to the app or away from it did to the share of
--          all; mix_ci_low: lower end of the 95 % interval of mix that sampling makes, NULL where
--          that is not known: of all bases but bytes; mix_ci_high: upper end of the 95 % interval of
--          mix that sampling makes, NULL where mix_ci_low is; mix_scatter: how far mix usually
--          scatters from one period to the next, NULL with fewer than 2 earlier changes;
--          mix_verdict: whether mix is more than sampling and scatter make: real rise, real drop,
--          within sampling and scatter, or not known: and why (the sampling error is not, too few
--          samples, fewer than 2 earlier changes); suppressed: whether the app has too few samples
--          in either period for the intervals to be trusted; earlier_changes: how many changes of
--          the app before this one the scatter is made from, up to 12; total_share_1: the share of
--          all in the earlier period; total_share_2: the share of all in the later period;
--          total_change: total_share_2 - total_share_1, the same in every row of a period and kind;
--          total_ci_low: lower end of the 95 % interval of total_change that sampling makes, NULL
--          where that is not known: of all bases but bytes; total_ci_high: upper end of the 95 %
--          interval of total_change that sampling makes, NULL where total_ci_low is; total_scatter:
--          how far total_change usually scatters from one period to the next, NULL with fewer than 2
--          earlier changes; total_verdict: whether total_change is more than sampling and scatter
--          make: real rise, real drop, within sampling and scatter, or not known: and why (the
--          sampling error is not, too few samples, fewer than 2 earlier changes)
-- first:   period, app, basis, denominator, share_kind, total_change, total_verdict, rate,
--          rate_verdict, mix, mix_verdict, share_1, share_2, weight_1, weight_2, rate_ci_low,
--          rate_ci_high, rate_scatter
-- formula: Kitagawa (1955), exact: dS = sum over apps of rate + mix, with
--          rate = (w1 + w2) / 2 * (s2 - s1)                     the app itself changed
--          mix  = (w2 - w1) * ((s1 + s2) / 2 - (S1 + S2) / 2)   traffic moved between apps
--          w: the app's part of the denominator, s: its share, S: the share of all. An app that is
--          absent in one period takes the other's s, so that its coming or going is mix alone.
--          ci: 1.96 standard errors to each side, by the delta method from the variances of the
--          numerators and of the rests of all apps in both periods; NULL as those of share_by_app.
--          scatter: 1.4826 MAD of the same term in up to 12 changes of the same kind of period
--          before this one, at least 2. verdict: real drop or real rise where the term is further
--          from 0 than 1.96 * sqrt(se^2 + scatter^2), else within sampling and scatter; not known,
--          and why. Of 20 terms one is called real by chance.
--          Where packets are no packets (share_by_app), bytes_normalised has no rows here
-- source:  share_sums_1d, top_apps, final_span
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_change AS
-- 0 is the newest period, 1 the one before it, and so on: 14 of them have 13 changes.
WITH counted_back AS (
  SELECT
    unnest(range(14))::INTEGER AS back, first_day, as_of,
    CAST(date_trunc('month', as_of + 1) AS DATE) AS month_after
  FROM results.final_span
  WHERE as_of IS NOT NULL
),
periods AS (
  SELECT 'week' AS period, back, as_of - 7 * back - 6 AS start, as_of - 7 * back AS last, first_day
  FROM counted_back
  UNION ALL
  SELECT
    'month', back, CAST(month_after - to_months(back + 1) AS DATE),
    CAST(month_after - to_months(back) AS DATE) - 1, first_day
  FROM counted_back
),
days AS (
  SELECT
    period, back,
    CAST(unnest(generate_series(start::TIMESTAMP, last::TIMESTAMP, INTERVAL 1 DAY)) AS DATE) AS day
  FROM periods
  WHERE start >= first_day
),
sums AS MATERIALIZED (
  SELECT
    d.period, d.back, s.id AS app, s.basis, s.denominator, s.share_kind,
    sum(s.numerator) AS numerator, sum(s.denominator_value) AS denominator_value,
    sum(s.variance_num) AS variance_num, sum(s.variance_all) AS variance_all,
    sum(s.error_unknown) AS error_unknown, sum(s.offloaded) AS offloaded
  FROM results.share_sums_1d s
  JOIN days d ON d.day = s.day
  WHERE s.scope = 'app' AND s.id IN (SELECT app FROM results.top_apps)
  GROUP BY d.period, d.back, s.id, s.basis, s.denominator, s.share_kind
),
changes AS (
  SELECT p.period, p.back AS change, e.start AS from_start, e.last AS from_end, p.start, p.last
  FROM periods p
  JOIN periods e ON e.period = p.period AND e.back = p.back + 1 AND e.start >= e.first_day
),
-- Every app of a change on both of its sides, also where it is absent on one of them. side: -1 is
-- the earlier period, 1 the later one.
-- Materialized: DuckDB 1.5.3 cannot bind the windows over it otherwise.
sides AS MATERIALIZED (
  SELECT
    a.period, a.change, k.side, a.app, a.basis, a.denominator, a.share_kind,
    coalesce(s.numerator, 0) AS numerator,
    coalesce(s.denominator_value, 0) AS denominator_value,
    CASE a.basis WHEN 'bytes' THEN coalesce(s.variance_num, 0) END AS variance_num,
    CASE a.basis WHEN 'bytes' THEN coalesce(s.variance_all, 0) END AS variance_all,
    s.error_unknown, s.offloaded
  FROM (
    SELECT DISTINCT c.period, c.change, s.app, s.basis, s.denominator, s.share_kind
    FROM changes c
    JOIN sums s ON s.period = c.period AND s.back IN (c.change, c.change + 1)
  ) a
  CROSS JOIN (VALUES (-1), (1)) AS k(side)
  LEFT JOIN sums s
    ON s.period = a.period AND s.back = a.change + (k.side = -1)::INTEGER AND s.app = a.app
    AND s.basis = a.basis AND s.denominator = a.denominator AND s.share_kind = a.share_kind
),
wholes AS (
  SELECT
    period, change, side, basis, denominator, share_kind,
    sum(numerator) AS numerator, sum(denominator_value) AS denominator_value,
    sum(variance_num) AS variance_num, sum(variance_all) AS variance_all,
    coalesce(sum(error_unknown), 0) AS error_unknown, sum(offloaded) AS offloaded,
    main.share_of(sum(numerator), sum(denominator_value)) AS share,
    CASE WHEN coalesce(sum(error_unknown), 0) <= 0.01 * sum(denominator_value)
      THEN main.share_standard_error(
        sum(numerator), sum(denominator_value), sum(variance_num), sum(variance_all)) ** 2
    END AS variance
  FROM sides
  GROUP BY period, change, side, basis, denominator, share_kind
),
totals AS (
  SELECT
    period, change, basis, denominator, share_kind,
    max(share) FILTER (side = -1) AS share_1, max(share) FILTER (side = 1) AS share_2,
    CASE WHEN count(variance) = 2 THEN sqrt(sum(variance ORDER BY side)) END AS standard_error,
    bool_or(main.is_suppressed(denominator_value, variance_all)) AS suppressed
  FROM wholes
  GROUP BY period, change, basis, denominator, share_kind
  HAVING main.offload_allows(sum(offloaded), sum(denominator_value))
),
shares AS MATERIALIZED (
  SELECT
    s.period, s.change, s.side, s.app, s.basis, s.denominator, s.share_kind,
    s.denominator_value::DOUBLE AS whole, s.variance_num::DOUBLE AS variance_num,
    (s.variance_all - s.variance_num)::DOUBLE AS variance_rest,
    main.is_suppressed(s.denominator_value, s.variance_all) AS suppressed,
    main.share_of(s.denominator_value, w.denominator_value) AS weight,
    main.share_of(s.numerator, s.denominator_value) AS share,
    w.denominator_value::DOUBLE AS total, w.share AS total_share,
    (w.variance_num - s.variance_num)::DOUBLE AS others_num,
    (w.variance_all - w.variance_num - (s.variance_all - s.variance_num))::DOUBLE AS others_rest
  FROM sides s
  JOIN wholes w
    ON w.period = s.period AND w.change = s.change AND w.side = s.side AND w.basis = s.basis
    AND w.denominator = s.denominator AND w.share_kind = s.share_kind
),
pairs AS (
  SELECT
    *,
    max(weight) FILTER (side = -1) OVER pair AS weight_1,
    max(weight) FILTER (side = 1) OVER pair AS weight_2,
    coalesce(max(share) FILTER (side = -1) OVER pair, max(share) FILTER (side = 1) OVER pair, 0)
      AS share_1,
    coalesce(max(share) FILTER (side = 1) OVER pair, max(share) FILTER (side = -1) OVER pair, 0)
      AS share_2,
    max(total_share) FILTER (side = -1) OVER pair AS total_1,
    max(total_share) FILTER (side = 1) OVER pair AS total_2,
    count(share) OVER pair AS present
  FROM shares
  WINDOW pair AS (PARTITION BY period, change, app, basis, denominator, share_kind)
),
terms AS (
  SELECT
    *,
    (weight_1 + weight_2) / 2 * (share_2 - share_1) AS rate,
    (weight_2 - weight_1) * ((share_1 + share_2) / 2 - (total_1 + total_2) / 2) AS mix,
    -- How a term moves with a byte of another app, and with one of the app itself that is IPv6, or
    -- is not. rate: with the weights, by half the change of share; and with the share.
    (share_2 - share_1) / 2 / total AS rate_of_weight,
    CASE WHEN present = 2 THEN side * (weight_1 + weight_2) / 2 ELSE 0 END / nullif(whole, 0)
      AS rate_of_share,
    -- mix: with the weights, with the app's share and with the share of all.
    side * ((share_1 + share_2) / 2 - (total_1 + total_2) / 2) / total AS mix_of_weight,
    (weight_2 - weight_1) / nullif(present, 0) / nullif(whole, 0) AS mix_of_share,
    (weight_2 - weight_1) / 2 / total AS mix_of_total
  FROM pairs
),
sampled AS (
  SELECT
    period, change, app, basis, denominator, share_kind,
    any_value(weight_1) AS weight_1, any_value(weight_2) AS weight_2,
    any_value(share_1) AS share_1, any_value(share_2) AS share_2,
    any_value(rate) AS rate, any_value(mix) AS mix, bool_or(suppressed) AS suppressed,
    sqrt(sum(
      (rate_of_weight * weight) ** 2 * (others_num + others_rest)
      + coalesce(
        (rate_of_weight * (1 - weight) + rate_of_share * (1 - share)) ** 2 * variance_num
        + (rate_of_weight * (1 - weight) - rate_of_share * share) ** 2 * variance_rest, 0)
      ORDER BY side)) AS rate_error,
    sqrt(sum(
      (mix_of_weight * weight + mix_of_total * (1 - total_share)) ** 2 * others_num
      + (mix_of_weight * weight - mix_of_total * total_share) ** 2 * others_rest
      + coalesce(
        (mix_of_weight * (1 - weight) + mix_of_share * (1 - share)
          - mix_of_total * (1 - total_share)) ** 2 * variance_num
        + (mix_of_weight * (1 - weight) - mix_of_share * share
          + mix_of_total * total_share) ** 2 * variance_rest, 0)
      ORDER BY side)) AS mix_error
  FROM terms
  GROUP BY period, change, app, basis, denominator, share_kind
),
app_scatter AS (
  SELECT
    period, app, basis, denominator, share_kind, count(*) AS earlier_changes,
    CASE WHEN count(*) > 1 THEN 1.4826 * mad(rate) END AS rate_scatter,
    CASE WHEN count(*) > 1 THEN 1.4826 * mad(mix) END AS mix_scatter
  FROM sampled
  WHERE change > 0
  GROUP BY period, app, basis, denominator, share_kind
),
total_scatter AS (
  SELECT
    period, basis, denominator, share_kind,
    CASE WHEN count(*) > 1 THEN 1.4826 * mad(share_2 - share_1) END AS scatter
  FROM totals
  WHERE change > 0
  GROUP BY period, basis, denominator, share_kind
)
SELECT
  s.period, c.from_start, c.from_end, c.start AS to_start, c.last AS to_end,
  s.basis, s.denominator, s.share_kind, s.app,
  s.weight_1, s.weight_2, s.share_1, s.share_2,
  s.rate, s.rate - 1.959963985 * e.rate_error AS rate_ci_low,
  s.rate + 1.959963985 * e.rate_error AS rate_ci_high, a.rate_scatter,
  main.verdict_on(s.rate, e.rate_error, a.rate_scatter, s.suppressed) AS rate_verdict,
  s.mix, s.mix - 1.959963985 * e.mix_error AS mix_ci_low,
  s.mix + 1.959963985 * e.mix_error AS mix_ci_high, a.mix_scatter,
  main.verdict_on(s.mix, e.mix_error, a.mix_scatter, s.suppressed) AS mix_verdict,
  s.suppressed, coalesce(a.earlier_changes, 0) AS earlier_changes,
  t.share_1 AS total_share_1, t.share_2 AS total_share_2,
  t.share_2 - t.share_1 AS total_change,
  t.share_2 - t.share_1 - 1.959963985 * t.standard_error AS total_ci_low,
  t.share_2 - t.share_1 + 1.959963985 * t.standard_error AS total_ci_high,
  o.scatter AS total_scatter,
  main.verdict_on(t.share_2 - t.share_1, t.standard_error, o.scatter, t.suppressed)
    AS total_verdict
FROM sampled s
JOIN changes c ON c.period = s.period AND c.change = s.change
JOIN totals t
  ON t.period = s.period AND t.change = s.change AND t.basis = s.basis
  AND t.denominator = s.denominator AND t.share_kind = s.share_kind
-- The error is known of all terms of a change, or of none: each reads the bytes of all apps.
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN t.standard_error IS NOT NULL THEN s.rate_error END AS rate_error,
    CASE WHEN t.standard_error IS NOT NULL THEN s.mix_error END AS mix_error
) e
LEFT JOIN app_scatter a
  ON a.period = s.period AND a.app = s.app AND a.basis = s.basis
  AND a.denominator = s.denominator AND a.share_kind = s.share_kind
LEFT JOIN total_scatter o
  ON o.period = s.period AND o.basis = s.basis AND o.denominator = s.denominator
  AND o.share_kind = s.share_kind
WHERE s.change = 0
ORDER BY
  main.place_of(s.basis), main.place_of(s.denominator), main.place_of(s.share_kind),
  s.period = 'month', abs(s.rate + s.mix) DESC, s.app
