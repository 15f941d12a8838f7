-- what: the words in the aggregates of the days in question, and whether the catalog declares them
-- key:  column, value
-- declared: of apps and networks only.
WITH traffic AS (
  SELECT DISTINCT app, network, family, ip_class, underlay, direction
  FROM main.traffic_1d
  WHERE asked(window_start)
),
words AS (
  SELECT DISTINCT 'family' AS "column", family AS value FROM traffic
  UNION ALL SELECT DISTINCT 'ip_class', ip_class FROM traffic
  UNION ALL SELECT DISTINCT 'underlay', underlay FROM traffic
  UNION ALL SELECT DISTINCT 'direction', direction FROM traffic
  UNION ALL SELECT DISTINCT 'app', app FROM traffic
  UNION ALL SELECT DISTINCT 'network', network FROM traffic
)
SELECT
  "column", value,
  CASE "column"
    WHEN 'app' THEN value = 'unclassified' OR value IN (SELECT app FROM main.dim_apps)
    WHEN 'network' THEN value = 'unknown' OR value IN (SELECT network FROM main.dim_networks)
  END AS declared
FROM words
ORDER BY "column", value
