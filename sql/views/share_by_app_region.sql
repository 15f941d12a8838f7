-- what:    IPv6 share per UTC day, app and client region, for browsing; every basis, denominator and kind
-- unit:    numerator, denominator_value, undecided: of the basis; share, ci_low, ci_high,
--          share_low, share_high: share 0 to 1
-- first:   day, app, client_region, basis, denominator, share_kind, share, ci_low, ci_high
-- formula: share = numerator / denominator_value; ci: Wilson, sampling error only (macros.sql);
--          share_low = numerator / (denominator_value + undecided),
--          share_high = (numerator + undecided) / (denominator_value + undecided).
--          undecided = the app's unknown family or class + all traffic of no known app that day
--          there
--          final: the day is complete and will not change unless late files come
-- source:  share_sums_1d
CREATE VIEW definitions.share_by_app_region AS
WITH apps AS (
  SELECT * FROM results.share_sums_1d WHERE scope = 'app_client_region'
),
loose AS (
  SELECT day, id, basis, denominator, share_kind, loose FROM apps WHERE app = 'unclassified'
),
sums AS (
  SELECT
    a.day, a.app, a.id, a.basis, a.denominator, a.share_kind, a.numerator, a.denominator_value,
    a.undecided + CASE a.app WHEN 'unclassified' THEN 0 ELSE coalesce(l.loose, 0) END AS undecided,
    a.variance_num, a.variance_all, a.error_unknown, a.offloaded
  FROM apps a
  LEFT JOIN loose l
    ON l.day = a.day AND l.id = a.id AND l.basis = a.basis AND l.denominator = a.denominator
    AND l.share_kind = a.share_kind
)
SELECT
  s.day, s.app, s.id AS client_region, s.basis, s.denominator, s.share_kind,
  s.numerator, s.denominator_value,
  CASE WHEN main.offload_allows(s.offloaded, s.denominator_value)
    THEN main.share_of(s.numerator, s.denominator_value)
  END AS share,
  main.share_ci_low(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_low,
  main.share_ci_high(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_high,
  main.is_suppressed(s.denominator_value, s.variance_all) AS suppressed,
  s.undecided,
  CASE WHEN main.offload_allows(s.offloaded, s.denominator_value)
    THEN main.bound_low(s.numerator, s.denominator_value, s.undecided)
  END AS share_low,
  CASE WHEN main.offload_allows(s.offloaded, s.denominator_value)
    THEN main.bound_high(s.numerator, s.denominator_value, s.undecided)
  END AS share_high,
  coalesce(s.day <= a.as_of, false) AS final
FROM sums s
CROSS JOIN results.final_span a
ORDER BY
  main.place_of(s.basis), main.place_of(s.denominator), main.place_of(s.share_kind), s.day DESC, s.app, s.id
