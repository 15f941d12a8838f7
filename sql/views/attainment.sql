-- what:    the stage 3 rule, judged at the end of every day: with the weeks that end on that day, and
--          the ranking that was in force on it. Later days change no judgement
-- unit:    days: days; numerator, denominator_value, undecided: bytes; share, ci_low, ci_high,
--          share_low, share_high, judged_share, completeness: share 0 to 1; standard_error,
--          week_to_week: points (0.01 is one); differences, weeks_met: weeks; one row per day, of
--          the 7 days that end on it
-- columns: day: UTC day that is judged; days: days of data, of the 7 that end on it: fewer than 7
--          mark the first, cut week, which is never judged
-- first:   day, share, judged_share, met, weeks_met, below, completeness
-- formula: for each of the last `weeks` disjoint weeks that end on that day, 7, 14, ... days before:
--          completeness >= 0.98 and share_low - 1.645 * sqrt(se^2 + s_w^2) >= target, where
--          se   sampling error of the week's share, s_w = 1.4826 * MAD / sqrt(2) of up to 12
--          differences of consecutive weeks (with few of them the MAD is a rough guess: see
--          differences; of a single one it is always 0, so then nothing is known and nothing is
--          met). met: all of them hold. below: the share itself was
--          under the target in both of the last two weeks, which loses what was attained.
--          An unknown sampling error (over 1 % of the bytes) is never met.
--          A live ranking is that of the 28 days to the day that is judged. A day without any
--          record in its week, or without an app in its ranking, has a row, with no share
-- source:  share_sums_1d (bytes, strict, the target's denominator), rankings, final_completeness
-- kept:    whole, of final days
CREATE VIEW definitions.attainment AS
WITH days AS (
  SELECT
    CAST(unnest(generate_series(first_day::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 1 DAY)) AS DATE)
      AS day,
    first_day
  FROM results.final_span
  WHERE as_of IS NOT NULL
),
sums AS (
  SELECT
    s.day, s.id,
    sum(s.denominator_value) FILTER (s.denominator = 'all') AS all_bytes,
    sum(s.numerator) FILTER (s.denominator = t.denominator) AS numerator,
    sum(s.denominator_value) FILTER (s.denominator = t.denominator) AS denominator_value,
    sum(s.undecided) FILTER (s.denominator = t.denominator) AS undecided,
    sum(s.loose) FILTER (s.denominator = t.denominator) AS loose,
    sum(s.variance_num) FILTER (s.denominator = t.denominator) AS variance_num,
    sum(s.variance_all) FILTER (s.denominator = t.denominator) AS variance_all,
    sum(s.error_unknown) FILTER (s.denominator = t.denominator) AS error_unknown
  FROM results.share_sums_1d s
  CROSS JOIN results.target_share t
  SEMI JOIN days ON days.day = s.day
  WHERE s.scope = 'app' AND s.basis = 'bytes' AND s.share_kind = 'strict'
  GROUP BY s.day, s.id
),
app_days AS (
  SELECT d.day, i.id, s.* EXCLUDE (day, id)
  FROM days d
  CROSS JOIN (SELECT DISTINCT id FROM sums) i
  LEFT JOIN sums s ON s.day = d.day AND s.id = i.id
),
-- Sums over the 7 days that end on each day, and over 28 days for the live ranking.
app_weeks AS MATERIALIZED (
  SELECT
    day, id,
    sum(numerator) OVER week AS numerator, sum(denominator_value) OVER week AS denominator_value,
    sum(undecided) OVER week AS undecided, sum(variance_num) OVER week AS variance_num,
    sum(variance_all) OVER week AS variance_all, sum(error_unknown) OVER week AS error_unknown,
    sum(all_bytes) OVER (
      PARTITION BY id ORDER BY day ROWS BETWEEN 27 PRECEDING AND CURRENT ROW) AS ranking_bytes
  FROM app_days
  WINDOW week AS (PARTITION BY id ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
),
whole_days AS (
  SELECT
    d.day, any_value(c.hours_seen) AS hours_seen, any_value(c.hours_expected) AS hours_expected,
    any_value(l.loose) AS loose
  FROM days d
  LEFT JOIN results.final_completeness c ON c.period = 'day' AND c.period_end = d.day
  LEFT JOIN (SELECT day, sum(loose) AS loose FROM sums GROUP BY day) l ON l.day = d.day
  GROUP BY d.day
),
whole_weeks AS (
  SELECT
    day, coalesce(sum(loose) OVER week, 0) AS loose,
    coalesce(main.share_of(sum(hours_seen) OVER week, sum(hours_expected) OVER week), 0)
      AS completeness
  FROM whole_days
  WINDOW week AS (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)
),
live AS (
  SELECT
    w.day, q.mode, w.id AS app,
    row_number() OVER (PARTITION BY w.day ORDER BY w.ranking_bytes DESC, w.id) AS rank, q.top_n
  FROM app_weeks w
  JOIN results.ranking_quarters q
    ON q.mode = 'live' AND q.quarter = CAST(date_trunc('quarter', w.day) AS DATE)
  WHERE w.id <> 'unclassified' AND w.ranking_bytes > 0
),
ranked AS (
  SELECT day, mode, app FROM live WHERE rank <= top_n
  UNION ALL
  SELECT d.day, r.mode, r.app
  FROM days d
  JOIN results.rankings r ON r.mode <> 'live' AND r.quarter = CAST(date_trunc('quarter', d.day) AS DATE)
),
-- Week 0 ends on the judged day, week 1 seven days before, and so on.
weeks_back AS (
  SELECT
    r.day, k.back, r.mode,
    sum(w.numerator) AS numerator, sum(w.denominator_value) AS denominator_value,
    sum(w.undecided) AS undecided, sum(w.variance_num) AS variance_num,
    sum(w.variance_all) AS variance_all, sum(w.error_unknown) AS error_unknown
  FROM ranked r
  CROSS JOIN (SELECT unnest(range(greatest(13, weeks)))::INTEGER AS back FROM results.target_share) k
  JOIN app_weeks w ON w.id = r.app AND w.day = r.day - 7 * k.back
  GROUP BY r.day, k.back, r.mode
),
weeks AS (
  SELECT
    b.day, b.back, b.mode, w.completeness,
    least(7, b.day - 7 * b.back - d.first_day + 1)::INTEGER AS days,
    b.numerator, b.denominator_value, b.variance_num, b.variance_all, b.error_unknown,
    b.undecided + w.loose AS undecided,
    main.share_of(b.numerator, b.denominator_value) AS share,
    main.bound_low(b.numerator, b.denominator_value, b.undecided + w.loose) AS share_low,
    CASE WHEN b.error_unknown <= 0.01 * b.denominator_value THEN main.share_standard_error(
      b.numerator, b.denominator_value, b.variance_num, b.variance_all) END AS standard_error
  FROM weeks_back b
  JOIN days d ON d.day = b.day
  JOIN whole_weeks w ON w.day = b.day - 7 * b.back
),
compared AS (
  SELECT
    *,
    CASE WHEN back < 12
      THEN share - lead(share) OVER (PARTITION BY day ORDER BY back) END AS difference
  FROM weeks
  WHERE days = 7 OR back = 0
),
judged AS (
  SELECT
    *,
    CASE WHEN count(difference) OVER (PARTITION BY day) > 1
      THEN 1.4826 * mad(difference) OVER (PARTITION BY day) / sqrt(2) END AS week_to_week,
    share_low - 1.645 * sqrt(standard_error ** 2 + week_to_week ** 2) AS judged_share
  FROM compared
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
  CROSS JOIN results.target_share t
  GROUP BY j.day
)
SELECT
  d.day, least(7, d.day - d.first_day + 1)::INTEGER AS days, j.mode AS ranking,
  j.numerator, j.denominator_value, j.share,
  main.share_ci_low(j.numerator, j.denominator_value, j.variance_num, j.variance_all,
    j.error_unknown) AS ci_low,
  main.share_ci_high(j.numerator, j.denominator_value, j.variance_num, j.variance_all,
    j.error_unknown) AS ci_high,
  main.is_suppressed(j.denominator_value, j.variance_all) AS suppressed,
  j.undecided, j.share_low,
  main.bound_high(j.numerator, j.denominator_value, j.undecided) AS share_high,
  j.standard_error, coalesce(c.differences, 0) AS differences, j.week_to_week, j.judged_share,
  w.completeness, coalesce(c.weeks_met, 0) AS weeks_met,
  coalesce(c.weeks_met = t.weeks, false) AS met, coalesce(c.below, false) AS below
FROM days d
JOIN whole_weeks w ON w.day = d.day
CROSS JOIN results.target_share t
LEFT JOIN judged j ON j.day = d.day AND j.back = 0
LEFT JOIN counted c ON c.day = d.day
ORDER BY d.day
