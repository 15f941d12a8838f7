"""Spark with a Java, flow files that take a while, and workspaces counted without Spark."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from java_home import has_java, packaged_java
from spark_runs import SAMPLE
from workspaces import make_workspace, v6share

# flow_files.py stands beside the tests of commands.
sys.path.append(str(Path(__file__).parents[1] / "jobs"))
from flow_files import JANUARY_1, write_flows


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Java, and nothing of how Spark is set up on this machine."""
    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_MASTER", "MASTER", "PYSPARK_PYTHON"):
            patch.delenv(name, raising=False)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_WORKER_DIR", str(folder / "work"))
        if not has_java():
            patch.setenv("JAVA_HOME", str(packaged_java(folder / "java")))
        yield


@pytest.fixture(scope="session")
def slow_flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files, each of which takes a second or so."""
    folder = tmp_path_factory.mktemp("slow")
    for file in range(6):
        write_flows(
            folder / f"{file}.parquet", start_ms=JANUARY_1, rows=300_000, octets=1000 + file
        )
    return folder


@pytest.fixture(scope="session")
def counted_here(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A workspace with the sample's catalog, in which ``--runner local`` has counted a folder."""
    done: dict[Path, Path] = {}

    def counted(flows: Path) -> Path:
        if flows not in done:
            root = make_workspace(tmp_path_factory.mktemp("here") / "ws", SAMPLE / "catalog")
            assert v6share(root, "run", flows, "--runner", "local")[0] == 0
            done[flows] = root
        return done[flows]

    return counted


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """An empty workspace with the sample's catalog."""
    return make_workspace(tmp_path / "ws", SAMPLE / "catalog")


@pytest.fixture
def few_flows(tmp_path: Path) -> Path:
    """The three smallest files of the sample."""
    folder = tmp_path / "few"
    folder.mkdir()
    smallest = sorted((SAMPLE / "flows").iterdir(), key=lambda path: path.stat().st_size)[:3]
    for path in smallest:
        shutil.copy2(path, folder)
    return folder


@pytest.fixture
def log_folder(tmp_path: Path) -> Path:
    """A folder for Spark's event log."""
    folder = tmp_path / "events"
    folder.mkdir()
    return folder
