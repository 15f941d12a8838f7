"""``v6share run`` and what stands around it, from flow files to exit codes and output."""

import contextlib
import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_files import DAY_MS, JANUARY_1, write_flows
from syncs import note_syncs

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.pipelines import crew, sources
from v6share.warehouse.database.connect import open_snapshot
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

LONG_AGO = 1_600_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    for day in range(3):
        write_flows(
            tmp_path / "flows" / f"day{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS,
            octets=1000 + day,
        )
    return tmp_path / "flows"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three counted files, for tests that only read it."""
    base = tmp_path_factory.mktemp("counted")
    (base / "ws").mkdir()
    for day in range(3):
        write_flows(base / f"flows/{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS)
    assert cli.call(["-q", "-C", str(base / "ws"), "run", str(base / "flows")]) is ExitCode.DONE
    return base / "ws"


def call(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, str, str]:
    code = cli.call(["-C", str(root), *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def run(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, dict[str, Any], str]:
    code, out, err = call(capsys, root, "run", *arguments, "--format", "json")
    return code, json.loads(out)["run"], err


def spoil(path: Path, *, seconds_ago: float = 3600) -> Path:
    path.write_bytes(b"not Parquet")
    changed = time.time() - seconds_ago
    os.utime(path, (changed, changed))
    return path


def test_a_run_counts_and_publishes(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_found"], done["inputs_committed"]) == (3, 3)
    assert (done["rows_in"], done["rows_counted"], done["rows_rejected"]) == (12, 12, 0)
    assert done["published"] is True
    assert "next: v6share" in err
    code, out, _ = call(capsys, root, "kpi", "kpi_headline", "--format", "json")
    assert code is ExitCode.DONE
    assert [row["stage"] for row in json.loads(out)] == [1, 1, 2, 3]


def test_a_rerun_is_a_no_op_that_opens_nothing(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, root, flows)
    published = Workspace(root).published.stat().st_mtime_ns
    monkeypatch.setattr("v6share.pipelines.session.Session", None)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["outcome"], done["inputs_known"]) == ("no-op", 3)
    assert "nothing new" in err
    assert Workspace(root).published.stat().st_mtime_ns == published


def test_a_copy_and_a_rename_are_the_same_input(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    (flows / "copy.parquet").write_bytes((flows / "day0.parquet").read_bytes())
    (flows / "day1.parquet").rename(flows / "renamed.parquet")
    code, done, _ = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["outcome"], done["inputs_known"], done["inputs_committed"]) == ("no-op", 4, 0)


def test_a_file_that_was_rewritten_in_place_is_named(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    write_flows(flows / "day0.parquet", rows=6, octets=77)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["inputs_rewritten"]) == (ExitCode.DONE, 1, 1)
    (advice,) = re.findall(r"day0\.parquet: other content than before.*(v6share forget \w+)", err)
    assert _committed(capsys, root) == 4
    assert call(capsys, root, *advice.split()[1:])[0] is ExitCode.DONE
    assert _committed(capsys, root) == 3
    out = call(capsys, root, "kpi", "ledger_files", "--format", "json")[1]
    rows = [row["rows_in"] for row in json.loads(out) if row["status"] == "committed"]
    assert sorted(rows) == [4, 4, 6]
    assert run(capsys, root, flows)[1]["inputs_rewritten"] == 0


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


def test_a_folder_that_cannot_be_read_ends_a_run_as_a_file_does(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flows / "closed").mkdir()
    scandir = os.scandir

    def guarded(path: object) -> object:
        # Who runs the tests may be root, to whom no folder is closed.
        if str(path).endswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.INPUT_FAILED, 3)
    assert "closed: cannot be read, Permission denied; what is in it is left out" in err
    code, done, _ = run(capsys, root, flows)  # nothing new, and still not all
    assert (code, done["paths_left_out"]) == (ExitCode.INPUT_FAILED, 1)
    code, out, err = call(capsys, root, "run", flows / "closed")
    assert (code, out) == (ExitCode.INPUT_FAILED, "")
    assert "closed left out, see above" in err
    assert "there is no /gone" in call(capsys, root, "run", flows / "closed", "/gone")[2]


def test_a_name_that_is_not_utf8_ends_a_run_as_a_file_that_cannot_be_read_does(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    odd = (flows / "day0.parquet").rename(flows / os.fsdecode(b"b\xffd.parquet"))
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["paths_left_out"]) == (ExitCode.INPUT_FAILED, 2, 1)
    assert "b\\xffd.parquet: left out, the name is not UTF-8; rename it" in err
    odd.rename(flows / "day0.parquet")
    assert run(capsys, root, flows)[0] is ExitCode.DONE


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "<&- 1>&- 2>&-"])
def test_closed_streams_change_nothing(root: Path, flows: Path, closed: str) -> None:
    program = Path(sys.executable).with_name("v6share")
    ran = subprocess.run(
        ["sh", "-c", f'"$0" -C "$1" run "$2" {closed}', program, root, flows], check=False
    )
    assert ran.returncode == 0
    with open_snapshot(root / "published/v6share.duckdb") as snapshot:
        assert snapshot.execute("SELECT count(*) FROM ledger_files").fetchall() == [(3,)]


def test_sums_that_are_absurd_together_cost_the_largest_of_them_alone(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """Six files of 200 rows a family and day, each just below 2^53 bytes: five stay below 2^63."""
    for i in range(6):
        write_flows(flows / f"absurd{i}.parquet", rows=400, octets=2**53 - 1 - i, interval=1)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["inputs_failed"]) == (8, 1)
    assert "absurd0.parquet: its packets or bytes sum to 3,602,879,701,896,396,400, and with" in err
    # What stands there already is not given up, and ordinary files of that day still fit.
    shutil.copy(flows / "absurd0.parquet", flows / "absurd0-copy.parquet")
    write_flows(flows / "late.parquet", octets=7, start_ms=JANUARY_1 + 3_600_000)
    write_flows(flows / "other.parquet", rows=400, octets=2**50, start_ms=JANUARY_1 + 9 * DAY_MS)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.INPUT_FAILED, 2)
    assert (done["inputs_failed"], done["inputs_quarantined"]) == (2, 0)
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    # Once there is room, it is counted.
    assert call(capsys, root, "forget", flows / "absurd1.parquet")[0] is ExitCode.DONE
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["inputs_known"]) == (ExitCode.DONE, 1, 10)
    code, out, _ = call(capsys, root, "rebuild", "--format", "json")
    assert (code, json.loads(out)["rebuilt"]["inputs_live"]) == (ExitCode.DONE, 10)


@pytest.mark.parametrize("command", ["init", "run", "status"])
def test_a_workspace_whose_path_is_not_utf8_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path, command: str
) -> None:
    odd = tmp_path / os.fsdecode(b"w\xff")
    odd.mkdir()
    code, _, err = call(capsys, odd, command, *([flows] if command == "run" else []))
    assert (code, list(odd.iterdir())) == (ExitCode.USAGE, [])
    assert "the path is not UTF-8; give another place" in err


def test_a_key_that_others_may_read_is_said(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert "client.key" not in run(capsys, root, flows)[2]
    Workspace(root).client_key.chmod(0o640)
    err = run(capsys, root, flows)[2]
    assert "client.key: found the mode 0640, expected 0600: whoever reads the key" in err


def test_the_last_days_of_all_time_harm_nobody(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """Clocks that show the end of 9999: rows count but on the last day; there they are rejected."""
    (root / "v6share.toml").write_text("[time]\nreporting_utc_offset_minutes = 840\n")
    last = 253_402_300_800_000 - DAY_MS
    write_flows(tmp_path / "flows/near.parquet", start_ms=last - 3_600_000)
    write_flows(tmp_path / "flows/past.parquet", start_ms=last)
    write_flows(tmp_path / "flows/good.parquet")
    code, done, err = run(capsys, root, tmp_path / "flows")
    assert (code, done["rows_counted"], done["rows_rejected"]) == (ExitCode.DONE, 8, 4), err
    for view in ("traffic_1d", "clients_1d", "kpi_headline"):
        assert call(capsys, root, "kpi", view, "--format", "json")[0] is ExitCode.DONE
    assert call(capsys, root, "status")[0] is ExitCode.DONE
    assert call(capsys, root, "forget", tmp_path / "flows/near.parquet")[0] is ExitCode.DONE


def test_what_a_run_leaves_would_outlive_the_machine(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and every folder that got a new name is synced: told by inode, renamed or not."""
    workspace = Workspace(root)
    synced = note_syncs(monkeypatch, workspace.journal)

    def lost(*paths: Path) -> list[Path]:
        found = {inode for inode, _ in synced}
        return [path for path in paths if path.stat().st_ino not in found]

    run(capsys, root, flows)
    fragments = sorted(workspace.fragments.rglob("*.parquet"))
    assert len(fragments) == 3
    assert not lost(*fragments, *(path.parent for path in fragments), workspace.fragments)
    assert not lost(workspace.journal, workspace.client_key, workspace.state)
    assert not lost(workspace.published, workspace.published.parent)
    synced.clear()
    call(capsys, root, "rebuild")
    assert not lost(workspace.warehouse, workspace.state)


def test_an_odd_name_harms_only_itself(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    write_flows(flows / "line\u2028and\u0085line.parquet", start_ms=JANUARY_1 + 5 * DAY_MS)
    write_flows(flows / "odd.parquet", exporter="r\u2029outer", interval=None)
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 5)


def test_a_file_that_cannot_be_opened_is_chosen_whatever_its_span(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sources.open_flow_file

    def guarded(path: str, dialect: str | None = None) -> object:
        # Who runs the tests may be root, to whom no file is closed.
        if path.endswith("day0.parquet"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, dialect)

    monkeypatch.setattr(sources, "open_flow_file", guarded)
    monkeypatch.setattr(crew, "open_flow_file", guarded)
    code, done, _ = run(capsys, root, flows, "--since", "2026-01-02")
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["inputs_failed"]) == (2, 1)


def test_no_input(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, root, "run", tmp_path / "nothing-*")
    assert (code, out) == (ExitCode.NO_INPUT, "")
    assert "no input matched" in err


@pytest.mark.parametrize("where", ["nothing-*", "empty", "empty/*.parquet"])
def test_a_place_without_flow_files_beside_others_is_a_warning(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, where: str
) -> None:
    (flows.parent / "empty").mkdir()
    code, done, err = run(capsys, root, flows, flows.parent / where)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    assert f"{where}: no flow file there, the others are counted" in err


def test_a_named_path_that_is_not_there_stops_the_run_before_it_counts(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    (flows / "dangling.parquet").symlink_to("nowhere")
    for name in ("gone.parquet", "gone", "dangling.parquet"):
        code, out, err = call(capsys, root, "run", flows, flows / name)
        assert (code, out) == (ExitCode.USAGE, "")
        assert f"{flows / name}: no such file or directory; nothing was counted" in err
    assert not Workspace(root).journal.exists()
    code, _, err = call(capsys, root, "run", flows / "gone.parquet", flows / "nothing-*")
    assert code is ExitCode.NO_INPUT
    assert f"there is no {flows / 'gone.parquet'}." in err


def test_a_held_workspace(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    with hold(Workspace(root), "v6share run elsewhere"):
        code, out, err = call(capsys, root, "run", flows)
    assert (code, out) == (ExitCode.LOCKED, "")
    assert "v6share run elsewhere" in err
    assert str(os.getpid()) in err


def test_since_and_until_choose_inputs(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    code, done, _ = run(capsys, root, flows, "--since", "2026-01-02", "--until", "2026-01-03")
    assert code is ExitCode.DONE
    assert (done["inputs_committed"], done["inputs_outside_the_span"]) == (1, 2)
    assert run(capsys, root, flows)[1]["inputs_committed"] == 2


def test_rows_that_will_not_count_stretch_no_span(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    first = pq.read_table(write_flows(tmp_path / "first.parquet"))
    later = pq.read_table(write_flows(tmp_path / "later.parquet", start_ms=JANUARY_1 + 5 * DAY_MS))
    at = later.column_names.index("packetDeltaCount")
    no_packets = later.set_column(at, later.field(at), pa.array([0] * later.num_rows))
    both = tmp_path / "both.parquet"
    pq.write_table(pa.concat_tables([first, no_packets]), both)
    assert run(capsys, root, both, "--since", "2026-01-02")[1]["inputs_outside_the_span"] == 1


def test_no_publish(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    code, done, err = run(capsys, root, flows, "--no-publish")
    assert (code, done["published"]) == (ExitCode.DONE, False)
    assert not Workspace(root).published.exists()
    assert "kpi" not in err  # which would find nothing
    assert "next: the same again without --no-publish" in err
    assert run(capsys, root, flows)[1]["published"] is True


def test_rows_without_interval_come_with_lines_to_paste(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = write_flows(tmp_path / "a.parquet", interval=None, exporter="192.0.2.77")
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_rejected"]) == (ExitCode.DONE, 4)
    (line,) = _lines_to_paste(err)[1:]  # beneath the header, as there is no file
    assert line.startswith("  192.0.2.77,edge,,N,false")
    assert "not one of its" not in err  # the lines say it
    code, done, _ = run(capsys, root, flows, "--unknown-sampling", "unsampled")
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 4)


def _lines_to_paste(err: str) -> list[str]:
    """What a message gives for exporters.csv: the indented lines that are no figures."""
    return [line for line in err.splitlines() if line.startswith("  ") and line.count(",") > 3]


@pytest.mark.parametrize(
    "own", [None, "override,exporter,vantage,white_box,role,sampling_interval"]
)
def test_pasted_lines_fit_the_file_that_is_there(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path, own: str | None
) -> None:
    flows = write_flows(tmp_path / "a.parquet", interval=None, exporter="192.0.2.77")
    call(capsys, root, "init")
    file = root / "catalog" / "exporters.csv"
    if own:
        file.write_text(f"{own}\n")
    lines = _lines_to_paste(run(capsys, root, flows)[2])
    with file.open("a") as catalog:
        catalog.writelines(
            f"{line}\n".replace(",N,", ",1,").replace(",N\n", ",1\n") for line in lines
        )
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 4), err


def test_negative_counters_stay_in_the_ledger_and_are_no_traffic_in_status(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    run(capsys, root, write_flows(tmp_path / "a.parquet", octets=-1000))
    (kept,) = json.loads(call(capsys, root, "kpi", "rejects", "--format", "json")[1])
    assert (kept["reason"], kept["sampled_bytes"]) == ("bad_counter", -4000)
    (shown,) = json.loads(call(capsys, root, "status", "--format", "json")[1])["rejects"]
    assert (shown["rows"], shown["sampled_packets"], shown["sampled_bytes"]) == (4, None, None)


@pytest.mark.parametrize("kind", [pa.uint64(), pa.decimal128(20, 0), pa.string()])
def test_counters_that_take_all_64_bits_are_in_the_account_to_the_byte(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path, kind: pa.DataType
) -> None:
    path = write_flows(tmp_path / "a.parquet", rows=8)
    table = pq.read_table(path)
    for name, values in (
        ("packetDeltaCount", [1, 2**64 - 1, 2**63, 2**63 - 1, 2, 3, None, 4]),
        ("octetDeltaCount", [100, 2**64 - 1, 2**64 - 2, 2**63, 2**63 + 7, 300, None, 2**62]),
    ):
        column = pa.array(values, pa.uint64())
        wide = column.cast(pa.decimal128(20, 0)) if pa.types.is_decimal(kind) else column
        table = table.set_column(table.schema.get_field_index(name), name, wide.cast(kind))
    pq.write_table(table, path)
    code, summary, err = run(capsys, root, path)
    assert (code, summary["rows_counted"]) == (ExitCode.DONE, 2), err
    per_family = (
        "SELECT {family} AS family, count(*), sum({packets}::HUGEINT)::HUGEINT, "
        "sum({octets}::HUGEINT)::HUGEINT FROM {table} GROUP BY ALL ORDER BY ALL"
    )
    in_file = duckdb.sql(
        per_family.format(
            family="if(sourceIPv4Address IS NULL, 'v6', 'v4')",
            packets="packetDeltaCount",
            octets="octetDeltaCount",
            table=f"'{path}'",
        )
    ).fetchall()
    with duckdb.connect(root / "published" / "v6share.duckdb", read_only=True) as published:
        kept = published.sql(
            "SELECT family, sum(rows), sum(sampled_packets)::HUGEINT, sum(sampled_bytes)::HUGEINT "
            "FROM ledger_families GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert kept == in_file


def test_traffic_reported_in_both_directions_counts_once_when_declared(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    for direction in (0, 1):
        write_flows(
            tmp_path / f"flows/{direction}.parquet", exporter="2001:db8::7", direction=direction
        )
    write_flows(tmp_path / "flows/other.parquet", exporter="192.0.2.8", direction=1)
    code, done, err = run(capsys, root, tmp_path / "flows")
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 12)
    assert len(_lines_to_paste(err)) == 2  # with the header, as there is no file
    assert "192.0.2.8" not in err  # only egress records: nothing is doubled
    call(capsys, root, "init")
    code, _, err = call(capsys, root, "status")
    (line,) = _lines_to_paste(err)
    assert (code, line.split(",")[0]) == (ExitCode.DONE, "  2001:db8::7")
    with (root / "catalog" / "exporters.csv").open("a") as catalog:  # as the advice says
        catalog.write(f"{line}\n")
    code, out, err = call(capsys, root, "run", tmp_path / "flows", "--format", "json")
    assert (code, "2001:db8::7" in err) == (ExitCode.DONE, False)
    done, rejects = json.loads(out)["run"], json.loads(out)["rejects"]
    assert (done["rows_in"], done["rows_counted"], done["rows_rejected"]) == (12, 8, 4)
    assert [(row["reason"], row["rows"]) for row in rejects] == [("egress_copy", 4)]
    status = json.loads(call(capsys, root, "status", "--format", "json")[1])
    assert status["both_directions"] == []
    egress = [found for found in status["findings"] if found["finding"] == "egress record"]
    assert [(found["exporter"], found["rows"]) for found in egress] == [("192.0.2.8", 4)]
    explained = call(capsys, root, "explain", tmp_path / "flows/1.parquet", "--row", 0)[1]
    assert "egress_copy" in explained


def test_endpoints_show_without_counting_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert call(capsys, root, "init")[0] is ExitCode.DONE
    run(capsys, root, flows)
    products = root / "catalog" / "products.toml"
    products.write_text('[[product]]\nid = "object-storage"\nname = "Objects"\ncore = true\n')
    endpoints = root / "catalog" / "endpoints.csv"
    endpoints.write_text("app,product,region,planned_on,enabled_on\n,object-storage,r1,,\n")
    code, done, _ = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_committed"], done["published"]) == (0, True)
    out = call(capsys, root, "kpi", "dim_endpoints", "--format", "json")[1]
    assert [row["region"] for row in json.loads(out)] == ["r1"]


def test_without_a_catalog_the_run_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert call(capsys, root, "init")[0] is ExitCode.DONE
    _, _, err = run(capsys, root, flows)
    assert err.count("no app and no prefix there") == 1
    assert f"`v6share init {root}`" in err
    assert "no app and no prefix" not in run(capsys, root, flows)[2]  # nothing was counted
    (root / "catalog" / "apps.toml").write_text(
        '[[app]]\nid = "shop"\nname = "Shop"\nmatch = [{ port = 443 }]\n'
    )
    _, done, err = run(capsys, root, flows)
    assert (done["inputs_committed"], "no app and no prefix" in err) == (3, False)


def test_a_name_that_looks_like_a_slip_is_said_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    (root / "v6share.toml").write_text('[kpi]\nvantages = ["edge", "unlistd"]\n')
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    assert 'warning: v6share.toml:2: kpi.vantages[1]: found "unlistd"' in err
    assert 'did you mean "unlisted"?' in err


def test_forgotten_inputs_stay_out_until_they_are_wanted(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    code, out, _ = call(capsys, root, "forget", flows / "day1.parquet", "--format", "json")
    assert code is ExitCode.DONE
    assert [row["paths"] for row in json.loads(out)["withdrawn"]] == [[str(flows / "day1.parquet")]]
    assert _committed(capsys, root) == 2
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_forgotten"], _committed(capsys, root)) == (ExitCode.DONE, 1, 2)
    assert run(capsys, root, flows, "--include-forgotten")[1]["inputs_committed"] == 1
    assert _committed(capsys, root) == 3


def test_forget_changes_nothing_when_a_name_is_wrong(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    code, _, err = call(capsys, root, "forget", flows / "day1.parquet", "gone.parquet")
    assert code is ExitCode.NO_INPUT
    assert "nothing was withdrawn" in err
    assert _committed(capsys, root) == 3


def _committed(capsys: pytest.CaptureFixture[str], root: Path) -> int:
    out = call(capsys, root, "kpi", "ledger_files", "--format", "json")[1]
    return sum(row["status"] == "committed" for row in json.loads(out))


@pytest.mark.parametrize("instead", ["nothing", "an empty database", "the published file"])
def test_rebuild_gives_the_same_tables(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, instead: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    Workspace(root).warehouse.unlink()
    if instead == "the published file":
        shutil.copy(Workspace(root).published, Workspace(root).warehouse)
    elif instead == "an empty database":
        duckdb.connect(Workspace(root).warehouse).close()
    if instead != "nothing":
        code, _, err = call(capsys, root, "run", flows)
        assert code is ExitCode.USAGE
        assert "`v6share rebuild` makes it again" in err
    code, out, _ = call(capsys, root, "rebuild", "--format", "json")
    assert code is ExitCode.DONE
    rebuilt = json.loads(out)["rebuilt"]
    assert (rebuilt["inputs_live"], rebuilt["journal_entries"]) == (3, 2)
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before


def test_check_and_status(capsys: pytest.CaptureFixture[str], counted: Path) -> None:
    code, out, _ = call(capsys, counted, "check", "--format", "json")
    assert code is ExitCode.DONE
    assert {row["result"] for row in json.loads(out)} <= {"ok", "warning"}
    code, out, _ = call(capsys, counted, "status", "--format", "json")
    assert code is ExitCode.DONE
    (files,) = json.loads(out)["files"]
    assert (files["status"], files["inputs"], files["rows_in"]) == ("committed", 3, 12)


def test_a_long_command_is_cut_for_people_and_whole_for_machines(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    named = [flows / "day0.parquet"] * 50
    run(capsys, root, *named)
    assert max(map(len, call(capsys, root, "status")[1].splitlines())) < 300
    (told,) = json.loads(call(capsys, root, "status", "--format", "json")[1])["runs"]
    assert told["command"].count("day0.parquet") == 50
    run(capsys, root, *named * 20)  # but no run keeps more than 10,000 characters
    told = json.loads(call(capsys, root, "status", "--format", "json")[1])["runs"][0]
    assert len(told["command"]) == 10_000
    assert call(capsys, root, "kpi", "ledger_runs", "--format", "csv")[1].count("day0") == 50


def test_who_may_only_read_sees_what_was_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, root, flows)
    state, access = Workspace(root).state, os.access
    # Who runs the tests may be root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != state and access(path, mode))
    code, out, err = call(capsys, root, "status", "--format", "json")
    assert (code, json.loads(out)["runs"][0]["published"]) == (ExitCode.DONE, True)
    assert "is not yours to write; this is the state last published" in err


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
    monkeypatch.setattr("v6share.jobs.steps.check_and_publish.run_checks", lambda _: [failed])
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
    assert "check unique_traffic_5m: expected that traffic_5m has each key once, but " in err
    assert "stands there 2 times" in err
    assert "`v6share rebuild` makes the tables anew" in err
    assert Workspace(root).published.read_bytes() == before
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [False, True]
    assert f"run {summary['run_id']} is committed and not published (failed checks: " in err
    assert "unique_traffic_5m" in err
    code, _, err = call(capsys, root, "kpi", "kpi_headline")
    assert (code, err.count("\n")) == (ExitCode.DONE, 1)
    assert re.search(rf"run {summary['run_id']}, committed at 20\S+Z, is not in these", err)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert _committed(capsys, root) == 3
    assert call(capsys, root, "kpi", "kpi_headline")[2] == ""
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [True, True]
    assert "not published" not in err


def test_what_readers_miss_is_said_until_it_is_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows / "day0.parquet")
    run(capsys, root, flows, "--no-publish")
    run(capsys, root, flows, "--no-publish")  # a no-op has nothing to publish
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [None, False, True]
    assert "not published (--no-publish was given)" in err
    with hold(Workspace(root), "v6share run elsewhere"):
        assert (
            "not published (it was broken off or is not done yet" in call(capsys, root, "status")[2]
        )
        assert "is not in these numbers" in call(capsys, root, "kpi", "kpi_headline")[2]
    run(capsys, root, flows)
    with hold(Workspace(root), "v6share run elsewhere"):
        assert "not published" not in call(capsys, root, "status")[2]
    run(capsys, root, write_flows(root / "new.parquet", octets=7), "--no-publish")
    Workspace(root).published.unlink()
    assert "(--no-publish was given)" in call(capsys, root, "status")[2]
    code, out, err = call(capsys, root, "kpi")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "nothing is published" in err
    run(capsys, root, flows)
    assert "not published" not in call(capsys, root, "status")[2]


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    third = len(content) // 3
    damaged = {
        "empty": b"",
        "cut": content[:third],
        "zeros": content[:third] + bytes(third) + content[2 * third :],
        "zeros in the head": bytes(12_288) + content[12_288:],
        "no database": b"something else" * 1000,
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["empty", "cut", "zeros", "zeros in the head"])
def test_a_damaged_snapshot_is_said_and_published_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, how: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    damage(Workspace(root).published, how)
    codes = set()
    for relation in ("traffic_5m", "ledger_files", "clients_1d", "kpi_headline", "dim_ip_class"):
        code, out, err = call(capsys, root, "kpi", relation, "--format", "csv")
        codes.add(code)
        if code is not ExitCode.DONE:
            assert (code, out) == (ExitCode.USAGE, "")
            assert "v6share.duckdb cannot be read" in err
            assert "`v6share rebuild` makes it again" in err
            assert err.count("\n") == 1
    assert ExitCode.USAGE in codes
    code, done, err = run(capsys, root, flows)
    assert (code, done["outcome"], done["published"]) == (ExitCode.DONE, "no-op", True)
    assert "not the file that was published here" in err
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before
    assert run(capsys, root, flows)[1]["published"] is False


@pytest.mark.parametrize("how", ["cut", "zeros", "no database"])
def test_a_damaged_warehouse_is_said_and_made_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, how: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    damage(Workspace(root).warehouse, how)
    write_flows(flows / "day1.parquet", octets=5)
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "`v6share rebuild` makes it again" in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--dialect", "ipfx"], 'did you mean "ipfix"'),
        (["--runner", "spark"], 'found "spark", expected local'),
        (["--since", "yesterday"], "expected a day or a time in UTC"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], "is not before"),
        (["--unknown-sampling", "rejct"], 'did you mean "reject"'),
    ],
)
def test_mistakes_in_options(
    capsys: pytest.CaptureFixture[str], root: Path, arguments: list[str], hint: str
) -> None:
    code, out, err = call(capsys, root, "run", root, *arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    assert hint in err


@pytest.mark.parametrize(
    ("view", "hint"),
    [
        ("kpi_stage3_aps", 'did you mean "kpi_stage3_apps"'),
        ("stge1", 'did you mean "stage1"'),
    ],
)
def test_a_wrong_view_gets_the_nearest_one(
    capsys: pytest.CaptureFixture[str], counted: Path, view: str, hint: str
) -> None:
    code, out, err = call(capsys, counted, "kpi", view)
    assert (code, out) == (ExitCode.USAGE, "")
    assert hint in err


@pytest.mark.parametrize("command", ["kpi", "status", "check", "rebuild"])
def test_an_empty_workspace_says_run_first(
    capsys: pytest.CaptureFixture[str], root: Path, command: str
) -> None:
    code, out, _ = call(capsys, root, command)
    assert (code, out) == (ExitCode.USAGE, "")


def test_before_anything_is_counted_status_names_the_run_that_is_at_it(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    with hold(Workspace(root), "v6share run elsewhere"):
        code, _, err = call(capsys, root, "status")
    assert code is ExitCode.USAGE
    assert f"held by 'v6share run elsewhere' (process {os.getpid()} " in err
    assert "use `v6share run PATH...`" not in err
    code, _, err = call(capsys, root, "status")  # it has left its lock file behind
    assert (code, "held by" in err) == (ExitCode.USAGE, False)
    assert "use `v6share run PATH...`" in err


def test_before_anything_is_published_the_run_that_is_at_it_is_named(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows, "--no-publish")
    for command in ("status", "kpi"):
        with hold(Workspace(root), "v6share run elsewhere " + "flows/day.parquet " * 100):
            code, _, err = call(capsys, root, command)
        assert code is ExitCode.USAGE
        assert "nothing is published yet; the workspace is held by 'v6share run elsewhere" in err
        assert "look again when it has ended" in err
        assert len(err) < 500


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
@pytest.mark.parametrize("view", [None, "kpi_headline"])
def test_the_board_and_a_view_in_each_form(
    capsys: pytest.CaptureFixture[str], counted: Path, view: str | None, form: str
) -> None:
    code, out, _ = call(capsys, counted, "kpi", *([view] if view else []), "--format", form)
    assert code is ExitCode.DONE
    assert "\x1b" not in out
    assert "500" in out


@pytest.mark.parametrize("stage", ["1", "stage2", "Stage 3"])
def test_a_stage_prints_its_views(
    capsys: pytest.CaptureFixture[str], counted: Path, stage: str
) -> None:
    code, out, _ = call(capsys, counted, "kpi", stage, "--format", "json")
    assert code is ExitCode.DONE
    assert all(name.startswith(f"kpi_stage{stage[-1]}_") for name in json.loads(out))


def test_a_view_stands_under_the_name_that_can_be_typed(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    wanted = "kpi_stage2_coverage: how many apps, products and client regions have IPv6 traffic"
    for said in ("2", "stage2_coverage", "kpi_stage2_coverage"):
        assert wanted in call(capsys, counted, "kpi", said)[1]


def test_a_stage_keeps_to_the_limit(capsys: pytest.CaptureFixture[str], counted: Path) -> None:
    whole = call(capsys, counted, "kpi", "2")[1]
    cut = call(capsys, counted, "kpi", "2", "--limit", "1")[1]
    assert "more rows" not in whole
    assert "more rows; --limit 0 shows all" in cut
    data = call(capsys, counted, "kpi", "2", "--limit", "1", "--format", "json")[1]
    assert max(len(rows) for rows in json.loads(data).values()) == 1


def test_inspect_needs_no_workspace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    code, out, err = call(
        capsys, tmp_path / "nowhere", "inspect", flows / "day0.parquet", "--format", "json"
    )
    assert code is ExitCode.DONE
    found = json.loads(out)
    assert (found["file"]["dialect"], found["file"]["rows"]) == ("ipfix", 4)
    assert found["file"]["first_start"] == "2026-01-01T00:00:00Z"
    assert {row["family"]: row["rows"] for row in found["families"]} == {"v4": 2, "v6": 2}
    assert found["sampling"] == [{"exporter": "192.0.2.1", "interval": "100", "rows": 4}]
    assert err == ""


@pytest.mark.parametrize("command", [["inspect"], ["explain", "--row", "0"]])
def test_a_look_into_a_file_that_cannot_be_read_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    bad = spoil(tmp_path / "bad.parquet")
    for file, code, what in (
        (bad, ExitCode.INPUT_FAILED, "unreadable: "),
        (tmp_path / "gone", ExitCode.NO_INPUT, "no such file"),
        (tmp_path, ExitCode.NO_INPUT, "is a directory; name a file in it"),
    ):
        found, out, err = call(capsys, tmp_path, *command, file)
        assert (found, out) == (code, "")
        assert f"error: {file}: {what}" in err


@pytest.mark.parametrize(
    ("interval", "warning"), [(None, "no sampling interval"), (1, "sampling interval 1 from")]
)
def test_inspect_warns_of_doubtful_intervals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, interval: int | None, warning: str
) -> None:
    file = write_flows(tmp_path / "a.parquet", interval=interval)
    assert warning in call(capsys, tmp_path, "inspect", file)[2]


def test_a_terminal_gets_a_bar_that_is_wiped_and_a_pipe_gets_plain_text(
    root: Path, tmp_path: Path
) -> None:
    for file in range(4):
        write_flows(tmp_path / "flows" / f"{file}.parquet", octets=100 + file, rows=20_000)
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "v6share", "-C", root, "run", tmp_path / "flows"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=inner, text=True, env=environment
    ) as process:
        os.close(inner)
        drawn = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while piece := os.read(outer, 65_536):
                drawn += piece
        out, _ = process.communicate(timeout=60)
    os.close(outer)
    assert process.returncode == ExitCode.DONE
    assert "\x1b" not in out
    assert "━━━" in drawn.decode()
    assert "0 of 4 files" in drawn.decode()
    bar, _, after = drawn.rpartition(b"\x1b[1A\x1b[2K")  # one line up, and that line emptied
    assert b"\x1b[?25h" in bar  # the cursor is back
    assert after.startswith(b"published ")
    assert b"\x1b" not in after


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_done(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    for file in range(20):
        write_flows(tmp_path / "flows" / f"{file}.parquet", octets=100 + file, rows=50_000)
    with subprocess.Popen(
        [sys.executable, "-m", "v6share", "-C", root, "run", tmp_path / "flows"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("counting" in line for line in process.stderr)  # reads no further
        time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert out == ""
    assert err.splitlines()[-1].startswith("error: interrupted; nothing is half done")
    assert err.count("error") == 1
    assert not Workspace(root).published.exists()
    code, done, _ = run(capsys, root, tmp_path / "flows")
    assert (code, done["inputs_committed"], done["rows_in"]) == (ExitCode.DONE, 20, 1_000_000)


def test_an_interrupted_sample_says_what_is_incomplete(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, "-m", "v6share", "sample", made, "--flows", "1000000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (made / "flows").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert err.splitlines()[-1] == (
        f"error: interrupted; {made}/flows, catalog and truth stay incomplete: remove them, or "
        "name another directory"
    )


def test_before_kernels_are_compiled_the_run_says_so(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, root, flows / "day0.parquet")
    assert "compiling" not in run(capsys, root, flows / "day1.parquet")[2]  # all are kept now
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "none"))
    said = "compiling the kernels, once"
    assert run(capsys, root, flows / "day2.parquet")[2].startswith(said)
    assert said in call(capsys, root, "explain", flows / "day0.parquet", "--row", 0)[2]
    assert said not in run(capsys, root, flows)[2]  # nothing is counted


def test_explain_shows_decisions_and_windows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    file = flows / "day0.parquet"
    code, out, err = call(capsys, tmp_path, "explain", file, "--row", 1, "--format", "json")
    assert code is ExitCode.DONE
    assert err.startswith(f"warning: {tmp_path}/catalog: no app and no prefix there")
    told = json.loads(out)
    decisions = {step["step"]: step["decision"] for step in told["steps"]}
    assert (decisions["family"], decisions["verdict"]) == ("v6", "counted")
    (window,) = told["windows"]
    assert window["window_start"] == "2026-01-01T00:00:00Z"
    assert (window["packets"], window["bytes"]) == (200, 100_000)
    assert not (tmp_path / "state").exists()


def test_explain_knows_the_windows_of_every_exporters_flows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A row's exporter need not be the first of the file."""
    parts = [
        pq.read_table(
            write_flows(tmp_path / f"{i}.parquet", start_ms=JANUARY_1 + i * DAY_MS, rows=1,
                        exporter=f"192.0.2.{i}")
        )
        for i in range(12)
    ]  # fmt: skip
    pq.write_table(pa.concat_tables(parts), tmp_path / "all.parquet")
    for row in range(12):
        file = ("explain", tmp_path / "all.parquet", "--row", row, "--format", "json")
        code, out, _ = call(capsys, tmp_path, *file)
        assert code is ExitCode.DONE
        (window,) = json.loads(out)["windows"]
        assert window["window_start"] == f"2026-01-{row + 1:02}T00:00:00Z"


@pytest.mark.parametrize(
    ("given", "verdict", "sampling"),
    [
        ([], "rejected", "1 in unknown"),
        (["--unknown-sampling", "unsampled"], "counted", "1 in 1: "),
        (["--unknown-sampling", "100"], "counted", "1 in 100: "),
    ],
)
def test_explain_decides_as_a_run_with_the_same_options(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    given: list[str],
    verdict: str,
    sampling: str,
) -> None:
    sampled = pq.read_table(write_flows(tmp_path / "sampled.parquet"))
    (tmp_path / "flows").mkdir(exist_ok=True)
    file = tmp_path / "flows" / "silent.parquet"
    pq.write_table(sampled.drop_columns(["samplingInterval"]), file)
    out = call(capsys, root, "explain", file, "--row", 0, *given, "--format", "json")[1]
    decisions = {step["step"]: step["decision"] for step in json.loads(out)["steps"]}
    assert decisions["verdict"] == verdict
    assert decisions["sampling"].startswith(sampling)
    _, done, _ = run(capsys, root, file, *given)
    assert (done["rows_counted"] > 0) == (verdict == "counted")


def test_explain_of_a_row_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    code, out, err = call(capsys, tmp_path, "explain", flows / "day0.parquet", "--row", 4)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "0 to 3" in err


def test_a_sample_is_deterministic_and_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ("--flows", 2000, "--days", 30, "--start", "2026-01-01", "--seed", 7)
    for name in "ab":
        assert call(capsys, tmp_path, "sample", tmp_path / name, *small)[0] is ExitCode.DONE
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    code, out, _ = call(capsys, tmp_path, "sample", tmp_path / "a", *small)
    assert (code, out) == (ExitCode.USAGE, "")
    code, out, _ = call(capsys, tmp_path, "sample", tmp_path / "c", *small, "--format", "json")
    sizes = [file.stat().st_size for file in (tmp_path / "c" / "flows").rglob("*.parquet")]
    written = json.loads(out)["sample"]
    assert (written["flow_files"], written["size"]) == (len(sizes), sum(sizes))
    code, done, _ = run(capsys, tmp_path / "a", tmp_path / "a" / "flows")
    assert (code, done["inputs_quarantined"]) == (ExitCode.DONE, 0)
