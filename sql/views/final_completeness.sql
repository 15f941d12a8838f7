-- what:    completeness of all exporters together, of final days and weeks
-- unit:    hours_seen, hours_expected: hours; completeness: share 0 to 1
-- columns: period: day, or week of 7 days, counted back from as_of
-- formula: rows of the view completeness
-- source:  completeness
-- kept:    whole
CREATE VIEW definitions.final_completeness AS
SELECT period, period_end, hours_seen, hours_expected, completeness
FROM results.completeness
WHERE final AND exporter IS NULL
ORDER BY period, period_end
