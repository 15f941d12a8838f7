"""The workspace that the views are measured on is one that v6share would have made."""

import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from bench import views
from bench.rollout import LAST_DAY, Size, make
from v6share.schemas.aggregates import TRAFFIC_5M
from v6share.warehouse.checks import run_checks
from v6share.warehouse.merge.upsert import upsert_rows
from v6share.warehouse.open import open_warehouse
from v6share.workspace.paths import Workspace

SMALL = Size(days=100, fine_days=2, part=0.02)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("views") / "ws"
    make(root, SMALL)
    return root


def test_no_check_finds_anything(made: Path) -> None:
    with closing(open_warehouse(Workspace(made))) as connection:
        assert [result.name for result in run_checks(connection) if not result.passed] == []


def test_every_day_has_traffic_and_the_newest_ones_hold_their_windows(made: Path) -> None:
    with duckdb.connect(str(Workspace(made).published), read_only=True) as connection:
        days = connection.execute(
            "SELECT count(DISTINCT window_start), max(window_start)::DATE FROM traffic_1d"
        ).fetchall()
        assert days == [(SMALL.days, LAST_DAY)]
        differ = """
            WITH fine AS (
              SELECT CAST(window_start AS DATE) AS day, app, client_region, network, sum(bytes)
              FROM {table} WHERE window_start >= $first GROUP BY ALL
            ) SELECT * FROM fine"""
        sums = [
            connection.execute(
                differ.format(table=table) + " ORDER BY ALL", {"first": SMALL.first_fine_day}
            ).fetchall()
            for table in ("traffic_5m", "traffic_1h", "traffic_1d")
        ]
        assert sums[0] == sums[1] == sums[2] != []
        growing = connection.execute(
            "SELECT sum(numerator) FILTER (day > $middle) / sum(denominator_value) "
            "FILTER (day > $middle) > 2 * sum(numerator) FILTER (day <= $middle) "
            "/ sum(denominator_value) FILTER (day <= $middle) FROM share_by_app "
            "WHERE basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'",
            {"middle": LAST_DAY.replace(month=4, day=11)},
        ).fetchall()
        assert growing == [(True,)]


def test_the_same_rows_are_made_again(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "ws", SMALL)
    sums = []
    for root in (made, tmp_path / "ws"):
        with duckdb.connect(str(Workspace(root).published), read_only=True) as connection:
            sums.append(
                [
                    connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {table}").fetchall()
                    for table in ("traffic_5m", "traffic_1d", "exporters_1h", "clients_1d")
                ]
            )
    assert sums[0] == sums[1]


def test_a_batch_merges_with_what_is_there(made: Path) -> None:
    with closing(open_warehouse(Workspace(made))) as connection:

        def figures() -> tuple[int, int]:
            sql = "SELECT count(*), sum(records)::BIGINT FROM traffic_5m"
            rows, records = connection.execute(sql).fetchall()[0]
            return rows, records

        rows, records = figures()
        batch = views.draw_batch(connection, 1)
        added = sum(batch[TRAFFIC_5M].column("records").to_pylist())
        connection.begin()
        upsert_rows(connection, TRAFFIC_5M, batch[TRAFFIC_5M])
        assert figures() == (rows, records + added)
        connection.rollback()


def test_everything_is_measured_on_a_copy(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Workspace(made).warehouse.read_bytes()
    program = str(Path(sys.executable).with_name("v6share"))
    words = ["bench.views", "measure", str(made), "--runs", "1", "--v6share", program]
    monkeypatch.setattr(sys, "argv", words)
    views.main()
    printed = capsys.readouterr().out
    with duckdb.connect(str(Workspace(made).published), read_only=True) as connection:
        names = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
        ).fetchall()
    measured = {name for (name,) in names} - set(views.NEVER_READ_WHOLE)
    assert len(measured) > 30
    assert all(f"\n| {name} |" in printed for name in measured)
    assert "check and publish after a new file" in printed
    assert "broken off" not in printed
    assert Workspace(made).warehouse.read_bytes() == before
    assert not (made / "measured").exists()


def test_what_takes_too_long_is_broken_off_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LONGEST_SECONDS", 0.2)
    endless = (
        "SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range < b.range"
    )
    with duckdb.connect() as connection:
        figure = views._measure_query(connection, "endless", endless, 5)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert list(views.report([views.Part("Views", [figure], 1.0)]))[-1] == (
        "| endless | > 0 | broken off | | 0 | |"
    )
