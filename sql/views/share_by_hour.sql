-- what:    the top apps' IPv6 share by the hour of the day (UTC), over the last 28 final days: only
--          the basis, the denominator and the kind of the target
-- unit:    hour: 0 to 23; days: days; numerator, denominator_value, undecided: of the basis; share,
--          ci_low, ci_high, share_low, share_high: share 0 to 1
-- columns: hour: hour of the day, UTC: 0 is from 00:00 to 01:00; days: days that have traffic of the
--          top apps in that hour
-- first:   hour, share, ci_low, ci_high, days, numerator, denominator_value, share_low, share_high
-- formula: basis bytes, kind strict, denominator of targets.toml (target_share); as
--          kpi_stage3_concentration, with hours in place of weeks. How a row of traffic_1h counts is
--          what kpi_traffic_1d says of the row of its day. A flow counts in the hours it lies in
-- source:  traffic_1h, kpi_traffic_1d, target_share, top_apps, final_span
CREATE VIEW definitions.share_by_hour AS
WITH days AS (
  SELECT unnest(generate_series(
    (as_of - 27)::TIMESTAMP, as_of::TIMESTAMP, INTERVAL 1 DAY)) AS window_start
  FROM results.final_span
),
flags AS (
  SELECT
    t.window_start, t.vantage, t.app, t.product, t.client_region, t.service_region, t.network,
    t.family, t.ip_class, t.underlay, t.direction, t.strict, t.in_denominator, t.undecided,
    g.denominator,
    t.app IN (SELECT app FROM results.top_apps) AS is_top,
    CASE g.denominator
      WHEN 'all' THEN true WHEN 'enabled' THEN t.enabled ELSE t.enabled AND t.network_capable
    END AS member,
    t.app = 'unclassified' AND (g.denominator <> 'capable' OR t.network_capable) AS loose
  FROM results.kpi_traffic_1d t
  SEMI JOIN days USING (window_start)
  CROSS JOIN results.target_share g
  WHERE t.in_denominator OR t.undecided
),
sums AS (
  SELECT
    hour(h.window_start) AS hour, f.denominator,
    count(DISTINCT f.window_start) FILTER (is_top AND member) AS days,
    coalesce(sum(h.bytes) FILTER (is_top AND member AND in_denominator AND strict), 0)
      AS numerator,
    coalesce(sum(h.bytes) FILTER (is_top AND member AND in_denominator), 0) AS denominator_value,
    coalesce(sum(h.bytes) FILTER ((is_top AND member AND undecided) OR (loose AND NOT is_top)), 0)
      AS undecided,
    coalesce(sum(h.bytes_variance) FILTER (is_top AND member AND in_denominator AND strict), 0)
      AS variance_num,
    coalesce(sum(h.bytes_variance) FILTER (is_top AND member AND in_denominator), 0)
      AS variance_all,
    coalesce(sum(h.bytes_error_unknown) FILTER (is_top AND member AND in_denominator), 0)
      AS error_unknown
  FROM flags f
  JOIN main.traffic_1h h
    ON h.window_start >= f.window_start AND h.window_start < f.window_start + INTERVAL 1 DAY
    AND date_trunc('day', h.window_start) = f.window_start
    AND h.vantage = f.vantage AND h.app = f.app AND h.product = f.product
    AND h.client_region = f.client_region AND h.service_region = f.service_region
    AND h.network = f.network AND h.family = f.family AND h.ip_class = f.ip_class
    AND h.underlay = f.underlay AND h.direction = f.direction
  GROUP BY hour(h.window_start), f.denominator
)
SELECT
  s.hour, s.days, 'bytes' AS basis, s.denominator, 'strict' AS share_kind,
  s.numerator, s.denominator_value,
  main.share_of(s.numerator, s.denominator_value) AS share,
  main.share_ci_low(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_low,
  main.share_ci_high(s.numerator, s.denominator_value, s.variance_num, s.variance_all,
    s.error_unknown) AS ci_high,
  main.is_suppressed(s.denominator_value, s.variance_all) AS suppressed,
  s.undecided,
  main.bound_low(s.numerator, s.denominator_value, s.undecided) AS share_low,
  main.bound_high(s.numerator, s.denominator_value, s.undecided) AS share_high
FROM sums s
ORDER BY s.hour
