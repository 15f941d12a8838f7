"""What the commands say of damaged fragments and journals, and that what they advise helps."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from calls import call
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import differing, tables

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

FILES = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("made")
    (base / "ws").mkdir()
    for day in range(FILES):
        path = base / "flows" / f"{day}.parquet"
        write_flows(path, start_ms=JANUARY_1 + day * DAY_MS, octets=1000 + day)
    assert cli.call(["-q", "-C", str(base / "ws"), "run", str(base / "flows")]) is ExitCode.DONE
    return base


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A workspace with three counted files, to damage it."""
    return Path(shutil.copytree(made / "ws", tmp_path / "ws"))


@pytest.fixture(scope="module")
def wanted(made: Path) -> dict[str, pa.Table]:
    return tables(made / "ws")


def fragment_of(root: Path, name: str) -> tuple[Path, str]:
    """The fragment of a flow file, and the id of its input, from the journal's text."""
    _, first = map(json.loads, Workspace(root).journal.read_text().splitlines()[:2])
    (size, input_id) = next(
        (one["fragment"]["size"], one["input_id"])
        for one in first["inputs"]
        if one["path"].endswith(name)
    )
    found = [
        file
        for file in Workspace(root).fragments.rglob("*.parquet")
        if file.stat().st_size == size and input_id.encode() in file.read_bytes()
    ]
    (file,) = found
    return file, input_id


def flip(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 4
    file.write_bytes(whole)


HARMS: dict[str, Any] = {
    "missing": Path.unlink,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-10]),
    "altered": flip,
}


@pytest.mark.parametrize("harm", HARMS)
def test_check_finds_it_and_status_as_far_as_sizes_tell(
    capsys: pytest.CaptureFixture[str], root: Path, harm: str
) -> None:
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    file, input_id = fragment_of(root, "1.parquet")
    HARMS[harm](file)
    code, out, err = call(capsys, root, "check", "--format", "json")
    assert code is ExitCode.GATE
    (row,) = (row for row in json.loads(out) if row["check"] == "fragments")
    assert (row["result"], row["rows"]) == ("failed", 1)
    assert str(file) in row["found"]
    assert re.search(rf"error: {re.escape(str(file))}: the fragment .*flows/1\.parquet", err)
    assert f"`v6share forget {input_id}`" in err
    assert "failed: fragments" in err
    code, out, err = call(capsys, root, "status", "--format", "json")
    assert code is ExitCode.DONE
    seen = [row["fragment"] for row in json.loads(out)["damaged_fragments"]]
    assert seen == ([] if harm == "altered" else [str(file)])
    assert (f"`v6share forget {input_id}`" in err) == (harm != "altered")


def test_several_are_all_named_and_withdrawn_at_once(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    broken = [fragment_of(root, f"{day}.parquet") for day in range(2)]
    for file, _ in broken:
        flip(file)
    code, _, err = call(capsys, root, "check")
    assert code is ExitCode.GATE
    assert all(f"error: {file}: the fragment was altered" in err for file, _ in broken)
    (advised,) = re.findall(r"`v6share forget ([^`]+)`", err)
    assert set(advised.split()) == {input_id for _, input_id in broken}
    assert call(capsys, root, "forget", *advised.split())[0] is ExitCode.DONE
    assert call(capsys, root, "check")[0] is ExitCode.DONE


def test_ten_are_named_and_the_others_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    for i in range(13):
        write_flows(tmp_path / f"flows/{i}.parquet", octets=1000 + i)
    assert call(capsys, root, "run", tmp_path / "flows")[0] is ExitCode.DONE
    for file in Workspace(root).fragments.rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    for command, code in (("check", ExitCode.GATE), ("status", ExitCode.DONE)):
        found, _, err = call(capsys, root, command)
        assert found is code
        assert len(re.findall(r": /\S+\.parquet: the fragment has", err)) == 10
        assert "3 more like these. Put these files back" in err


@pytest.mark.parametrize("form", ["table", "json"])
def test_check_tells_of_fragments_where_no_warehouse_can_be_made(
    capsys: pytest.CaptureFixture[str], root: Path, form: str
) -> None:
    file, input_id = fragment_of(root, "1.parquet")
    flip(file)
    lose_warehouse(root)
    code, out, err = call(capsys, root, "check", "--format", form)
    assert code is ExitCode.GATE
    if form == "json":
        found = [(row["check"], row["result"], row["rows"]) for row in json.loads(out)]
        assert found == [("fragments", "failed", 1), ("base", "ok", 0)]
    else:
        assert "fragments" in out
    assert f"`v6share forget {input_id}`" in err
    assert "the tables were not checked" in err
    assert "failed: fragments" in err


def lose_warehouse(root: Path) -> None:
    Workspace(root).warehouse.unlink()


def damage_warehouse(root: Path) -> None:
    Workspace(root).warehouse.write_bytes(b"no database")


def keep_warehouse(root: Path) -> None:
    pass


@pytest.mark.parametrize("state", [keep_warehouse, lose_warehouse, damage_warehouse])
def test_what_is_advised_helps_whatever_state_the_warehouse_is_in(
    capsys: pytest.CaptureFixture[str],
    made: Path,
    root: Path,
    wanted: dict[str, pa.Table],
    state: Any,
) -> None:
    file, input_id = fragment_of(root, "1.parquet")
    flip(file)
    state(root)
    code, _, err = call(capsys, root, "rebuild")
    assert code is ExitCode.USAGE
    (advised,) = re.findall(r"`v6share (forget [^`]+)`", err)
    assert advised == f"forget {input_id}"
    code, out, err = call(capsys, root, *advised.split())
    assert code is ExitCode.DONE
    assert input_id[:12] in out
    assert ("in the journal alone" in err) == (state is not keep_warehouse)
    assert "forget" not in err  # it is done
    assert "backup" not in err
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    code, _, _ = call(capsys, root, "run", made / "flows", "--include-forgotten")
    assert code is ExitCode.DONE
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)


def test_a_backup_of_the_fragment_helps(
    capsys: pytest.CaptureFixture[str], root: Path, wanted: dict[str, pa.Table]
) -> None:
    file, _ = fragment_of(root, "1.parquet")
    whole = file.read_bytes()
    flip(file)
    assert call(capsys, root, "rebuild")[0] is ExitCode.USAGE
    file.write_bytes(whole)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)


@pytest.mark.parametrize("name", ["0.parquet", "f" * 64])
def test_what_is_not_damaged_is_not_withdrawn_without_a_warehouse(
    capsys: pytest.CaptureFixture[str], root: Path, name: str
) -> None:
    flip(fragment_of(root, "1.parquet")[0])
    damage_warehouse(root)
    before = Workspace(root).journal.read_bytes()
    given = fragment_of(root, name)[1] if name.endswith("t") else name
    code, _, err = call(capsys, root, "forget", given)
    assert code is ExitCode.USAGE
    assert "rebuild" in err
    assert Workspace(root).journal.read_bytes() == before


def broken_journals(whole: bytes) -> Iterator[bytes]:
    first, *rest = whole.splitlines(keepends=True)
    yield whole + first
    yield b"".join(rest)
    yield whole.replace(b"0.parquet", b"9.parquet")


def test_check_and_rebuild_find_a_damaged_journal(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    journal = Workspace(root).journal
    whole = journal.read_bytes()
    for broken in broken_journals(whole):
        journal.write_bytes(broken)
        for command in ("check", "rebuild"):
            code, _, err = call(capsys, root, command)
            assert code is ExitCode.USAGE
            assert re.search(rf"{re.escape(str(journal))}: line \d \(byte \d+\): found", err)
            assert "In doubt" in err
    journal.write_bytes(whole)
    assert call(capsys, root, "check")[0] is ExitCode.DONE


def two_runs(capsys: pytest.CaptureFixture[str], base: Path) -> tuple[Path, Path]:
    """A workspace with a blank in its name, in which two runs counted two files."""
    root, flows = base / "it's ws", base / "flows"
    root.mkdir()
    for day in range(2):
        write_flows(flows / f"{day}.parquet", start_ms=JANUARY_1 + day * DAY_MS, octets=7 + day)
        assert call(capsys, root, "run", flows)[0] is ExitCode.DONE
    return root, flows


def test_no_command_writes_behind_damage_that_lies_before_what_is_applied(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """What it wrote would be in doubt, too, and be given up with what is."""
    workspace = Workspace(root)
    new = write_flows(tmp_path / "new.parquet", start_ms=JANUARY_1 + FILES * DAY_MS)
    flip(workspace.journal)
    (said,) = re.findall(r"error: journal: (.*)\. entries behind", call(capsys, root, "doctor")[2])
    before = workspace.journal.read_bytes(), workspace.client_key.read_bytes()
    for words in (
        ("run", new),
        ("stream", "--once", new.parent),
        ("backfill", "--since", "2026-01-01", "--until", "2026-02-01", new),
        ("forget", "0.parquet"),
        ("key", "rotate"),
    ):
        code, _, err = call(capsys, root, *words)
        assert (code, said in err) == (ExitCode.USAGE, True), words
    assert (workspace.journal.read_bytes(), workspace.client_key.read_bytes()) == before


def test_what_cannot_be_taken_back_reads_a_journal_that_looks_untouched(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    """As bytes rot: size and time stay. A new key destroys the one before."""
    workspace = Workspace(root)
    status = workspace.journal.stat()
    flip(workspace.journal)
    os.utime(workspace.journal, ns=(status.st_atime_ns, status.st_mtime_ns))
    key = workspace.client_key.read_bytes()
    assert call(capsys, root, "forget", "0.parquet")[0] is ExitCode.USAGE
    assert call(capsys, root, "key", "rotate")[0] is ExitCode.USAGE
    assert workspace.client_key.read_bytes() == key


@pytest.mark.parametrize("warehouse", [keep_warehouse, lose_warehouse, damage_warehouse])
@pytest.mark.parametrize("published", ["there", "gone"])
def test_what_is_said_of_a_broken_journal_helps_word_for_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, warehouse: Any, published: str
) -> None:
    """The lines in doubt were applied and published."""
    root, flows = two_runs(capsys, tmp_path)
    wanted = tables(root)
    workspace = Workspace(root)
    lines = workspace.journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"1.parquet", b"9.parquet")
    workspace.journal.write_bytes(b"".join(lines))
    warehouse(root)
    if published == "gone":
        workspace.published.unlink()
    code, _, err = call(capsys, root, "rebuild")
    assert code is ExitCode.USAGE
    (advised,) = re.findall(r"\(`(truncate [^`]*)`\), then `v6share rebuild`", err)
    subprocess.run(advised, shell=True, check=True)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "run", flows)[0] is ExitCode.DONE
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)


@pytest.mark.parametrize("kept", ["shorter", "as long"])
def test_what_is_said_of_another_journal_helps_word_for_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: str
) -> None:
    root, flows = two_runs(capsys, tmp_path)
    wanted = tables(root)
    workspace = Workspace(root)
    whole = workspace.journal.read_bytes()
    older = b"".join(whole.splitlines(keepends=True)[:3])
    workspace.journal.write_bytes(older)
    if kept == "as long":
        shutil.copytree(root, tmp_path / "other")
        for file in (workspace.warehouse, workspace.published):
            (tmp_path / "other" / file.relative_to(root)).unlink()
        other = tmp_path / "other"
        write_flows(tmp_path / "others/2.parquet", start_ms=JANUARY_1 + 2 * DAY_MS, octets=99)
        assert call(capsys, other, "run", tmp_path / "others")[0] is ExitCode.DONE
        shutil.copytree(other, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.duckdb"))
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "this is another journal, or an older one" in err
    (advised,) = re.findall(r"move aside what was made from the other \(`([^`]*)`\)", err)
    subprocess.run(advised, shell=True, check=True)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, root, "run", flows)[0] is ExitCode.DONE
    if kept == "shorter":
        assert not differing(tables(root), wanted)


def test_no_damage_of_a_fragment_makes_other_tables(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    file, _ = fragment_of(root, "1.parquet")
    published = Workspace(root).published.read_bytes()
    whole = file.read_bytes()
    for at in range(7, 8 * len(whole), 8 * len(whole) // 12):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        file.write_bytes(changed)
        assert call(capsys, root, "rebuild")[0] is ExitCode.USAGE
    file.unlink()
    assert call(capsys, root, "rebuild")[0] is ExitCode.USAGE
    assert Workspace(root).published.read_bytes() == published
