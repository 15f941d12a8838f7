-- what:    the sums that every traffic share is made of, per day and app, product, client region,
--          network or carrier (scope), and per day and app with a client region or a network (scopes
--          app_client_region and app_network; app is empty in the others). All of them add up over
--          days and over ids of one scope: add first, divide last
-- unit:    numerator, denominator_value, undecided, loose: of the basis; variance_num,
--          variance_all: bytes^2; error_unknown, offloaded: bytes
-- columns: scope: app, product, client_region, network, carrier, app_client_region or app_network;
--          id: the app, product, region, network or carrier, as scope says; app: app
--          of the last two scopes, else empty; undecided: unknown family or class within the
--          denominator
-- formula: basis        bytes | bytes_normalised | tcp_opens
--          denominator  all | enabled | capable (enabled, and the client network is capable)
--          numerator    strict | wire | service part of denominator_value
--          undecided    unknown family or class within the denominator
--          loose        traffic of no known app that may belong to the denominator: all of it for
--                       all and enabled, that of capable networks for capable. Its app is unknown,
--                       so it widens the bounds of every app
--          variance_*, error_unknown  only for bytes;  offloaded  only for bytes_normalised
-- source:  share_cells_1d, share_cells_app_1d
CREATE VIEW definitions.share_sums_1d AS
WITH cells AS (
  SELECT *, '' AS app FROM results.share_cells_1d WHERE in_denominator OR undecided
  UNION ALL BY NAME
  SELECT *, app = 'unclassified' AS is_loose
  FROM results.share_cells_app_1d
  WHERE in_denominator OR undecided
),
chosen AS (
  SELECT
    c.*, d.denominator, k.share_kind,
    CASE d.denominator
      WHEN 'all' THEN true WHEN 'enabled' THEN enabled ELSE enabled AND network_capable
    END AS member,
    is_loose AND (d.denominator <> 'capable' OR network_capable) AS loose,
    CASE k.share_kind WHEN 'strict' THEN strict WHEN 'wire' THEN wire ELSE service END AS hit
  FROM cells c
  CROSS JOIN (VALUES ('all'), ('enabled'), ('capable')) AS d(denominator)
  CROSS JOIN (VALUES ('strict'), ('wire'), ('service')) AS k(share_kind)
),
sums AS (
  SELECT
    scope, app, id, day, denominator, share_kind,
    sum(bytes) FILTER (member AND in_denominator AND hit) AS bytes_hit,
    sum(bytes) FILTER (member AND in_denominator) AS bytes_all,
    sum(bytes) FILTER (member AND undecided) AS bytes_undecided,
    sum(bytes) FILTER (loose) AS bytes_loose,
    sum(bytes_normalised) FILTER (member AND in_denominator AND hit) AS normalised_hit,
    sum(bytes_normalised) FILTER (member AND in_denominator) AS normalised_all,
    sum(bytes_normalised) FILTER (member AND undecided) AS normalised_undecided,
    sum(bytes_normalised) FILTER (loose) AS normalised_loose,
    sum(tcp_opens) FILTER (member AND in_denominator AND hit) AS opens_hit,
    sum(tcp_opens) FILTER (member AND in_denominator) AS opens_all,
    sum(tcp_opens) FILTER (member AND undecided) AS opens_undecided,
    sum(tcp_opens) FILTER (loose) AS opens_loose,
    sum(variance) FILTER (member AND in_denominator AND hit) AS variance_hit,
    sum(variance) FILTER (member AND in_denominator) AS variance_all,
    sum(error_unknown) FILTER (member AND in_denominator) AS error_unknown,
    sum(offloaded) FILTER (member AND in_denominator) AS offloaded
  FROM chosen
  GROUP BY scope, app, id, day, denominator, share_kind
)
-- One reference to the sums, not one per basis: a filter on the scope then reaches the scan.
SELECT
  scope, app, id, day, b.basis, denominator, share_kind,
  coalesce(CASE b.basis
    WHEN 'bytes' THEN bytes_hit WHEN 'tcp_opens' THEN opens_hit ELSE normalised_hit
  END, 0)::HUGEINT AS numerator,
  coalesce(CASE b.basis
    WHEN 'bytes' THEN bytes_all WHEN 'tcp_opens' THEN opens_all ELSE normalised_all
  END, 0)::HUGEINT AS denominator_value,
  coalesce(CASE b.basis
    WHEN 'bytes' THEN bytes_undecided WHEN 'tcp_opens' THEN opens_undecided ELSE normalised_undecided
  END, 0)::HUGEINT AS undecided,
  coalesce(CASE b.basis
    WHEN 'bytes' THEN bytes_loose WHEN 'tcp_opens' THEN opens_loose ELSE normalised_loose
  END, 0)::HUGEINT AS loose,
  CASE b.basis WHEN 'bytes' THEN coalesce(variance_hit, 0)::HUGEINT END AS variance_num,
  CASE b.basis WHEN 'bytes' THEN coalesce(variance_all, 0)::HUGEINT END AS variance_all,
  CASE b.basis WHEN 'bytes' THEN coalesce(error_unknown, 0)::HUGEINT END AS error_unknown,
  CASE b.basis WHEN 'bytes_normalised' THEN coalesce(offloaded, 0)::HUGEINT END AS offloaded
FROM sums
CROSS JOIN (VALUES ('bytes'), ('bytes_normalised'), ('tcp_opens')) AS b(basis)
