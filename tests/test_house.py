"""The house rules: linter, formatter, strict types, import contracts, and a wheel that works."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def test_linter() -> None:
    run(tool("ruff"), "check", ".")


def test_formatter() -> None:
    run(tool("ruff"), "format", "--check", ".")


def test_types() -> None:
    run(tool("mypy"))


def test_import_contracts() -> None:
    said = run(tool("lint-imports"))
    assert " 0 broken." in said, said


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
