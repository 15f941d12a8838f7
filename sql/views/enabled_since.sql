-- what:    since when endpoints are dual-stacked, by what the catalog declares: each one, all of an
--          app in a service region, all of an app
-- unit:    enabled_on: UTC day
-- columns: level: endpoint, app_in_region (product is empty) or app (product and region are empty);
--          app: app id, empty where the endpoint is a product's alone; enabled_on: since when all
--          of it serves IPv6, by the catalog, NULL while one of them does not
-- formula: the last of the days of all rows of endpoints.csv that belong to it. A key that stands
--          twice in the catalog is enabled when all its rows are. level: endpoint, app_in_region
--          (product is empty) or app (product and region are empty)
-- source:  dim_endpoints
-- kept:    whole
CREATE VIEW definitions.enabled_since AS
SELECT 'endpoint' AS level, app, product, region, main.last_of_all(enabled_on) AS enabled_on
FROM main.dim_endpoints
GROUP BY app, product, region
UNION ALL
SELECT 'app_in_region', app, '', region, main.last_of_all(enabled_on)
FROM main.dim_endpoints
WHERE app <> ''
GROUP BY app, region
UNION ALL
SELECT 'app', app, '', '', main.last_of_all(enabled_on)
FROM main.dim_endpoints
WHERE app <> ''
GROUP BY app
ORDER BY level, app, product, region
