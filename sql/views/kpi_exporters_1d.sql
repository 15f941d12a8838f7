-- what:    days of the exporters that feed the KPIs
-- unit:    hours: hours; records: records; sampling_min, sampling_max: 1 in N; one row per exporter
--          and day on which it saw anything
-- formula: an exporter that is not in exporters.csv has the vantage unlisted
-- source:  exporters_1d, dim_exporters, dim_vantages
CREATE VIEW definitions.kpi_exporters_1d AS
SELECT
  e.day, e.exporter,
  coalesce(d.vantage, 'unlisted') AS vantage,
  d.exporter IS NOT NULL AS listed,
  e.hours, e.records, e.sampling_min, e.sampling_max, e.first_hour, e.last_hour, e.last_seen
FROM results.exporters_1d e
LEFT JOIN main.dim_exporters d ON d.exporter = e.exporter
WHERE coalesce(d.vantage, 'unlisted') IN (SELECT vantage FROM main.dim_vantages WHERE feeds_kpis)
