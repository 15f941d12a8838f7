"""The published file is for any DuckDB client from 1.5 on: the views give the same rows there.

1.5.0 is the oldest; 1.5.3 has a planner that fails where its neighbours do not.
"""

import subprocess
import venv
from pathlib import Path

import pytest
import read_views
from sample_run import Counted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("version", ["1.5.0", "1.5.3"])
def test_an_older_client_reads_the_same_rows(
    counted: Counted, tmp_path: Path, version: str
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    lock = ROOT / "locks" / f"client-{version}.txt"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
    subprocess.run([*pip, "install", "--require-hashes", "-r", lock], check=True)
    published = str(counted.root / "published" / "v6share.duckdb")
    read = subprocess.run(
        [python, read_views.__file__, published], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
    found = dict(line.split(" ", 1) for line in read.stdout.splitlines())
    assert "kpi_headline" in found
    assert found == read_views.views_of(published)
