"""Files that a run refuses, or leaves for the next one, beside good ones."""

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

LONG_AGO = 1_600_000_000


def test_a_bad_file_is_quarantined_once_and_the_good_ones_count(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    spoil(flows / "bad.parquet")
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["inputs_quarantined"]) == (3, 1)
    assert re.search(r"bad\.parquet: quarantined, unreadable: ", err)
    (noted,) = Workspace(root).quarantine.glob("*.json")
    assert json.loads(noted.read_text())["reason"] == "unreadable"
    code, done, _ = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_quarantined"], done["inputs_quarantined_before"]) == (0, 1)


def test_copies_in_one_run_are_no_refusals_of_before(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    for name in ("bad", "bad2"):
        spoil(flows / f"{name}.parquet")
    (flows / "copy.parquet").write_bytes((flows / "day0.parquet").read_bytes())
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_quarantined"], done["inputs_quarantined_copies"]) == (1, 1)
    assert (done["inputs_quarantined_before"], done["inputs_known"]) == (0, 1)
    assert "bad.parquet: quarantined, unreadable" in err
    assert "bad2.parquet: quarantined with another file of the same bytes" in err
    kinds = [value for key, value in done.items() if key.startswith("inputs_")]
    assert sum(kinds) == 2 * done["inputs_found"] == 12
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_quarantined_before"]) == (ExitCode.DONE, 2)


def test_of_many_warnings_the_first_ten_are_said(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    (tmp_path / "flows").mkdir()
    for number in range(12):
        (tmp_path / f"flows/{number:02}.parquet").write_bytes(b"no Parquet: %d" % number)
        os.utime(tmp_path / f"flows/{number:02}.parquet", (LONG_AGO, LONG_AGO))
    _, done, err = run(capsys, root, tmp_path / "flows")
    assert (done["inputs_quarantined"], err.count("quarantined, unreadable")) == (12, 10)
    assert "warning: 2 more inputs were quarantined\n" in err


def test_a_refusal_holds_for_the_dialect_that_was_named(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    for again in (False, True):
        for wrong in ("goflow2", "pmacct"):
            code, done, _ = run(capsys, root, flows, "--dialect", wrong)
            assert done["inputs_quarantined"] == (0 if again else 3)
            assert done["inputs_quarantined_before"] == (3 if again else 0)
            assert code is (ExitCode.DONE if again else ExitCode.INPUT_FAILED)
    assert len(list(Workspace(root).quarantine.glob("*.json"))) == 3
    assert _states(capsys, root) == {"quarantined": 3}
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    assert list(Workspace(root).quarantine.glob("*.json")) == []
    assert _states(capsys, root) == {"committed": 3}
    run(capsys, root, flows, "--dialect", "pmacct")
    assert _states(capsys, root) == {"committed": 3}
    status = json.loads(call(capsys, root, "status", "--format", "json")[1])
    assert status["quarantined"] == []


def _states(capsys: pytest.CaptureFixture[str], root: Path) -> dict[str, int]:
    files = json.loads(call(capsys, root, "status", "--format", "json")[1])["files"]
    return {row["status"]: row["inputs"] for row in files}


def test_a_file_without_rows_is_a_quiet_interval_and_one_without_bytes_is_no_file(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    quiet = write_flows(tmp_path / "flows/quiet.parquet", rows=0)
    (tmp_path / "flows/nothing.parquet").touch()
    os.utime(tmp_path / "flows/nothing.parquet", (LONG_AGO, LONG_AGO))
    code, done, err = run(capsys, root, tmp_path / "flows")
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["rows_in"], done["inputs_quarantined"]) == (1, 0, 1)
    assert "nothing.parquet: quarantined, empty_file: found 0 bytes" in err
    assert "quiet.parquet" not in err
    code, _, err = call(capsys, root, "explain", quiet, "--row", 0)
    assert code is ExitCode.USAGE
    assert "found no row at all" in err


def test_a_young_unreadable_file_is_left_for_the_next_run(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    spoil(flows / "young.parquet", seconds_ago=0)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_still_being_written"], done["inputs_quarantined"]) == (1, 0)
    assert "young.parquet: still being written" in err
    write_flows(flows / "young.parquet", start_ms=JANUARY_1 + 9 * DAY_MS)
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 1)


def test_a_whole_file_of_a_wrong_type_or_from_the_future_is_not_being_written(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    # Both are what they will be, however young they look.
    table = pq.read_table(flows / "day0.parquet")
    odd = pa.array([True] * table.num_rows)
    pq.write_table(table.append_column("sourceIPAddress", odd), flows / "typed.parquet")
    spoil(flows / "future.parquet", seconds_ago=-3600)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_still_being_written"], done["inputs_quarantined"]) == (0, 2)
    assert "has the type bool, which cannot be read as src of the dialect ipfix; expected" in err
