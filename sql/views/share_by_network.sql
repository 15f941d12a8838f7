-- what:    IPv6 share per UTC day and client network, and the same bytes once more per day and carrier:
--          choose one scope, as with WHERE scope = 'network'. For browsing; every basis, denominator
--          and kind
-- unit:    numerator, denominator_value, undecided: of the basis; share, ci_low, ci_high,
--          share_low, share_high: share 0 to 1
-- columns: scope: network or carrier: each scope has the bytes of the other once more, so choose one
--          and never add them up, a carrier is the sum of its networks; network: client network,
--          unknown: in no prefix of prefixes.csv, NULL of a carrier; carrier: the carrier, of a
--          network the one that runs it, from networks.csv, NULL: that names none
-- first:   day, scope, network, carrier, basis, denominator, share_kind, share, ci_low, ci_high
-- formula: share = numerator / denominator_value; ci: Wilson, sampling error only (macros.sql);
--          share_low = numerator / (denominator_value + undecided),
--          share_high = (numerator + undecided) / (denominator_value + undecided).
--          undecided = unknown family or class; for enabled and capable also the traffic of no
--          known app, which for all stands in the denominator, as its family is known
--          Networks for which networks.csv names no carrier are in no row of carriers
--          final: the day is complete and will not change unless late files come
-- source:  share_sums_1d, dim_networks
CREATE VIEW definitions.share_by_network AS
WITH sums AS (
  SELECT
    s.day, s.scope, CASE s.scope WHEN 'network' THEN s.id END AS network,
    CASE s.scope WHEN 'network' THEN n.carrier ELSE s.id END AS carrier,
    s.basis, s.denominator, s.share_kind, s.numerator, s.denominator_value,
    s.undecided + CASE s.denominator WHEN 'all' THEN 0 ELSE s.loose END AS undecided,
    s.variance_num, s.variance_all, s.error_unknown, s.offloaded
  FROM results.share_sums_1d s
  LEFT JOIN main.dim_networks n ON s.scope = 'network' AND n.network = s.id
  WHERE s.scope IN ('network', 'carrier')
)
SELECT
  s.day, s.scope, s.network, s.carrier, s.basis, s.denominator, s.share_kind,
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
  main.place_of(s.basis), main.place_of(s.denominator), main.place_of(s.share_kind), s.day DESC,
  s.scope = 'carrier', s.network, s.carrier
