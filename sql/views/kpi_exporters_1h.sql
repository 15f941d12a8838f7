-- what:    hours of the exporters that feed the KPIs, families merged
-- unit:    sampling_min, sampling_max: packets for one, the former 0 where one is not known; one row
--          per exporter and hour in which it saw anything
-- formula: an exporter that is not in exporters.csv has the vantage unlisted
-- source:  exporters_1h, dim_exporters, dim_vantages
-- needs:
CREATE VIEW kpi_exporters_1h AS
SELECT
  e.exporter,
  coalesce(d.vantage, 'unlisted') AS vantage,
  d.exporter IS NOT NULL AS listed,
  e.window_start,
  min(e.sampling_min) AS sampling_min,
  max(e.sampling_max) AS sampling_max,
  max(e.last_seen) AS last_seen
FROM exporters_1h e
LEFT JOIN dim_exporters d ON d.exporter = e.exporter
WHERE coalesce(d.vantage, 'unlisted') IN (SELECT vantage FROM dim_vantages WHERE feeds_kpis)
GROUP BY e.exporter, d.vantage, d.exporter, e.window_start
