-- what: the final days in question: their bytes beside those of the same weekday in the four weeks
--       before, and the part of no known app beside the seven days before
-- key:  day
-- usual_bytes, usual_unclassified: medians of the days before; weeks, days_before: how many.
WITH sums AS (
  SELECT
    c.day, sum(c.bytes)::DOUBLE AS bytes,
    (sum(c.bytes) FILTER (c.is_loose) / nullif(sum(c.bytes), 0))::DOUBLE AS unclassified
  FROM results.share_cells_1d c
  JOIN results.final_days d ON d.day = c.day
  WHERE c.scope = 'app' AND asked(c.day, before := 28)
  GROUP BY c.day
)
SELECT
  s.day, s.bytes, median(w.bytes) AS usual_bytes, count(w.day) AS weeks,
  s.bytes / nullif(median(w.bytes), 0) AS volume_ratio,
  coalesce(s.unclassified, 0) AS unclassified,
  any_value(u.unclassified) AS usual_unclassified,
  coalesce(s.unclassified, 0) - any_value(u.unclassified) AS unclassified_rise,
  any_value(u.days) AS days_before
FROM sums s
LEFT JOIN sums w ON w.day IN (s.day - 7, s.day - 14, s.day - 21, s.day - 28)
LEFT JOIN (
  SELECT s.day, median(coalesce(b.unclassified, 0)) AS unclassified, count(b.day) AS days
  FROM sums s
  LEFT JOIN sums b ON b.day BETWEEN s.day - 7 AND s.day - 1
  GROUP BY s.day
) u ON u.day = s.day
WHERE asked(s.day)
GROUP BY s.day, s.bytes, s.unclassified
ORDER BY s.day
