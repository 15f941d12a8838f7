"""The command line as a shell sees it: codes, streams, suggestions, and what help imports."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flow_files import write_flows

from tools import cli_page
from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

HEAVY = ("apache_beam", "duckdb", "numba", "numpy", "pyarrow", "pydantic", "rich.table")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[ExitCode, str, str]:
    code = cli.call(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_exit_codes_are_the_contract() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "INPUT_FAILED": 1,
        "USAGE": 2,
        "GATE": 3,
        "LOCKED": 4,
        "NO_INPUT": 5,
        "TOO_OLD": 6,
        "INTERNAL": 70,
        "INTERRUPTED": 130,
    }


def test_a_directory_that_is_gone_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = call(capsys, "-C", str(tmp_path), "status")
    assert code is ExitCode.USAGE
    assert "the current directory is no longer there" in err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from v6share.jobs import cli\n"
        "code = cli.call(['--help'])\n"
        f"sys.stderr.write(repr([m for m in {HEAVY!r} if m in sys.modules]))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == "[]"
    assert "Start here" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["run", "x"],
        ["backfill", "--since", "2026-01-01", "--until", "2026-02-01", "x"],
        ["forget", "x"],
        ["rebuild"],
        ["check"],
    ],
)
def test_a_held_workspace_is_said_before_anything_heavy_is_loaded(
    tmp_path: Path, command: list[str]
) -> None:
    heavy = [name for name in HEAVY if name != "pydantic"]  # typer loads it to parse a list
    program = (
        "import sys\n"
        "from v6share.jobs import cli\n"
        f"code = cli.call(['-C', sys.argv[1], *{command!r}])\n"
        f"sys.stdout.write(repr([m for m in {heavy!r} if m in sys.modules]))\n"
        "sys.exit(code)\n"
    )
    with hold(Workspace(tmp_path), "v6share run elsewhere"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path], capture_output=True, text=True
        )
    assert (done.returncode, done.stdout) == (ExitCode.LOCKED, "[]")
    assert "v6share run elsewhere" in done.stderr


@pytest.mark.parametrize(
    ("command", "more"),
    [("kpi", ("pyarrow.compute", "pyarrow.parquet")), ("status", ()), ("check", ())],
)
def test_who_only_reads_loads_neither_what_counts_nor_what_knows_the_catalog(
    counted: Path, command: str, more: tuple[str, ...]
) -> None:
    needless = (
        "apache_beam",
        "pandas",
        "numba",
        "rich",
        "v6share.pipelines",
        "v6share.schemas.catalog",
    )
    program = (
        "import sys\n"
        "from v6share.jobs import cli\n"
        f"code = cli.call(['-q', '-C', sys.argv[1], {command!r}])\n"
        f"sys.stderr.write(repr([m for m in {(*needless, *more)!r} if m in sys.modules]))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, counted], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "[]")


def test_the_exit_code_does_not_depend_on_how_the_interpreter_shuts_down() -> None:
    program = (
        "import atexit, os, sys\n"
        "from v6share.jobs import cli\n"
        "atexit.register(os.abort)\n"
        "sys.argv = ['v6share', *sys.argv[1:]]\n"
        "cli.main()\n"
    )
    for words, code in ((["--version"], ExitCode.DONE), (["rnu"], ExitCode.USAGE)):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True)
        assert done.returncode == code
        assert done.stdout + done.stderr


@pytest.mark.parametrize("name", cli_page.command_names())
def test_each_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, err = call(capsys, *name.split(), "--help")
    assert (code, err) == (0, "")
    assert "Examples:" in out


@pytest.mark.parametrize("name", cli_page.command_names())
def test_each_command_prints_its_data_as_json(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = call(capsys, *name.split(), "--help")[1]
    assert re.search(r"--format <(\w+\|)*json\b", out)


def test_no_argument_is_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: v6share")


def test_in_80_columns_the_help_says_whole_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = call(capsys, "--help")[1].splitlines()
    commands = lines[lines.index("Commands:") + 1 :]
    names = dict.fromkeys(name.split()[0] for name in cli_page.command_names())
    for name, line in zip(names, commands, strict=False):
        assert re.fullmatch(rf"  {name} +\w.*[^.]\.", line)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--version")
    assert code == 0
    assert out.startswith("v6share ")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rnu", "x"], "Did you mean 'run'?"),
        (["run", "x", "--sinc", "2026-01-01"], "Did you mean --since"),
        (["kpi", "--fromat", "json"], "Did you mean --format?"),
        (["kpi", "-C", "x"], "v6share -C DIR kpi"),
        (["kpi", "--format", "jsn"], "'json'"),
        (["kpi", "--limit", "-1"], "'--limit': found \"-1\", expected at least 0. See"),
        (["run", "x", "--wait", "x"], "'--wait': found \"x\", expected a number. See"),
        (["sample", "x", "--seed", "1.5"], "'--seed': found \"1.5\", expected a whole number."),
        (["-q", "-v", "kpi"], "exclude each other"),
        (["run"], "Missing argument 'PATH'"),
    ],
)
def test_a_wrong_name_gets_the_nearest_one(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    code, out, err = call(capsys, *arguments)
    assert code is ExitCode.USAGE
    assert out == ""
    assert hint in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_the_page_is_what_the_code_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text() == cli_page.cli_page(), (
        "docs/cli.md is stale: python -m tools.cli_page > docs/cli.md"
    )


def test_the_page_has_the_options_that_the_help_prints(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "kpi", "-h")
    assert code == 0
    assert "-h, --help" in out
    assert cli_page.cli_page().count("-h, --help") == 1 + len(cli_page.command_names())


def test_every_command_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for name in cli_page.command_names():
        assert f"## `v6share {name}`" in page


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def job(*_: object, **__: object) -> ExitCode:
        raise error

    from v6share.jobs.commands import kpi

    monkeypatch.setattr(kpi, "main", job)


def test_an_unexpected_error_is_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, ZeroDivisionError("by zero"))
    code, out, err = call(capsys, "kpi")
    assert code is ExitCode.INTERNAL
    assert out == ""
    assert err == "error: unexpected ZeroDivisionError: by zero (-v shows where: v6share -v ...)\n"


def test_a_disk_that_cannot_be_read_is_no_fault_of_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, OSError(errno.EIO, "Input/output error", "state/journal.jsonl"))
    code, out, err = call(capsys, "kpi")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "Input/output error: 'state/journal.jsonl'" in err
    assert "unexpected" not in err


def test_verbose_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, ZeroDivisionError("by zero"))
    code, _, err = call(capsys, "-v", "kpi")
    assert code is ExitCode.INTERNAL
    assert "Traceback" in err
    assert err.endswith("error: unexpected ZeroDivisionError: by zero\n")


def test_an_interrupt_is_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, KeyboardInterrupt())
    code, out, _ = call(capsys, "kpi")
    assert code is ExitCode.INTERRUPTED
    assert out == ""


@pytest.mark.parametrize("command", ["kpi", "status", "check"])
def test_an_interrupt_of_what_changes_nothing_is_just_that(command: str) -> None:
    program = (
        "import sys\n"
        "from v6share.jobs import cli\n"
        f"from v6share.jobs.commands import {command} as job\n"
        "def stop(*_, **__): raise KeyboardInterrupt\n"
        "job.main = stop\n"
        f"sys.argv = ['v6share', {command!r}]\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (ExitCode.INTERRUPTED, "")
    assert done.stderr == "error: interrupted\n"


@pytest.mark.parametrize("command", ["init x", "sample x/y", "run flows", "kpi"])
def test_a_place_where_nothing_can_be_made_is_the_users_to_mend(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flows(tmp_path / "flows/a.parquet")
    for name in ("state", "published", "x"):
        (tmp_path / name).write_text("a file, where a folder is wanted")
    words = command.replace("x", "x/z").split()
    code, out, err = call(capsys, *words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith("error: ")
    assert "unexpected" not in err


def test_json_log_is_one_object_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = call(capsys, "-C", str(tmp_path), "--log", "json", "run", str(tmp_path))
    assert code is ExitCode.NO_INPUT
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["level"] == "error"
    assert {"time", "level", "message"} <= lines[-1].keys()


@pytest.mark.parametrize(
    "words",
    [
        ["--log", "json", "frob"],
        ["--log=json", "serve"],
        ["--log", "json", "--frob", "kpi"],
        ["-q", "-v", "--log", "json", "kpi"],
        ["--log", "json", "run"],
    ],
)
def test_a_mistake_in_usage_is_an_object_too(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, _, err = call(capsys, *words)
    assert code is ExitCode.USAGE
    assert json.loads(err)["level"] == "error"


def test_a_reader_that_leaves_is_no_error() -> None:
    program = (
        "import sys\n"
        "from v6share.jobs.terminal import stdout\n"
        "for _ in range(100_000): stdout.write('line\\n')\n"
        "stdout.flush()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
