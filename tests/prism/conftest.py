"""Prism, a runner of Beam in Go, built once; and what it is to count."""

import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from engine import ROOT, Flows
from workspaces import make_workspace, v6share

from v6share.pipelines.sample import write_sample

PARTS = 8


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program, of the version of Beam that is installed; skips where it cannot be built."""
    version = f"v{beam.__version__}"
    folder = ROOT / "build" / "prism" / version
    program = folder / "prism"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip("there is no `go` on PATH, which builds Prism: install Go")
        source = f"github.com/apache/beam/sdks/v2/go/cmd/prism@{version}"
        subprocess.run(
            [go, "install", source], env={**os.environ, "GOBIN": str(folder)}, check=True
        )
    return program


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Flows:
    """The five files of a small sample, each in eight parts."""
    folder = tmp_path_factory.mktemp("forty")
    write_sample(folder / "sample", flows=4_000, seed=5, start=date(2026, 1, 1), days=14)
    (folder / "flows").mkdir()
    for path in sorted((folder / "sample" / "flows").iterdir()):
        table = pq.read_table(path)
        rows = -(-len(table) // PARTS)
        for part in range(PARTS):
            piece = table.slice(part * rows, rows)
            pq.write_table(piece, folder / "flows" / f"{path.stem}-{part}.parquet")
    root = make_workspace(folder / "ws", folder / "sample" / "catalog")
    code, _, err = v6share(root, "run", folder / "flows")
    assert code == 0, err
    files = sorted((folder / "flows").iterdir())
    assert len(files) == 40
    return Flows(files, folder / "sample" / "catalog", root)


@pytest.fixture
def fresh(flows: Flows, tmp_path: Path) -> Path:
    """An empty workspace with the catalog."""
    return make_workspace(tmp_path / "ws", flows.catalog)
