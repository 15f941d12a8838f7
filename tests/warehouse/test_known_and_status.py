import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from fragment_maker import (
    AT,
    commit,
    empty_catalog,
    expected_overlaps,
    forget,
    input_id,
    insert_hours,
    make_fragment,
    quarantine,
    workspace_at,
)

from v6share.schemas.aggregates import FAMILIES, IP_CLASSES
from v6share.schemas.dimensions import DIM_EXPORTERS, DIM_TARGETS
from v6share.schemas.findings import ROWS_OF_ANOTHER
from v6share.schemas.fragment import RULES_VERSION
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.commit import record
from v6share.warehouse.dimensions import replace_dimensions, rtt_buckets
from v6share.warehouse.ledger.journal import Entry, Run, Seen
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.named_inputs import named_inputs
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.relations import list_relations, select
from v6share.warehouse.status import MOST_ROWS, WHOLE, both_directions, status_report
from v6share.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def test_tables_are_read_in_the_order_of_their_keys(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    for seed, first_day in enumerate((9, 0, 4)):
        made = make_fragment(workspace, f"f{seed}", seed, first_day=first_day)
        record(connection, workspace, [commit(made)])
    known = dict(list_relations(connection))
    for table in PUBLIC_TABLES:
        rows = select(connection, table.name, known)
        in_order = rows.sort_by([(name, "ascending") for name in table.key if "apps" not in name])
        assert rows.select(table.key).equals(in_order.select(table.key)), table.name
    connection.close()


def test_known_inputs(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    connection = open_warehouse(workspace)
    copy = Seen("/copy/\udcff", 7, 8, made[0].key.input_id)
    record(connection, workspace, [commit(*made), copy, quarantine("bad"), forget(made[2])])
    known = known_inputs(connection)
    assert known.committed == {one.key.input_id: one.key for one in made[:2]}
    assert {key.input_id for key in known.quarantined} == {input_id("bad")}
    assert known.forgotten == {made[2].key.input_id}
    (entry,) = commit(made[1]).inputs
    assert known.input_of(entry.path, entry.size, entry.mtime_ns) == made[1].key.input_id
    assert known.input_of(entry.path, entry.size, entry.mtime_ns + 1) is None
    assert known.input_of(entry.path, entry.size + 1, entry.mtime_ns) is None
    assert known.input_of(copy.path, 7, 8) == made[0].key.input_id
    assert known.input_of("/flows/bad.parquet", 99, 5) == input_id("bad")
    assert known.input_of("/other", 7, 8) is None
    record(connection, workspace, [Seen("/copy/\udcff", 9, 9, input_id("new"))])
    assert known_inputs(connection).input_of(copy.path, 9, 9) == input_id("new")
    assert known_inputs(connection).input_of(copy.path, 7, 8) is None
    # Withdrawn as one version counted it, and counted again by another.
    record(connection, workspace, [commit(make_fragment(workspace, "f2", 2, "c2"))])
    assert known_inputs(connection).forgotten == set()
    connection.close()


def test_what_inputs_are_called(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    connection = open_warehouse(workspace)
    first, second = (one.key.input_id for one in made)
    record(connection, workspace, [commit(*made), Seen("/copy/x", 7, 8, first), quarantine("bad")])
    rewritten = Seen("/flows/f1.parquet", 1, 2, input_id("never counted"))
    record(connection, workspace, [rewritten, forget(made[1])])
    found = {one.input_id: (one.paths, one.withdrawn) for one in named_inputs(connection)}
    assert found == {
        first: ({"/flows/f0.parquet", "/copy/x"}, False),
        second: ({"/flows/f1.parquet"}, True),
        input_id("bad"): ({"/flows/bad.parquet"}, False),
    }
    record(connection, workspace, [quarantine("f1", dialect="goflow2")])
    (again,) = (one for one in named_inputs(connection) if one.input_id == second)
    assert not again.withdrawn
    connection.close()


def test_status(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    empty = status_report(connection, {})
    assert empty.runs.num_rows == empty.files.num_rows == empty.inputs_of_old_versions == 0
    old, new = make_fragment(workspace, "a", 1, "c1"), make_fragment(workspace, "b", 2, "c2")
    run = Run(
        "r1", "run x", "0.1.0", RULES_VERSION, "c2", AT, AT, 2, 0, 1, 9, 8, 1, "quarantined-some"
    )
    record(connection, workspace, [commit(old, new), quarantine("bad"), run])
    exporter = {"exporter": "192.0.2.1", "vantage": "edge", "role": "pe"}
    listed = pa.Table.from_pylist(
        [exporter | {"white_box": True, "override": False, "directions": "one"}],
        schema=DIM_EXPORTERS.arrow_schema,
    )
    replace_dimensions(connection, empty_catalog() | {"dim_exporters": listed})
    report = status_report(connection, {})
    assert report.runs.to_pylist() == [{**run.row, "published": False}]
    later = replace(run, run_id="r2", started_at=AT + timedelta(days=1))
    record(connection, workspace, [later])
    assert status_report(connection, {}).runs.column("run_id").to_pylist() == ["r2", "r1"]
    for end, seen in ((AT, True), (AT - timedelta(seconds=1), False)):
        # Of a run that commits in parts readers may see the first of them alone.
        runs = status_report(connection, {"r1": end}).runs
        assert runs.column("published").to_pylist() == [False, seen]
    assert report.files.column("status").to_pylist() == ["committed", "quarantined"]
    assert report.rejects.column("reason").to_pylist() == ["no_time"]
    assert report.rejects.column("sampled_bytes").to_pylist() == [Decimal(2 * 10**25)]
    most, shared = report.findings.to_pylist()
    assert (most["rows"], most["bytes"], most["example"]) == (6, 2e25, "row 7")
    ((_, _, rows, octets, first),) = expected_overlaps([old, new])
    assert (shared["finding"], shared["rows"], shared["bytes"]) == (ROWS_OF_ANOTHER, rows, octets)
    assert shared["example"].startswith(f"row {first} on, as in /flows/")
    # What can make no share wrong stands behind what can, however large it is.
    connection.execute(
        "UPDATE ledger_findings SET finding = 'documentation address' WHERE finding = ?",
        [most["finding"]],
    )
    in_order = [ROWS_OF_ANOTHER, "documentation address"]
    assert status_report(connection, {}).findings.column("finding").to_pylist() == in_order
    in_view = connection.sql("SELECT finding, doubtful FROM findings").fetchall()
    assert list(dict(in_view)) == in_order
    assert dict(in_view) == {ROWS_OF_ANOTHER: True, "documentation address": False}
    assert report.unlisted.column("exporter").to_pylist() == [""]
    assert report.both_directions.num_rows == 0
    assert report.inputs_of_old_versions == 1
    assert report.quarantined.column("path").to_pylist() == ["/flows/bad.parquet"]
    for row in report.exporters.to_pylist():
        assert 0 < row["hours_seen"] <= row["hours_expected"]
        assert row["minutes_behind"] >= 0
    connection.close()


def test_who_is_silent_is_told_right_after_an_upgrade(workspace: Workspace) -> None:
    """Then no result is kept yet, and the newest record of all is the measure."""
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "a", 1))])
    listed = pa.Table.from_pylist(
        [
            {"exporter": name, "vantage": "edge", "role": "pe", "directions": "one"}
            | {"white_box": False, "override": False}
            for name in ("", "never heard of")
        ],
        schema=DIM_EXPORTERS.arrow_schema,
    )
    replace_dimensions(connection, empty_catalog() | {"dim_exporters": listed})
    assert connection.sql("SELECT moment FROM newest_record").fetchall() == [(None,)]
    for _ in range(2):
        report = status_report(connection, {})
        assert report.silent.to_pylist() == [{"exporter": "never heard of", "last_seen": None}]
        assert min(report.exporters["minutes_behind"].to_pylist()) == 0
    connection.execute("UPDATE exporters_1h SET exporter = 'r1'")
    insert_hours(connection, [("2000-01-01", "", 1)])
    silent = status_report(connection, {}).silent
    assert silent["exporter"].to_pylist() == ["never heard of", ""]
    connection.close()


def test_the_worst_input_is_one_whose_bytes_are_known(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    made = [make_fragment(workspace, f"f{seed}", seed) for seed in range(3)]
    record(connection, workspace, [commit(one) for one in made])
    # As rules before version 7 left it, in the last and in the first of three inputs.
    for old in (made[2], made[0]):
        connection.execute(
            "UPDATE ledger_findings SET bytes = NULL, example = '' WHERE input_id = ?",
            [old.key.input_id],
        )
        found = connection.sql(
            "SELECT finding, exporter, input, example FROM findings WHERE bytes IS NOT NULL "
            "ORDER BY bytes, rows, input"
        ).fetchall()
        # The later one replaces the earlier one, which has fewer bytes.
        worst = {(finding, exporter): shown for finding, exporter, *shown in found}
        report = status_report(connection, {}).findings.to_pylist()
        assert report
        for row in report:
            shown = [row["worst_input"], row["example"]]
            assert shown == worst[row["finding"], row["exporter"]]
    connection.close()


def test_an_input_that_counts_and_was_refused_by_newer_versions(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "a", 1, "c1"))])
    later = replace(quarantine("a", "c2"), at=AT + timedelta(days=1))
    record(connection, workspace, [later])
    report = status_report(connection, {})
    assert report.files.column("status").to_pylist() == ["committed"]
    assert report.quarantined.column("path").to_pylist() == ["/flows/a.parquet"]
    connection.close()


def test_nobody_is_behind_a_wrong_clock(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    insert_hours(
        connection,
        [("2026-03-01 10:00", "r1", 500), ("2026-03-01 12:00", "r2", 500), ("2100-01-01", "r3", 2)],
    )
    rows = status_report(connection, {}).exporters.to_pylist()
    assert [(r["exporter"], r["hours_expected"], r["minutes_behind"]) for r in rows] == [
        ("r1", 3, 120),
        ("r2", 1, 0),
        ("r3", 1, 0),
    ]
    connection.close()


def test_no_hour_is_expected_of_a_wrong_clock(workspace: Workspace) -> None:
    """An exporter that sent one record of 1995 is not expected ever since."""
    connection = open_warehouse(workspace)
    insert_hours(
        connection,
        [
            ("1995-06-01 10:00", "r1", 2),
            ("2026-03-01 10:00", "r1", 500),
            ("2026-03-01 12:00", "r1", 500),
            ("1995-06-01 10:00", "r2", 2),
        ],
    )
    connection.execute(
        "INSERT INTO results.as_of BY NAME SELECT DATE '2026-03-01' AS first_day, "
        "DATE '2026-03-01' AS last_day"
    )
    rows = status_report(connection, {}).exporters.to_pylist()
    expected = {row["exporter"]: (row["hours_seen"], row["hours_expected"]) for row in rows}
    assert expected["r1"] == (3, 3)
    # All that r2 ever sent is of that clock: nothing else says since when it is there.
    assert expected["r2"][0] == 1
    connection.close()


def test_a_status_stays_short_whatever_the_number_of_exporters(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    connection.execute(
        "INSERT INTO exporters_1h SELECT TIMESTAMP '2026-03-01' + INTERVAL 1 MINUTE * r, "
        "'r' || r, 'v4', 50, 1, 1, 1, 1, TIMESTAMP '2026-03-01' + INTERVAL 1 MINUTE * r, "
        "TIMESTAMP '2026-03-01' + INTERVAL 1 MINUTE * r FROM range(1000) AS rows (r)"
    )
    connection.execute(
        "INSERT INTO ledger_findings SELECT 'a', 'r' || r, 'time fallback', 1, r, 'row 0' "
        "FROM range(101) t (r)"
    )
    connection.execute(
        "INSERT INTO ledger_files VALUES ('a', 'ipfix', 1, 'c1', '/a', 1, 'r1', 'committed', '', "
        "1, 1, 0, NULL, NULL, TIMESTAMP '2026-03-01', 0, NULL)"
    )
    record(connection, workspace, [quarantine(f"bad{n}") for n in range(MOST_ROWS)])
    report = status_report(connection, {})
    assert {table.num_rows for table in report.tables.values()} == {0, 1, 2, MOST_ROWS}
    assert report.left_out == {"exporters": 900, "unlisted": 900, "findings": 1}
    # Those that are furthest behind are among them.
    assert report.exporters.column("exporter").to_pylist()[:3] == ["r0", "r1", "r2"]
    for table in WHOLE.values():
        connection.execute(f"SELECT count(*) FROM {table}")
    connection.close()


def test_exporters_that_report_both_directions(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    connection.execute(
        "INSERT INTO exporters_1h SELECT TIMESTAMP '2026-03-01' + INTERVAL 1 HOUR * hour, "
        "exporter, 'v4', 50, 1, 1, 1, 1, TIMESTAMP '2026-03-01', TIMESTAMP '2026-03-01' "
        "FROM range(2) AS r(hour), (VALUES ('new'), ('listed'), ('declared'), ('egress only'))"
        " AS v(exporter)"
    )
    connection.execute(
        "INSERT INTO ledger_findings SELECT *, 0, 'row 0' FROM (VALUES "
        "('a', 'new', 'egress record', 30), "
        "('b', 'new', 'egress record', 20), ('a', 'listed', 'egress record', 49), "
        "('a', 'declared', 'egress record', 48), ('a', 'egress only', 'egress record', 100), "
        "('a', 'new', 'time fallback', 9))"
    )
    connection.execute(
        "INSERT INTO dim_exporters BY NAME SELECT unnest(['listed', 'declared']) AS exporter, "
        "'edge' AS vantage, 'r' AS role, FALSE AS white_box, FALSE AS override, "
        "unnest(['one', 'both']) AS directions"
    )
    assert [tuple(row.values()) for row in both_directions(connection).to_pylist()] == [
        ("new", 50, 100, False),
        ("listed", 49, 100, True),
    ]
    connection.close()


def test_dimensions_are_replaced_only_when_changed(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    assert replace_dimensions(connection, empty_catalog())
    assert not replace_dimensions(connection, empty_catalog())
    target = {
        "stage": 3, "metric": "top_apps_ipv6_share", "target": Decimal("0.9"),
        "by_date": date(2027, 1, 1), "ranking_apps": ["a", "it's"],
    }  # fmt: skip
    targets = pa.Table.from_pylist([target], schema=DIM_TARGETS.arrow_schema)
    changed = empty_catalog() | {"dim_targets": targets}
    assert replace_dimensions(connection, changed)
    found = connection.sql("SELECT * FROM dim_targets").to_arrow_table().to_pylist()
    assert found == targets.to_pylist()
    assert not replace_dimensions(connection, changed)
    (count,) = connection.execute("SELECT count(*) FROM dim_ip_class").fetchall()[0]
    assert count == len(IP_CLASSES) * len(FAMILIES)
    connection.close()


def test_rtt_buckets_leave_no_gap() -> None:
    rows = rtt_buckets().to_pylist()
    assert [row["bucket"] for row in rows] == list(range(len(rows)))
    assert rows[0]["over_us"] == -1
    assert all(a["to_us"] == b["over_us"] for a, b in pairwise(rows))
    assert rows[-1]["to_us"] > timedelta(hours=1) / timedelta(microseconds=1)


def test_a_file_that_an_earlier_version_published_has_a_status(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    insert_hours(connection, [("2026-03-01 10:00", "r1", 5), ("2026-03-01 12:00", "r2", 5)])
    connection.execute("DROP VIEW newest_record")
    connection.execute("CREATE OR REPLACE VIEW main.as_of AS SELECT as_of FROM results.as_of")
    report = status_report(connection, {})
    assert report.days.num_rows == 0
    rows = report.exporters.to_pylist()
    assert [(row["exporter"], row["minutes_behind"]) for row in rows] == [("r1", 120), ("r2", 0)]
    connection.close()


def test_what_is_known_follows_every_commit_as_if_it_were_read_anew(workspace: Workspace) -> None:
    """Commits, refusals, copies, newer versions and withdrawals, in an order drawn by chance."""
    rng = random.Random(7)
    connection = open_warehouse(workspace)
    known = known_inputs(connection)
    for step in range(60):
        name = f"f{rng.randrange(6)}"
        made = make_fragment(workspace, name, 1, f"c{rng.randrange(3)}")
        entries: list[Entry] = rng.choice(
            [
                [commit(made)],
                [quarantine(name, f"c{rng.randrange(3)}")],
                [forget(made)],
                [commit(made), Seen(f"/flows/copy{step}.parquet", 5, step, made.key.input_id)],
            ]
        )
        known.follow(record(connection, workspace, entries))
        assert known == known_inputs(connection), f"after step {step}"
    assert known.committed
    assert known.forgotten
    assert known.quarantined
    connection.close()
