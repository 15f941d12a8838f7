-- what:    the last final day in the data, never the clock, and what the next one waits for; always
--          one row
-- unit:    stray_records: records; waiting_for: exporters
-- columns: next_day: day that becomes final next, UTC, NULL while there are no data; final_once: the
--          day is final once every exporter has records that end then or later, UTC; waiting_for:
--          exporters that have none yet, without those that are silent for over 24 hours;
--          held_back_by: the one of these that is furthest behind
-- formula: a day is final when its end + 1 h <= the newest record end of every exporter that is
--          not silent for over 24 h (before the newest record end of all). as_of is the last
--          final day that counts as data (data_days); NULL while there is none. Record ends count
--          up to the day after the last day of data: that day may just have begun. stray_records:
--          those of days more than a day before first_day or after last_day. next_day: the first day
--          of data after as_of, or the day after it; final_once: its end + 1 h
-- source:  data_days, exporters_1d of the vantages that feed the KPIs
-- kept:    whole
CREATE VIEW definitions.as_of AS
WITH days AS MATERIALIZED (
  SELECT day, records, is_data FROM results.data_days
),
span AS (
  SELECT min(day) AS first_day, max(day) AS last_day FROM days WHERE is_data
),
newest AS (
  SELECT e.exporter, max(e.last_seen) AS last_seen
  FROM results.kpi_exporters_1d e
  JOIN span s ON e.day BETWEEN s.first_day AND s.last_day + 1
  GROUP BY e.exporter
),
heard AS (
  SELECT exporter, last_seen
  FROM newest
  WHERE last_seen >= (SELECT max(last_seen) FROM newest) - INTERVAL 24 HOUR
),
bound AS (
  SELECT
    (SELECT max(last_seen) FROM newest) AS newest_record_end,
    min(last_seen) AS held_back_to
  FROM heard
),
final AS (
  SELECT max(d.day) AS as_of
  FROM days d
  JOIN bound b ON d.is_data AND d.day < CAST(b.held_back_to - INTERVAL 1 HOUR AS DATE)
),
next AS (
  SELECT
    coalesce(min(d.day), any_value(f.as_of) + 1) AS day,
    coalesce(min(d.day), any_value(f.as_of) + 1) + INTERVAL 25 HOUR AS final_once
  FROM final f
  LEFT JOIN days d ON d.is_data AND d.day > coalesce(f.as_of, d.day - 1)
),
behind AS (
  SELECT count(*) AS exporters, arg_min(h.exporter, (h.last_seen, h.exporter)) AS furthest
  FROM heard h
  JOIN next n ON h.last_seen < n.final_once
),
stray AS (
  SELECT coalesce(sum(d.records), 0)::BIGINT AS records
  FROM days d
  JOIN span s ON d.day NOT BETWEEN s.first_day - 1 AND s.last_day + 1
)
SELECT
  f.as_of, s.first_day, s.last_day, b.newest_record_end, b.held_back_to,
  r.records AS stray_records,
  n.day AS next_day, n.final_once, h.exporters AS waiting_for, h.furthest AS held_back_by
FROM final f
CROSS JOIN span s
CROSS JOIN bound b
CROSS JOIN stray r
CROSS JOIN next n
CROSS JOIN behind h
