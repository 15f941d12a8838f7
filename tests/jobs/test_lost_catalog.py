"""A catalog that is gone must not count as an empty one."""

import shutil
from pathlib import Path

import pytest
from flow_files import write_flows

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A workspace with one app, and one file counted with it."""
    root = tmp_path / "ws"
    (root / "catalog").mkdir(parents=True)
    (root / "catalog" / "apps.toml").write_text(
        '[[app]]\nid = "shop"\nname = "Shop"\nmatch = [{ port = 443 }]\n'
    )
    write_flows(tmp_path / "flows" / "a.parquet")
    assert cli.call(["-q", "-C", str(root), "run", str(tmp_path / "flows")]) is ExitCode.DONE
    return root


def call(capsys: pytest.CaptureFixture[str], root: Path, *words: object) -> tuple[ExitCode, str]:
    capsys.readouterr()
    code = cli.call(["-C", str(root), *map(str, words)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("command", [("run", "flows"), ("forget", "flows/a.parquet"), ("rebuild",)])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_lost_catalog_stops_what_would_replace_the_numbers(
    capsys: pytest.CaptureFixture[str],
    counted: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    emptied: bool,
) -> None:
    monkeypatch.chdir(counted.parent)
    shutil.rmtree(counted / "catalog")
    if emptied:
        (counted / "catalog").mkdir()
        (counted / "catalog" / "README.md").write_text("moved\n")
    before = Workspace(counted).published.read_bytes(), Workspace(counted).journal.read_bytes()
    code, err = call(capsys, counted, *command)
    assert code is ExitCode.USAGE
    assert "catalog: apps.toml not there" in err
    assert "(apps: 1)" in err
    assert f"v6share init {counted}" in err
    after = Workspace(counted).published.read_bytes(), Workspace(counted).journal.read_bytes()
    assert after == before


def test_one_lost_file_stops_a_run_and_one_that_never_was_does_not(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    (counted / "catalog" / "networks.csv").write_text(
        "network,kind,client_prefix_v4,client_prefix_v6\nhome,fixed,,\n"
    )
    flows = counted.parent / "flows"
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE
    (counted / "catalog" / "networks.csv").unlink()
    code, err = call(capsys, counted, "run", flows)
    assert code is ExitCode.USAGE
    assert "networks.csv not there" in err
    assert "apps.toml" not in err
    assert call(capsys, counted, "init")[0] is ExitCode.DONE
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prefixes.csv", "prefix,region,network\n198.51.100.0/24,north,home\n"),
        ("transition.toml", 'nat64 = ["64:ff9b:1::/48"]\n'),
    ],
)
def test_files_without_a_table_are_remembered_too(
    capsys: pytest.CaptureFixture[str], counted: Path, name: str, text: str
) -> None:
    flows = counted.parent / "flows"
    (counted / "catalog" / "networks.csv").write_text(
        "network,kind,client_prefix_v4,client_prefix_v6\nhome,fixed,,\n"
    )
    file = counted / "catalog" / name
    file.write_text(text)
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE
    assert call(capsys, counted, "rebuild")[0] is ExitCode.DONE
    file.unlink()
    code, err = call(capsys, counted, "run", flows)
    assert code is ExitCode.USAGE
    assert f"{name} not there" in err
    assert f"({Path(name).stem}: 1)" in err
    # A rebuild counts no flow, so it may go on, and forgets nothing.
    assert call(capsys, counted, "rebuild")[0] is ExitCode.DONE
    assert call(capsys, counted, "run", flows)[0] is ExitCode.USAGE
    file.write_text(text.splitlines()[0] + "\n" if name.endswith(".csv") else "")
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE
    file.unlink()  # what was empty in the last run may go
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE


def test_lost_targets_stop_what_would_judge_by_others(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    file, flows = counted / "catalog" / "targets.toml", counted.parent / "flows"
    file.write_text("[stage1]\napps = 9\n[stage3]\nshare = 0.5\n")
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE
    file.unlink()
    before = Workspace(counted).published.read_bytes()
    for command in (("run", flows), ("rebuild",), ("forget", flows / "a.parquet")):
        code, err = call(capsys, counted, *command)
        assert code is ExitCode.USAGE
        assert "targets.toml not there, but the last run had it (targets: 2)" in err
    assert Workspace(counted).published.read_bytes() == before
    # The usual targets, written down, are a wish; and without them nothing is lost any more.
    assert call(capsys, counted, "init")[0] is ExitCode.DONE
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE
    file.unlink()
    assert call(capsys, counted, "run", flows)[0] is ExitCode.DONE


def test_a_repair_stops_at_a_lost_catalog_as_a_rebuild_does(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    (counted / "catalog" / "apps.toml").unlink()
    Workspace(counted).warehouse.unlink()
    code, err = call(capsys, counted, "doctor", "--repair")
    assert code is ExitCode.USAGE
    assert "apps.toml not there" in err
    assert not Workspace(counted).warehouse.exists()


def test_an_empty_catalog_that_is_written_down_is_a_wish(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    shutil.rmtree(counted / "catalog")
    assert call(capsys, counted, "init")[0] is ExitCode.DONE
    assert call(capsys, counted, "run", counted.parent / "flows")[0] is ExitCode.DONE


def test_a_workspace_that_never_had_a_catalog_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ws").mkdir()
    flows = write_flows(tmp_path / "a.parquet")
    assert call(capsys, tmp_path / "ws", "run", flows)[0] is ExitCode.DONE
    code, err = call(capsys, tmp_path / "ws", "run", flows, "--unknown-sampling", "unsampled")
    assert code is ExitCode.DONE, err
    assert call(capsys, tmp_path / "ws", "rebuild")[0] is ExitCode.DONE
