"""What only a process of its own shows: closed streams and terminals."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from flow_files import write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse.database.connect import open_snapshot


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "<&- 1>&- 2>&-"])
def test_closed_streams_change_nothing(root: Path, flows: Path, closed: str) -> None:
    program = Path(sys.executable).with_name("v6share")
    ran = subprocess.run(
        ["sh", "-c", f'"$0" -C "$1" run "$2" {closed}', program, root, flows], check=False
    )
    assert ran.returncode == 0
    with open_snapshot(root / "published/v6share.duckdb") as snapshot:
        assert snapshot.execute("SELECT count(*) FROM ledger_files").fetchall() == [(3,)]


def test_a_terminal_gets_a_bar_that_is_wiped_and_a_pipe_gets_plain_text(
    root: Path, tmp_path: Path
) -> None:
    for file in range(4):
        write_flows(tmp_path / "flows" / f"{file}.parquet", octets=100 + file, rows=20_000)
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "v6share", "-C", root, "run", tmp_path / "flows"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=inner, text=True, env=environment
    ) as process:
        os.close(inner)
        drawn = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while piece := os.read(outer, 65_536):
                drawn += piece
        out, _ = process.communicate(timeout=60)
    os.close(outer)
    assert process.returncode == ExitCode.DONE
    assert "\x1b" not in out
    assert "━━━" in drawn.decode()
    assert "0 of 4 files" in drawn.decode()
    bar, _, after = drawn.rpartition(b"\x1b[1A\x1b[2K")  # one line up, and that line emptied
    assert b"\x1b[?25h" in bar  # the cursor is back
    assert after.startswith(b"published ")
    assert b"\x1b" not in after
