"""For schedulers: data in a file, one object a line, one line of a run."""

import io
import json
import os
import re
import stat
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import typer
from calls import call
from flow_files import spoil

from v6share.jobs.cli import app
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def commands(group: typer.main.TyperGroup, name: str = "") -> dict[str, list[str]]:
    """The options of every command, by its name."""
    found: dict[str, list[str]] = {}
    for one, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{name}{one} ")
        else:
            found[name + one] = [option for param in command.params for option in param.opts]
    return found


def test_whatever_has_a_form_can_be_written_into_a_file() -> None:
    every = commands(typer.main.get_command(app))
    assert len(every) > 15
    for name, options in every.items():
        assert ("--format" in options) == ("--output" in options), name


@pytest.mark.parametrize(
    "command",
    [
        ("kpi", "traffic_5m", "--format", "csv"),
        ("kpi", "--format", "json"),
        ("kpi", "2"),
        ("status", "--format", "markdown"),
        ("check", "--format", "jsonl"),
    ],
)
def test_a_file_holds_what_stdout_would(
    capsys: pytest.CaptureFixture[str], counted: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    expected = call(capsys, counted, *command)[1]
    file = tmp_path / "out.txt"
    file.write_text("what was there before, and was longer" * 10_000)
    code, out, _ = call(capsys, counted, *command, "--output", file)
    assert (code, out) == (ExitCode.DONE, "")
    # Ages go on.
    found, expected = (re.sub(r'"age\w*": [^,}]+', "", one) for one in (file.read_text(), expected))
    assert found.splitlines()[-3:] == expected.splitlines()[-3:]
    assert len(found.splitlines()) == len(expected.splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_table_of_parquet_goes_into_a_file(
    capsys: pytest.CaptureFixture[str], counted: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out.parquet"
    call(capsys, counted, "kpi", "traffic_5m", "--format", "parquet", "-o", file)
    assert pq.read_table(io.BytesIO(file.read_bytes())).num_rows == 6


@pytest.mark.parametrize("where", ["folder", "missing/out.json", "pipe", "closed/out.json"])
def test_where_no_file_can_be_made_nothing_is_begun(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "closed").mkdir()
    os.mkfifo(tmp_path / "pipe")
    # Who runs the tests may be root, who may write everywhere.
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path.name != "closed" and access(path, mode)
    )
    code, out, err = call(capsys, root, "run", flows, "--output", tmp_path / where)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "--output: " in err
    assert not storage.exists(Workspace(root).journal)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_what_was_printed_before_a_failure_is_in_the_file(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    code = call(capsys, root, "run", flows / "day0.parquet", "--format", "json", "-o", file)[0]
    assert (code, json.loads(file.read_text())["run"]["published"]) == (ExitCode.DONE, True)
    before = file.read_text()
    assert call(capsys, root, "run", "--format", "json", "-o", file)[0] is ExitCode.USAGE
    assert file.read_text() == before  # nothing was printed
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        warehouse.execute("INSERT INTO traffic_5m SELECT * FROM traffic_5m LIMIT 1")
    assert call(capsys, root, "run", flows, "--format", "json", "-o", file)[0] is ExitCode.GATE
    assert json.loads(file.read_text())["run"]["published"] is False
    # The next command of this process has its stdout back.
    assert json.loads(call(capsys, root, "status", "--format", "json")[1])["runs"]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "table", "parquet"])
def test_a_result_without_rows_takes_the_place_of_what_was_there(
    capsys: pytest.CaptureFixture[str], counted: Path, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "refused"
    file.write_text("of yesterday\n")
    command = ("quarantine", "list", "--format", form)
    assert call(capsys, counted, *command, "--output", file)[:2] == (ExitCode.DONE, "")
    if form == "parquet":
        assert pq.read_table(io.BytesIO(file.read_bytes())).num_rows == 0
    else:
        assert file.read_text() == call(capsys, counted, *command)[1]
    assert (file.stat().st_size == 0) == (form == "jsonl")


def test_one_object_a_line(capsys: pytest.CaptureFixture[str], counted: Path) -> None:
    lines = call(capsys, counted, "kpi", "ledger_files", "--format", "jsonl")[1].splitlines()
    whole = json.loads(call(capsys, counted, "kpi", "ledger_files", "--format", "json")[1])
    assert [json.loads(line) for line in lines] == whole
    assert len(lines) == 3
    # Of several tables each line says of which it is.
    several = call(capsys, counted, "status", "--format", "jsonl")[1].splitlines()
    found = [json.loads(line) for line in several]
    whole = json.loads(call(capsys, counted, "status", "--format", "json")[1])
    for name, part in whole.items():
        rows = [row for row in found if row["table"] == name]
        parts = part if isinstance(part, list) else [part]
        assert [row.keys() - {"table"} for row in rows] == [one.keys() for one in parts], name
    board = call(capsys, counted, "kpi", "--format", "jsonl")[1].splitlines()
    names = [json.loads(line)["table"] for line in board]
    assert (names[0], names[-1]) == ("headline", "data")


def test_a_quiet_run_leaves_one_line(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, tmp_path: Path
) -> None:
    spoil(flows / "bad.parquet")
    code, out, _ = call(capsys, root, "-q", "run", flows)
    assert code is ExitCode.INPUT_FAILED
    said = "inputs: 3 committed, 0 known, 1 quarantined, 0 failed; rows: 12 counted, 0 rejected; "
    assert out.partition(": ")[2] == said + "published; 3 warnings not shown\n"
    file = tmp_path / "run.json"
    code, out, err = call(capsys, root, "-q", "run", flows, "--format", "json", "-o", file)
    assert (code, err, out.count("\n")) == (ExitCode.DONE, "", 1)
    assert json.loads(out) == json.loads(file.read_text())["run"]
    assert json.loads(out)["inputs_known"] == 3
    out = call(capsys, root, "-q", "run", flows, "--strict")[1]
    assert out.endswith("; nothing new\n")
    # One that does not come to count has nothing to say there.
    (tmp_path / "empty").mkdir()
    for path, ended in (
        (tmp_path / "empty", ExitCode.NO_INPUT),
        (f"{flows}/*.none", ExitCode.NO_INPUT),
        (flows / "day0.parquet?", ExitCode.NO_INPUT),
    ):
        code, out, err = call(capsys, root, "-q", "run", path, "--format", "json")
        assert (code, out, err.count("error: ")) == (ended, "", 1)
    assert call(capsys, root, "-q", "run")[:2] == (ExitCode.USAGE, "")
    # What is asked for is printed as ever; of what was done there is nothing, unless it is asked.
    assert len(call(capsys, root, "-q", "status")[1].splitlines()) > 10
    assert call(capsys, root, "-q", "quarantine", "accept", "--all")[1] == ""
    assert call(capsys, root, "-q", "forget", flows / "day1.parquet")[1] == ""
    out = call(capsys, root, "-q", "forget", flows / "day2.parquet", "--format", "json")[1]
    assert len(json.loads(out)["withdrawn"]) == 1
