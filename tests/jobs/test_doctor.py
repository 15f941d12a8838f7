"""Every kind of damage is found, said with what it means, and mended where that loses nothing."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows
from workspaces import differing, tables

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> Workspace:
    """Four days, published three times, so that there is a standby; and an older warehouse."""
    workspace = Workspace(root)
    for day in range(4):
        write_flows(
            tmp_path / "flows" / f"{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS,
            octets=1000 + day,
        )
    for part in ("0", "1", "[23]"):
        if workspace.warehouse.exists():
            shutil.copyfile(workspace.warehouse, tmp_path / "older")
        assert run(capsys, root, tmp_path / "flows" / f"{part}.parquet")[0] is ExitCode.DONE
    return workspace


def doctor(
    capsys: pytest.CaptureFixture[str], workspace: Workspace, *arguments: object
) -> tuple[ExitCode, dict[str, str], str]:
    """Exit code, the condition of each part, stderr."""
    code, out, err = call(capsys, workspace.root, "doctor", *arguments, "--format", "json")
    parts = {one["part"]: one["condition"] for one in json.loads(out)["parts"]}
    return code, parts, err


def flip(path: Path, at: float = 0.5) -> None:
    """Change one byte as bit rot does: size and time stay."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut_to_first_lines(workspace: Workspace) -> None:
    lines = workspace.journal.read_bytes().splitlines(keepends=True)
    workspace.journal.write_bytes(b"".join(lines[: len(lines) // 2]))


def a_fragment(workspace: Workspace) -> Path:
    return min(workspace.fragments.glob("*/*.parquet"))


def test_a_healthy_workspace_has_nothing_amiss(
    capsys: pytest.CaptureFixture[str], counted: Workspace, root: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    code, parts, err = doctor(capsys, counted)
    assert code is ExitCode.DONE, err
    assert set(parts.values()) == {"ok"}
    after = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert {path for path in before if before[path] != after.get(path)} <= {counted.lock}


def test_a_key_that_others_may_read_is_said_with_what_mends_it(
    capsys: pytest.CaptureFixture[str], counted: Workspace
) -> None:
    counted.client_key.chmod(0o640)
    code, parts, err = doctor(capsys, counted)
    assert (code, parts["access"]) == (ExitCode.USAGE, "strange")
    assert f"{counted.client_key} has the mode 0640, expected 0600" in err
    assert f"`chmod 600 {counted.client_key}`" in err
    counted.client_key.chmod(0o600)
    counted.state.chmod(0o755)  # every command that holds the workspace mends this by itself
    assert doctor(capsys, counted)[1]["access"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_open_state_of_another_user_is_said(
    capsys: pytest.CaptureFixture[str], counted: Workspace
) -> None:
    counted.state.chmod(0o755)
    os.chown(counted.state, 54_321, -1)
    code, _, err = doctor(capsys, counted)
    assert code is ExitCode.USAGE
    assert f"{counted.state} has the mode 0755, expected 0700" in err


def test_a_value_that_cannot_be_read_is_found_where_every_checksum_fits(
    capsys: pytest.CaptureFixture[str], counted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meet(*_: object) -> NoReturn:
        raise duckdb.InternalException("INTERNAL Error: Failed to load metadata pointer")

    monkeypatch.setattr("v6share.warehouse.diagnose.read_whole", meet)
    code, parts, err = doctor(capsys, counted)
    assert code is ExitCode.USAGE
    assert parts["warehouse"] == "damaged"
    assert parts["published file"] == "damaged"
    assert "v6share rebuild" in err


def test_an_empty_workspace_is_not_ill(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    for arguments in ([], ["--repair"]):
        code, parts, _ = doctor(capsys, Workspace(root), *arguments)
        assert code is ExitCode.DONE
        assert parts["journal"] == "missing"
    assert list(root.iterdir()) == []


def test_a_published_file_that_was_altered_does_not_stand_by(
    capsys: pytest.CaptureFixture[str], counted: Workspace, tmp_path: Path
) -> None:
    flip(counted.published)
    os.utime(counted.published)
    assert run(capsys, counted.root, tmp_path / "flows")[0] is ExitCode.DONE
    code, parts, err = doctor(capsys, counted)
    assert code is ExitCode.DONE, err
    assert set(parts.values()) == {"ok"}


MENDED: dict[str, tuple[Callable[[Workspace], object], str]] = {
    "a flipped byte of the warehouse": (lambda w: flip(w.warehouse), "warehouse"),
    "a warehouse cut off": (lambda w: os.truncate(w.warehouse, 300_000), "warehouse"),
    "no warehouse": (lambda w: w.warehouse.unlink(), "warehouse"),
    "a flipped byte of the published file": (lambda w: flip(w.published), "published file"),
    "no published file": (lambda w: w.published.unlink(), "published file"),
    "another published file": (
        lambda w: shutil.copyfile(w.warehouse, w.published), "published file",
    ),
    "a flipped byte of the standby": (lambda w: flip(w.standby), "standby"),
}  # fmt: skip


@pytest.mark.parametrize("harm", MENDED)
def test_what_loses_nothing_is_mended(
    capsys: pytest.CaptureFixture[str], counted: Workspace, root: Path, harm: str
) -> None:
    wanted = tables(root)
    do, part = MENDED[harm]
    do(counted)
    code, parts, err = doctor(capsys, counted)
    assert code is ExitCode.USAGE
    assert parts[part] in ("damaged", "missing", "strange")
    assert f"{part}: " in err
    code, parts, err = doctor(capsys, counted, "--repair")
    assert code is ExitCode.DONE, err
    assert set(parts.values()) == {"ok"}
    assert not differing(tables(root), wanted)


LOST: dict[str, tuple[Callable[[Workspace], object], str, str]] = {
    "a flipped byte of a fragment": (
        lambda w: flip(a_fragment(w)), "fragments", "v6share backfill --reprocess all",
    ),
    "no fragment": (
        lambda w: a_fragment(w).unlink(), "fragments", "v6share backfill --reprocess all",
    ),
    "a changed line of the journal": (lambda w: flip(w.journal, 0.2), "journal", "backup"),
    "no journal": (lambda w: w.journal.unlink(), "journal", "backup"),
    # Each of its lines is sealed, and each of them true: it only knows less than was published.
    "an older journal": (cut_to_first_lines, "ledgers", "put the right state/ back"),
    "another key": (lambda w: w.client_key.write_bytes(bytes(16)), "client key", "backup"),
    "no state": (lambda w: shutil.rmtree(w.state), "client key", "backup"),
    "a cut key": (lambda w: w.client_key.write_bytes(b"short"), "client key", "backup"),
    "no key": (lambda w: w.client_key.unlink(), "client key", "backup"),
    "a mistake in the settings": (
        lambda w: w.settings.write_text("[run]\nthread = 1\n"), "settings, catalog and suites",
        "edit it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("harm", LOST)
def test_what_cannot_be_mended_is_said_with_what_helps(
    capsys: pytest.CaptureFixture[str], counted: Workspace, harm: str
) -> None:
    do, part, helps = LOST[harm]
    do(counted)
    for arguments in ([], ["--repair"]):
        code, parts, err = doctor(capsys, counted, *arguments)
        assert code is ExitCode.USAGE
        assert parts[part] in ("damaged", "lost")
        assert helps in err
        assert "--repair" not in err
        assert ". ." not in err
        if harm == "a changed line of the journal":
            assert err.count("Restore the journal from a backup") == 1
        if harm == "a cut key":
            assert err.count("error: ") == 1, "of settings and catalog nothing is amiss"
        if harm == "no state":
            assert "nothing is counted yet" not in call(capsys, counted.root, "doctor")[1]


def test_an_older_warehouse_from_a_backup_is_behind_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str], counted: Workspace, root: Path, tmp_path: Path
) -> None:
    wanted = tables(root)
    shutil.copyfile(tmp_path / "older", counted.warehouse)
    code, parts, _ = doctor(capsys, counted)
    # It does not know that it published the file, which a later state of it did.
    odd = {part: condition for part, condition in parts.items() if condition != "ok"}
    assert odd == {"warehouse": "behind", "published file": "strange"}
    assert code is ExitCode.USAGE
    code, parts, err = doctor(capsys, counted, "--repair")
    assert code is ExitCode.DONE, err
    assert set(parts.values()) == {"ok"}
    assert run(capsys, root, tmp_path / "flows")[0] is ExitCode.DONE
    assert not differing(tables(root), wanted)


def test_a_journal_without_its_last_line_is_not_called_behind_nor_published_numbers_lost(
    capsys: pytest.CaptureFixture[str], counted: Workspace, root: Path, tmp_path: Path
) -> None:
    """Of a run that found nothing new: all that is published could be made again."""
    assert run(capsys, root, tmp_path / "flows")[0] is ExitCode.DONE
    lines = counted.journal.read_bytes().splitlines(keepends=True)
    counted.journal.write_bytes(b"".join(lines[:-1]))
    code, parts, err = doctor(capsys, counted)
    odd = {part: condition for part, condition in parts.items() if condition != "ok"}
    assert (code, odd) == (ExitCode.USAGE, {"warehouse": "strange", "ledgers": "lost"})
    assert "this is another journal, or an older one" in err
    assert f"{counted.published}: found" not in err
    (advised,) = re.findall(r"Or accept the loss: `([^`]*)`", err)
    subprocess.run(advised, shell=True, check=True)
    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert doctor(capsys, counted)[0] is ExitCode.DONE


def test_a_torn_last_line_of_the_journal_is_nothing_amiss(
    capsys: pytest.CaptureFixture[str], counted: Workspace
) -> None:
    """As a crash leaves it: it was never part of the journal, and the next entry cuts it off."""
    with counted.journal.open("ab") as file:
        file.write(b'{"type": "run", "run')
    code, parts, err = doctor(capsys, counted)
    assert code is ExitCode.DONE, err
    assert parts["journal"] == "ok"


def test_a_warehouse_of_a_newer_version_is_no_matter_for_this_one(
    capsys: pytest.CaptureFixture[str], counted: Workspace
) -> None:
    with duckdb.connect(counted.warehouse) as warehouse:
        warehouse.execute("INSERT INTO private.migrations VALUES (9999, 'of the future')")
    before = counted.warehouse.read_bytes()
    for arguments in ([], ["--repair"]):
        code, parts, err = doctor(capsys, counted, *arguments)
        assert code is ExitCode.USAGE
        assert parts["warehouse"] == "strange"
        assert "schema 9999" in err
        assert "use that version, or `v6share rebuild`" in err
        assert "--repair" not in err
    assert counted.warehouse.read_bytes() == before
    assert call(capsys, counted.root, "check")[0] is ExitCode.USAGE, "as every command refuses it"


@pytest.mark.parametrize("part", ["warehouse", "published file"])
@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException("IO Error: Cannot open file: Permission denied"),
        duckdb.IOException("IO Error: Could not read from file: Input/output error"),
        duckdb.SerializationException("Serialization Error: of a newer version"),
    ],
    ids=["denied", "failing disk", "newer DuckDB"],
)
def test_a_file_that_cannot_be_read_is_not_written_over(
    capsys: pytest.CaptureFixture[str],
    counted: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    error: duckdb.Error,
) -> None:
    """Tests may be run by root, whom no permission keeps out."""
    path = counted.warehouse if part == "warehouse" else counted.published
    connect = duckdb.connect

    def refusing(database: object, *arguments: Any, **others: Any) -> Any:
        if database == path:
            raise error
        return connect(database, *arguments, **others)

    before = {file: file.read_bytes() for file in (counted.warehouse, counted.published)}
    monkeypatch.setattr(duckdb, "connect", refusing)
    for arguments in ([], ["--repair"]):
        code, parts, err = doctor(capsys, counted, *arguments)
        assert code is ExitCode.USAGE
        assert parts[part] == "lost"
        assert "nothing says that it is damaged. see to what keeps it from being read" in err
        assert "--repair` mends it" not in err
    assert {file: file.read_bytes() for file in before} == before


HELD_BACK: dict[str, Callable[[Workspace], object]] = {
    "no published file": lambda w: w.published.unlink(),
    "a flipped byte of the published file": lambda w: flip(w.published),
    "a flipped byte of the warehouse": lambda w: flip(w.warehouse),
    "no warehouse": lambda w: w.warehouse.unlink(),
}


@pytest.mark.parametrize("harm", HELD_BACK)
def test_no_repair_publishes_what_was_held_back(
    capsys: pytest.CaptureFixture[str], counted: Workspace, root: Path, tmp_path: Path, harm: str
) -> None:
    new = write_flows(tmp_path / "flows" / "4.parquet", start_ms=JANUARY_1 + 4 * DAY_MS)
    assert call(capsys, root, "run", new, "--no-publish")[0] is ExitCode.DONE
    HELD_BACK[harm](counted)
    before = counted.published.read_bytes() if counted.published.exists() else None
    for arguments in ([], ["--repair"]):
        err = doctor(capsys, counted, *arguments)[2]
        if "published" in harm or arguments:
            assert "--no-publish was given" in err
    assert (counted.published.read_bytes() if counted.published.exists() else None) == before
    assert "--no-publish was given" in call(capsys, root, "status")[2]
    if "published" not in harm:
        assert doctor(capsys, counted)[1]["warehouse"] == "ok"


def test_a_first_run_that_is_held_back_has_nothing_to_repair(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    workspace = Workspace(root)
    assert call(capsys, root, "run", flows, "--no-publish")[0] is ExitCode.DONE
    for arguments in ([], ["--repair"]):
        code, out, err = call(capsys, root, "doctor", *arguments, "--format", "json")
        (part,) = [one for one in json.loads(out)["parts"] if one["part"] == "published file"]
        assert (code, part["condition"]) == (ExitCode.DONE, "missing"), err
        assert "held back (--no-publish was given)" in part["found"]
        assert part["mends"] == "The next `v6share run` publishes, where no check fails"
        assert not workspace.published.exists()
