"""A workspace that an older version made is brought up to date in place, and says the same."""

import json
import tarfile
from pathlib import Path

import duckdb
import pytest
from calls import call, run
from workspaces import differing, make_workspace, tables

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.client_key import key_id
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace

# Flows and a workspace in which version 0.1.0 counted them, when it had schema 5: no spans that
# are not published yet, no final days, no results of checks.
OLDER = Path(__file__).parents[1] / "warehouse" / "older" / "schema_5.tar.xz"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    with tarfile.open(OLDER) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "ws"


def test_it_is_brought_up_to_date_by_the_next_run(
    capsys: pytest.CaptureFixture[str], older: Path, tmp_path: Path
) -> None:
    out = call(capsys, older, "doctor")[1]
    assert "schema 5, this version has" in out
    flows = tmp_path / "flows"
    code = run(capsys, older, flows)[0]
    assert code is ExitCode.DONE
    other = make_workspace(tmp_path / "other")
    (other / "state" / "client.key").write_bytes((older / "state" / "client.key").read_bytes())
    assert run(capsys, other, flows)[0] is ExitCode.DONE
    assert not differing(tables(older), tables(other))
    assert call(capsys, older, "check", "--results")[0] is ExitCode.DONE
    assert run(capsys, older, flows)[1]["outcome"] == "no-op"


def test_it_takes_its_key_at_the_next_run_and_keeps_it(
    capsys: pytest.CaptureFixture[str], older: Path, tmp_path: Path
) -> None:
    """It counted before any version noted the id of a key."""
    key = Workspace(older).client_key
    right = key.read_bytes()
    with hold(Workspace(older), "v6share run elsewhere"):
        code, out, _ = call(capsys, older, "status", "--format", "json")
    assert (code, json.loads(out)["keys"]) == (ExitCode.DONE, [])
    assert call(capsys, older, "rebuild")[0] is ExitCode.DONE
    assert run(capsys, older, tmp_path / "flows")[0] is ExitCode.DONE
    (row,) = json.loads(call(capsys, older, "key", "show", "--format", "json")[1])
    assert (row["client_key"], row["key_id"]) == (0, key_id(right))
    assert (
        row["inputs"]
        == json.loads(call(capsys, older, "status", "--format", "json")[1])["files"][0]["inputs"]
    )
    key.write_bytes(bytes(16))
    assert run_fails(capsys, older, tmp_path / "flows")
    key.write_bytes(right)
    assert run(capsys, older, tmp_path / "flows")[0] is ExitCode.DONE


def test_its_first_key_may_be_changed_before_any_run(
    capsys: pytest.CaptureFixture[str], older: Path, tmp_path: Path
) -> None:
    old = key_id(Workspace(older).client_key.read_bytes())
    assert call(capsys, older, "key", "rotate")[0] is ExitCode.DONE
    first, second = json.loads(call(capsys, older, "key", "show", "--format", "json")[1])
    assert first["key_id"] == old
    assert first["inputs"]
    assert second["inputs"] == 0


def test_a_step_that_fails_leaves_it_as_it_was(
    capsys: pytest.CaptureFixture[str],
    older: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from v6share.warehouse.database import migrate

    steps = migrate.read_migrations()
    broken = [*steps[:-1], migrate.Migration(len(steps), "broken", "SELECT nosuch")]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "read_migrations", lambda: broken)
        assert run_fails(capsys, older, tmp_path / "flows")
    with duckdb.connect(Workspace(older).warehouse, read_only=True) as warehouse:
        assert warehouse.execute("SELECT max(version) FROM private.migrations").fetchall() == [(5,)]
    assert run(capsys, older, tmp_path / "flows")[0] is ExitCode.DONE


def run_fails(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> bool:
    return call(capsys, root, "run", flows)[0] is not ExitCode.DONE
