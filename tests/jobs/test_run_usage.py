"""Options that are wrong, and workspaces that a run may not have."""

import os
import sys
from pathlib import Path

import pytest
from calls import call

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--dialect", "ipfx"], 'did you mean "ipfix"'),
        (["--runner", "flink"], 'found "flink", expected local or spark'),
        (["--spark-conf", "spark.master=yarn"], "found without --runner spark"),
        (["--runner", "spark", "--spark-conf", "master=yarn"], "expected NAME=VALUE"),
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


def test_spark_that_is_not_installed(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)  # as if it were not, where it is
    code, out, err = call(capsys, root, "run", flows, "--runner", "spark")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "Spark is not installed" in err
    assert "pip install 'v6share[spark]'" in err


@pytest.mark.parametrize("command", ["init", "run", "status"])
def test_a_workspace_whose_path_is_not_utf8_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path, command: str
) -> None:
    odd = tmp_path / os.fsdecode(b"w\xff")
    odd.mkdir()
    code, _, err = call(capsys, odd, command, *([flows] if command == "run" else []))
    assert (code, list(odd.iterdir())) == (ExitCode.USAGE, [])
    assert "the path is not UTF-8; give another place" in err


def test_a_held_workspace(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    with hold(Workspace(root), "v6share run elsewhere"):
        code, out, err = call(capsys, root, "run", flows)
    assert (code, out) == (ExitCode.LOCKED, "")
    assert "v6share run elsewhere" in err
    assert str(os.getpid()) in err
