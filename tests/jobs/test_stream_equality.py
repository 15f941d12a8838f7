"""Many batches of a stream come to what one run comes to, and each published file to the warehouse.

V6SHARE_TEST_BATCHES sets how many batches there are; 24, unless it says more.
"""

import os
import random
import shutil
from math import inf
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from calls import call
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import differing, make_workspace, run_json, tables

from v6share.jobs.commands import stream
from v6share.jobs.steps import stream_publisher
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.publish import Published

pytestmark = pytest.mark.long

BATCHES = int(os.environ.get("V6SHARE_TEST_BATCHES", "24"))
ROUNDS = 4


def results(connection: Connection) -> dict[str, pa.Table]:
    """Every kept result, in total order, but for what tells of this very file."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'results' "
        "AND table_name <> 'snapshot' AND database_name = current_database() ORDER BY 1"
    ).fetchall()
    return {
        name: connection.sql(f"FROM results.{name} ORDER BY ALL").to_arrow_table()
        for (name,) in names
    }


def all_tables(connection: Connection) -> dict[str, pa.Table]:
    """Every public table and every kept result, in total order."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' "
        "AND database_name = current_database() AND NOT temporary ORDER BY 1"
    ).fetchall()
    found = {
        name: connection.sql(f"FROM main.{name} ORDER BY ALL").to_arrow_table() for (name,) in names
    }
    return found | results(connection)


def test_many_batches_come_to_what_one_run_comes_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late, out of order, over 40 days, with copies, renamed files, and files that hold what others
    held before; published by the standby and as a whole.
    """
    chance = random.Random(17)
    landing, root = tmp_path / "landing", make_workspace(tmp_path / "ws")
    catalog = Path(__file__).parents[2] / "data" / "sample" / "catalog"
    shutil.copytree(catalog, root / "catalog")
    ways: list[bool] = []
    publish = stream_publisher.publish_checked

    def watched(connection: Connection, workspace, checked, **how: bool) -> Published:
        published = publish(connection, workspace, checked, **how)
        ways.append(published.is_whole)
        copy = tmp_path / f"copy{len(ways)}.duckdb"
        shutil.copyfile(workspace.published, copy)
        with duckdb.connect(copy, read_only=True) as snapshot:
            assert not differing(all_tables(snapshot), all_tables(connection)), len(ways)
        copy.unlink()
        if chance.random() < 0.05:
            workspace.standby.unlink(missing_ok=True)  # so that the next one is copied as a whole
        return published

    monkeypatch.setattr(stream_publisher, "publish_checked", watched)
    # However many wait here, each batch is published.
    monkeypatch.setattr(stream, "_BEHIND_SECONDS", inf)
    for turn in range(ROUNDS):
        days = list(range(40))
        chance.shuffle(days)
        for number in range(BATCHES // ROUNDS):
            file = write_flows(
                landing / f"{turn}-{number:03}.parquet",
                start_ms=JANUARY_1 + days[number % 40] * DAY_MS + chance.randrange(86_000) * 1000,
                octets=chance.randrange(100, 5000),
                rows=chance.randrange(1, 30),
                exporter=f"192.0.2.{chance.randrange(1, 9)}",
            )
            if chance.random() < 0.1:
                shutil.copyfile(file, landing / f"{turn}-copy{number}.parquet")
        if turn:
            there = sorted(landing.glob(f"{turn - 1}-*"))
            for file in chance.sample(there, len(there) // 5):
                file.rename(landing / f"moved-{file.name}")
        code = call(capsys, root, "stream", landing, "--once", "--most-files", 1)[0]
        assert code is ExitCode.DONE
    assert len(ways) >= 0.9 * BATCHES
    assert 0 < sum(ways) < len(ways) / 3

    other = make_workspace(tmp_path / "other")
    shutil.copytree(catalog, other / "catalog")
    assert run_json(other, landing)[0] == 0
    assert not differing(tables(root), tables(other))
    kept = []
    for workspace in (root, other):
        path = workspace / "published" / "v6share.duckdb"
        with duckdb.connect(path, read_only=True) as published:
            kept.append(results(published))
    assert not differing(*kept)
