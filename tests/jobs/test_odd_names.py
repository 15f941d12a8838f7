"""Names of folders and files are data to every command, whatever they hold."""

from pathlib import Path

import pytest
from calls import call, committed
from flow_files import write_flows

from v6share.jobs.terminal.exit_codes import ExitCode

ODD = "it's [1]'; DROP TABLE ledger_files; --\" $(exit 7)"


def test_names_of_folders_and_files_are_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, path = tmp_path / ODD, tmp_path / f"flows {ODD}" / f"{ODD}.parquet"
    root.mkdir()
    write_flows(path)
    for words, live in (
        (["run", path], 1),
        (["reconcile", path.parent], 1),
        (["rebuild"], 1),
        (["doctor"], 1),
        (["forget", path], 0),
    ):
        code, _, err = call(capsys, root, *words)
        assert code is ExitCode.DONE, (words, err)
        assert committed(capsys, root) == live
