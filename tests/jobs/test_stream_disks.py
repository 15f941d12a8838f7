"""A stream on a disk that is full, or read-only: it ends with a sentence, and goes on later."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flow_files import write_flows
from streams import put, streaming
from workspaces import differing, make_workspace, run_json, tables, v6share

from v6share.jobs.terminal.exit_codes import ExitCode

pytestmark = pytest.mark.long


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 48 MB in memory. Only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk of its own for this test: mount needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def landed(tmp_path: Path) -> tuple[Path, list[Path]]:
    (tmp_path / "landing").mkdir()
    files = [
        write_flows(tmp_path / "source" / f"{number}.parquet", octets=900 + number, rows=60)
        for number in range(4)
    ]
    return tmp_path / "landing", files


def goes_on(tmp_path: Path, root: Path, landing: Path) -> None:
    """What was left is counted, and nothing twice."""
    code, _, err = v6share(root, "stream", landing, "--once")
    assert code == 0, err
    other = make_workspace(tmp_path / "other")
    assert run_json(other, landing)[0] == 0
    assert not differing(tables(root), tables(other))


def test_a_full_disk(tmp_path: Path, disk: Path) -> None:
    landing, files = landed(tmp_path)
    root = make_workspace(disk / "ws")
    ballast = disk / "ballast"
    with streaming(root, landing) as stream:
        put(files[0], landing)
        stream.wait_for("batch")
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], check=False)
        for file in files[1:]:
            put(file, landing)
        assert stream.process.wait(120) == ExitCode.INTERNAL
        assert "no space left" in stream.said[-1]["message"]
    ballast.unlink()
    goes_on(tmp_path, root, landing)


def test_a_read_only_disk(tmp_path: Path, disk: Path) -> None:
    landing, files = landed(tmp_path)
    root = make_workspace(disk / "ws")
    put(files[0], landing)
    assert v6share(root, "stream", landing, "--once")[0] == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    put(files[1], landing)
    code, _, err = v6share(root, "stream", landing, "--once")
    assert code == ExitCode.USAGE
    assert "Read-only file system" in err
    assert "unexpected" not in err
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    goes_on(tmp_path, root, landing)
