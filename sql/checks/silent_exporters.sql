-- what: a listed exporter has sent in the newest day of the data
-- found: exporter {exporter} has not; its last record ends at: {last_seen}
-- severity: warn
-- Of the days that count as data (see the view data_days): a wrong clock silences nobody.
WITH newest AS (
  SELECT max(e.last_seen) AS moment
  FROM exporters_1h e
  JOIN data_days d ON d.is_data AND d.day = CAST(e.window_start AS DATE)
)
SELECT d.exporter, max(e.last_seen) AS last_seen
FROM dim_exporters d
LEFT JOIN exporters_1h e USING (exporter)
WHERE (SELECT moment FROM newest) IS NOT NULL
GROUP BY d.exporter
HAVING max(e.last_seen) IS NULL
  OR max(e.last_seen) < (SELECT moment FROM newest) - INTERVAL 1 DAY
