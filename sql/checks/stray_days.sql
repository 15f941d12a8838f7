-- what: no record of the KPIs lies days off all others, as with a wrong clock (see data_days)
-- found: exporter {exporter} sent records of {day}: {records}
-- severity: warn
WITH span AS (
  SELECT min(day) AS first_day, max(day) AS last_day FROM data_days WHERE is_data
),
days AS (
  SELECT CAST(e.window_start AS DATE) AS day, e.exporter, sum(e.records) AS records
  FROM exporters_1h e
  LEFT JOIN dim_exporters d USING (exporter)
  WHERE coalesce(d.vantage, 'unlisted') IN (SELECT vantage FROM dim_vantages WHERE feeds_kpis)
  GROUP BY CAST(e.window_start AS DATE), e.exporter
)
SELECT d.exporter, d.day, d.records
FROM days d
JOIN span s ON d.day NOT BETWEEN s.first_day - 1 AND s.last_day + 1
WHERE d.records > 0
ORDER BY d.records DESC, d.exporter, d.day
