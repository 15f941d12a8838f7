"""Who may read ``published/`` and not ``state/``, as another user of the machine may.

The commands are called in a process that gives up its user. It has called them before, as the
owner: the interpreter itself may stand where others cannot read it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import as_in_docs, call, run
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: only root may become another user, run this as root"
)
NOBODY = 65534
AS_NOBODY = f"""
import contextlib, io, os, sys
from v6share.jobs import cli
arguments = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    cli.call(arguments)
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
try:
    os.listdir(os.path.join(arguments[1], "state"))
except PermissionError:
    sys.exit(cli.call(arguments))
sys.exit("the state can be read")
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A workspace in a folder that others may enter: they may not enter those of pytest."""
    with tempfile.TemporaryDirectory(prefix="v6share-reader-") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "ws"
        root.mkdir(mode=0o755)
        yield root


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    for day in range(2):
        write_flows(tmp_path / "flows" / f"{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS)
    return tmp_path / "flows"


def as_nobody(root: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, as_in_docs(done.stderr, root)


@needs_root
def test_a_reader_is_told_why_newer_numbers_are_held_back(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows / "0.parquet")[0] is ExitCode.DONE
    assert call(capsys, root, "run", flows, "--no-publish")[0] is ExitCode.DONE
    code, out, err = as_nobody(root, "kpi", "kpi_headline", "--format", "json")
    assert code == 0, err
    assert json.loads(out)
    assert "newer numbers are held back" in err
    assert "--no-publish was given" in err
    code, out, err = as_nobody(root, "status", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["files"][0]["inputs"] == 1
    assert f"{root}/state is not yours to read; this is the state last published" in err
    assert "newer numbers are held back (--no-publish was given)" in err
    assert "The next `v6share run` publishes" in err


@needs_root
def test_a_reader_of_all_that_there_is_is_told_nothing_of_the_kind(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    for command in ("kpi", "status"):
        code, _, err = as_nobody(root, command)
        assert code == 0, err
        assert "held back" not in err


@needs_root
def test_a_reader_finds_nothing_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert call(capsys, root, "run", flows, "--no-publish")[0] is ExitCode.DONE
    assert not Workspace(root).published.exists()
    for command in ("kpi", "status"):
        code, out, err = as_nobody(root, command)
        assert (code, out) == (ExitCode.USAGE, "")
        assert "Permission denied" not in err
        assert "--no-publish was given" in err
