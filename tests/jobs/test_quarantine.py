"""``v6share quarantine``, and that ``--strict`` minds what nobody has acknowledged."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace


def listed(capsys: pytest.CaptureFixture[str], root: Path) -> list[dict[str, Any]]:
    code, out, _ = call(capsys, root, "quarantine", "list", "--format", "json")
    assert code is ExitCode.DONE
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


@pytest.fixture
def with_bad_file(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> Path:
    """A workspace in which three files count, and ``bad.parquet`` is refused."""
    spoil(flows / "bad.parquet")
    assert run(capsys, root, flows, "--strict")[0] is ExitCode.INPUT_FAILED
    return root


def test_a_retry_does_not_swallow_what_was_refused(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    code, done, err = run(capsys, root, flows, "--strict")
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_quarantined"], done["quarantined_unacknowledged"]) == (0, 1)
    assert "error: 1 input is quarantined and not acknowledged: " in err
    assert f"{flows}/bad.parquet (unreadable). `v6share quarantine list` says why" in err
    # Wherever the next run looks.
    assert run(capsys, root, flows / "day0.parquet", "--strict")[0] is ExitCode.INPUT_FAILED
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    code, out, err = call(capsys, root, "check", "--strict", "--max-age", "1h", "--format", "json")
    assert code is ExitCode.INPUT_FAILED  # the age alone would be 6
    assert "not acknowledged" in err
    (found,) = (row for row in json.loads(out) if row["check"] == "quarantine")
    assert (found["result"], found["rows"]) == ("failed", 1)
    assert f"{flows}/bad.parquet is, for unreadable" in found["found"]
    code, out, err = call(capsys, root, "status", "--format", "json")
    (refused,) = json.loads(out)["quarantined"]
    assert (refused["path"], refused["acknowledged"]) == (f"{flows}/bad.parquet", False)
    assert "1 input quarantined and not acknowledged; " in err
    assert "quarantine/*.json" not in err


def test_what_is_accepted_is_no_longer_minded(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    (row,) = listed(capsys, root)
    assert (row["path"], row["reason"]) == (f"{flows}/bad.parquet", "unreadable")
    assert (row["acknowledged"], row["decided"]) == (False, None)
    assert row["detail"]
    assert row["since"].startswith("20")
    accept = ("quarantine", "accept", "bad.parquet", "--reason", "a test")
    code, out, err = call(capsys, root, *accept, "--format", "json")
    assert code is ExitCode.DONE
    assert json.loads(out) == [row | {"acknowledged": True, "decided": "a test"}]
    assert "no longer minded by --strict" in err
    assert listed(capsys, root) == json.loads(out)
    assert run(capsys, root, flows, "--strict")[0] is ExitCode.DONE
    assert call(capsys, root, "check", "--strict")[0] is ExitCode.DONE
    assert "not acknowledged" not in call(capsys, root, "status")[2]
    runs = json.loads(call(capsys, root, "kpi", "ledger_runs", "--format", "json")[1])
    assert [one["outcome"] for one in runs if "quarantine accept" in one["command"]] == ["no-op"]
    # Readers see it since that run.
    with duckdb.connect(Workspace(root).published, read_only=True) as snapshot:
        assert snapshot.execute(
            "SELECT reason FROM ledger_files WHERE status = 'accepted'"
        ).fetchall() == [("unreadable",)]
    # Other bytes are another input.
    spoil(flows / "bad.parquet", data=b"no Parquet either")
    assert run(capsys, root, flows, "--strict")[0] is ExitCode.INPUT_FAILED
    assert [row["acknowledged"] for row in listed(capsys, root)] == [False]


def test_a_file_that_was_sent_again_needs_no_decision(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    write_flows(flows / "bad.parquet", start_ms=JANUARY_1 + 5 * DAY_MS)
    code, done, _ = run(capsys, root, flows, "--strict")
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 1)
    assert listed(capsys, root) == []
    assert list(Workspace(root).quarantine.iterdir()) == []
    assert "nothing is quarantined" in call(capsys, root, "quarantine", "list")[2]


def test_a_file_that_was_deleted_is_told_to_be_gone_and_can_be_accepted(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    gone = f"{flows}/bad.parquet (unreadable; no file is there any more)"
    assert [row["present"] for row in listed(capsys, root)] == [True]
    (flows / "bad.parquet").unlink()
    code, _, err = run(capsys, root, flows, "--strict")
    assert (code, gone in err) == (ExitCode.INPUT_FAILED, True)
    assert gone in call(capsys, root, "check", "--strict")[2]
    assert [row["present"] for row in listed(capsys, root)] == [False]
    err = call(capsys, root, "quarantine", "list")[2]
    assert "; no longer there: 1, which `v6share quarantine accept` settles\n" in err
    assert call(capsys, root, "quarantine", "accept", flows / "bad.parquet")[0] is ExitCode.DONE
    assert run(capsys, root, flows, "--strict")[0] is ExitCode.DONE
    assert "no longer there" not in call(capsys, root, "quarantine", "list")[2]


def test_what_is_to_be_tried_again_is_tried_by_the_next_run(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    code, _, err = call(capsys, root, "quarantine", "retry", "--all")
    assert code is ExitCode.DONE
    assert f"`v6share run {flows}/bad.parquet`\n" in err
    (row,) = listed(capsys, root)
    assert (row["acknowledged"], row["decided"]) == (False, "the next run tries it again")
    assert call(capsys, root, "check", "--strict")[0] is ExitCode.INPUT_FAILED
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_quarantined"]) == (ExitCode.INPUT_FAILED, 1)
    assert listed(capsys, root)[0]["decided"] is None
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_quarantined_before"]) == (ExitCode.DONE, 1)


def test_names_that_mean_nothing_or_too_much_change_nothing(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path, flows: Path
) -> None:
    root = with_bad_file
    spoil(flows / "other/bad.parquet", data=b"no Parquet either")
    run(capsys, root, flows)
    before = listed(capsys, root)
    for arguments, code, said in [
        (["bad.parquet"], ExitCode.USAGE, "2 inputs have this name, nothing was changed; give a"),
        (["baad.parquet"], ExitCode.NO_INPUT, "did you mean "),
        ([flows / "day0.parquet"], ExitCode.NO_INPUT, "it is not quarantined; nothing was"),
        ([], ExitCode.USAGE, "found neither, expected the inputs that you mean, or --all"),
        (["--all", "bad.parquet"], ExitCode.USAGE, "found inputs and --all"),
    ]:
        for command in ("accept", "retry"):
            found = call(capsys, root, "quarantine", command, *arguments)
            assert (found[0], found[1]) == (code, "")
            assert said in found[2]
    assert listed(capsys, root) == before
    ids = [row["input_id"][:12] for row in before]
    assert call(capsys, root, "quarantine", "accept", *ids)[0] is ExitCode.DONE
    assert all(row["acknowledged"] for row in listed(capsys, root))
    code, _, err = call(capsys, root, "quarantine", "accept", "--all")
    assert code is ExitCode.DONE
    assert "nothing was changed" in err


def test_while_a_run_is_at_work_the_list_shows_what_was_published(
    capsys: pytest.CaptureFixture[str], with_bad_file: Path
) -> None:
    root = with_bad_file
    with hold(Workspace(root), "v6share run elsewhere"):
        code, out, err = call(capsys, root, "quarantine", "list", "--format", "json")
        assert (code, json.loads(out)[0]["reason"]) == (ExitCode.DONE, "unreadable")
        assert "this is the state last published" in err
        assert call(capsys, root, "quarantine", "accept", "--all")[0] is ExitCode.LOCKED


def test_before_anything_is_counted_there_is_no_list(
    capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    code, out, err = call(capsys, root, "quarantine", "list")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "nothing is counted yet; use `v6share run PATH...`" in err
