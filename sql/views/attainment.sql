-- what:    the stage 3 rule, judged at the end of every disjoint week counted back from as_of, with
--          the ranking of that day's quarter, so that old judgements stand when the ranking changes
-- unit:    share 0 to 1, bytes; one row per week, keyed by its last day; days < 7 marks the first,
--          cut week of the data, which is never judged
-- formula: for each of the last `weeks` disjoint weeks that end on that day:
--          completeness >= 0.98 and share_low - 1.645 * sqrt(se^2 + s_w^2) >= target, where
--          se   sampling error of the week's share, s_w = 1.4826 * MAD / sqrt(2) of up to 12
--          differences of consecutive weeks (with few of them the MAD is a rough guess: see
--          differences). met: all of them hold. below: the share itself was
--          under the target in both of the last two weeks, which loses what was attained.
--          An unknown sampling error (over 1 % of the bytes) is never met.
--          Weeks that overlap are not judged: judging every day looks seven times as often and, in
--          simulations with independent weeks, calls a true 89.5 % attained up to ten times as often
-- source:  share_sums_1d (bytes, strict, the target's denominator), rankings, completeness
-- needs: share_sums_1d, rankings, as_of, target_share, completeness
CREATE VIEW attainment AS
WITH sums AS (
  SELECT s.*, a.as_of - 7 * ((a.as_of - s.day) // 7)::INTEGER AS week_end
  FROM share_sums_1d s
  JOIN as_of a ON s.day BETWEEN a.first_day AND a.as_of
  WHERE s.scope = 'app' AND s.basis = 'bytes' AND s.share_kind = 'strict'
    AND s.denominator = (SELECT denominator FROM target_share)
),
loose AS (
  SELECT week_end, sum(loose) AS loose FROM sums GROUP BY week_end
),
app_weeks AS (
  SELECT
    week_end, id,
    sum(numerator) AS numerator, sum(denominator_value) AS denominator_value,
    sum(undecided) AS undecided, sum(variance_num) AS variance_num,
    sum(variance_all) AS variance_all, sum(error_unknown) AS error_unknown
  FROM sums
  GROUP BY week_end, id
),
ranked_weeks AS (
  SELECT
    r.quarter, r.mode, w.week_end,
    sum(w.numerator) AS numerator, sum(w.denominator_value) AS denominator_value,
    sum(w.undecided) AS undecided, sum(w.variance_num) AS variance_num,
    sum(w.variance_all) AS variance_all, sum(w.error_unknown) AS error_unknown
  FROM app_weeks w
  JOIN rankings r ON r.app = w.id
  GROUP BY r.quarter, r.mode, w.week_end
),
weeks AS (
  SELECT
    r.quarter, r.mode, r.week_end AS day, c.completeness,
    (r.week_end - greatest(a.first_day, r.week_end - 6) + 1)::INTEGER AS days,
    r.numerator, r.denominator_value, r.variance_num, r.variance_all, r.error_unknown,
    r.undecided + l.loose AS undecided,
    share_of(r.numerator, r.denominator_value) AS share,
    bound_low(r.numerator, r.denominator_value, r.undecided + l.loose) AS share_low,
    CASE WHEN r.error_unknown <= 0.01 * r.denominator_value THEN share_standard_error(
      r.numerator, r.denominator_value, r.variance_num, r.variance_all) END AS standard_error
  FROM ranked_weeks r
  CROSS JOIN as_of a
  JOIN loose l ON l.week_end = r.week_end
  LEFT JOIN completeness c
    ON c.period = 'week' AND c.exporter IS NULL AND c.period_end = r.week_end
),
looked_back AS (
  SELECT
    e.day, k.back, w.* EXCLUDE (day),
    CASE WHEN k.back < 12
      THEN w.share - lead(w.share) OVER (PARTITION BY e.day ORDER BY k.back) END AS difference
  FROM weeks e
  CROSS JOIN (SELECT unnest(range(greatest(13, weeks)))::INTEGER AS back FROM target_share) k
  LEFT JOIN weeks w
    ON w.quarter = e.quarter AND w.day = e.day - 7 * k.back AND (w.days = 7 OR k.back = 0)
  WHERE e.quarter = CAST(date_trunc('quarter', e.day) AS DATE)
),
spread AS (
  SELECT
    *,
    1.4826 * mad(difference) OVER (PARTITION BY day) / sqrt(2) AS week_to_week
  FROM looked_back
),
judged AS (
  SELECT
    *,
    share_low - 1.645 * sqrt(standard_error ** 2 + week_to_week ** 2) AS judged_share
  FROM spread
),
counted AS (
  SELECT
    j.day,
    count(j.difference) AS differences,
    count(*) FILTER (
      j.back < t.weeks AND j.days = 7 AND j.completeness >= 0.98 AND j.judged_share >= t.target
    ) AS weeks_met,
    count(*) FILTER (j.back < 2 AND j.share < t.target) = 2 AS below
  FROM judged j
  CROSS JOIN target_share t
  GROUP BY j.day
)
SELECT
  j.day, j.days, j.mode AS ranking, j.numerator, j.denominator_value, j.share,
  share_ci_low(j.numerator, j.denominator_value, j.variance_num, j.variance_all,
    j.error_unknown) AS ci_low,
  share_ci_high(j.numerator, j.denominator_value, j.variance_num, j.variance_all,
    j.error_unknown) AS ci_high,
  is_suppressed(j.denominator_value, j.variance_all) AS suppressed,
  j.undecided, j.share_low,
  bound_high(j.numerator, j.denominator_value, j.undecided) AS share_high,
  j.standard_error, c.differences, j.week_to_week, j.judged_share, j.completeness,
  c.weeks_met, c.weeks_met = t.weeks AS met, c.below
FROM judged j
JOIN counted c ON c.day = j.day
CROSS JOIN target_share t
WHERE j.back = 0
ORDER BY j.day
