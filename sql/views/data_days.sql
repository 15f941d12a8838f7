-- what:    the days with records, and whether each counts as a day of data. A few records whose
--          clock is years off are counted like all others, but they say nothing of what is final
-- unit:    records, usual_records: records that start on the day; one row per UTC day that has any
-- formula: usual_records: the median of the days' records, each day weighed by the square root of
--          its records, rounded down; of two middle days the one with more. is_data: the day has
--          at least 1 % of that. Weighed so, neither many days with a stray record each become the
--          usual day, nor one day that has a hundred times the records of all others
-- source:  share_cells_1d: all rows of traffic_1d of the vantages that feed the KPIs
-- kept:    whole
CREATE VIEW definitions.data_days AS
WITH days AS (
  SELECT day, sum(records)::BIGINT AS records
  FROM main.share_cells_1d
  WHERE scope = 'app'
  GROUP BY day
),
busiest_first AS (
  SELECT
    records,
    sum(floor(sqrt(records))::BIGINT) OVER (ORDER BY records DESC, day) AS so_far,
    sum(floor(sqrt(records))::BIGINT) OVER () AS total
  FROM days
),
usual AS (
  SELECT max(records) AS records FROM busiest_first WHERE 2 * so_far >= total
)
SELECT d.day, d.records, u.records AS usual_records, 100 * d.records >= u.records AS is_data
FROM days d
CROSS JOIN usual u
ORDER BY d.day
