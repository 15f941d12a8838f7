"""``v6share stream``, as its users see it: what arrives is published, and others get their turn."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows
from streams import PATIENCE_SECONDS, published_paths, put, streaming
from workspaces import command, differing, make_workspace, run_json, tables, v6share

from v6share.jobs.commands import stream as job
from v6share.jobs.steps import run_context
from v6share.jobs.steps.stream_state import read_stream_state
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

APP = '[[app]]\nid = "{0}"\nname = "{0}"\nmatch = [{{ port = 443 }}]\n'


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve files that are to land, an hour each, two of them of an earlier day."""
    for number in range(12):
        day = 3 if number < 10 else 0
        write_flows(
            tmp_path / "source" / f"{number:02}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS + number * 3_600_000,
            octets=1000 + number,
            rows=20,
        )
    return tmp_path / "source"


def alone(tmp_path: Path, flows: Path) -> Path:
    """A workspace in which all was counted by one run."""
    root = make_workspace(tmp_path / "alone")
    assert run_json(root, flows)[0] == 0
    return root


# One sweep


def test_a_sweep_counts_what_a_run_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    code, _, err = call(capsys, root, "stream", source, "--once", "--most-files", 5)
    assert code is ExitCode.DONE, err
    assert not differing(tables(root), tables(alone(tmp_path, source)))
    with duckdb.connect(Workspace(root).published, read_only=True) as published:
        # The batches of an hour are one run.
        runs = published.execute(
            "SELECT inputs_committed, rows_counted, outcome, count(*) OVER () FROM ledger_runs"
        ).fetchall()
    assert runs == [(12, 240, "committed", 1)]
    before = (root / "published" / "v6share.duckdb").stat()
    assert call(capsys, root, "stream", source, "--once")[0] is ExitCode.DONE
    assert (root / "published" / "v6share.duckdb").stat() == before
    assert run(capsys, root, source)[1]["inputs_known"] == 12


def test_a_sweep_says_what_it_met_by_its_exit_code(
    capsys: pytest.CaptureFixture[str], root: Path, landing: Path, tmp_path: Path
) -> None:
    def swept(*arguments: object) -> ExitCode:
        return call(capsys, root, "stream", *arguments, "--once")[0]

    assert swept(landing) is ExitCode.NO_INPUT
    assert swept(landing / "none") is ExitCode.NO_INPUT
    assert swept(landing, landing / "none") is ExitCode.USAGE
    assert swept() is ExitCode.USAGE
    assert swept(landing, "--from-outcomes", tmp_path) is ExitCode.USAGE
    write_flows(landing / "good.parquet")
    spoil(landing / "bad.parquet")
    assert swept(landing) is ExitCode.INPUT_FAILED
    # What was refused before is known, as it is to a run.
    assert swept(landing) is ExitCode.DONE
    assert published_paths(root) == {"good.parquet"}


def test_where_files_wait_long_every_fifth_batch_is_published(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, other = make_workspace(tmp_path / "ws"), make_workspace(tmp_path / "other")
    monkeypatch.setattr(job, "_BEHIND_SECONDS", -1.0)
    code, _, err = call(capsys, root, "stream", source, "--once", "--most-files", 1)
    assert code is ExitCode.DONE
    # After 5 and 10 of 12 batches, and at the end.
    assert err.count("from arrival to published") == 2
    assert call(capsys, other, "run", source)[0] is ExitCode.DONE
    assert not differing(tables(root), tables(other))


def test_a_history_that_comes_in_many_batches_makes_no_revisions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: Path
) -> None:
    """The first day is final with the first file of it, and has two; the last batch is a copy."""
    root = make_workspace(tmp_path / "ws")
    shutil.copyfile(source / "03.parquet", source / "copy.parquet")

    def revisions() -> list[tuple[object, ...]]:
        assert call(capsys, root, "stream", source, "--once", "--most-files", 1)[0] == 0
        with duckdb.connect(Workspace(root).published, read_only=True) as published:
            return published.execute("SELECT day::VARCHAR, changes FROM revisions").fetchall()

    assert revisions() == [("2026-01-01", 0)]
    write_flows(source / "late.parquet", start_ms=JANUARY_1, rows=5)
    assert revisions() == [("2026-01-01", 1)]


def test_when_a_check_fails_files_are_committed_and_none_is_published(
    capsys: pytest.CaptureFixture[str], root: Path, landing: Path, source: Path
) -> None:
    put(source / "00.parquet", landing)
    assert call(capsys, root, "stream", landing, "--once")[0] is ExitCode.DONE
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("UPDATE traffic_1h SET bytes = bytes + 1")
    for name in ("01", "02", "03"):
        put(source / f"{name}.parquet", landing)
    code, _, err = call(capsys, root, "stream", landing, "--once", "--most-files", 1)
    assert code is ExitCode.GATE
    assert "roll_up_hour" in err
    assert err.count("nothing is published from now on") == 1
    assert published_paths(root) == {"00.parquet"}
    state = read_stream_state(Workspace(root))
    assert state is not None
    assert "roll_up_hour" in state.held_back
    # All three are committed: made anew from their fragments, the tables hold them.
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert published_paths(root) == {f"{n:02}.parquet" for n in range(4)}


# Following


def test_what_arrives_is_published_once_however_it_comes(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    """Renamed into place, copied, renamed later, written slowly, changed in place; and names that
    are nobody's business.
    """
    root = make_workspace(tmp_path / "ws")
    whole = (source / "03.parquet").read_bytes()
    with streaming(root, landing) as stream:
        put(source / "00.parquet", landing)
        stream.wait_for("batch")
        put(source / "00.parquet", landing, "copy.parquet")
        (landing / "00.parquet").rename(landing / "moved.parquet")
        (landing / "sub").mkdir()
        put(source / "01.parquet", landing / "sub")
        for private in ("_02.parquet", ".02.parquet", "02.parquet.tmp"):
            put(source / "02.parquet", landing, private)
        slow = landing / "slow.parquet"
        slow.write_bytes(whole[:-100])
        time.sleep(2.5)
        slow.write_bytes(whole)
        stream.wait_until(lambda: {"01.parquet", "slow.parquet"} <= published_paths(root))
        spoil(landing / "bad.parquet")
        stream.wait_until(lambda: any(line.get("quarantined") for line in stream.said))
        assert stream.end() == ExitCode.DONE
    wanted = tmp_path / "wanted"
    for name in ("00", "01", "03"):
        write = wanted / f"{name}.parquet"
        write.parent.mkdir(exist_ok=True)
        shutil.copyfile(source / f"{name}.parquet", write)
    spoil(wanted / "bad.parquet")
    other = make_workspace(tmp_path / "other")
    assert run_json(other, wanted)[0] == ExitCode.INPUT_FAILED
    assert not differing(tables(root), tables(other))
    batches = [line for line in stream.said if line.get("event") == "batch"]
    assert all({"count", "commit"} <= line["phases"].keys() for line in batches if line["counted"])
    assert sum(line["counted"] for line in batches) == 3


def test_a_folder_that_vanishes_and_comes_back_is_followed_on(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    with streaming(root, landing) as stream:
        put(source / "00.parquet", landing)
        stream.wait_for("batch")
        away = landing.rename(tmp_path / "away")
        stream.wait_until(lambda: any("is gone" in line["message"] for line in stream.said))
        away.rename(landing)
        put(source / "01.parquet", landing)
        stream.wait_until(lambda: "01.parquet" in published_paths(root))
        assert any("is there again" in line["message"] for line in stream.said)
        assert stream.end(signal.SIGINT) == ExitCode.DONE
    assert published_paths(root) == {"00.parquet", "01.parquet"}


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By three days, between two of twelve batches."""
    root = make_workspace(tmp_path / "ws")
    asked = itertools.count()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            is_back = next(asked) > 40
            return super().now(tz) - timedelta(days=3 * is_back)

    monkeypatch.setattr(run_context, "datetime", Clock)
    code, _, err = call(capsys, root, "stream", source, "--once", "--most-files", 1)
    assert code is ExitCode.DONE, err
    assert next(asked) > 80
    assert not differing(tables(root), tables(alone(tmp_path, source)))
    monkeypatch.undo()
    assert call(capsys, root, "check", "--results")[0] is ExitCode.DONE
    assert call(capsys, root, "stream", source, "--once")[0] is ExitCode.DONE
    assert len(published_paths(root)) == 12


def test_where_nobody_reads_the_log_any_more_the_work_goes_on(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    with subprocess.Popen(
        command(root, "stream", landing), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as stream:
        assert stream.stderr is not None
        while b"following" not in stream.stderr.readline():
            pass
        stream.stderr.close()
        until = time.monotonic() + PATIENCE_SECONDS
        for number in range(2):
            name = put(source / f"{number:02}.parquet", landing).name
            while name not in published_paths(root):
                assert stream.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
        stream.terminate()
        assert stream.wait(PATIENCE_SECONDS) == ExitCode.DONE


def test_a_second_signal_ends_it_at_once_and_nothing_is_half_done(
    tmp_path: Path, landing: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    for number in range(6):
        write_flows(tmp_path / f"big{number}.parquet", rows=150_000, octets=100 + number)
    with streaming(root, landing) as stream:
        for number in range(6):
            put(tmp_path / f"big{number}.parquet", landing)
        fragments = Workspace(root).fragments
        stream.wait_until(lambda: any(fragments.glob("*/*")), "a fragment")
        stream.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        assert stream.end() in (ExitCode.INTERRUPTED, ExitCode.DONE)
    assert v6share(root, "stream", landing, "--once")[0] == 0
    assert not differing(tables(root), tables(alone(tmp_path, landing)))


# Beside others


def test_every_command_gets_its_turn_and_a_second_stream_does_not(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    put(source / "00.parquet", landing)
    with streaming(root, landing) as stream:
        stream.wait_for("batch")
        put(source / "01.parquet", landing)
        code, _, err = v6share(root, "stream", landing)
        assert code == ExitCode.LOCKED
        assert "one stream does not give way to another" in err
        code, _, err = v6share(root, "run", source / "05.parquet")
        assert code == ExitCode.LOCKED
        assert f"'v6share -C {root}" in err
        assert f"(process {stream.process.pid} on " in err
        assert "it is a stream" in err
        assert "--wait SECONDS" in err
        turns = [
            ("run", source / "05.parquet", "--wait", 60),
            ("forget", source / "05.parquet", "--wait", 60),
            ("rebuild", "--wait", 60),
            ("backfill", "--since", "2026-01-01", "--until", "2027-01-01", landing, "--wait", 60),
        ]
        for number, arguments in enumerate(turns):
            put(source / f"{6 + number:02}.parquet", landing)
            code, _, err = v6share(root, *arguments)
            assert code == 0, (arguments, err)
            assert len(stream.events("turn")) == number + 1
        stream.wait_until(lambda: len(published_paths(root)) == 6, "six files")
        code, out, _ = v6share(root, "status", "--format", "json")
        assert (code, json.loads(out)["stream"]["at_work"]) == (0, True)
        assert stream.end() == 0
    (tmp_path / "wanted").mkdir()
    for path in landing.iterdir():
        shutil.copyfile(path, tmp_path / "wanted" / path.name)
    wanted = make_workspace(tmp_path / "other")
    assert run_json(wanted, tmp_path / "wanted")[0] == 0
    assert not differing(tables(root), tables(wanted))


def test_two_that_wait_at_once_both_get_their_turn(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    root = make_workspace(tmp_path / "ws")
    put(source / "00.parquet", landing)
    with streaming(root, landing) as stream:
        stream.wait_for("batch")
        waiting = [
            subprocess.Popen(command(root, "run", source / f"{n:02}.parquet", "--wait", 100))
            for n in (4, 5)
        ]
        assert [one.wait(100) for one in waiting] == [0, 0]
        # What they counted is known to the stream now, also where it comes as a copy.
        put(source / "04.parquet", landing)
        put(source / "01.parquet", landing)
        stream.wait_until(lambda: len(published_paths(root)) == 4, "four files")
        assert stream.end() == 0
    put(source / "05.parquet", landing)
    assert not differing(tables(root), tables(alone(tmp_path, landing)))


def test_a_catalog_that_changes(tmp_path: Path, landing: Path, source: Path) -> None:
    """Targets are taken over at once; another app counts when a run has counted with it; a mistake
    changes nothing.
    """
    root = make_workspace(tmp_path / "ws")
    (root / "catalog").mkdir()
    apps, targets = root / "catalog" / "apps.toml", root / "catalog" / "targets.toml"
    apps.write_text(APP.format("mail"))

    def seen(query: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(root / "published/v6share.duckdb"), read_only=True) as published:
            return published.execute(query).fetchall()

    with streaming(root, landing) as stream:
        put(source / "00.parquet", landing)
        stream.wait_for("batch")
        targets.write_text("[stage1]\napps = 7\n")
        stream.wait_for("catalog")
        target = "SELECT target FROM kpi_headline WHERE metric = 'apps_dual_stacked'"
        stream.wait_until(lambda: seen(target) == [(7,)], "the target")
        apps.write_text("[[app]]\nid = 5\n")
        stream.wait_until(lambda: any("as they were" in line["message"] for line in stream.said))
        apps.write_text(APP.format("video"))
        stream.wait_for("catalog", 2)
        assert "backfill" in stream.events("catalog")[1]["message"]
        put(source / "01.parquet", landing)
        stream.wait_until(lambda: "01.parquet" in published_paths(root))
        by_app = "SELECT app, CAST(sum(records) AS BIGINT) FROM traffic_1d GROUP BY app"
        assert seen(by_app) == [("mail", 40)]
        assert v6share(root, "run", landing, "--wait", 60)[0] == 0
        put(source / "02.parquet", landing)
        stream.wait_until(lambda: "02.parquet" in published_paths(root))
        assert seen(by_app) == [("video", 60)]
        assert stream.end() == 0


# Under a supervisor


def test_systemd_is_told_how_it_stands(tmp_path: Path, landing: Path) -> None:
    root = make_workspace(tmp_path / "ws")
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(address))
        supervisor.settimeout(60)
        with streaming(root, landing, env={"NOTIFY_SOCKET": str(address)}) as stream:
            told = [supervisor.recv(100)]
            while told[-1] != b"READY=1":
                assert told[-1] == b"WATCHDOG=1"  # also while it waits for its turn
                told.append(supervisor.recv(100))
            told = [supervisor.recv(100)]
            assert told == [b"WATCHDOG=1"]
            assert stream.end() == 0
            while told[-1:] != [b"STOPPING=1"]:
                told.append(supervisor.recv(100))
    assert set(told) == {b"WATCHDOG=1", b"STOPPING=1"}


def test_it_starts_itself_anew_where_it_needs_too_much_memory(
    tmp_path: Path, landing: Path, source: Path
) -> None:
    """The limit is set a little above what is in use, and then a file needs more."""
    root = make_workspace(tmp_path / "ws")
    write_flows(tmp_path / "big.parquet", rows=600_000)
    with streaming(root, landing) as stream:
        put(source / "00.parquet", landing)
        stream.wait_for("batch")
        pages = int(Path(f"/proc/{stream.process.pid}/statm").read_text().split()[1])
        used = pages * os.sysconf("SC_PAGE_SIZE") >> 20
        (root / "v6share.toml").write_text(f"[stream]\nmemory_limit_mib = {used + 20}\n")
        stream.wait_for("catalog")
        put(tmp_path / "big.parquet", landing)
        stream.wait_for("restart")
        stream.wait_for("following", 2)
        put(source / "01.parquet", landing)
        stream.wait_until(lambda: "01.parquet" in published_paths(root))
        assert stream.end() == 0
    assert not differing(tables(root), tables(alone(tmp_path, landing)))


def test_how_it_stands_is_kept_for_status(
    capsys: pytest.CaptureFixture[str], root: Path, source: Path
) -> None:
    assert read_stream_state(Workspace(root)) is None
    assert call(capsys, root, "stream", source, "--once")[0] is ExitCode.DONE
    out = call(capsys, root, "status", "--format", "json")[1]
    stream = json.loads(out)["stream"]
    assert (stream["at_work"], stream["batches"], stream["files"]) == (False, 1, 12)
    assert (stream["rows"], stream["backlog"], stream["held_back"]) == (240, 0, "")
    Workspace(root).stream_state.write_text("{not of this version}")
    assert "stream" not in json.loads(call(capsys, root, "status", "--format", "json")[1])
