"""The wheel works where nothing of the repository is."""

import sys
import venv
from pathlib import Path

import pytest
from commands import ROOT, run


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the locked dependencies and the built wheel; its bin folder."""
    place = tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    run(sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", "-w", place, ROOT)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    run(python, *pip, "install", "--require-hashes", "-r", ROOT / "locks" / "run.txt")
    run(python, *pip, "install", "--no-deps", wheel)
    return python.parent


def test_the_wheel_counts_the_sample_it_carries(installed: Path, tmp_path: Path) -> None:
    """SQL, dialects, starter files and the sample travel in it; nothing is taken from here."""
    where = run(
        installed / "python",
        "-c",
        "from importlib.resources import files; print(files('v6share.data') / 'sample')",
        cwd=tmp_path,
    ).strip()
    assert str(installed.parent) in where
    run(installed / "v6share", "init", tmp_path / "ws", cwd=tmp_path)
    flows = sorted(Path(where, "flows").glob("*.parquet"))[:2]
    run(installed / "v6share", "-C", tmp_path / "ws", "run", *flows, cwd=tmp_path)
    said = run(installed / "v6share", "-C", tmp_path / "ws", "kpi", cwd=tmp_path)
    assert "IPv6 share of the top apps" in said
