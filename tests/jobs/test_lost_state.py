"""A state that is lost, older or not mounted must not replace what is published."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import numpy as np
import pytest
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.schemas.errors import UserError
from v6share.warehouse.checks import CheckResult
from v6share.warehouse.ledger import lost_state
from v6share.workspace.client_key import read_client_key
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

COMMANDS = [("run", "flows"), ("forget", "FIRST"), ("rebuild",), ("check",)]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace, in which one file was counted by a first run and two by a second;
    with the flow files, and what the first run left.
    """
    place = tmp_path_factory.mktemp("two_runs")
    root, flows = place / "it's", place / "flows"
    root.mkdir()
    for day in range(3):
        write_flows(flows / f"{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS, octets=day + 9)
    assert cli.call(["-q", "-C", str(root), "run", str(flows / "0.parquet")]) is ExitCode.DONE
    shutil.copytree(root / "state", place / "older state")
    shutil.copy2(Workspace(root).published, place / "older.duckdb")
    assert cli.call(["-q", "-C", str(root), "run", str(flows)]) is ExitCode.DONE
    return place


@pytest.fixture
def workspace(tmp_path: Path, two_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of that workspace; the folder beside it is the place."""
    shutil.copytree(two_runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path / "it's")


def call(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, *words: str
) -> tuple[ExitCode, str]:
    """Call a command. FIRST: the id of the first input, whose path was another."""
    capsys.readouterr()
    first = hashlib.sha256(Path("flows/0.parquet").read_bytes()).hexdigest()
    code = cli.call(
        ["-C", str(workspace.root), *(first if word == "FIRST" else word for word in words)]
    )
    return code, capsys.readouterr().err


def read(workspace: Workspace, sql: str) -> list[tuple[object, ...]]:
    """As any reader of the published file; v6share takes no part."""
    with duckdb.connect(workspace.published, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def counted(workspace: Workspace) -> list[tuple[object, ...]]:
    return read(workspace, "SELECT count(*), sum(rows_counted) FROM ledger_files")


def newest_run(workspace: Workspace) -> str:
    ((run_id,),) = read(workspace, "SELECT max_by(run_id, finished_at) FROM ledger_runs")
    return str(run_id)


def files_in(folder: Path) -> dict[str, bytes]:
    """What stands there, apart from the lock, which says who looked last."""
    found = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def cut_journal(workspace: Workspace, lines: int) -> None:
    kept = workspace.journal.read_bytes().splitlines(keepends=True)[:lines]
    workspace.journal.write_bytes(b"".join(kept))


def accept_the_loss(said: str) -> None:
    """Do what the message says, in a shell."""
    (command,) = re.findall(r"Or accept the loss: `(.*)`, count the flow files again", said)
    subprocess.run(command, shell=True, check=True)


@each_command
@pytest.mark.parametrize("left", ["nothing", "an empty folder", "an empty journal"])
def test_an_empty_state_is_refused_and_stays_empty(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, command: tuple[str, ...], left: str
) -> None:
    newest, before = newest_run(workspace), files_in(workspace.published.parent)
    shutil.rmtree(workspace.state)
    if left != "nothing":
        workspace.state.mkdir()
    if left == "an empty journal":
        workspace.journal.touch()
    code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert f"{workspace.published}: found 2 runs and 3 inputs, the newest run {newest}, from" in err
    assert re.search(r"from 20\S+Z to 20\S+Z, of which \S+/state/journal.jsonl knows nothing", err)
    assert "mount it, or restore it from a backup" in err
    assert files_in(workspace.published.parent) == before
    if left == "nothing":
        assert not workspace.state.exists()
    else:
        names = ["journal.jsonl"] if left == "an empty journal" else []
        assert [file.name for file in workspace.state.iterdir()] == names


def test_status_shows_what_is_published_and_touches_no_empty_state(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    shutil.rmtree(workspace.state)
    workspace.state.mkdir()
    code = cli.call(["-C", str(workspace.root), "status"])
    said = capsys.readouterr()
    assert code is ExitCode.DONE
    assert newest_run(workspace) in said.out
    assert "warning: " in said.err
    assert "found 2 runs and 3 inputs" in said.err
    assert list(workspace.state.iterdir()) == []


@pytest.mark.parametrize("way", ["mounted again", "accepted"])
def test_both_ways_out_of_an_empty_state(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, way: str
) -> None:
    before = counted(workspace)
    workspace.state.rename("elsewhere")
    workspace.state.mkdir()
    _, err = call(capsys, workspace, "run", "flows")
    if way == "accepted":
        accept_the_loss(err)
        assert not workspace.published.exists()
    else:
        workspace.state.rmdir()
        Path("elsewhere").rename(workspace.state)
    assert call(capsys, workspace, "run", "flows")[0] is ExitCode.DONE
    assert counted(workspace) == before
    assert call(capsys, workspace, "rebuild")[0] is ExitCode.DONE
    assert counted(workspace) == before


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("warehouse", ["there", "gone", "damaged"])
def test_a_journal_that_was_cut_loses_nothing(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, kept: int, warehouse: str
) -> None:
    """The first line is the key; then each run wrote two, so each entry is cut off once."""
    published = workspace.published.read_bytes()
    cut_journal(workspace, kept)
    if warehouse == "gone":
        workspace.warehouse.unlink()
    elif warehouse == "damaged":
        workspace.warehouse.write_bytes(b"no database" * 1000)
    before = files_in(workspace.state)
    for command in (("run", "flows"), ("rebuild",), ("rebuild", "--no-publish")):
        code, err = call(capsys, workspace, *command)
        assert code is ExitCode.USAGE, command
        if command == ("run", "flows") and warehouse != "gone" and kept:
            assert "rebuild" in err  # which then says what is lost
        else:
            lost = "2 runs and" if kept < 3 else "1 run and"
            assert f"{lost} " in err
            assert "Or accept the loss" in err
        assert workspace.published.read_bytes() == published
        after = files_in(workspace.state)
        if warehouse == "gone":
            after.pop("warehouse.duckdb", None)  # made from the journal: that is no loss
        assert after == before, command


def test_a_cut_journal_is_held_against_the_old_warehouse_too(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    workspace.published.unlink()
    cut_journal(workspace, 3)
    before = files_in(workspace.state)
    code, err = call(capsys, workspace, "rebuild")
    assert code is ExitCode.USAGE
    assert f"{workspace.warehouse}: found 1 run and 2 inputs" in err
    assert files_in(workspace.state) == before
    assert not workspace.published.exists()
    accept_the_loss(err)
    assert call(capsys, workspace, "rebuild")[0] is ExitCode.DONE
    assert counted(workspace) == [(1, 4)]
    assert call(capsys, workspace, "run", "flows")[0] is ExitCode.DONE
    assert counted(workspace) == [(3, 12)]


@each_command
def test_an_older_state_beside_a_newer_published_file(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, command: tuple[str, ...]
) -> None:
    published = workspace.published.read_bytes()
    shutil.rmtree(workspace.state)
    shutil.copytree("older state", workspace.state, copy_function=shutil.copy2)
    journal = workspace.journal.read_bytes()
    code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert f"found 1 run and 2 inputs, the newest run {newest_run(workspace)}" in err
    assert workspace.published.read_bytes() == published
    assert workspace.journal.read_bytes() == journal
    code, err = call(capsys, workspace, "status")
    assert code is ExitCode.DONE
    assert "found 1 run and 2 inputs" in err
    accept_the_loss(err)
    assert call(capsys, workspace, *command)[0] is ExitCode.DONE


def damage_the_fragment(workspace: Workspace) -> str:
    """Of the one input that the older state knows; the id of that input."""
    (fragment,) = workspace.fragments.rglob("*.parquet")
    fragment.write_bytes(fragment.read_bytes()[:-1])
    _, first = map(json.loads, workspace.journal.read_text().splitlines()[:2])
    return str(first["inputs"][0]["input_id"])


@pytest.mark.parametrize("warehouse", ["gone", "damaged", "newer"])
def test_no_input_is_withdrawn_in_an_older_journal_alone(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, warehouse: str
) -> None:
    """newer: the warehouse knows what the journal does not, and nothing is published."""
    newer = workspace.warehouse.read_bytes()
    shutil.rmtree(workspace.state)
    shutil.copytree("older state", workspace.state, copy_function=shutil.copy2)
    input_id = damage_the_fragment(workspace)
    workspace.warehouse.unlink()
    if warehouse == "damaged":
        workspace.warehouse.write_bytes(b"no database" * 1000)
    elif warehouse == "newer":
        workspace.warehouse.write_bytes(newer)
        workspace.published.unlink()
    before = workspace.journal.read_bytes()
    code, err = call(capsys, workspace, "forget", input_id)
    assert code is ExitCode.USAGE
    if warehouse == "newer":
        assert "the warehouse has applied" in err
    else:
        assert f"{workspace.published}: found 1 run and 2 inputs" in err
        assert "found 1 run and 2 inputs" in call(capsys, workspace, "check")[1] or (
            warehouse == "damaged"
        )
    assert workspace.journal.read_bytes() == before


def test_no_input_is_withdrawn_beside_a_warehouse_that_is_only_open_elsewhere(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(workspace.state)
    shutil.copytree("older state", workspace.state, copy_function=shutil.copy2)
    workspace.published.unlink()
    input_id = damage_the_fragment(workspace)
    before = workspace.journal.read_bytes()

    def fail(*_: object, **__: object) -> NoReturn:
        raise duckdb.IOException('IO Error: Could not set lock on file "x"')

    monkeypatch.setattr(duckdb, "connect", fail)
    code, err = call(capsys, workspace, "forget", input_id)
    assert code is ExitCode.USAGE
    assert "is open in another process" in err
    assert workspace.journal.read_bytes() == before


@each_command
def test_the_published_file_of_another_workspace(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, command: tuple[str, ...]
) -> None:
    other = Workspace(Path("other"))
    other.root.mkdir()
    assert cli.call(["-q", "-C", "other", "run", "flows"]) is ExitCode.DONE
    shutil.copy2(other.published, workspace.published)
    before = files_in(workspace.root)
    code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert "found 1 run and 3 inputs" in err  # another catalog version: their key is another
    assert "another workspace's" in err
    after = files_in(workspace.root)
    assert after["published/v6share.duckdb"] == before["published/v6share.duckdb"]
    assert after["state/journal.jsonl"] == before["state/journal.jsonl"]


@pytest.mark.parametrize("published", ["older", "gone", "damaged", "another database"])
@pytest.mark.parametrize("command", ["run", "rebuild"])
def test_what_holds_no_more_is_published_over(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, published: str, command: str
) -> None:
    before = counted(workspace)
    workspace.published.unlink()
    if published == "older":
        shutil.copy2("older.duckdb", workspace.published)
    elif published == "damaged":
        workspace.published.write_bytes(b"no database" * 1000)
    elif published == "another database":
        duckdb.connect(workspace.published).close()
    words = ("run", "flows") if command == "run" else ("rebuild",)
    code, err = call(capsys, workspace, *words)
    assert code is ExitCode.DONE, err
    if command == "run" and published != "gone":
        assert "not the file that was published here" in err
    assert counted(workspace) == before


@each_command
def test_nobody_knows_what_a_damaged_file_without_a_journal_holds(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, command: tuple[str, ...]
) -> None:
    shutil.rmtree(workspace.state)
    workspace.published.write_bytes(b"no database" * 1000)
    code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert "found what nobody can read" in err
    assert not workspace.state.exists()
    if command[0] == "run":
        accept_the_loss(err)
        assert call(capsys, workspace, *command)[0] is ExitCode.DONE


def written_by_a_newer_duckdb(path: Path) -> None:
    """Raise the version in the head, which has its checksum as all blocks have."""
    whole = bytearray(path.read_bytes())
    whole[12:20] = (1001).to_bytes(8, "little")
    words = np.frombuffer(bytes(whole[:4096]), "<u8").copy()
    words[0] = np.bitwise_xor.reduce(
        words[1:] * np.uint64(0xBF58476D1CE4E5B9), initial=np.uint64(5381)
    )
    whole[:4096] = words.tobytes()
    path.write_bytes(whole)


@pytest.mark.parametrize("command", [*COMMANDS, ("rebuild", "--no-publish")], ids=" ".join)
def test_what_this_version_cannot_open_is_not_published_over(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, command: tuple[str, ...]
) -> None:
    written_by_a_newer_duckdb(workspace.published)
    published = workspace.published.read_bytes()
    shutil.rmtree(workspace.state)
    shutil.copytree("older state", workspace.state, copy_function=shutil.copy2)
    code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert "with storage version number 1001" in err
    assert "a newer version of DuckDB or v6share wrote the file, use that version" in err
    assert workspace.published.read_bytes() == published
    code, err = call(capsys, workspace, "status")
    assert code is ExitCode.DONE
    assert "with storage version number 1001" in err
    (advised,) = re.findall(r"give the file up: `(mv [^`]*)`", err)
    subprocess.run(advised, shell=True, check=True)
    assert call(capsys, workspace, "rebuild")[0] is ExitCode.DONE


@pytest.mark.parametrize(
    "said",
    [
        'IO Error: Cannot open file "x": Too many open files',
        'IO Error: Could not read from file "x": Input/output error',
        'IO Error: Could not read from file "x": Stale file handle',
        "Serialization Error: Failed to deserialize: unknown type",
    ],
)
@pytest.mark.parametrize("command", [("run", "flows"), ("rebuild",)], ids=" ".join)
def test_a_failing_system_is_no_damage(
    capsys: pytest.CaptureFixture[str],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    said: str,
) -> None:
    published = workspace.published.read_bytes()
    cut_journal(workspace, 3)
    workspace.warehouse.unlink()
    connect = duckdb.connect

    def fail(path: Path, *rest: Any, **more: Any) -> Any:
        if path == workspace.published:
            raise duckdb.IOException(said)
        return connect(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", fail)
        code, err = call(capsys, workspace, *command)
    assert code is ExitCode.USAGE
    assert said in err
    assert "Where the system failed, mend that and run the same again" in err
    assert workspace.published.read_bytes() == published
    assert "found 1 run and 2 inputs" in call(capsys, workspace, *command)[1]


def test_a_file_that_comes_while_a_run_is_at_work_is_not_published_over(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer file is put back after the run has looked, and before it publishes."""
    newer = workspace.published.rename("newer.duckdb")
    shutil.rmtree(workspace.state)
    shutil.copytree("older state", workspace.state, copy_function=shutil.copy2)
    shutil.copy2("older.duckdb", workspace.published)

    def come_back(*_: object) -> list[CheckResult]:
        shutil.copy2(newer, workspace.published)
        return []

    monkeypatch.setattr("v6share.jobs.steps.check_and_publish.run_checks", come_back)
    write_flows(Path("new.parquet"), octets=77)
    code, err = call(capsys, workspace, "run", "new.parquet")
    assert code is ExitCode.USAGE
    assert "found 1 run and 2 inputs" in err
    assert workspace.published.read_bytes() == newer.read_bytes()


def test_a_healthy_run_does_not_open_the_published_file(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(lost_state, "open_snapshot", refuse)
    assert call(capsys, workspace, "run", "flows")[0] is ExitCode.DONE
    write_flows(Path("flows/new.parquet"), octets=77)
    assert call(capsys, workspace, "run", "flows")[0] is ExitCode.DONE
    assert call(capsys, workspace, "forget", "flows/new.parquet")[0] is ExitCode.DONE
    assert call(capsys, workspace, "check")[0] is ExitCode.DONE


def test_no_key_is_made_beside_a_published_file(workspace: Workspace) -> None:
    shutil.rmtree(workspace.state)
    with pytest.raises(UserError, match="the key of the client hashes is gone"):
        read_client_key(workspace)
    assert not workspace.state.exists()
