-- what:    did a day that was published as final change since, when, and by how much? One row for
--          every such day, those that changed last first
-- unit:    changes: changes; records_first, records_now: records; bytes_first, bytes_now,
--          ipv6_bytes_first, ipv6_bytes_now: bytes; share_first, share_now: share 0 to 1;
--          share_change: points (0.01 is one)
-- columns: final: whether the day still is final
-- first:   day, changes, first_final_at, last_changed_at, share_first, share_now, share_change
-- formula: first: as the day was when it was first published as final (by a stream: with no file
--          waiting any more); now: as it is. changes: how many publishes since found it changed in
--          anything that the KPIs are made of, also where the sums are the same. last_changed_at:
--          the newest commit or withdrawal of an input of the day before the last of them (the
--          publish itself where there was none, as when the catalog changed); NULL where nothing
--          changed. share = ipv6_bytes / bytes, strict, of denominator all. final: false where the
--          day lost so much traffic, or got so little beside other days, that it is not final any
--          more. revision_inputs names the files
-- source:  ledger_final_days, kpi_sums_1d, final_days
CREATE VIEW definitions.revisions AS
WITH newest AS (
  SELECT day, max(revision) AS changes, max_by(changed_at, revision) AS changed_at
  FROM main.ledger_final_days
  GROUP BY day
),
days AS (
  SELECT
    f.day, d.day IS NOT NULL AS final, n.changes, f.published_at AS first_final_at,
    CASE WHEN n.changes > 0 THEN n.changed_at END AS last_changed_at,
    f.records::BIGINT AS records_first, coalesce(s.records, 0) AS records_now,
    f.bytes AS bytes_first, coalesce(s.bytes, 0)::HUGEINT AS bytes_now,
    f.ipv6_bytes AS ipv6_bytes_first, coalesce(s.ipv6_bytes, 0)::HUGEINT AS ipv6_bytes_now,
    main.share_of(f.ipv6_bytes, f.bytes) AS share_first,
    main.share_of(s.ipv6_bytes, s.bytes) AS share_now
  FROM main.ledger_final_days f
  JOIN newest n ON n.day = f.day
  LEFT JOIN results.kpi_sums_1d s ON s.day = f.day
  LEFT JOIN results.final_days d ON d.day = f.day
  WHERE f.revision = 0
)
SELECT *, share_now - share_first AS share_change
FROM days
ORDER BY last_changed_at DESC NULLS LAST, day DESC
