import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fragment_maker import (
    commit,
    forget,
    input_id,
    insert_hours,
    make_fragment,
    make_results,
    quarantine,
    workspace_at,
)

from v6share.schemas.aggregates import AGGREGATES, TRAFFIC_1D, TRAFFIC_1H
from v6share.schemas.columns import Merge
from v6share.schemas.ledger import FRAGMENT_LEDGERS, INPUT_LEDGERS
from v6share.warehouse.checks import (
    Changed,
    CheckResult,
    hide_other_days,
    hide_other_inputs,
    note_checked,
    parse_check,
    read_checks,
    run_check,
    run_checks,
    run_checks_in_parts,
    what_to_check,
)
from v6share.warehouse.commit import record
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.merge.horizons import PRUNED_TABLES
from v6share.warehouse.open import open_warehouse
from v6share.workspace.paths import Workspace

LEDGER_SUMS = ("records", "packets", "bytes", "sampled_packets", "sampled_bytes")
LIST = (
    "INSERT INTO dim_exporters BY NAME SELECT '{}' AS exporter, "
    "'edge' AS vantage, 'r' AS role, FALSE AS white_box, FALSE AS override, 'one' AS directions"
)
WARNINGS = ("silent_exporters", "stray_days", "pruned_month")
PRUNED = "INSERT INTO ledger_pruned VALUES ('{}', DATE '{}', TIMESTAMP '2026-04-01', 'r1')"
CLIENTS = (
    "INSERT INTO client_counts_1d "
    "VALUES (DATE '2026-03-01', 'all', '', 'prefix', 'v4', 1, 18446744073709551615, 1)"
)
# A check, and what one of its clauses alone must find.
HARMS = [
    *(
        ("conservation", f"UPDATE traffic_5m SET {name} = {name} + 1 WHERE rowid = 0")
        for name in LEDGER_SUMS
    ),
    ("conservation", "DELETE FROM traffic_5m WHERE family = 'v6'"),
    ("conservation", "DELETE FROM ledger_families WHERE family = 'v6'"),
    ("conservation", "UPDATE ledger_families SET disposition = 'rejected' WHERE family = 'v6'"),
    *(
        ("input_rows", f"UPDATE ledger_files SET {name} = {name} + 1")
        for name in ("rows_in", "rows_counted", "rows_rejected")
    ),
    *(
        ("input_families", f"UPDATE ledger_files SET {name} = {name} + 1")
        for name in ("rows_counted", "rows_rejected")
    ),
    ("input_families", "DELETE FROM ledger_families"),
    *(
        ("input_rejects", f'UPDATE rejects SET "{name}" = "{name}" + 1 WHERE rowid = 0')
        for name in ("rows", "sampled_packets", "sampled_bytes")
    ),
    ("input_rejects", "DELETE FROM rejects WHERE rowid = 0"),
    ("input_rejects", "DELETE FROM ledger_families WHERE disposition = 'rejected'"),
    (
        "one_version",
        "INSERT INTO ledger_files SELECT * REPLACE ('c9' AS catalog_version) "
        "FROM ledger_files WHERE status = 'committed' LIMIT 1",
    ),
    ("live_only", "UPDATE ledger_files SET status = 'superseded'"),
    *(
        ("live_only", f"INSERT INTO {table.name} SELECT * {other} FROM {table.name} LIMIT 1")
        for table in FRAGMENT_LEDGERS
        for other in ("", "REPLACE ('gone' AS input_id)")
    ),
    *(
        (check, f"UPDATE {table.name} SET {column.name} = {column.name} + 1 WHERE rowid = 0")
        for check, table in (("roll_up_hour", TRAFFIC_1H), ("roll_up_day", TRAFFIC_1D))
        for column in table.measures
    ),
    *(
        (check, f"{harm} WHERE app = 'mail'")
        for check, coarse, fine, moved in (
            ("roll_up_hour", "traffic_1h", "traffic_5m", "1 HOUR"),
            ("roll_up_day", "traffic_1d", "traffic_1h", "1 DAY"),
        )
        for harm in (
            f"DELETE FROM {coarse}",
            f"DELETE FROM {fine}",
            f"UPDATE {coarse} SET app = 'web'",
            f"UPDATE {coarse} SET family = 'v5'",
            f"UPDATE {coarse} SET window_start = window_start + INTERVAL {moved}",
        )
    ),
    *(
        ("no_negatives", f"UPDATE {table.name} SET {column.name} = -1 WHERE rowid = 0")
        for table in AGGREGATES
        for column in table.measures
        if column.merge is Merge.SUM
    ),
    ("sketches", "UPDATE clients_1d SET client_hashes = [2, 1]"),
    ("sketches", "UPDATE clients_1d SET client_hashes = range(4097)"),
    ("sketches", "UPDATE clients_1d SET client_hashes = range(4096), theta = 4095"),
    ("sketches", "UPDATE clients_1d SET client_hashes = range(4095), theta = 4096"),
    ("silent_exporters", LIST.format("never heard of")),
    (
        "silent_exporters",
        f"{LIST.format('192.0.2.1')}; UPDATE exporters_1h "
        "SET last_seen = last_seen - INTERVAL 3 DAY WHERE exporter = '192.0.2.1'",
    ),
    *(
        (
            "stray_days",
            f"INSERT INTO exporters_1h SELECT * REPLACE (TIMESTAMP '{day}' AS window_start, "
            "1 AS records) FROM exporters_1h LIMIT 1",
        )
        for day in ("2026-02-27", "2026-03-04")
    ),
    *(("pruned_rows", f"{PRUNED.format(table.name, '2026-03-02')}") for table in PRUNED_TABLES),
    ("pruned_month", PRUNED.format("clients_1d", "2026-03-02")),
    ("pruned_clients", CLIENTS),
    ("pruned_clients", f"{PRUNED.format('clients_1d', '2026-03-09')}; {CLIENTS}; {CLIENTS}"),
    *(
        (f"unique_{table.name}", f"INSERT INTO {table.name} SELECT * FROM {table.name} LIMIT 1")
        for table in AGGREGATES
    ),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def test_every_check_finds_each_of_its_harms(workspace: Workspace) -> None:
    checks = {check.name: check for check in read_checks()}
    assert checks.keys() == {name for name, _ in HARMS}
    connection = open_warehouse(workspace)
    assert all(result.passed for result in run_checks(connection))
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    record(connection, workspace, [commit(*made), quarantine("bad")])
    connection.execute("INSERT INTO dim_vantages SELECT DISTINCT vantage, TRUE FROM traffic_1d")
    make_results(connection)
    assert [r.name for r in run_checks(connection) if not r.passed] == []
    for name, harm in HARMS:
        connection.execute(f"BEGIN; {harm}")
        result = run_check(connection, checks[name])
        assert result.found, (name, harm)
        assert 0 < len(result.sample) <= 5
        assert "{" not in result.example
        assert result.blocks == (name not in WARNINGS)
        connection.execute("ROLLBACK")
    connection.close()


def test_a_check_of_some_days_finds_what_is_wrong_there_and_nothing_else(
    workspace: Workspace,
) -> None:
    checks = {check.name: check for check in read_checks()}
    assert sum(check.scope == "days" for check in checks.values()) == 5 + len(AGGREGATES)
    connection = open_warehouse(workspace)
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    record(connection, workspace, [commit(*made)])
    # Two days; one harm moves rows by a day.
    days = {date(2026, 3, day) for day in (1, 2, 3)}
    found: Counter[str] = Counter()
    for name, harm in HARMS:
        if checks[name].scope != "days":
            continue
        connection.execute(f"BEGIN; {harm}")
        whole = run_check(connection, checks[name])
        for chosen in (days, {date(2026, 2, 28), date(2026, 3, 4)}):
            hide_other_days(connection, chosen)
            there = run_check(connection, checks[name])
            assert there.found == (whole.found if chosen is days else 0), (name, harm)
            connection.execute("".join(f"DROP VIEW temp.{t.name};" for t in AGGREGATES))
        connection.execute("ROLLBACK")
        found[name] += 1
    assert sum(found.values()) > 50
    connection.close()


def test_once_a_check_fails_all_days_are_checked_until_none_does(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    assert what_to_check(connection, now) is None
    note_checked(connection, now, [], whole=True)
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    refresh_results(connection)
    changed = what_to_check(connection, now)
    assert changed is not None
    assert changed.days == {date(2026, 3, 1), date(2026, 3, 2)}
    assert changed.inputs == {input_id("f")}
    connection.execute("UPDATE traffic_1h SET tcp_opens = tcp_opens + 1")
    other = Changed(frozenset([date(2026, 3, 9)]))
    # Of other days alone nothing is seen; that is what the whole checks are for.
    assert not any(result.blocks for result in run_checks(connection, other))
    results = run_checks(connection, changed)
    assert "roll_up_hour" in [result.name for result in results if result.blocks]
    note_checked(connection, now, results, whole=False)
    assert what_to_check(connection, now) is None
    note_checked(connection, now, [], whole=False)
    assert what_to_check(connection, now) is None
    note_checked(connection, now, [], whole=True)
    after = what_to_check(connection, now)
    assert after is not None
    assert not after.days
    connection.close()


def test_a_check_of_some_inputs_finds_what_is_wrong_with_them_and_nothing_else(
    workspace: Workspace,
) -> None:
    checks = {check.name: check for check in read_checks()}
    connection = open_warehouse(workspace)
    made = [make_fragment(workspace, f"f{i}", i) for i in range(4)]
    record(connection, workspace, [commit(*made)])
    ids = [one.key.input_id for one in made]
    found: Counter[str] = Counter()
    for name, harm in HARMS:
        if checks[name].scope != "inputs":
            continue
        connection.execute(f"BEGIN; {harm}")
        whole = run_check(connection, checks[name]).found
        halves = 0
        for chosen in (ids[:2], [*ids[2:], "gone"], ["0" * 64]):
            hide_other_inputs(connection, chosen)
            there = run_check(connection, checks[name])
            assert all(row["input_id"] in chosen for row in there.sample), (name, harm)
            halves += there.found
            names = [t.name for t in INPUT_LEDGERS]
            connection.execute("".join(f"DROP VIEW temp.{name};" for name in names))
            connection.execute("DROP TABLE temp.chosen")
        assert halves == whole, (name, harm)
        connection.execute("ROLLBACK")
        found[name] += 1
    assert found.keys() == {name for name, check in checks.items() if check.scope == "inputs"}
    connection.execute("UPDATE ledger_files SET rows_in = rows_in + 1 WHERE input_id = ?", ids[:1])
    for chosen, is_found in ((ids[:1], True), (ids[1:], False)):
        results = run_checks(connection, Changed(inputs=frozenset(chosen)))
        assert any(r.name == "input_rows" and r.blocks for r in results) == is_found
    connection.close()


def test_conservation_is_checked_where_an_input_was_replaced_or_withdrawn(
    workspace: Workspace,
) -> None:
    connection = open_warehouse(workspace)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    note_checked(connection, now, [], whole=True)
    ran = []
    for entry in (
        commit(make_fragment(workspace, "f", 1)),
        commit(make_fragment(workspace, "f", 2, "c2")),
        commit(make_fragment(workspace, "g", 3)),
        forget(make_fragment(workspace, "f", 2, "c2")),
    ):
        record(connection, workspace, [entry])
        refresh_results(connection)
        results = run_checks(connection, what_to_check(connection, now))
        note_checked(connection, now, results, whole=False)
        ran.append("conservation" in [result.name for result in results])
    assert ran == [False, True, False, True]
    connection.close()


def test_in_parts_the_checks_find_what_they_find_at_once(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    made = [make_fragment(workspace, f"f{i}", i, first_day=3 * i) for i in range(4)]
    record(connection, workspace, [commit(*made)])
    make_results(connection)
    rng = random.Random(3)
    for name, harm in rng.sample(HARMS, 15):
        connection.execute(harm)
        at_once = {result.name: result.found for result in run_checks(connection)}
        in_parts: Counter[str] = Counter()
        for part in run_checks_in_parts(connection):
            in_parts.update({result.name: result.found for result in part})
        assert in_parts == at_once, (name, harm)
    connection.close()


@pytest.mark.parametrize(
    ("later", "whole"),
    [(timedelta(0), False), (timedelta(hours=23), False), (timedelta(hours=24), True),
     (timedelta(seconds=-1), True)],
)  # fmt: skip
def test_all_days_are_checked_once_a_day(
    workspace: Workspace, later: timedelta, whole: bool
) -> None:
    connection = open_warehouse(workspace)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    note_checked(connection, now, [], whole=True)
    note_checked(connection, now + timedelta(hours=22), [], whole=False)
    assert (what_to_check(connection, now + later) is None) == whole
    connection.close()


def test_what_other_checks_passed_is_checked_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_warehouse(workspace)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    note_checked(connection, now, [], whole=True)
    assert what_to_check(connection, now) == Changed()
    other = parse_check("a.sql", "-- what: x\n-- found: y\n-- severity: warn\nSELECT 1")
    monkeypatch.setattr("v6share.warehouse.checks.read_checks", lambda: [other])
    assert what_to_check(connection, now) is None
    connection.close()


def test_many_changed_days_are_checked_with_all_others(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    note_checked(connection, now, [], whole=True)
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1, days=200, rows=200))])
    refresh_results(connection)
    assert what_to_check(connection, now) is None
    connection.close()


def warnings_of(workspace: Workspace, rows: list[tuple[str, str, int]]) -> dict[str, CheckResult]:
    """The checks of exporters r1 and r2, listed both, with these records: last seen, whose, how
    many.
    """
    connection = open_warehouse(workspace)
    for exporter in ("r1", "r2"):
        connection.execute(LIST.format(exporter))
    insert_hours(connection, rows)
    found = {result.name: result for result in run_checks(connection)}
    connection.close()
    return found


def test_a_wrong_clock_silences_nobody(workspace: Workspace) -> None:
    found = warnings_of(
        workspace, [("2026-03-01", "r1", 500), ("2026-03-01", "r2", 500), ("2100-01-01", "r2", 2)]
    )
    assert found["silent_exporters"].sample == ()
    assert found["stray_days"].example == "exporter r2 sent records of 2100-01-01: 2"
    assert found["stray_days"].sample == (
        {"exporter": "r2", "day": date(2100, 1, 1), "records": 2},
    )


@pytest.mark.parametrize(("most", "silent", "stray"), [(404, 0, 1), (400, 1, 0)])
def test_a_day_of_data_has_a_hundredth_of_the_usual_day(
    workspace: Workspace, most: int, silent: int, stray: int
) -> None:
    # Weights 20, 10, 8 and 2: the busiest day alone is half of 40, so it is the usual one.
    rows = [("2026-03-01", "r1", most), ("2026-03-02", "r1", 100), ("2026-03-03", "r1", 64)]
    found = warnings_of(workspace, [*rows, ("2026-03-20", "r2", 4)])
    assert (found["silent_exporters"].found, found["stray_days"].found) == (silent, stray)


def test_a_day_of_silence_is_no_harm(workspace: Workspace) -> None:
    rows = [("2026-03-05 10:00", "r2", 500), ("2026-03-04 10:00", "r1", 500)]
    assert warnings_of(workspace, rows)["silent_exporters"].passed


def test_the_days_beside_the_data_are_no_stray_ones(workspace: Workspace) -> None:
    beside = [("2026-03-03", "r1", 1), ("2026-03-05", "r1", 1), ("2026-03-09", "r1", 0)]
    assert warnings_of(workspace, [("2026-03-04", "r2", 500), *beside])["stray_days"].passed


@pytest.mark.parametrize(
    ("edge_days", "core_days", "silent"),
    [
        (range(1, 21), range(11, 21), []),
        (range(21, 31), range(1, 31), []),  # a history of the core before the edge
        (range(1, 11), range(1, 21), ["edge-1"]),  # the edge stopped, the core goes on
        (range(1, 21), range(1, 11), ["core-1"]),
        ((), range(1, 11), ["edge-1"]),
    ],
)
def test_a_vantage_without_kpis_says_nothing_of_the_clocks_of_others(
    workspace: Workspace, edge_days: Iterable[int], core_days: Iterable[int], silent: list[str]
) -> None:
    """The core, which feeds no KPI, has a thousand times the records of the edge."""
    connection = open_warehouse(workspace)
    for vantage, days, records in (("edge", edge_days, 100), ("core", core_days, 100_000)):
        exporter = f"{vantage}-1"
        connection.execute(LIST.format(exporter))
        connection.execute("UPDATE dim_exporters SET vantage = ? WHERE exporter = ?",
                           [vantage, exporter])  # fmt: skip
        hours = [(f"2026-03-{day:02}", exporter, records) for day in days]
        insert_hours(connection, hours, vantage=vantage)
    found = {result.name: result for result in run_checks(connection)}
    assert found["stray_days"].passed
    assert [row["exporter"] for row in found["silent_exporters"].sample] == silent
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
        f"18446744073709551615, CAST({hashes} AS UBIGINT[]), 0"
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
