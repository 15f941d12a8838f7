"""What is published of final days, so that a number that moves later can be explained.

The tables hold a day as it is now. What it was when it was first published as final, and when that
was, is in no fragment: it goes into the journal.
"""

from datetime import UTC, datetime
from typing import Final

import duckdb

from v6share.warehouse.commit import record
from v6share.warehouse.ledger.journal import FinalDay, FinalDays
from v6share.workspace.paths import Workspace

# Compares the last row of each day that was ever final with what the day is now: one row a day on
# either side. A day without any traffic left has no sums.
_DUE: Final = """
WITH noted AS (
  SELECT
    day, max(revision) AS revision, max_by(content, revision) AS content,
    max_by(published_at, revision) AS published_at
  FROM main.ledger_final_days
  GROUP BY day
),
days AS (
  SELECT day FROM results.final_days UNION SELECT day FROM noted
),
due AS MATERIALIZED (
  SELECT
    d.day, coalesce(n.revision + 1, 0) AS revision, n.published_at AS before,
    coalesce(s.records, 0) AS records, coalesce(s.bytes, 0) AS bytes,
    coalesce(s.ipv6_bytes, 0) AS ipv6_bytes, coalesce(s.content, '') AS content
  FROM days d
  LEFT JOIN noted n ON n.day = d.day
  LEFT JOIN results.kpi_sums_1d s ON s.day = d.day
  WHERE n.content IS DISTINCT FROM coalesce(s.content, '')
),
changed AS (
  SELECT d.day, max(f.committed_at) AS at
  FROM due d
  JOIN main.ledger_files f
    ON d.day BETWEEN CAST(f.first_start AS DATE) AND CAST(f.last_end AS DATE)
    AND (d.before IS NULL OR f.committed_at > d.before)
  GROUP BY d.day
)
SELECT
  d.day, d.revision, coalesce(c.at, $now), d.records, d.bytes, d.ipv6_bytes, d.content
FROM due d
LEFT JOIN changed c ON c.day = d.day
ORDER BY d.day
"""


def record_final_days(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, now: datetime
) -> None:
    """Note in journal and tables what is published of final days, where that is not noted yet.

    Call it once the kept results are up to date and the checks have passed, before the file is
    published. Where that is broken off, the next publish finds the days noted, and notes those that
    changed since. now: with its zone. Errors as those of ``record``.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    due = connection.execute(_DUE, {"now": moment}).fetchall()
    if due:
        days = tuple(FinalDay(*row) for row in due)
        record(connection, workspace, [FinalDays(moment, days)])
