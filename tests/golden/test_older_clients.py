"""The published file is for any DuckDB client from 1.5 on: the views give the same rows there.

1.5.0 is the oldest; 1.5.3 has a planner that fails where its neighbours do not.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import read_views
from sample_run import Counted

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def published(counted: Counted) -> str:
    return str(counted.root / "published" / "v6share.duckdb")


@pytest.fixture(scope="module")
def wanted(published: str) -> dict[str, str]:
    """What this version of DuckDB reads."""
    return read_views.views_of(published)


@pytest.mark.parametrize("version", ["1.5.0", "1.5.3"])
def test_an_older_client_reads_the_same_rows(
    published: str, wanted: dict[str, str], tmp_path: Path, version: str
) -> None:
    lock = ROOT / "locks" / f"client-{version}.txt"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    subprocess.run(
        [*pip, "--require-hashes", "--no-deps", "--target", tmp_path, "-r", lock], check=True
    )
    # -S: of what is installed beside Python, nothing but this client.
    read = subprocess.run(
        [sys.executable, "-S", read_views.__file__, published],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    found = dict(line.split(" ", 1) for line in read.stdout.splitlines())
    assert found.pop("duckdb") == version
    assert {"main.kpi_headline", "definitions.kpi_headline"} <= found.keys()
    assert found == wanted
