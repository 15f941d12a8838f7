"""The landing folders of a stream: when a file that was busy or failed comes again."""

from pathlib import Path

import pytest
from workspaces import make_workspace

from v6share.jobs.steps.stream_source import FolderSource
from v6share.pipelines import landing
from v6share.schemas.outcome import Outcome, Status
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

NOTHING = KnownInputs({}, {}, set(), set())


@pytest.mark.parametrize(("status", "seconds"), [("busy", 5), ("failed", 60), (None, None)])
def test_a_file_comes_again_unless_it_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Status | None, seconds: int | None
) -> None:
    now = [1000.0]
    monkeypatch.setattr(landing.time, "monotonic", lambda: now[0])
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"flows")
    source = FolderSource([str(folder)], Workspace(make_workspace(tmp_path / "w")))
    batch = source.look(NOTHING)
    (found,) = [one.found for one in batch]
    outcome = Outcome(found.path, found.size, found.mtime_ns, status or "known")
    source.settle(batch, {found.path: outcome} if status else {})
    came = []
    for _ in range(70):
        now[0] += 1
        came.append(bool(source.look(NOTHING)))
    assert (came.index(True) + 1 if True in came else None) == seconds
