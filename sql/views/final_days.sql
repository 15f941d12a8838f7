-- what:    the final days that count as data
-- unit:    day: UTC day
-- formula: days of data (data_days) up to as_of
-- source:  data_days, final_span
-- kept:    whole
CREATE VIEW definitions.final_days AS
SELECT d.day
FROM results.data_days d
JOIN results.final_span s ON d.day <= s.as_of
WHERE d.is_data
ORDER BY d.day
