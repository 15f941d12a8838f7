"""What a run says that would publish damage."""

import re
from pathlib import Path

import pytest
from flow_files import write_flows

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long


def test_damage_keeps_what_is_published_until_rebuild_mends_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "ws")
    workspace.root.mkdir()
    call = ["-C", str(workspace.root)]
    assert cli.call([*call, "run", str(write_flows(tmp_path / "a.parquet"))]) is ExitCode.DONE
    before = workspace.published.read_bytes()
    copy = storage.copy_held

    def spoiled(warehouse: Path, draft: Path) -> None:
        copy(warehouse, draft)
        content = bytearray(draft.read_bytes())
        for found in re.finditer(rb"/a\.parquet", content):
            content[found.start()] ^= 1
        draft.write_bytes(content)

    monkeypatch.setattr(storage, "copy_held", spoiled)
    run = [*call, "run", str(write_flows(tmp_path / "b.parquet", octets=7))]
    capsys.readouterr()
    assert cli.call(run) is ExitCode.USAGE
    said = capsys.readouterr()
    assert re.search(r"inputs committed +1\n", said.out)
    assert re.search(r"warehouse\.duckdb cannot be read: Corrupt .* rebuild`", said.err)
    assert workspace.published.read_bytes() == before
    assert cli.call([*call, "status"]) is ExitCode.DONE
    err = capsys.readouterr().err
    assert "not published (the warehouse is damaged)" in err
    assert "rebuild` makes the warehouse again and publishes" in err
    monkeypatch.undo()
    assert cli.call([*call, "rebuild"]) is ExitCode.DONE
    assert cli.call([*call, "status"]) is ExitCode.DONE
    assert "not published" not in capsys.readouterr().err
