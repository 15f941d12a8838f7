"""The warehouse made again: the same tables, whatever stands in its place."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from calls import call, run

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


@pytest.mark.parametrize("instead", ["nothing", "an empty database", "the published file"])
def test_rebuild_gives_the_same_tables(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, instead: str
) -> None:
    run(capsys, root, flows)
    before = call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1]
    Workspace(root).warehouse.unlink()
    if instead == "the published file":
        shutil.copy(Workspace(root).published, Workspace(root).warehouse)
    elif instead == "an empty database":
        duckdb.connect(Workspace(root).warehouse).close()
    if instead != "nothing":
        code, _, err = call(capsys, root, "run", flows)
        assert code is ExitCode.USAGE
        assert "`v6share rebuild` makes it again" in err
    code, out, _ = call(capsys, root, "rebuild", "--format", "json")
    assert code is ExitCode.DONE
    rebuilt = json.loads(out)["rebuilt"]
    assert (rebuilt["inputs_live"], rebuilt["journal_entries"]) == (3, 4)
    assert call(capsys, root, "kpi", "traffic_5m", "--format", "csv")[1] == before
