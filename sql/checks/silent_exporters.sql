-- what: a listed exporter has sent in the newest day of the data
-- severity: warn
SELECT d.exporter, max(e.last_seen) AS last_seen
FROM dim_exporters d
LEFT JOIN exporters_1h e USING (exporter)
WHERE (SELECT count(*) FROM exporters_1h) > 0
GROUP BY d.exporter
HAVING max(e.last_seen) IS NULL
  OR max(e.last_seen) < (SELECT max(last_seen) FROM exporters_1h) - INTERVAL 1 DAY
