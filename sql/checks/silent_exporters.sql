-- what: a listed exporter has sent in the newest day of the data
-- found: exporter {exporter} has not; its last record ends at: {last_seen}
-- severity: warn
SELECT d.exporter, max(e.last_seen) AS last_seen
FROM dim_exporters d
LEFT JOIN exporters_1h e USING (exporter)
WHERE (SELECT moment FROM newest_record) IS NOT NULL
GROUP BY d.exporter
HAVING max(e.last_seen) IS NULL
  OR max(e.last_seen) < (SELECT moment FROM newest_record) - INTERVAL 1 DAY
ORDER BY d.exporter
