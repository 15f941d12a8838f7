"""The command line, called in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode


def call(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, str, str]:
    """Call a command on a workspace; exit code, stdout, stderr."""
    code = cli.call(["-C", str(root), *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def run(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, dict[str, Any], str]:
    """``v6share run ... --format json``: exit code, the summary, stderr."""
    code, out, err = call(capsys, root, "run", *arguments, "--format", "json")
    return code, json.loads(out)["run"], err


def committed(capsys: pytest.CaptureFixture[str], root: Path) -> int:
    """How many inputs count now."""
    out = call(capsys, root, "kpi", "ledger_files", "--format", "json")[1]
    return sum(row["status"] == "committed" for row in json.loads(out))
