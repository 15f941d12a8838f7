"""A check that fails keeps the numbers from readers."""

import json
import re
from pathlib import Path

import duckdb
import pytest
from calls import call, committed, run

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


def test_a_failed_check_keeps_the_old_snapshot(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from v6share.warehouse.checks import CheckResult

    run(capsys, root, flows / "day0.parquet")
    before = Workspace(root).published.read_bytes()
    failed = CheckResult("made_up", "all is well", "{row} is not", "fail", 2, ({"row": 1},))
    monkeypatch.setattr("v6share.jobs.steps.check_and_publish.run_checks", lambda *_: [failed])
    assert call(capsys, root, "run", flows / "day1.parquet", "--no-publish")[0] is ExitCode.GATE
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.GATE
    assert "check made_up: expected that all is well, but 1 is not; and 1 more such row\n" in err
    assert Workspace(root).published.read_bytes() == before
    monkeypatch.undo()
    assert run(capsys, root, flows)[1]["published"] is True


def test_rows_that_do_not_add_up_are_not_published_and_rebuild_mends_them(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows / "day0.parquet")
    before = Workspace(root).published.read_bytes()
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("INSERT INTO traffic_5m SELECT * FROM traffic_5m LIMIT 1")
    code, out, err = call(capsys, root, "run", flows, "--format", "json")
    assert code is ExitCode.GATE
    summary = json.loads(out)["run"]
    assert (summary["inputs_committed"], summary["published"]) == (2, False)
    # The row that stands twice is of a day that no new file touched.
    assert "check conservation: expected that per family, traffic_5m holds exactly what" in err
    assert "unique_traffic_5m" not in err
    code, out, _ = call(capsys, root, "check", "--format", "json")
    assert code is ExitCode.GATE
    rows = {row["check"]: row for row in json.loads(out)}
    assert rows["unique_traffic_5m"]["result"] == "failed"
    # A row of each family and metric, of which the first are told.
    assert rows["conservation"]["found"].count("; ") == min(rows["conservation"]["rows"] - 1, 5)
    assert "`v6share rebuild` makes the tables anew" in err
    assert Workspace(root).published.read_bytes() == before
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [False, True]
    assert f"run {summary['run_id']} is committed and not published (failed checks: " in err
    assert "conservation" in err
    code, _, err = call(capsys, root, "kpi", "kpi_headline")
    assert (code, err.count("is not in these numbers")) == (ExitCode.DONE, 1)
    assert re.search(rf"run {summary['run_id']}, committed at 20\S+Z, is not in these", err)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert committed(capsys, root) == 3
    assert "not in these numbers" not in call(capsys, root, "kpi", "kpi_headline")[2]
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [True, True]
    assert "not published" not in err


def test_a_kept_result_that_is_wrong_is_named_and_rebuild_mends_it(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    assert call(capsys, root, "check", "--results")[0] is ExitCode.DONE
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("UPDATE results.kpi_headline SET value = 77 WHERE stage = 1")
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    code, out, err = call(capsys, root, "check", "--results", "--format", "json")
    assert code is ExitCode.GATE
    (found,) = (row for row in json.loads(out) if row["result"] == "failed")
    assert (found["check"], found["rows"]) == ("results.kpi_headline", 2)
    assert "metric apps_dual_stacked" in found["found"]
    assert "kpi_headline has value 77.0, expected value 0.0, in the row " in found["found"]
    assert "failed: results.kpi_headline; `v6share rebuild` makes" in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "check", "--results")[0] is ExitCode.DONE


def test_what_a_check_of_all_days_found_keeps_the_next_run_from_publishing(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows / "day0.parquet")
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("UPDATE traffic_1d SET tcp_opens = tcp_opens + 1")
    assert call(capsys, root, "check")[0] is ExitCode.GATE
    before = Workspace(root).published.read_bytes()
    code, _, err = call(capsys, root, "run", flows / "day1.parquet")
    assert code is ExitCode.GATE
    assert "check roll_up_day: expected that traffic_1d equals traffic_1h" in err
    assert Workspace(root).published.read_bytes() == before
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert run(capsys, root, flows)[1]["published"] is True
