-- what:    completeness of all exporters together, of final days and weeks
-- unit:    hours_seen, hours_expected: hours; completeness: share 0 to 1
-- formula: rows of the view completeness
-- source:  completeness
-- kept:    whole
CREATE VIEW definitions.final_completeness AS
SELECT period, period_end, hours_seen, hours_expected, completeness
FROM main.completeness
WHERE final AND exporter IS NULL
ORDER BY period, period_end
