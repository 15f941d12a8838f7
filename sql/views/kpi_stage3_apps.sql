-- what:    the top apps one by one in the newest week (7 days to as_of): who is at target, who
--          costs most
-- unit:    rank: 1 is the largest; numerator, denominator_value, undecided, debt: of the basis;
--          share, ci_low, ci_high, share_low, share_high, weight, target: share 0 to 1; gap:
--          points (0.01 is one)
-- columns: app: app id of a top app, never unclassified; gap: weight * (target - share), these add
--          up to the gap of all
-- first:   rank, app, basis, denominator, share_kind, share, at_target, gap, weight, ci_low,
--          ci_high, debt
-- formula: as share_by_app, over the week. weight = W_i / W. gap = weight * (target - share): sums
--          to target - S of kpi_stage3_concentration. debt = max(0, target - share) * W_i: listed,
--          never summed, because apps above target do not pay for others. at_target is NULL where
--          the catalog has no target
-- source:  share_sums_1d, top_apps, target_share, dim_apps
-- kept:    whole, of final days
CREATE VIEW definitions.kpi_stage3_apps AS
WITH keys AS (
  SELECT basis, denominator, share_kind
  FROM (VALUES ('bytes'), ('bytes_normalised'), ('tcp_opens')) AS b(basis)
  CROSS JOIN (VALUES ('all'), ('enabled'), ('capable')) AS d(denominator)
  CROSS JOIN (VALUES ('strict'), ('wire'), ('service')) AS k(share_kind)
),
week AS (
  SELECT
    s.id, s.basis, s.denominator, s.share_kind,
    sum(s.numerator) AS numerator, sum(s.denominator_value) AS denominator_value,
    sum(s.undecided) AS undecided, sum(s.loose) AS loose,
    sum(s.variance_num) AS variance_num, sum(s.variance_all) AS variance_all,
    sum(s.error_unknown) AS error_unknown, sum(s.offloaded) AS offloaded
  FROM results.share_sums_1d s
  JOIN results.final_span a ON s.day BETWEEN a.as_of - 6 AND a.as_of
  WHERE s.scope = 'app'
  GROUP BY s.id, s.basis, s.denominator, s.share_kind
),
loose AS (
  SELECT basis, denominator, share_kind, sum(loose) AS loose
  FROM week
  GROUP BY basis, denominator, share_kind
),
-- Materialized: DuckDB 1.5.3 cannot bind the window over it otherwise.
apps AS MATERIALIZED (
  SELECT
    t.rank, t.app, k.basis, k.denominator, k.share_kind,
    coalesce(w.numerator, 0)::HUGEINT AS numerator,
    coalesce(w.denominator_value, 0)::HUGEINT AS denominator_value,
    (coalesce(w.undecided, 0) + coalesce(l.loose, 0))::HUGEINT AS undecided,
    w.variance_num, w.variance_all, w.error_unknown, w.offloaded
  FROM results.top_apps t
  CROSS JOIN keys k
  LEFT JOIN week w
    ON w.id = t.app AND w.basis = k.basis AND w.denominator = k.denominator
    AND w.share_kind = k.share_kind
  LEFT JOIN loose l
    ON l.basis = k.basis AND l.denominator = k.denominator AND l.share_kind = k.share_kind
),
shares AS (
  SELECT
    *,
    CASE WHEN main.offload_allows(offloaded, denominator_value)
      THEN main.share_of(numerator, denominator_value) END AS share,
    main.share_of(denominator_value,
      sum(denominator_value) OVER (PARTITION BY basis, denominator, share_kind)) AS weight
  FROM apps
)
SELECT
  a.as_of, s.rank, s.app, d.name, d.owner, s.basis, s.denominator, s.share_kind,
  s.numerator, s.denominator_value, s.share,
  main.share_ci_low(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_low,
  main.share_ci_high(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_high,
  main.is_suppressed(s.denominator_value, s.variance_all) AS suppressed,
  s.undecided,
  CASE WHEN main.offload_allows(s.offloaded, s.denominator_value)
    THEN main.bound_low(s.numerator, s.denominator_value, s.undecided) END AS share_low,
  CASE WHEN main.offload_allows(s.offloaded, s.denominator_value)
    THEN main.bound_high(s.numerator, s.denominator_value, s.undecided) END AS share_high,
  s.weight, t.target,
  s.weight * (t.target - s.share) AS gap,
  main.shortfall(s.share, t.target) * s.denominator_value::DOUBLE AS debt,
  s.share >= t.target AS at_target
FROM shares s
CROSS JOIN results.final_span a
CROSS JOIN results.target_share t
LEFT JOIN main.dim_apps d ON d.app = s.app
ORDER BY main.place_of(s.basis), main.place_of(s.denominator), main.place_of(s.share_kind), s.rank
