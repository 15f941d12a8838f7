-- what:    the last final day in the data, never the clock; always one row
-- unit:    days, times (UTC)
-- formula: a day is final when its end + 1 h <= the newest record end of every exporter that is
--          not silent for over 24 h (before the newest record end of all). as_of is the last
--          final day that has traffic; NULL while there is none
-- source:  exporters_1h, traffic_1d, of the vantages that feed the KPIs
-- needs: kpi_exporters_1h
CREATE VIEW as_of AS
WITH newest AS (
  SELECT exporter, max(last_seen) AS last_seen FROM kpi_exporters_1h GROUP BY exporter
),
bound AS (
  SELECT
    (SELECT max(last_seen) FROM newest) AS newest_record_end,
    min(last_seen) AS held_back_to
  FROM newest
  WHERE last_seen >= (SELECT max(last_seen) FROM newest) - INTERVAL 24 HOUR
),
days AS (
  SELECT DISTINCT CAST(window_start AS DATE) AS day
  FROM traffic_1d
  WHERE vantage IN (SELECT vantage FROM dim_vantages WHERE feeds_kpis)
)
SELECT
  max(d.day) FILTER (d.day < CAST(b.held_back_to - INTERVAL 1 HOUR AS DATE)) AS as_of,
  min(d.day) AS first_day,
  max(d.day) AS last_day,
  any_value(b.newest_record_end) AS newest_record_end,
  any_value(b.held_back_to) AS held_back_to
FROM days d
CROSS JOIN bound b
