"""Ctrl-C and its like, sent to a process at work."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from calls import run
from flow_files import write_flows

from v6share.jobs import cli
from v6share.jobs.terminal import interrupt
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


@pytest.fixture(scope="module")
def many_flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many that a run over them is still at work when it is interrupted."""
    folder = tmp_path_factory.mktemp("many")
    for file in range(20):
        write_flows(folder / f"{file}.parquet", octets=100 + file, rows=50_000)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_half_done(
    capsys: pytest.CaptureFixture[str], root: Path, many_flows: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "v6share", "-C", root, "run", many_flows],
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
    code, done, _ = run(capsys, root, many_flows)
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


def test_what_an_earlier_command_was_asked_is_forgotten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process may run several commands; the second one's mistake is not an interrupt."""
    monkeypatch.setattr(interrupt, "_asked", threading.Event())
    interrupt._asked.set()
    assert cli.call(["rnu"]) is ExitCode.USAGE
    assert "rnu" in capsys.readouterr().err
