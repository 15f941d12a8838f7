# ruff: noqa: DTZ001 - times here are UTC without zone, as in the tables
"""Kept results are what their definitions give, whatever came before, and are carried over."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    START,
    Made,
    assert_equal,
    commit,
    empty_catalog,
    forget,
    make_fragment,
    workspace_at,
)

from v6share import __version__
from v6share.schemas.fragment import RULES_VERSION
from v6share.warehouse.checks import CheckResult
from v6share.warehouse.commit import record
from v6share.warehouse.database.migrate import read_migrations
from v6share.warehouse.database.touched import day_spans, note_touched_days
from v6share.warehouse.database.views import Kept, read_views
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.kept.compare import compare_results
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.kept.snapshot import write_snapshot
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import publish
from v6share.warehouse.rebuild import rebuild
from v6share.warehouse.relations import list_relations, select
from v6share.workspace.paths import Workspace

KEPT = [view.name for view in read_views() if view.kept is not Kept.NOT]
FIRST = START.date()


def catalog(rng: random.Random) -> dict[str, pa.Table]:
    """What an operator may declare of the apps, networks and vantages of the fragments."""

    def day() -> date | None:
        return rng.choice([None, FIRST + timedelta(days=rng.randrange(-30, 200))])

    rows: dict[str, list[dict[str, Any]]] = {
        "dim_apps": [
            {"position": i, "app": app, "name": app.upper(), "product": "unclassified"}
            for i, app in enumerate(rng.sample(["mail", "it's", "other"], rng.randrange(4)))
        ],
        "dim_products": [{"product": "p1", "name": "P", "core": rng.random() < 0.7}],
        "dim_endpoints": [
            {
                "app": app, "product": "p1", "region": "north",
                "planned_on": day(), "enabled_on": day(), "serves_dns": rng.random() < 0.2,
            }
            for app in ("mail", "it's", "")
            if rng.random() < 0.7
        ],
        "dim_networks": [
            {
                "network": "mobile", "kind": "mobile", "client_prefix_v4": 32,
                "client_prefix_v6": 64, "ipv6_since": day(), "subscribers": rng.choice([None, 100]),
                "carrier": rng.choice([None, "c1", "c2"]),
            }
        ],
        "dim_exporters": [
            {
                "exporter": "192.0.2.1", "vantage": rng.choice(["edge", "edge", "core"]),
                "role": "router", "white_box": False, "override": False, "directions": "one",
            }
        ][: rng.randrange(2)],
        "dim_vantages": [
            {"vantage": "edge", "feeds_kpis": True},
            {"vantage": "unlisted", "feeds_kpis": rng.random() < 0.8},
            {"vantage": "core", "feeds_kpis": False},
        ],
        "dim_targets": [
            {
                "stage": 3, "metric": "top_apps_ipv6_share", "target": rng.choice([1, 50]),
                "top_n": rng.choice([1, 20]), "weeks": rng.choice([1, 4]),
                "denominator": rng.choice(["all", "enabled", "capable"]),
                "ranking": rng.choice(["previous_quarter", "live", "pinned"]),
                "ranking_apps": ["it's", "mail"],
            }
        ],
    }  # fmt: skip
    schemas = {name: table.schema for name, table in empty_catalog().items()}
    return {
        name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in schemas.items()
    }


def differing(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    return [result for result in compare_results(connection) if not result.passed]


def results(connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
    return {
        name: connection.sql(f"FROM results.{name} ORDER BY ALL").to_arrow_table() for name in KEPT
    }


@pytest.mark.parametrize("seed", range(2))
def test_results_equal_their_definitions_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Late files, withdrawn and recounted ones, other catalogs, targets and settings, any order."""
    rng = random.Random(seed)
    workspace = workspace_at(tmp_path / "w")
    connection = open_warehouse(workspace)
    declared = catalog(rng)
    replace_dimensions(connection, declared)
    live: dict[str, Made] = {}
    for step in range(14):
        match rng.choice(["new", "new", "new", "old", "recount", "forget", "catalog", "reopen"]):
            case "new" | "old" as when:
                first = 12 * step if when == "new" else rng.randrange(-40, 12 * step + 1)
                made = make_fragment(
                    workspace, f"f{step}", 100 * seed + step, first_day=first,
                    days=rng.choice([1, 3, 25]), rows=rng.choice([2, 40]), hashes=6,
                )  # fmt: skip
                record(connection, workspace, [commit(made)])
                live[f"f{step}"] = made
            case "recount" if live:
                name = rng.choice(sorted(live))
                made = make_fragment(workspace, name, step, f"c{step + 2}", 5 * step, 4, 30)
                record(connection, workspace, [commit(made)])
                live[name] = made
            case "forget" if live:
                record(connection, workspace, [forget(live.pop(rng.choice(sorted(live))))])
            case "catalog":
                declared = catalog(rng)
                replace_dimensions(connection, declared)
            case _:
                connection.close()
                connection = open_warehouse(workspace)
        if rng.random() < 0.7:
            refresh_results(connection)
            assert not differing(connection)
    refresh_results(connection)
    assert refresh_results(connection) == []
    found = results(connection)
    connection.close()
    rebuild(workspace, declared)
    connection = open_warehouse(workspace)
    refresh_results(connection)
    assert_equal(results(connection), found)
    connection.close()


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with some months, everything made."""
    workspace = workspace_at(tmp_path_factory.mktemp("months") / "w")
    connection = open_warehouse(workspace)
    replace_dimensions(connection, catalog(random.Random(1)))
    made = [
        make_fragment(workspace, f"f{i}", i, first_day=20 * i, days=25, rows=60) for i in range(5)
    ]
    record(connection, workspace, [commit(*made)])
    refresh_results(connection)
    connection.close()
    return workspace.root


@pytest.fixture
def filled(tmp_path: Path, months: Path) -> Iterator[tuple[Workspace, duckdb.DuckDBPyConnection]]:
    """A copy of it, open."""
    workspace = Workspace(shutil.copytree(months, tmp_path / "w"))
    connection = open_warehouse(workspace)
    yield workspace, connection
    connection.close()


def test_a_file_of_a_day_that_is_not_final_makes_no_kpi_of_final_days_again(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    ((newest,),) = connection.execute("SELECT CAST(held_back_to AS DATE) FROM as_of").fetchall()
    first_day = (newest - FIRST).days
    made = make_fragment(workspace, "new", 99, first_day=first_day, days=1, rows=4)
    record(connection, workspace, [commit(made)])
    again = refresh_results(connection)
    assert {"share_cells_1d", "exporters_1d"} <= set(again)
    assert not set(again) & {
        "attainment", "endpoint_status", "final_span", "top_apps", "kpi_stage1_enablement",
        "kpi_stage2_active_clients", "kpi_stage2_coverage", "kpi_stage3_apps",
        "kpi_stage3_change", "kpi_stage3_concentration", "kpi_stage3_waterfall",
    }  # fmt: skip


def test_a_late_file_makes_again_what_reads_final_days(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    record(connection, workspace, [commit(make_fragment(workspace, "late", 98, first_day=30))])
    assert {"attainment", "kpi_stage2_coverage"} <= set(refresh_results(connection))
    assert not differing(connection)


def test_an_app_that_is_pinned_and_comes_after_the_final_days_changes_none_of_them(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = filled
    declared = catalog(random.Random(0))
    target = {**declared["dim_targets"].to_pylist()[0], "ranking": "pinned"}
    target["ranking_apps"] = ["other"]
    schema = declared["dim_targets"].schema
    declared["dim_targets"] = pa.Table.from_pylist([target], schema=schema)
    replace_dimensions(connection, declared)
    refresh_results(connection)
    newest = "(SELECT max(window_start) FROM traffic_1d)"
    connection.execute(
        f"INSERT INTO traffic_1d SELECT * REPLACE ('other' AS app, {newest} AS window_start) "
        "FROM traffic_1d LIMIT 1"
    )
    ((day,),) = connection.execute(f"SELECT CAST({newest} AS DATE)").fetchall()
    note_touched_days(connection, "traffic_1d", pa.array([day], pa.date32()))
    refresh_results(connection)
    assert not differing(connection)


def test_a_result_of_which_nothing_is_noted_is_made_anew(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = filled
    connection.execute("DELETE FROM private.kept WHERE name = 'kpi_headline'")
    connection.execute("DELETE FROM results.kpi_headline")
    assert refresh_results(connection) == ["kpi_headline"]
    assert not differing(connection)


def test_days_that_come_late_stand_in_their_place(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    record(connection, workspace, [commit(make_fragment(workspace, "l", 97, first_day=-9))])
    refresh_results(connection)
    publish(connection, workspace)
    with duckdb.connect(workspace.published, read_only=True) as snapshot:
        known = dict(list_relations(snapshot))
        days = select(snapshot, "kpi_stage2_daily_clients", known)["day"].to_pylist()
    assert days == sorted(days)
    assert days[0] < FIRST


def test_only_touched_days_are_made_again(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    day = FIRST + timedelta(days=30)
    connection.execute("UPDATE results.share_cells_1d SET records = records + 1")
    record(connection, workspace, [commit(make_fragment(workspace, "l", 97, first_day=30, days=1))])
    refresh_results(connection)
    untouched = connection.execute(
        "SELECT DISTINCT day FROM (FROM results.share_cells_1d "
        "EXCEPT FROM definitions.share_cells_1d)"
    ).fetchall()
    assert (day,) not in untouched
    assert len(untouched) > 50


def test_a_result_that_is_wrong_is_found_with_row_and_both_values(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = filled
    connection.execute("UPDATE results.kpi_headline SET value = 77 WHERE stage = 2")
    connection.execute("DELETE FROM results.data_days WHERE day = (SELECT min(day) FROM data_days)")
    connection.execute("INSERT INTO results.rankings SELECT * FROM results.rankings LIMIT 1")
    found = {result.name: result for result in compare_results(connection) if not result.passed}
    headline = found["results.kpi_headline"]
    assert (headline.found, headline.blocks) == (1, True)
    assert "metric active_ipv6_clients_30d" in headline.sample[0]["row"]
    assert headline.sample[0]["kept"] == "value 77.0"
    assert headline.sample[0]["defined"].startswith("value ")
    assert headline.example.startswith("kpi_headline has value 77.0, expected value ")
    assert found["results.data_days"].sample[0]["kept"] == "no such row"
    assert found["results.rankings"].sample[0]["defined"] == "no such row"


def test_results_stand_in_the_order_of_their_definitions(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    publish(connection, workspace)
    whole = [view.name for view in read_views() if view.kept in (Kept.WHOLE, Kept.OF_FINAL_DAYS)]
    with duckdb.connect(workspace.published, read_only=True) as snapshot:
        for name in whole:
            kept = snapshot.execute(f"FROM {name}").fetchall()
            assert kept == snapshot.execute(f"FROM definitions.{name}").fetchall(), name


def test_the_snapshot_says_what_it_is(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection],
) -> None:
    workspace, connection = filled
    moment = datetime(2026, 8, 1, 12, 30, 1, tzinfo=UTC)
    write_snapshot(connection, moment, failed=0, warned=2)
    write_snapshot(connection, moment, failed=0, warned=3)
    publish(connection, workspace)
    with duckdb.connect(workspace.published, read_only=True) as snapshot:
        (row,) = snapshot.sql("FROM results.snapshot").to_arrow_table().to_pylist()
        ((as_of,),) = snapshot.execute("SELECT as_of FROM as_of").fetchall()
    assert row.pop("snapshot_id").startswith("20260801T123001Z-")
    assert row == {
        "created_at": datetime(2026, 8, 1, 12, 30, 1), "as_of": as_of,
        "code_version": __version__, "rules_version": RULES_VERSION, "catalog_version": "",
        "schema_version": len(read_migrations()), "checks_failed": 0, "checks_warned": 3,
        "gate": "",
    }  # fmt: skip


def test_spans_of_days_are_short_and_hold_each_day_once() -> None:
    day = date(2026, 1, 1)
    days = {day + timedelta(days=i) for i in (0, 1, 2, 5, 7, 8)}
    spans = [((a - day).days, (b - day).days) for a, b in day_spans(days, 5)]
    assert spans == [(0, 2), (5, 5), (7, 8)]
    assert list(day_spans([], 5)) == []
    long = [day + timedelta(days=i) for i in range(11)]
    assert [(b - a).days + 1 for a, b in day_spans(long, 5)] == [5, 5, 1]


# Commits one more file and publishes; dies where told.
RUN = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fragment_maker import commit, make_fragment
from v6share.warehouse import commit as committer, publish
from v6share.warehouse.kept import refresh, snapshot
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

def dying(function, after, calls):
    def wrapped(*args, **named):
        nonlocal calls
        calls -= 1
        if calls == 0 and not after:
            os._exit(9)
        result = function(*args, **named)
        if calls == 0:
            os._exit(9)
        return result
    return wrapped

points = {
    "before the results": (refresh, "refresh_results", False),
    "in the notes": (refresh, "take_touched", True),
    "in a result by day": (refresh, "_make_days", True),
    "in a result": (refresh, "_make_whole", True),
    "after the results": (refresh, "refresh_results", True),
    "after the snapshot": (snapshot, "write_snapshot", True),
    "in the copy": (publish, "_leave_out_private", True),
    "before it is in place": (storage, "sync", True),
    "after publishing": (publish, "publish", True),
}
workspace, point, nth = Workspace(Path(sys.argv[2])), sys.argv[3], int(sys.argv[4])
module, name, after = points[point]
setattr(module, name, dying(getattr(module, name), after, nth))
connection = open_warehouse(workspace, threads=1)
made = make_fragment(workspace, "late", 98, first_day=30, days=20)
committer.record(connection, workspace, [commit(made)])
refresh.refresh_results(connection)
snapshot.write_snapshot(connection, datetime.now(UTC), failed=0, warned=0)
publish.publish(connection, workspace)
"""


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("in the notes", 1),
        ("in a result by day", 2),
        ("in a result", 9),
        ("in the copy", 1),
        ("before it is in place", 1),
        ("after publishing", 1),
    ],
)
def test_a_kill_leaves_the_state_before_or_after(
    filled: tuple[Workspace, duckdb.DuckDBPyConnection], point: str, nth: int
) -> None:
    workspace, connection = filled
    write_snapshot(connection, datetime(2026, 8, 1, tzinfo=UTC), failed=0, warned=0)
    publish(connection, workspace)
    before = results(connection)
    connection.close()
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", RUN, here, str(workspace.root), point, str(nth)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    with duckdb.connect(workspace.published, read_only=True) as snapshot:
        seen = results(snapshot)
        assert not differing(snapshot)
    connection = open_warehouse(workspace)
    refresh_results(connection)
    assert not differing(connection)
    after = results(connection)
    connection.close()
    assert not after["kpi_stage2_coverage"].equals(before["kpi_stage2_coverage"])
    assert_equal(seen, after if point == "after publishing" else before)
