"""A workspace and a few days of flow files, for tests that call commands."""

from pathlib import Path

import pytest
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with nothing in it."""
    (tmp_path / "ws").mkdir()
    return tmp_path / "ws"


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder of three files, a day each."""
    for day in range(3):
        write_flows(
            tmp_path / "flows" / f"day{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS,
            octets=1000 + day,
        )
    return tmp_path / "flows"


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three counted files, for tests that only read it."""
    base = tmp_path_factory.mktemp("counted")
    (base / "ws").mkdir()
    for day in range(3):
        write_flows(base / f"flows/{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS)
    assert cli.call(["-q", "-C", str(base / "ws"), "run", str(base / "flows")]) is ExitCode.DONE
    return base / "ws"
