"""Crashes: whatever the moment, opening again (and running again) gives the undisturbed state."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from fragment_maker import (
    Made,
    assert_equal,
    commit,
    contents,
    input_id,
    make_fragment,
    workspace_at,
)

from v6share.warehouse.commit import record
from v6share.warehouse.ledger.quarantine_notes import refusal_file
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

# Does what a run does: commits what is not committed yet, one commit an input, and refuses what
# cannot be read; dies where told.
RUN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fragment_maker import commit, input_id, make_fragment, quarantine
from v6share.workspace.paths import Workspace
from v6share.warehouse import commit as committer, rebuild
from v6share.warehouse.ledger import journal
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.merge import merge_fragments

def dying(function, after, calls):
    def wrapped(*args, **named):
        nonlocal calls
        calls -= 1
        if calls == 0 and not after:
            os._exit(9)
        result = function(*args, **named)
        if calls == 0:
            os._exit(9)
        return result
    return wrapped

workspace, point, nth = Workspace(Path(sys.argv[2])), sys.argv[3], int(sys.argv[4])
names = {
    "before append": (journal, "append", False),
    "after append": (journal, "append", True),
    "in a merge": (merge_fragments, "upsert_rows", True),
    "in an emptied day": (committer, "delete_days", True),
    "before refusals": (committer, "write_refusals", False),
    "after refusals": (committer, "write_refusals", True),
}
if point in names:
    module, name, after = names[point]
    setattr(module, name, dying(getattr(module, name), after, nth))
print("started", flush=True)
connection = open_warehouse(workspace, threads=1)
for version in ("c1", "c2"):
    for i in range(3):
        made = make_fragment(workspace, f"f{i}", 10 * i + int(version[1]), version, i % 3)
        entry = commit(made)
        known = known_inputs(connection).committed.get(made.key.input_id)
        if known is None or known < made.key:
            committer.record(connection, workspace, [entry])
            print(version, i, flush=True)
# Two are refused; of one of them a later version is counted.
for name in ("late", "bad"):
    known = known_inputs(connection)
    if input_id(name) not in {key.input_id for key in known.quarantined} | known.committed.keys():
        committer.record(connection, workspace, [quarantine(name)])
late = make_fragment(workspace, "late", 7, "c2")
if late.key.input_id not in known_inputs(connection).committed:
    committer.record(connection, workspace, [commit(late)])
connection.close()
"""


def run(workspace: Workspace, point: str = "", nth: int = 0) -> int:
    done = subprocess.run(command(workspace, point, nth), capture_output=True, text=True)
    assert done.returncode in (0, 9), done.stderr
    return done.returncode


def command(workspace: Workspace, point: str = "", nth: int = 0) -> list[str]:
    here = str(Path(__file__).parent)
    return [sys.executable, "-c", RUN, here, str(workspace.root), point, str(nth)]


def tables(workspace: Workspace) -> dict[str, pa.Table]:
    connection = open_warehouse(workspace)
    found = contents(connection)
    connection.close()
    return found


def refusals(workspace: Workspace) -> dict[str, bytes]:
    """What people find about refused inputs, by file name."""
    return {file.name: file.read_bytes() for file in workspace.quarantine.glob("*.json")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = workspace_at(tmp_path_factory.mktemp("undisturbed") / "w")
    assert run(workspace) == 0
    assert refusals(workspace).keys() == {refusal_file(workspace, input_id("bad")).name}
    return workspace


def assert_same_state(one: Workspace, other: Workspace) -> None:
    assert_equal(tables(one), tables(other))
    assert refusals(one) == refusals(other)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("before append", 4),
        ("after append", 5),
        ("in a merge", 10),
        ("in an emptied day", 7),
        ("before refusals", 8),  # bad is refused
        ("before refusals", 9),  # late counts
    ],
)
def test_a_crash_at_a_point(tmp_path: Path, undisturbed: Workspace, point: str, nth: int) -> None:
    workspace = workspace_at(tmp_path / "w")
    assert run(workspace, point, nth) == 9
    assert run(workspace) == 0
    assert_same_state(workspace, undisturbed)


def test_a_crash_while_the_last_crash_is_made_good(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path / "w")
    assert run(workspace, "after append", 1) == 9
    assert run(workspace, "in a merge", 2) == 9
    made = make_fragment(workspace, "f0", 1, "c1", 0)
    assert tables(workspace)["traffic_5m"].num_rows == len(made.row["traffic_5m"])


def test_a_crash_after_the_append_needs_no_rerun(tmp_path: Path) -> None:
    crashed, plain = workspace_at(tmp_path / "a"), workspace_at(tmp_path / "b")
    assert run(crashed, "after append", 3) == 9
    made: list[Made] = []
    for i in range(3):
        make_fragment(crashed, f"f{i}", 10 * i + 1, "c1", i % 3)
        made.append(make_fragment(plain, f"f{i}", 10 * i + 1, "c1", i % 3))
    connection = open_warehouse(plain)
    record(connection, plain, [commit(*made)])
    connection.close()
    assert_equal(tables(crashed), tables(plain))


def test_a_rebuild_after_a_crash_leaves_the_old_log_behind(
    tmp_path: Path, undisturbed: Workspace
) -> None:
    """The log of what a killed run committed does not fit the new file."""
    workspace = workspace_at(tmp_path / "w")
    assert run(workspace, "before append", 4) == 9
    log = workspace.warehouse.with_name(f"{workspace.warehouse.name}.wal")
    assert log.stat().st_size > 0
    assert rebuild(workspace, None).entries == 3
    assert run(workspace) == 0
    assert_same_state(workspace, undisturbed)
