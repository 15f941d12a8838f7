"""The sample, counted once by the real command line, for every test that looks at the result."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sample_run import SAMPLE, Counted
from workspaces import read, run_json

# shared_files.py, which knows where the captures are, stands beside the tests of the dialects.
sys.path.append(str(Path(__file__).parents[1] / "pipelines"))


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    root = tmp_path_factory.mktemp("sample") / "ws"
    shutil.copytree(SAMPLE / "catalog", root / "catalog")
    code, data, said = run_json(root, SAMPLE / "flows")
    return Counted(root, code, data.get("run", {}), data.get("rejects", []), said)


@pytest.fixture(scope="session")
def snapshot(counted: Counted) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published snapshot of the sample."""
    with read(counted.root) as connection:
        yield connection
