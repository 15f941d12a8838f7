"""Where several fragments are gone, the commands that are shown are run as they stand, and help."""

import re
import shlex
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from calls import call, committed
from flow_files import write_flows
from workspaces import differing, read, tables

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

ASKING = {
    "check": (ExitCode.GATE, ["check"]),
    "doctor": (ExitCode.USAGE, ["doctor"]),
    "status": (ExitCode.DONE, ["status"]),
    "forget": (ExitCode.USAGE, ["forget", "flows/0.parquet"]),
    "rebuild": (ExitCode.USAGE, ["rebuild"]),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in the current folder that counted four files of one day, one with a blank."""
    monkeypatch.chdir(tmp_path)
    for name in ("0", "1", "2", "it's 3"):
        write_flows(tmp_path / "flows" / f"{name}.parquet", octets=1000 + ord(name[-1]))
    assert cli.call(["-q", "run", str(tmp_path / "flows")]) is ExitCode.DONE
    return tmp_path


def lose_fragment(home: Path, name: str) -> str:
    """Remove the fragment of a flow file; the id of its input."""
    with read(home) as published:
        ((input_id,),) = published.execute(
            "SELECT input_id FROM ledger_files WHERE path = ?", [str(home / "flows" / name)]
        ).fetchall()
    for file in Workspace(home).fragments.rglob("*.parquet"):
        with duckdb.connect() as reader:
            found = reader.execute(f"SELECT input_id FROM '{file}'").fetchall()
        if found == [(input_id,)]:
            file.unlink()
    return str(input_id)


def commands_in(err: str) -> list[list[str]]:
    """What is shown to be typed, in its order."""
    return [
        shlex.split(one)[1:]
        for one in re.findall(
            r"`(v6share (?:backfill|forget|rebuild|run) [^`]+|v6share rebuild)`", err
        )
    ]


def do(capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str]) -> None:
    code, _, err = call(capsys, home, *arguments)
    assert code is ExitCode.DONE, (arguments, err)


@pytest.fixture
def wanted(home: Path) -> dict[str, pa.Table]:
    return tables(home)


@pytest.mark.parametrize("asking", ["check", "doctor", "status", "forget"])
def test_where_the_flow_files_are_there_one_command_mends_all(
    capsys: pytest.CaptureFixture[str], home: Path, wanted: dict[str, pa.Table], asking: str
) -> None:
    lost = {lose_fragment(home, name) for name in ("1.parquet", "2.parquet", "it's 3.parquet")}
    code, arguments = ASKING[asking]
    found, _, err = call(capsys, home, *arguments)
    assert found is code
    first, withdraw, again = commands_in(err)
    assert (first[0], again[0]) == ("backfill", "run")
    assert set(withdraw[1:]) == lost
    do(capsys, home, first)
    assert call(capsys, home, "doctor")[0] is ExitCode.DONE
    assert not differing(tables(home), wanted)


@pytest.mark.parametrize("asking", ["check", "doctor", "status", "forget"])
def test_the_other_way_that_is_shown_helps_as_well(
    capsys: pytest.CaptureFixture[str], home: Path, wanted: dict[str, pa.Table], asking: str
) -> None:
    for name in ("1.parquet", "it's 3.parquet"):
        lose_fragment(home, name)
    _, withdraw, again = commands_in(call(capsys, home, *ASKING[asking][1])[2])
    do(capsys, home, withdraw)
    do(capsys, home, again)
    assert call(capsys, home, "doctor")[0] is ExitCode.DONE
    assert not differing(tables(home), wanted)


@pytest.mark.parametrize("asking", ["check", "doctor", "status", "forget"])
def test_where_some_flow_files_are_gone_the_others_are_counted_again_first(
    capsys: pytest.CaptureFixture[str], home: Path, asking: str
) -> None:
    gone = lose_fragment(home, "1.parquet")
    lose_fragment(home, "2.parquet")
    (home / "flows" / "1.parquet").unlink()
    first, withdraw = commands_in(call(capsys, home, *ASKING[asking][1])[2])
    assert first[-1] == str(home / "flows" / "2.parquet")
    assert withdraw == ["forget", gone]
    do(capsys, home, first)
    do(capsys, home, withdraw)
    assert call(capsys, home, "doctor")[0] is ExitCode.DONE
    assert committed(capsys, home) == 3


@pytest.mark.parametrize("asking", ["check", "doctor", "status", "forget"])
def test_where_all_flow_files_are_gone_they_are_withdrawn_at_once(
    capsys: pytest.CaptureFixture[str], home: Path, asking: str
) -> None:
    lost = {lose_fragment(home, name) for name in ("1.parquet", "2.parquet")}
    for name in ("1.parquet", "2.parquet"):
        (home / "flows" / name).unlink()
    (withdraw,) = commands_in(call(capsys, home, *ASKING[asking][1])[2])
    assert set(withdraw[1:]) == lost
    do(capsys, home, withdraw)
    assert call(capsys, home, "doctor")[0] is ExitCode.DONE
    assert committed(capsys, home) == 2


@pytest.mark.parametrize(
    ("asking", "warehouse"),
    [("rebuild", "there"), *((one, "gone") for one in ("rebuild", "check", "doctor", "forget"))],
)
def test_where_the_warehouse_is_to_be_made_anew_the_steps_lead_to_it(
    capsys: pytest.CaptureFixture[str],
    home: Path,
    wanted: dict[str, pa.Table],
    asking: str,
    warehouse: str,
) -> None:
    lost = {lose_fragment(home, name) for name in ("1.parquet", "2.parquet")}
    if warehouse == "gone":
        Workspace(home).warehouse.unlink()
    code, _, err = call(capsys, home, *ASKING[asking][1])
    assert code is ASKING[asking][0]
    steps = commands_in(err)[:3]
    assert [one[0] for one in steps] == ["forget", "rebuild", "run"]
    assert set(steps[0][1:]) == lost
    for step in steps:
        do(capsys, home, step)
    assert call(capsys, home, "doctor")[0] is ExitCode.DONE
    assert not differing(tables(home), wanted)


def test_who_withdraws_only_some_is_told_of_the_others(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    one, other = (lose_fragment(home, name) for name in ("1.parquet", "2.parquet"))
    Workspace(home).warehouse.unlink()
    code, _, err = call(capsys, home, "forget", one)
    assert code is ExitCode.DONE
    steps = commands_in(err)
    assert steps == [["forget", other], ["rebuild"]]
    for step in steps:
        do(capsys, home, step)
    assert committed(capsys, home) == 2
