-- what:    the stage 3 rule, judged for every final day with the ranking of that day's quarter, so
--          that the date of first attainment does not move afterwards
-- unit:    share 0 to 1; one row per final day that ends a full 7-day week
-- formula: for each of the last `weeks` disjoint weeks that end on that day:
--          completeness >= 0.98 and share_low - 1.645 * sqrt(se^2 + s_w^2) >= target, where
--          se   sampling error of the week's share, s_w = 1.4826 * MAD / sqrt(2) of up to 12
--          differences of consecutive weeks. met: all of them hold. below: the share itself was
--          under the target in both of the last two weeks, which loses what was attained.
--          An unknown sampling error (over 1 % of the bytes) is never met
-- source:  share_sums_1d (bytes, strict, the target's denominator), rankings, completeness
-- needs: share_sums_1d, rankings, as_of, target_share, completeness
CREATE VIEW attainment AS
WITH sums AS (
  SELECT s.*
  FROM share_sums_1d s
  JOIN as_of a ON s.day <= a.as_of
  WHERE s.scope = 'app' AND s.basis = 'bytes' AND s.share_kind = 'strict'
    AND s.denominator = (SELECT denominator FROM target_share)
),
loose AS (
  SELECT day, sum(loose) AS loose FROM sums GROUP BY day
),
ranked_days AS (
  SELECT
    r.quarter, s.day,
    sum(s.numerator) AS numerator, sum(s.denominator_value) AS denominator_value,
    sum(s.undecided) AS undecided, sum(s.variance_num) AS variance_num,
    sum(s.variance_all) AS variance_all, sum(s.error_unknown) AS error_unknown
  FROM sums s
  JOIN rankings r ON r.app = s.id
    AND s.day BETWEEN r.quarter - 100 AND CAST(r.quarter + INTERVAL 3 MONTH AS DATE) - 1
  GROUP BY r.quarter, s.day
),
hours AS (
  SELECT period_start AS day, hours_seen, hours_expected
  FROM completeness
  WHERE period = 'day' AND exporter IS NULL
),
rolled AS (
  SELECT
    d.quarter, d.day,
    sum(d.numerator) OVER week AS numerator,
    sum(d.denominator_value) OVER week AS denominator_value,
    sum(d.undecided + coalesce(l.loose, 0)) OVER week AS undecided,
    sum(d.variance_num) OVER week AS variance_num,
    sum(d.variance_all) OVER week AS variance_all,
    sum(d.error_unknown) OVER week AS error_unknown
  FROM ranked_days d
  LEFT JOIN loose l ON l.day = d.day
  WINDOW week AS (
    PARTITION BY d.quarter ORDER BY d.day RANGE BETWEEN INTERVAL 6 DAY PRECEDING AND CURRENT ROW)
),
whole AS (
  SELECT
    day,
    share_of(sum(hours_seen) OVER week, sum(hours_expected) OVER week) AS completeness
  FROM hours
  WINDOW week AS (ORDER BY day RANGE BETWEEN INTERVAL 6 DAY PRECEDING AND CURRENT ROW)
),
weeks AS (
  SELECT
    r.quarter, r.day, w.completeness,
    share_of(r.numerator, r.denominator_value) AS share,
    bound_low(r.numerator, r.denominator_value, r.undecided) AS share_low,
    CASE WHEN r.error_unknown <= 0.01 * r.denominator_value THEN share_standard_error(
      r.numerator, r.denominator_value, r.variance_num, r.variance_all) END AS standard_error
  FROM rolled r
  JOIN as_of a ON r.day >= a.first_day + 6
  LEFT JOIN whole w ON w.day = r.day
),
looked_back AS (
  SELECT
    e.day, k.back, w.share, w.share_low, w.standard_error, w.completeness,
    CASE WHEN k.back < 12
      THEN w.share - lead(w.share) OVER (PARTITION BY e.day ORDER BY k.back) END AS difference
  FROM weeks e
  CROSS JOIN (SELECT unnest(range(greatest(13, weeks)))::INTEGER AS back FROM target_share) k
  LEFT JOIN weeks w ON w.quarter = e.quarter AND w.day = e.day - 7 * k.back
  WHERE e.quarter = CAST(date_trunc('quarter', e.day) AS DATE)
),
spread AS (
  SELECT
    *,
    1.4826 * mad(difference) OVER (PARTITION BY day) / sqrt(2) AS week_to_week
  FROM looked_back
)
SELECT
  s.day,
  any_value(s.share) FILTER (s.back = 0) AS share,
  any_value(s.share_low) FILTER (s.back = 0) AS share_low,
  any_value(s.standard_error) FILTER (s.back = 0) AS standard_error,
  any_value(s.week_to_week) AS week_to_week,
  any_value(s.share_low - 1.645 * sqrt(s.standard_error ** 2 + s.week_to_week ** 2))
    FILTER (s.back = 0) AS judged_share,
  any_value(s.completeness) FILTER (s.back = 0) AS completeness,
  count(*) FILTER (
    s.back < t.weeks AND s.completeness >= 0.98
    AND s.share_low - 1.645 * sqrt(s.standard_error ** 2 + s.week_to_week ** 2) >= t.target
  ) AS weeks_met,
  weeks_met = any_value(t.weeks) AS met,
  count(*) FILTER (s.back < 2 AND s.share < t.target) = 2 AS below
FROM spread s
CROSS JOIN target_share t
GROUP BY s.day
