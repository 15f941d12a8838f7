"""The command line, called in this process."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode


def call(
    capsys: pytest.CaptureFixture[str], root: Path, *arguments: object
) -> tuple[ExitCode, str, str]:
    """Call a command on a workspace; exit code, stdout, stderr, with advice as in the docs."""
    code = cli.call(["-C", str(root), *map(str, arguments)])
    said = capsys.readouterr()
    return code, as_in_docs(said.out, root), as_in_docs(said.err, root)


def as_in_docs(said: str, root: Path) -> str:
    """Commands that are advised, without the ``-C`` that names this workspace."""
    return said.replace(f"`v6share -C {quote(str(root))} ", "`v6share ")


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
