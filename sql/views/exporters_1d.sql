-- what:    exporters_1h per UTC day, families merged: what completeness and silence are judged by
-- unit:    hours: hours; records: records; sampling_min, sampling_max: 1 in N; one row per exporter
--          and day on which it saw anything
-- formula: hours: distinct window_start; first_hour, last_hour: the first and last of them
-- source:  exporters_1h
-- kept:    by day
CREATE VIEW definitions.exporters_1d AS
SELECT
  CAST(window_start AS DATE) AS day,
  exporter,
  count(DISTINCT window_start) AS hours,
  sum(records)::BIGINT AS records,
  min(sampling_min) AS sampling_min,
  max(sampling_max) AS sampling_max,
  min(window_start) AS first_hour,
  max(window_start) AS last_hour,
  max(last_seen) AS last_seen
FROM main.exporters_1h
GROUP BY ALL
