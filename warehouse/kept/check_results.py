"""The tables that say what was checked before a file was published, and what that found."""

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from v6share.schemas.published import CHECK_RESULTS, CHECKS
from v6share.warehouse.checks import NOT_JUDGED, CheckResult
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.unpublished import note_whole


def write_check_results(
    connection: duckdb.DuckDBPyConnection, checked_at: datetime, results: Sequence[CheckResult]
) -> None:
    """Bring both tables up to what the checks of the next published file found.

    What had nothing to judge this time keeps what it found before. checked_at: with its zone.
    """
    moment = checked_at.astimezone(UTC).replace(tzinfo=None)
    run_id = connection.execute(
        "SELECT coalesce(max_by(run_id, (started_at, run_id)), '') FROM main.ledger_runs"
    ).fetchall()[0][0]
    checks = [
        {
            "name": one.name,
            "kind": "invariant" if one.judged is None else "plausibility",
            "severity": one.severity,
            "what": one.what,
        }
        for one in results
    ]
    found = [
        {
            "run_id": run_id,
            "name": one.name,
            "checked_at": moment,
            "outcome": one.outcome,
            "judged": one.judged,
            "found": one.found,
            "example": "" if one.passed else one.example,
        }
        for one in results
    ]
    with transaction(connection):
        idle = [one.name for one in results if one.outcome == NOT_JUDGED]
        before = fetch_table(
            connection,
            "FROM main.check_results WHERE list_contains(CAST($idle AS VARCHAR[]), name) "
            "AND outcome <> $not_judged",
            {"idle": idle, "not_judged": NOT_JUDGED},
        )
        kept = {row["name"]: row for row in before.to_pylist()}
        found = [kept.get(row["name"], row) for row in found]
        for table, rows in ((CHECKS, checks), (CHECK_RESULTS, found)):
            incoming = pa.Table.from_pylist(rows, table.arrow_schema)  # noqa: F841 - read by the SQL
            note_whole(connection, [f"main.{table.name}"])
            connection.execute(f"DELETE FROM main.{table.name}")  # noqa: S608 - a name of ours
            connection.execute(f"INSERT INTO main.{table.name} FROM incoming")
