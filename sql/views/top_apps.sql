-- what:    the top apps as of now: the ranking in force in the quarter of as_of
-- unit:    rank: 1 is the largest; ranking_bytes: bytes
-- columns: app: app id, never unclassified
-- formula: see rankings
-- source:  rankings, final_span
-- kept:    whole
CREATE VIEW definitions.top_apps AS
SELECT r.rank, r.app, r.mode, r.from_day, r.to_day, r.bytes AS ranking_bytes
FROM results.rankings r
JOIN results.final_span a ON r.quarter = CAST(date_trunc('quarter', a.as_of) AS DATE)
ORDER BY r.rank
