-- what:    the headline's IPv6 share per UTC day, app, client region and network: only the basis, the
--          denominator and the kind of the target, and every byte in one row, so that any sum over
--          rows is right without a filter: add first, divide last
-- unit:    rank: 1 is the largest; numerator, denominator_value, undecided, loose: of the basis; share,
--          ci_low, ci_high, share_low, share_high: share 0 to 1; variance_num, variance_all: bytes^2;
--          error_unknown: bytes
-- columns: rank: place of the app among the top apps as of now, NULL: it is none, and the headline
--          leaves it out; undecided: unknown family or class within the denominator; loose: traffic of
--          no known app on that day, in that region and network, that may be the app's: never add it
--          up over apps; share_low: the share if undecided and loose were IPv4; share_high: the share
--          if they were IPv6
-- first:   day, app, client_region, network, rank, share, ci_low, ci_high, numerator,
--          denominator_value
-- formula: basis bytes, kind strict, denominator of targets.toml (target_share). As share_by_app, but
--          by region and network as well. The rows with a rank of the week to as_of add up to
--          kpi_headline. The interval of a sum: share_ci_low(sum(numerator), sum(denominator_value),
--          sum(variance_num), sum(variance_all), sum(error_unknown)), share_ci_high alike
-- source:  kpi_traffic_1d, target_share, top_apps, final_span
CREATE VIEW definitions.share_headline_1d AS
WITH traffic AS (
  SELECT
    t.day, t.app, t.client_region, t.network, g.denominator, t.strict, t.in_denominator,
    t.undecided, t.bytes, t.bytes_variance, t.bytes_error_unknown,
    CASE g.denominator
      WHEN 'all' THEN true WHEN 'enabled' THEN t.enabled ELSE t.enabled AND t.network_capable
    END AS member,
    t.app = 'unclassified' AND (g.denominator <> 'capable' OR t.network_capable) AS loose
  FROM results.kpi_traffic_1d t
  CROSS JOIN results.target_share g
  WHERE t.in_denominator OR t.undecided
),
sums AS (
  SELECT
    day, app, client_region, network, denominator,
    coalesce(sum(bytes) FILTER (member AND in_denominator AND strict), 0) AS numerator,
    coalesce(sum(bytes) FILTER (member AND in_denominator), 0) AS denominator_value,
    coalesce(sum(bytes) FILTER (member AND undecided), 0) AS undecided,
    coalesce(sum(bytes) FILTER (loose), 0) AS loose,
    coalesce(sum(bytes_variance) FILTER (member AND in_denominator AND strict), 0) AS variance_num,
    coalesce(sum(bytes_variance) FILTER (member AND in_denominator), 0) AS variance_all,
    coalesce(sum(bytes_error_unknown) FILTER (member AND in_denominator), 0) AS error_unknown
  FROM traffic
  GROUP BY day, app, client_region, network, denominator
),
bounded AS (
  SELECT
    s.* EXCLUDE (loose),
    CASE s.app WHEN 'unclassified' THEN 0 ELSE coalesce(l.loose, 0) END AS loose
  FROM sums s
  LEFT JOIN sums l
    ON l.app = 'unclassified' AND l.day = s.day AND l.client_region = s.client_region
    AND l.network = s.network
)
SELECT
  s.day, s.app, s.client_region, s.network, r.rank,
  'bytes' AS basis, s.denominator, 'strict' AS share_kind,
  s.numerator, s.denominator_value,
  main.share_of(s.numerator, s.denominator_value) AS share,
  main.share_ci_low(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_low,
  main.share_ci_high(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_high,
  main.is_suppressed(s.denominator_value, s.variance_all) AS suppressed,
  s.undecided, s.loose,
  main.bound_low(s.numerator, s.denominator_value, s.undecided + s.loose) AS share_low,
  main.bound_high(s.numerator, s.denominator_value, s.undecided + s.loose) AS share_high,
  coalesce(s.day <= a.as_of, false) AS final,
  s.variance_num, s.variance_all, s.error_unknown
FROM bounded s
CROSS JOIN results.final_span a
LEFT JOIN results.top_apps r ON r.app = s.app
ORDER BY s.day DESC, r.rank NULLS LAST, s.app, s.client_region, s.network
