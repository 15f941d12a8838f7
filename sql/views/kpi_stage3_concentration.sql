-- what:    IPv6 share of the top apps' traffic ("S20"), per disjoint week counted back from as_of
-- unit:    days: days; numerator, denominator_value, undecided, unclassified, unknown_family,
--          to_convert: of the basis; share, ci_low, ci_high, share_low, share_high, target,
--          min_share, mean_share, completeness: share 0 to 1; gap: points (0.01 is one); apps,
--          apps_at_target: apps
-- columns: days: days of the week that the data have, fewer than 7 mark the first, cut week; apps:
--          top apps that have traffic; completeness: hours with records / hours expected, of all
--          exporters
-- first:   week_end, basis, denominator, share_kind, share, ci_low, ci_high, gap, apps_at_target,
--          apps, completeness, min_app, min_share, share_low, share_high
-- formula: share = sum over the top apps of the numerator / sum of the denominator_value; ci,
--          bounds as in share_by_app, with the traffic of no known app counted once.
--          gap = target - share; to_convert = gap * denominator_value, 0 where met.
--          mean_share is the unweighted mean of the apps' shares. unclassified and unknown_family
--          are the two parts of undecided. days < 7 marks the first, cut week of the data. A week
--          without any record has a row, with completeness 0 and no share
-- source:  share_sums_1d, top_apps, target_share, final_completeness
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_concentration AS
WITH keys AS (
  SELECT basis, denominator, share_kind
  FROM (VALUES ('bytes'), ('bytes_normalised'), ('tcp_opens')) AS b(basis)
  CROSS JOIN (VALUES ('all'), ('enabled'), ('capable')) AS d(denominator)
  CROSS JOIN (VALUES ('strict'), ('wire'), ('service')) AS k(share_kind)
),
days AS (
  SELECT
    s.*, t.app IS NOT NULL AS is_top,
    a.as_of - 7 * ((a.as_of - s.day) // 7)::INTEGER AS week_end
  FROM results.share_sums_1d s
  JOIN results.final_span a ON s.day BETWEEN a.first_day AND a.as_of
  LEFT JOIN results.top_apps t ON t.app = s.id
  WHERE s.scope = 'app' AND (t.app IS NOT NULL OR s.id = 'unclassified')
),
apps AS (
  SELECT
    week_end, id, is_top, basis, denominator, share_kind,
    sum(numerator) AS numerator, sum(denominator_value) AS denominator_value,
    sum(undecided) AS undecided, sum(loose) AS loose,
    sum(variance_num) AS variance_num, sum(variance_all) AS variance_all,
    sum(error_unknown) AS error_unknown, sum(offloaded) AS offloaded,
    CASE WHEN main.offload_allows(sum(offloaded), sum(denominator_value))
      THEN main.share_of(sum(numerator), sum(denominator_value)) END AS share
  FROM days
  GROUP BY week_end, id, is_top, basis, denominator, share_kind
),
weeks AS (
  SELECT
    week_end, basis, apps.denominator, share_kind,
    coalesce(sum(numerator) FILTER (is_top), 0)::HUGEINT AS numerator,
    coalesce(sum(denominator_value) FILTER (is_top), 0)::HUGEINT AS denominator_value,
    coalesce(sum(undecided) FILTER (is_top), 0)::HUGEINT AS unknown_family,
    coalesce(sum(loose) FILTER (NOT is_top), 0)::HUGEINT AS unclassified,
    sum(variance_num) FILTER (is_top) AS variance_num,
    sum(variance_all) FILTER (is_top) AS variance_all,
    sum(error_unknown) FILTER (is_top) AS error_unknown,
    sum(offloaded) FILTER (is_top) AS offloaded,
    count(*) FILTER (is_top AND denominator_value > 0) AS apps,
    count(*) FILTER (is_top AND share >= t.target) AS at_target,
    -- Ties by app id: else the first row that a thread happens to read would win.
    arg_min(id, (share, id)) FILTER (is_top AND share IS NOT NULL) AS min_app,
    min(share) FILTER (is_top) AS min_share,
    -- In an order of its own: else the last digit would depend on which thread is first.
    avg(share ORDER BY id) FILTER (is_top) AS mean_share
  FROM apps
  CROSS JOIN results.target_share t
  GROUP BY week_end, basis, apps.denominator, share_kind
),
-- Every week of the data, so that a week without any record is seen.
all_weeks AS (
  SELECT
    as_of - 7 * unnest(range((as_of - first_day) // 7 + 1))::INTEGER AS week_end
  FROM results.final_span
  -- Not EXISTS: of weeks that have only unclassified traffic DuckDB 2.0 says that there are none.
  WHERE as_of IS NOT NULL AND (SELECT count(*) FROM weeks) > 0
),
every_week AS (
  SELECT
    a.week_end, k.basis, k.denominator, k.share_kind,
    coalesce(w.numerator, 0) AS numerator, coalesce(w.denominator_value, 0) AS denominator_value,
    coalesce(w.unknown_family, 0) AS unknown_family, coalesce(w.unclassified, 0) AS unclassified,
    w.variance_num, w.variance_all, w.error_unknown, w.offloaded,
    coalesce(w.apps, 0) AS apps, coalesce(w.at_target, 0) AS at_target,
    w.min_app, w.min_share, w.mean_share
  FROM all_weeks a
  CROSS JOIN keys k
  LEFT JOIN weeks w
    ON w.week_end = a.week_end AND w.basis = k.basis AND w.denominator = k.denominator
    AND w.share_kind = k.share_kind
),
bounded AS (
  SELECT
    *, unclassified + unknown_family AS undecided,
    CASE WHEN main.offload_allows(offloaded, denominator_value)
      THEN main.share_of(numerator, denominator_value) END AS share
  FROM every_week
)
SELECT
  w.week_end - 6 AS week_start, w.week_end,
  (w.week_end - greatest(a.first_day, w.week_end - 6) + 1)::INTEGER AS days,
  w.basis, w.denominator, w.share_kind, w.numerator, w.denominator_value, w.share,
  main.share_ci_low(w.numerator, w.denominator_value, w.variance_num, w.variance_all,
    w.error_unknown) AS ci_low,
  main.share_ci_high(w.numerator, w.denominator_value, w.variance_num, w.variance_all,
    w.error_unknown) AS ci_high,
  main.is_suppressed(w.denominator_value, w.variance_all) AS suppressed,
  w.undecided, w.unclassified, w.unknown_family,
  CASE WHEN main.offload_allows(w.offloaded, w.denominator_value)
    THEN main.bound_low(w.numerator, w.denominator_value, w.undecided) END AS share_low,
  CASE WHEN main.offload_allows(w.offloaded, w.denominator_value)
    THEN main.bound_high(w.numerator, w.denominator_value, w.undecided) END AS share_high,
  w.apps, t.target,
  CASE WHEN t.target IS NOT NULL THEN w.at_target END AS apps_at_target,
  w.min_app, w.min_share, w.mean_share,
  t.target - w.share AS gap,
  main.shortfall(w.share, t.target) * w.denominator_value::DOUBLE AS to_convert,
  coalesce(c.completeness, 0) AS completeness,
  (SELECT any_value(mode) FROM results.top_apps) AS ranking
FROM bounded w
CROSS JOIN results.final_span a
CROSS JOIN results.target_share t
LEFT JOIN results.final_completeness c ON c.period = 'week' AND c.period_end = w.week_end
ORDER BY main.place_of(w.basis), main.place_of(w.denominator), main.place_of(w.share_kind), w.week_end DESC
