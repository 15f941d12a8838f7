"""``v6share init``."""

import json
from pathlib import Path

import pytest

from v6share.jobs import cli
from v6share.workspace import configured


def test_a_starter_workspace_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["init", str(tmp_path / "net"), "--format", "json"]) == 0
    said = capsys.readouterr()
    files = json.loads(said.out)["files"]
    assert all(row["written"] and Path(row["path"]).is_file() for row in files)
    assert len(files) == 18
    assert "Next:" in said.err
    configured.configure(tmp_path / "net")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "catalog").mkdir()
    mine = tmp_path / "catalog" / "products.toml"
    mine.write_text("# mine\n")
    assert cli.call(["-C", str(tmp_path), "init", "--format", "json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [row["path"] for row in files if not row["written"]] == [str(mine)]
    assert mine.read_text() == "# mine\n"
    assert (tmp_path / "catalog" / "apps.toml").exists()
    assert (tmp_path / "v6share.toml").exists()
    capsys.readouterr()
    assert cli.call(["-C", str(tmp_path), "init"]) == 0
    assert "nothing was changed" in capsys.readouterr().err
