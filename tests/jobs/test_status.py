"""What ``status`` says: of a counted workspace, an empty one, and one that is held."""

import json
import os
from pathlib import Path

import pytest
from calls import call, run
from flow_files import write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace


def test_check_and_status(capsys: pytest.CaptureFixture[str], counted: Path) -> None:
    code, out, _ = call(capsys, counted, "check", "--format", "json")
    assert code is ExitCode.DONE
    assert {row["result"] for row in json.loads(out)} <= {"ok", "warning"}
    code, out, _ = call(capsys, counted, "status", "--format", "json")
    assert code is ExitCode.DONE
    (files,) = json.loads(out)["files"]
    assert (files["status"], files["inputs"], files["rows_in"]) == ("committed", 3, 12)


def test_a_long_command_is_cut_for_people_and_whole_for_machines(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    named = [flows / "day0.parquet"] * 50
    run(capsys, root, *named)
    assert max(map(len, call(capsys, root, "status")[1].splitlines())) < 300
    (told,) = json.loads(call(capsys, root, "status", "--format", "json")[1])["runs"]
    assert told["command"].count("day0.parquet") == 50
    run(capsys, root, *named * 20)  # but no run keeps more than 10,000 characters
    told = json.loads(call(capsys, root, "status", "--format", "json")[1])["runs"][0]
    assert len(told["command"]) == 10_000
    assert call(capsys, root, "kpi", "ledger_runs", "--format", "csv")[1].count("day0") == 50


def test_what_a_status_leaves_out_is_said_with_where_it_stands(
    capsys: pytest.CaptureFixture[str],
    counted: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_flows(flows / "other.parquet", exporter="192.0.2.2", octets=700)
    assert run(capsys, counted, flows)[0] is ExitCode.DONE
    assert "more; `v6share" not in call(capsys, counted, "status")[1]
    monkeypatch.setattr("v6share.warehouse.status.MOST_ROWS", 1)
    said = "... and 1 more; `v6share kpi exporters_1h --format csv` has them all"
    assert call(capsys, counted, "status")[1].splitlines().count(said) == 2
    told = json.loads(call(capsys, counted, "status", "--format", "json")[1])
    assert told["left_out"] == {"findings": 1, "exporters": 1, "unlisted": 1}
    assert len(told["exporters"]) == 1


def test_files_of_the_state_that_nobody_can_read_stop_no_status(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    for file in (Workspace(counted).stream_state, Workspace(counted).lock):
        file.write_text("[" * 20_000 + "]" * 20_000)
    assert call(capsys, counted, "status")[0] is ExitCode.DONE


def test_who_may_only_read_sees_what_was_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, root, flows)
    state, access = Workspace(root).state, os.access
    # Who runs the tests may be root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != state and access(path, mode))
    code, out, err = call(capsys, root, "status", "--format", "json")
    assert (code, json.loads(out)["runs"][0]["published"]) == (ExitCode.DONE, True)
    assert "is not yours to write; this is the state last published" in err


@pytest.mark.parametrize("command", ["kpi", "status", "check", "rebuild"])
def test_an_empty_workspace_says_run_first(
    capsys: pytest.CaptureFixture[str], root: Path, command: str
) -> None:
    code, out, _ = call(capsys, root, command)
    assert (code, out) == (ExitCode.USAGE, "")


def test_before_anything_is_counted_status_names_the_run_that_is_at_it(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    with hold(Workspace(root), "v6share run elsewhere"):
        code, _, err = call(capsys, root, "status")
    assert code is ExitCode.USAGE
    assert f"held by 'v6share run elsewhere' (process {os.getpid()} " in err
    assert "use `v6share run PATH...`" not in err
    code, _, err = call(capsys, root, "status")  # it has left its lock file behind
    assert (code, "held by" in err) == (ExitCode.USAGE, False)
    assert "use `v6share run PATH...`" in err


def test_before_anything_is_published_the_run_that_is_at_it_is_named(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows, "--no-publish")
    for command in ("status", "kpi"):
        with hold(Workspace(root), "v6share run elsewhere " + "flows/day.parquet " * 100):
            code, _, err = call(capsys, root, command)
        assert code is ExitCode.USAGE
        assert "nothing is published yet; the workspace is held by 'v6share run elsewhere" in err
        assert "look again when it has ended" in err
        assert len(err) < 500
