from datetime import date
from pathlib import Path

import pytest
from fragment_maker import commit, insert_hours, make_fragment, quarantine, workspace_at

from v6share.schemas.workspace import Workspace
from v6share.warehouse.checks import parse_check, read_checks, run_check, run_checks
from v6share.warehouse.commit import record
from v6share.warehouse.merge import AGGREGATES
from v6share.warehouse.open import open_warehouse

HARM = {
    "conservation": "UPDATE traffic_5m SET bytes = bytes + 1 WHERE rowid = 0",
    "input_rows": "UPDATE ledger_files SET rows_in = rows_in + 1 WHERE rowid = 0",
    "input_families": "UPDATE ledger_files SET rows_counted = rows_counted + 1, "
    "rows_in = rows_in + 1",
    "input_rejects": "DELETE FROM rejects WHERE rowid = 0",
    "one_version": "INSERT INTO ledger_files SELECT * REPLACE ('c9' AS catalog_version) "
    "FROM ledger_files WHERE status = 'committed' LIMIT 1",
    "live_only": "INSERT INTO ledger_findings VALUES ('gone', '', 'odd', 1)",
    "roll_up_hour": "UPDATE traffic_1h SET bytes_variance = bytes_variance + 1 WHERE rowid = 0",
    "roll_up_day": "DELETE FROM traffic_1d WHERE rowid = 0",
    "no_negatives": "UPDATE health_1h SET packets = -1 WHERE rowid = 0",
    "sketches": "UPDATE clients_1d SET client_hashes = [2, 1]",
    "silent_exporters": "INSERT INTO dim_exporters BY NAME SELECT 'x' AS exporter, "
    "'edge' AS vantage, 'r' AS role, FALSE AS white_box, FALSE AS override, 'one' AS directions",
    "stray_days": "INSERT INTO exporters_1h SELECT * REPLACE (TIMESTAMP '2100-01-01' AS "
    "window_start, 1 AS records) FROM exporters_1h LIMIT 1",
    **{
        f"unique_{table.name}": f"INSERT INTO {table.name} SELECT * FROM {table.name} LIMIT 1"
        for table in AGGREGATES
    },
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def test_every_check_finds_its_harm(workspace: Workspace) -> None:
    assert {check.name for check in read_checks()} == HARM.keys()
    connection = open_warehouse(workspace)
    assert all(result.passed for result in run_checks(connection))
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    record(connection, workspace, [commit(*made), quarantine("bad")])
    connection.execute("INSERT INTO dim_vantages SELECT DISTINCT vantage, TRUE FROM traffic_1d")
    assert [r.name for r in run_checks(connection) if not r.passed] == []
    for name, harm in HARM.items():
        connection.execute(f"BEGIN; {harm}")
        found = {result.name: result for result in run_checks(connection)}
        assert found[name].found, name
        assert 0 < len(found[name].sample) <= 5
        assert "{" not in found[name].example
        assert found[name].blocks == (name not in ("silent_exporters", "stray_days"))
        connection.execute("ROLLBACK")
    connection.close()


def test_a_wrong_clock_silences_nobody(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    insert_hours(
        connection, [("2026-03-01", "r1", 500), ("2026-03-01", "r2", 500), ("2100-01-01", "r2", 2)]
    )
    connection.execute(
        "INSERT INTO dim_exporters BY NAME SELECT unnest(['r1', 'r2']) AS exporter, "
        "'edge' AS vantage, 'r' AS role, FALSE AS white_box, FALSE AS override, 'one' AS directions"
    )
    found = {result.name: result for result in run_checks(connection)}
    assert found["silent_exporters"].sample == ()
    assert found["stray_days"].example == "exporter r2 sent records of 2100-01-01: 2"
    assert found["stray_days"].sample == (
        {"exporter": "r2", "day": date(2100, 1, 1), "records": 2},
    )
    connection.close()


def test_a_vantage_without_kpis_says_nothing_of_the_clocks_of_others(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    days = [f"2026-03-{day:02}" for day in range(1, 21)]
    insert_hours(connection, [(day, "edge-1", 100) for day in days])
    insert_hours(connection, [(day, "core-1", 100_000) for day in days[10:]], vantage="core")
    assert [r.name for r in run_checks(connection) if r.name == "stray_days" and r.found] == []
    connection.close()


@pytest.mark.parametrize(
    ("hashes", "fits"),
    [
        ("[]", True),
        ("[7]", True),
        ("[1, 2, 9]", True),
        ("[1, 9, 2]", False),
        ("[1, 1]", False),
        ("[NULL]", False),
        ("[NULL, 2]", False),
        ("[1, NULL, 3]", False),
        ("[1, 18446744073709551615]", False),
        ("range(1, 4097)", True),
        ("range(1, 4098)", False),
    ],
)
def test_what_a_sketch_may_hold(workspace: Workspace, hashes: str, fits: bool) -> None:
    connection = open_warehouse(workspace)
    connection.execute(
        "INSERT INTO clients_1d SELECT DATE '2026-03-01', 'edge', 'all', '', 'v6', 'prefix', "
        f"18446744073709551615, CAST({hashes} AS UBIGINT[])"
    )
    (check,) = (check for check in read_checks() if check.name == "sketches")
    assert run_check(connection, check).passed == fits
    connection.close()


def test_headers_are_complete() -> None:
    text = "-- what: x is y\n-- found: x is {x}\n-- severity: warn\nSELECT 1"
    assert parse_check("a.sql", text).severity == "warn"
    for bad in (
        "SELECT 1",
        text.replace("warn", "bad"),
        text.replace("-- what", "-- why"),
        text.replace("-- f", "-- g"),
    ):
        with pytest.raises(ValueError, match="expected the lines"):
            parse_check("a.sql", bad)
