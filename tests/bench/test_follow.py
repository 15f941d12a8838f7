"""What is measured of a stream is what happened: figures by hand, real processes, real files."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import follow, history, plot_lag, processes

pytestmark = pytest.mark.long

MINUTE = datetime.fromisoformat("2026-06-01T00:00")
# A loop of runs: what it does is what `v6share stream` is to do, only slower.
STAND_IN = """#!/bin/sh
# Called as: -C W --log json stream FOLDER
trap 'exit {code}' TERM
while :; do
  "{python}" -m v6share -C "$2" run "$6" &
  wait $!
  echo '{{"counted": 1, "phases": {{"count": 0.5}}, "backlog": 3}}' >&2
done
"""


def test_percentiles_by_hand() -> None:
    assert [follow.percentile(range(1, 101), p) for p in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert [follow.percentile([3, 1, 2], p) for p in (0.5, 0.95, 1)] == [2, 3, 3]
    assert follow.percentile([7.5], 0.01) == 7.5


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_percentiles_are_those_of_numpy(values: list[float], share: float) -> None:
    expected = np.quantile(values, share, method="inverted_cdf")
    assert follow.percentile(values, share) == expected


def test_files_are_due_evenly_and_late_ones_are_of_the_day_before() -> None:
    due = follow.steady(per_minute=30, minutes=0.5)
    assert due == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28]
    plan = follow.plan_files(MINUTE, due, late=True)
    assert len(plan.files) == len(due) + 1
    assert [one.due for one in plan.measured] == due
    for at, file in enumerate(plan.files):
        on_time = MINUTE + timedelta(minutes=at)
        assert file.minute == (on_time - timedelta(1) if at == 10 else on_time)
    # So it differs from a file of that minute that was on time, in an earlier feed.
    assert [one.number >= 32_768 for one in plan.files] == [at == 10 for at in range(16)]
    assert all(one.minute >= MINUTE for one in follow.plan_files(MINUTE, due, late=False).files)
    with pytest.raises(ValueError, match="expected fewer than 32,768"):
        follow.plan_files(MINUTE, [None] * 32_768, late=False)


def test_batches_are_the_lines_with_phases(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = b'{"phases": {"count": 9}}\n'
    log.write_bytes(
        before + b'not json {\n[1]\n{"counted": 1}\n{"counted": 2, "phases": {"count": 0.5}}\n{"ph'
    )
    assert follow.read_batches(log, len(before)) == [{"counted": 2, "phases": {"count": 0.5}}]
    assert len(follow.read_batches(log)) == 2


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A published file of which three files of ten rows stand in the ledger, and one elsewhere."""
    file = tmp_path / "v6share.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE ledger_files AS SELECT path, 'committed' AS status, 10 AS rows_in, "
            "10 AS rows_counted FROM (VALUES ('/f/000000.parquet'), ('/f/000001.parquet'), "
            "('/f/000002.parquet'), ('/g/000003.parquet')) t(path)"
        )
    return file


def test_all_files_once_is_no_complaint(ledger: Path) -> None:
    plan = follow.plan_files(MINUTE, [0, 0], late=False)
    assert follow.exactly_once(ledger, Path("/f"), plan, 10) == []


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ledger_files WHERE path LIKE '%1.parquet'",
        "UPDATE ledger_files SET status = 'quarantined' WHERE path LIKE '%1.parquet'",
        "UPDATE ledger_files SET rows_counted = 9 WHERE path LIKE '%1.parquet'",
        "INSERT INTO ledger_files SELECT * FROM ledger_files WHERE path LIKE '%1.parquet'",
    ],
)
def test_a_file_that_is_not_counted_once_is_named(ledger: Path, change: str) -> None:
    with duckdb.connect(str(ledger)) as connection:
        connection.execute(change)
    plan = follow.plan_files(MINUTE, [0, 0], late=False)
    (said,) = follow.exactly_once(ledger, Path("/f"), plan, 10)
    assert said.startswith("000001.parquet: found ")


def test_a_strange_file_is_named(ledger: Path) -> None:
    plan = follow.plan_files(MINUTE, [0], late=False)
    (said,) = follow.exactly_once(ledger, Path("/f"), plan, 10)
    assert said.startswith("000002.parquet: found [1, 10, 10], expected nothing")


@pytest.fixture
def family(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell whose first child has used time and written, and whose second holds memory."""
    first = (
        "import os, sys, time\nwhile time.process_time() < 0.5: pass\n"
        "with open(sys.argv[1], 'wb') as f: f.write(bytes(3 << 20)); f.flush(); os.fsync(f)"
    )
    second = (
        "import threading, time\nheld = bytearray(b'x' * (80 << 20))\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    script = '"$1" -c "$2" "$3"; "$1" -c "$4"; :'
    written = str(tmp_path / "written")
    words = ["sh", "-c", script, "sh", sys.executable, first, written, second]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)


def test_what_descendants_use_counts_even_when_they_have_ended(
    family: subprocess.Popen[str],
) -> None:
    found = processes.usage(family.pid)
    assert found is not None
    assert 0.5 <= found.cpu_seconds < 30
    assert found.written_bytes >= 3 << 20
    assert found.memory_bytes > 80 << 20
    assert found.threads == 3  # of the shell one, of its child two
    assert found.descriptors >= 6


def test_a_process_that_ended_uses_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert processes.usage(process.pid) is None


def stand_in(folder: Path, code: int = 0) -> Path:
    program = folder / "v6share"
    program.write_text(STAND_IN.format(python=sys.executable, code=code))
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("follow") / "ws"
    history.make(root, history.History(days=1, rows=1000))
    return root


def call(monkeypatch: pytest.MonkeyPatch, root: Path, program: Path, *words: str) -> int:
    said = ["bench.follow", str(root), "--rows", "50", "--v6share", str(program), *words]
    monkeypatch.setattr(sys, "argv", said)
    return follow.main()


def test_a_stream_is_measured_and_drawn(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lags = tmp_path / "lag.csv"
    words = ["--burst", "10", "--late", "--csv", str(lags)]
    assert call(monkeypatch, made, stand_in(tmp_path), *words) == 0
    said = capsys.readouterr().out
    assert "10 files, 500 rows" in said
    assert "| never seen by a reader | 0 files |" in said
    assert "| count | " in said
    assert said.endswith("ended with 0.\n")
    lines = lags.read_text().splitlines()
    assert lines[0] == "arrived,published,lag_seconds"
    assert len(lines) == 11
    for line in lines[1:]:
        arrived, published, lag = line.split(",")
        between = datetime.fromisoformat(published) - datetime.fromisoformat(arrived)
        assert between.total_seconds() == pytest.approx(float(lag), abs=0.002)
        assert float(lag) > 0
    assert plot_lag.draw(plot_lag.read_lags(lags)).startswith("<svg")
    # Another one on the same workspace, whose stream does not end well.
    monkeypatch.setattr(follow, "BATCHES_A_SAMPLE", 2)
    assert call(monkeypatch, made, stand_in(tmp_path, code=3), "--batches", "4") == 1
    out, err = capsys.readouterr()
    assert "exit code: found 3, expected 0" in out
    assert "| batches that readers saw | 4; " in out
    assert [line.split()[0] for line in err.splitlines() if " batches in " in line] == ["2", "4"]


def test_a_stream_that_ends_at_once_is_said(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "v6share"
    program.write_text("#!/bin/sh\necho no such command >&2\nexit 2\n")
    program.chmod(0o755)
    assert call(monkeypatch, made, program, "--burst", "1") == 1
    assert "the stream ended with 2: no such command" in capsys.readouterr().err
    # Its files would be the same ones again.
    assert call(monkeypatch, made, program, "--burst", "1") == 1
    assert "is there from a feed that was broken off" in capsys.readouterr().err


def test_a_workspace_without_a_published_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, tmp_path, Path("v6share")) == 1
    assert "published/v6share.duckdb" in capsys.readouterr().err


def test_the_picture_has_a_line_for_each_figure_and_a_gap_where_nothing_came(
    tmp_path: Path,
) -> None:
    lags = tmp_path / "lag.csv"
    rows = [("10:00:01", 1.0), ("10:00:59", 3.0), ("10:01:00", 2.0), ("10:03:30", 4.0)]
    text = "".join(f"2026-06-01T{at}+00:00,,{lag}\n" for at, lag in rows)
    lags.write_text(f"arrived,published,lag_seconds\n{text}2026-06-01T10:03:40+00:00,,\n")
    found = plot_lag.read_lags(lags)
    assert [(m % 3600, list(v)) for m, v in found.by_minute.items()] == [
        (0, [1.0, 3.0]),
        (60, [2.0]),
        (180, [4.0]),
    ]
    picture = ElementTree.fromstring(plot_lag.draw(found))
    shapes = [one.get("points", "").split() for one in picture.findall("{*}polyline")]
    # Each figure: two minutes, a gap, one minute, and its sample beside its name.
    assert [len(points) for points in shapes] == [2, 2, 2] * 3
    texts = [one.text for one in picture.findall("{*}text")]
    assert texts[0] == "From arrival to published, by minute: 4 files, 1 more never published"
    assert {"10:00", "10:01", "10:02", "10:03", "arrival, UTC, from 2026-06-01"} <= set(texts)
    assert {"lag, seconds", "0", "1", "4", "p50", "p95", "max"} <= set(texts)
    # Lags run from 310 (none) up to 40 (4 s): 1 and 3 s, in the first minute, are p50 and max.
    assert [shapes[i][0] for i in (0, 6)] == ["60.0,242.5", "60.0,107.5"]
    lags.write_text("arrived,published,lag_seconds\n")
    with pytest.raises(ValueError, match="found no lag"):
        plot_lag.read_lags(lags)
