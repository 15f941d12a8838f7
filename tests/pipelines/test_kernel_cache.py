"""Compiled kernels are kept where nobody else may write, and else not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from v6share.pipelines.kernel_cache import why_distrusted

PROGRAM = """
from v6share.pipelines.kernels.int128 import divide
print(type(divide._cache).__name__)
"""


def cache_of_a_process(folder: Path) -> str:
    """How a process that is given this folder keeps its kernels; compiles nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        check=True,
    )
    return done.stdout.strip()


def test_a_new_folder_is_made_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "below" / "kernels"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    assert why_distrusted() == ""
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_of_a_process(folder) == "FunctionCache"


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    folder.mkdir()
    folder.chmod(0o777)
    assert cache_of_a_process(folder) == "NullCache"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    folder.mkdir()
    os.chown(folder, 54_321, -1)
    assert cache_of_a_process(folder) == "NullCache"
