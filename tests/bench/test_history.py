"""A made history is one that v6share takes for its own: checked, counted on and published."""

import json
import shutil
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from workspaces import run_json, v6share

from bench import feed, history, watch
from bench.rollout import LAST_DAY
from v6share.warehouse.ledger import journal
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.paths import Workspace

SMALL = history.History(days=2, rows=2000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("history") / "ws"
    history.make(root, SMALL)
    return root


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ws"))


def ask(root: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(Workspace(root).published), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_warehouse_knows_the_journal_to_its_end(made: Path) -> None:
    # The first test of this file: a command that opens the workspace would put it right.
    *_, (_, end) = journal.read(Workspace(made).journal)
    with duckdb.connect(str(Workspace(made).warehouse), read_only=True) as connection:
        state = dict(connection.execute("SELECT key, value FROM private.state").fetchall())
    assert (state["journal_offset"], state["journal_seal"]) == (str(end.offset), end.seal)


def test_every_check_of_the_tables_holds_and_only_fragments_are_missing(made: Path) -> None:
    code, out, _ = v6share(made, "check", "--format", "json")
    results = Counter(row["result"] for row in json.loads(out))
    failed = {row["check"]: row["rows"] for row in json.loads(out) if row["result"] != "ok"}
    assert code == 3
    assert failed == {"fragments": SMALL.days * 1440}
    assert results["ok"] > 15


def test_it_has_the_days_files_and_rows_that_were_asked_for(made: Path) -> None:
    first = datetime.fromisoformat("2026-05-30")
    assert ask(
        made, "SELECT count(DISTINCT window_start::DATE), max(window_start)::DATE FROM traffic_5m"
    ) == [(2, LAST_DAY)]
    assert ask(made, "SELECT count(*), min(first_start), sum(rows_in) FROM ledger_files") == [
        (2880, first, ask(made, "SELECT sum(records) FROM traffic_5m")[0][0])
    ]
    ((rows,),) = ask(made, "SELECT count(*) FROM traffic_5m")
    assert isinstance(rows, int)
    # By chance: the standard deviation is about the root, 63.
    assert abs(rows - 4000) < 300
    ((rtt,),) = ask(made, "SELECT count(*) FROM rtt_1h")
    assert isinstance(rtt, int)
    assert abs(rtt - 800) < 150
    assert ask(made, "SELECT DISTINCT len(client_hashes) FROM clients_1d") == [(8,)]


def test_a_new_file_behind_it_is_counted_and_published(copy: Path, tmp_path: Path) -> None:
    before = watch.traffic_sums(Workspace(copy).published)
    minute = watch.newest_hour(Workspace(copy).published)
    assert minute == datetime.fromisoformat("2026-06-01")
    template = feed.draw_template(read_catalog(Workspace(copy)), 500)
    feed.write_flows(template, tmp_path / "new.parquet", minute, 0)
    code, said, _ = run_json(copy, tmp_path / "new.parquet")
    assert code == 0
    assert (said["run"]["rows_counted"], said["run"]["published"]) == (500, True)
    assert watch.traffic_sums(Workspace(copy).published) - before == template.sums
    # All rows were recognised: the catalog fits.
    assert ask(
        copy,
        "SELECT count(*) FILTER (app = 'unclassified' OR network = 'unknown' "
        "OR client_region = 'unknown' OR service_region = 'unknown'), count(*) > 0 "
        "FROM traffic_5m WHERE window_start >= '2026-06-01'",
    ) == [(0, True)]
    assert run_json(copy, tmp_path / "new.parquet")[1]["run"]["inputs_known"] == 1


def test_more_rows_than_the_lines_can_make_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 90,000,000 rows a day, expected at most"):
        history.make(tmp_path / "ws", history.History(days=1, rows=90_000_000))


def test_a_place_that_is_taken_is_said(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.history", str(made)])
    assert history.main() == 1
    assert f"{made}: is there already" in capsys.readouterr().err
