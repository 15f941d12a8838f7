"""What a run publishes, when it does not, and what readers then see and are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from calls import call, run
from flow_files import write_flows
from syncs import note_syncs

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace


def test_no_publish(capsys: pytest.CaptureFixture[str], root: Path, flows: Path) -> None:
    code, done, err = run(capsys, root, flows, "--no-publish")
    assert (code, done["published"]) == (ExitCode.DONE, False)
    assert not Workspace(root).published.exists()
    assert "kpi" not in err  # which would find nothing
    assert "next: the same again without --no-publish" in err
    assert run(capsys, root, flows)[1]["published"] is True


def final_days(workspace: Workspace) -> list[dict[str, Any]]:
    """What the journal says of final days, one publish after the other."""
    entries = map(json.loads, workspace.journal.read_text().splitlines())
    return [entry for entry in entries if entry["type"] == "final"]


def test_only_what_is_published_is_noted_as_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """Three files, each of the first minutes of a day: the third says that the first is over."""
    run(capsys, root, flows, "--no-publish")
    assert final_days(Workspace(root)) == []
    run(capsys, root, flows)
    (noted,) = final_days(Workspace(root))
    assert [day["day"] for day in noted["days"]] == ["2026-01-01"]
    run(capsys, root, flows)
    assert final_days(Workspace(root)) == [noted]


def test_a_final_day_that_moved_is_explained(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """4 rows of 1,000 bytes, 1 in 100 sampled, half of them IPv6; then 2 of 500 with one IPv6."""
    run(capsys, root, flows)
    late = write_flows(root / "late.parquet", rows=2, octets=500)
    run(capsys, root, late)
    *_, first = json.loads(call(capsys, root, "kpi", "revisions", "--format", "json")[1])
    assert (first["day"], first["changes"]) == ("2026-01-01", 1)
    assert (first["records_first"], first["records_now"]) == (4, 6)
    assert (first["bytes_first"], first["bytes_now"]) == (400_000, 500_000)
    assert (first["share_first"], first["share_now"], first["share_change"]) == (0.5, 0.5, 0.0)
    (behind,) = json.loads(call(capsys, root, "kpi", "revision_inputs", "--format", "json")[1])
    assert (behind["path"], behind["committed_at"]) == (str(late), first["last_changed_at"])


def test_what_readers_miss_is_said_until_it_is_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows / "day0.parquet")
    run(capsys, root, flows, "--no-publish")
    run(capsys, root, flows, "--no-publish")  # a no-op has nothing to publish
    _, out, err = call(capsys, root, "status", "--format", "json")
    assert [run["published"] for run in json.loads(out)["runs"]] == [None, False, True]
    assert "not published (--no-publish was given)" in err
    with hold(Workspace(root), "v6share run elsewhere"):
        assert (
            "not published (it was broken off or is not done yet" in call(capsys, root, "status")[2]
        )
        assert "is not in these numbers" in call(capsys, root, "kpi", "kpi_headline")[2]
    run(capsys, root, flows)
    with hold(Workspace(root), "v6share run elsewhere"):
        assert "not published" not in call(capsys, root, "status")[2]
    run(capsys, root, write_flows(root / "new.parquet", octets=7), "--no-publish")
    Workspace(root).published.unlink()
    assert "(--no-publish was given)" in call(capsys, root, "status")[2]
    code, out, err = call(capsys, root, "kpi")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "nothing is published" in err
    run(capsys, root, flows)
    assert "not published" not in call(capsys, root, "status")[2]


def test_what_a_run_leaves_would_outlive_the_machine(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and every folder that got a new name is synced: told by inode, renamed or not."""
    workspace = Workspace(root)
    synced = note_syncs(monkeypatch, workspace.journal)

    def lost(*paths: Path) -> list[Path]:
        found = {inode for inode, _ in synced}
        return [path for path in paths if path.stat().st_ino not in found]

    run(capsys, root, flows)
    fragments = sorted(workspace.fragments.rglob("*.parquet"))
    assert len(fragments) == 3
    assert not lost(*fragments, *(path.parent for path in fragments), workspace.fragments)
    assert not lost(workspace.journal, workspace.client_key, workspace.state)
    assert not lost(workspace.published, workspace.published.parent)
    synced.clear()
    call(capsys, root, "rebuild")
    assert not lost(workspace.warehouse, workspace.state)
