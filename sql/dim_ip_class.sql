-- what:    how each (ip_class, family) counts in the shares; every class x every family, so that
--          a join with traffic never loses a row
-- unit:    flags
-- formula: in_denominator  app traffic (native, transition tunnel, translated) of a known family;
--                          opaque overlays, RoCEv2, SRv6 transit and control never are
--          in_strict       native IPv6 whose outermost header is IPv6 too
--          in_wire         outermost header is IPv6
--          in_service      the service's own family is IPv6: 6in4 is, 4in6 and translated are not
--          is_transition   tunnelled or translated
-- source:  kpis "Three shares"; the lists of classes and families are those of the schemas
SELECT
  c.ip_class,
  f.family,
  c.app_traffic AND f.family <> 'unknown' AS in_denominator,
  c.ip_class = 'native_v6' AND f.family = 'v6' AS in_strict,
  c.app_traffic AND f.family = 'v6' AS in_wire,
  c.app_traffic AND f.family <> 'unknown' AND c.service_family = 'v6' AS in_service,
  c.is_transition
FROM (VALUES
  ('native_v4',  true,  'v4', false),
  ('native_v6',  true,  'v6', false),
  ('6in4',       true,  'v6', true),
  ('6to4',       true,  'v6', true),
  ('6rd',        true,  'v6', true),
  ('isatap',     true,  'v6', true),
  ('teredo',     true,  'v6', true),
  ('4in6',       true,  'v4', true),
  ('translated', true,  'v4', true),
  ('6in6',       false, 'v6', false),
  ('gre',        false, 'unknown', false),
  ('ipip',       false, 'v4', false),
  ('overlay',    false, 'unknown', false),
  ('rocev2',     false, 'unknown', false),
  ('srv6',       false, 'unknown', false),
  ('control',    false, 'unknown', false),
  ('unknown',    false, 'unknown', false)
) AS c(ip_class, app_traffic, service_family, is_transition)
CROSS JOIN (VALUES ('unknown'), ('v4'), ('v6')) AS f(family)
ORDER BY ip_class, family
