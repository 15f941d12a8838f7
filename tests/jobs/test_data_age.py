"""Data that stopped are noticed: by ``check --max-age``, ``kpi`` and ``status``."""

import json
import re
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

HOUR_MS = 3_600_000


def newest_ended(root: Path, folder: Path, hours_ago: float) -> int:
    """A workspace whose newest record ended so long ago; when, in ms since 1970 UTC."""
    ends = time.time_ns() // 1_000_000 - int(hours_ago * HOUR_MS)
    # Four flows of a second, one a minute.
    write_flows(folder / "flows.parquet", start_ms=ends - 3 * 60_000 - 1000)
    return ends


def is_three_hours(data: dict[str, Any]) -> bool:
    """Whether a record is said to be three hours old, and the minutes that tests take."""
    return data["age"].startswith("3h") and 3 * 3600 <= data["age_seconds"] < 4 * 3600


@pytest.fixture
def three_hours_old(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> tuple[Path, int]:
    ends = newest_ended(root, tmp_path / "flows", 3)
    assert run(capsys, root, tmp_path / "flows")[0] is ExitCode.DONE
    return root, ends


def test_data_that_are_older_than_asked_have_an_exit_code_of_their_own(
    capsys: pytest.CaptureFixture[str],
    three_hours_old: tuple[Path, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, _ = three_hours_old
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    assert call(capsys, root, "check", "--max-age", "3h 50m")[0] is ExitCode.DONE
    code, out, err = call(capsys, root, "check", "--max-age", "2h", "--format", "json")
    assert code is ExitCode.TOO_OLD == 6
    *others, age = json.loads(out)
    assert {row["result"] for row in others} <= {"ok", "warning", "not judged"}
    assert (age["check"], age["result"]) == ("max_age", "failed")
    example = json.loads(age["example"])
    assert is_three_hours(example)
    assert example["max_age_seconds"] == 7200
    assert "the data are too old: the newest record ended at 20" in err
    assert re.search(r"Z, 3h( \d+m)? ago, expected at most 2h\. ", err)
    (root / "v6share.toml").write_text('[check]\nmax_age = "1h"\n')
    assert call(capsys, root, "check")[0] is ExitCode.TOO_OLD
    assert call(capsys, root, "check", "--max-age", "1d")[0] is ExitCode.DONE
    monkeypatch.setenv("V6SHARE_CHECK__MAX_AGE", "4h")
    assert call(capsys, root, "check")[0] is ExitCode.DONE


def test_a_failed_check_comes_before_the_age(
    capsys: pytest.CaptureFixture[str], three_hours_old: tuple[Path, int]
) -> None:
    root, _ = three_hours_old
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("UPDATE traffic_1d SET tcp_opens = tcp_opens + 1")
    assert call(capsys, root, "check", "--max-age", "2h")[0] is ExitCode.GATE


def test_the_age_stands_in_status_and_on_the_board(
    capsys: pytest.CaptureFixture[str], three_hours_old: tuple[Path, int]
) -> None:
    root, ends = three_hours_old
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends / 1000))
    for command in ("status", "kpi"):
        data = json.loads(call(capsys, root, command, "--format", "json")[1])["data"]
        assert data["newest_record"].startswith(moment)
        assert is_three_hours(data)
    assert f"\n- data: the newest record ended at {moment}Z, 3h" in call(capsys, root, "kpi")[1]
    assert re.search(r"^age +3h", call(capsys, root, "status")[1], re.M)


def test_kpi_says_that_its_numbers_no_longer_grow(
    capsys: pytest.CaptureFixture[str], three_hours_old: tuple[Path, int]
) -> None:
    root, _ = three_hours_old
    assert "stale" not in call(capsys, root, "kpi", "kpi_headline")[2]
    (root / "v6share.toml").write_text('[check]\nmax_age = "2h"\n')
    for view in ([], ["3"], ["kpi_headline", "--format", "csv"]):
        err = call(capsys, root, "kpi", *view)[2]
        assert "warning: the data are stale: the newest record ended at " in err
        assert err.count("stale") == 1
    assert "stale" not in call(capsys, root, "-q", "kpi")[2]
    # Who reads numbers is not stopped by a mistake in the settings: then it is said after a day.
    (root / "v6share.toml").write_text('[check]\nmax_age = "soon"\n')
    code, _, err = call(capsys, root, "kpi", "kpi_headline")
    assert (code, "stale" in err) == (ExitCode.DONE, False)


def test_after_a_day_it_is_said_without_a_setting(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    newest_ended(root, tmp_path / "flows", 25)
    assert run(capsys, root, tmp_path / "flows")[0] is ExitCode.DONE
    err = call(capsys, root, "kpi", "kpi_headline")[2]
    assert "Z, 1d 1h ago. " in err
    assert "(said from 1d on; " in err


def test_what_says_nothing_of_the_age(
    capsys: pytest.CaptureFixture[str], three_hours_old: tuple[Path, int], tmp_path: Path
) -> None:
    root, ends = three_hours_old
    # An exporter that feeds no KPI, and one whose clock is ahead.
    (root / "catalog").mkdir()
    (root / "catalog" / "exporters.csv").write_text(
        "exporter,vantage,role,sampling_interval,white_box\n192.0.2.7,lab,,,\n"
    )
    write_flows(tmp_path / "lab.parquet", exporter="192.0.2.7", start_ms=ends + HOUR_MS)
    write_flows(tmp_path / "ahead.parquet", exporter="192.0.2.8", start_ms=ends + DAY_MS)
    files = (tmp_path / "flows", tmp_path / "lab.parquet", tmp_path / "ahead.parquet")
    assert run(capsys, root, *files)[1]["inputs_committed"] == 3
    data = json.loads(call(capsys, root, "status", "--format", "json")[1])["data"]
    assert is_three_hours(data)


def test_without_a_record_there_is_no_age_and_the_check_fails(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    write_flows(tmp_path / "quiet.parquet", rows=0)
    assert run(capsys, root, tmp_path / "quiet.parquet")[0] is ExitCode.DONE
    data = json.loads(call(capsys, root, "status", "--format", "json")[1])["data"]
    assert data == {"newest_record": None, "age": None, "age_seconds": None}
    code, out, err = call(capsys, root, "check", "--max-age", "2h")
    assert code is ExitCode.TOO_OLD
    assert "there is no record of an exporter that feeds the KPIs" in out
    assert "there is no record of an exporter that feeds the KPIs" in err


@pytest.mark.parametrize("given", ["90", "2 hours", "0h", "-1h", "9999d"])
def test_another_duration_is_a_mistake_in_usage(
    capsys: pytest.CaptureFixture[str], counted: Path, given: str
) -> None:
    code, out, err = call(capsys, counted, "check", f"--max-age={given}")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "command line: --max-age: found " in err
    assert "expected a duration of 1s to 3650d, such as 90m, 2h or 1d" in err
