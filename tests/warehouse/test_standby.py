"""Publishing by the standby: equal to the warehouse, whatever changed, and unseen by readers."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    commit,
    empty_catalog,
    forget,
    make_fragment,
    quarantine,
    workspace_at,
)

from v6share.schemas.dimensions import DIM_APPS
from v6share.warehouse.commit import record
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.database.unpublished import Lacking
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.kept.snapshot import write_snapshot
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import Published, needs_publish, publish
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# Opens a file as a reader that has no lock on it, and says what it reads at the end.
COPIER = """
import sys
with open(sys.argv[1], "rb") as file:
    first = file.read(100)
    print("open", flush=True)
    sys.stdin.readline()
    sys.stdout.write(str(len(first + file.read())))
"""
READER = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    count = "SELECT count(*), count(DISTINCT input_id) FROM ledger_families"
    before = connection.execute(count).fetchall()
    print("open", flush=True)
    sys.stdin.readline()
    print(before == connection.execute(count).fetchall())
"""
# Publishes one more file, and dies where it is told.
DYING = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fragment_maker import commit, make_fragment
from test_standby import publish_all
from v6share.warehouse import publish as publishing
from v6share.warehouse.commit import record
from v6share.warehouse.open import open_warehouse
from v6share.workspace.paths import Workspace

def dying(function, is_meant, after):
    def wrapped(*args, **named):
        if not is_meant(args):
            return function(*args, **named)
        if after:
            function(*args, **named)
        os._exit(9)
    return wrapped

workspace, point = Workspace(Path(sys.argv[2])), sys.argv[3]
always = lambda args: True
points = {
    "while it is open": (publishing, "copy_lacking", always, True),
    "before its log is in it": (publishing, "copy_lacking", always, False),
    "after it is made": (publishing, "file_stamp", lambda args: ".draft" in args[0].name, True),
    "before the link": (Path, "hardlink_to", always, False),
    "after the link": (Path, "hardlink_to", always, True),
    "before it is in place": (Path, "replace", lambda args: args[1].name[0] == "v", False),
    "after it is in place": (Path, "replace", lambda args: args[1].name[0] == "v", True),
    "before it is noted": (publishing, "note_published", always, False),
}
module, name, is_meant, after = points[point]
connection = open_warehouse(workspace, threads=1)
record(connection, workspace, [commit(make_fragment(workspace, "more", 77))])
setattr(module, name, dying(getattr(module, name), is_meant, after))
publish_all(connection, workspace)
"""
POINTS = [
    "while it is open",
    "before its log is in it",
    "after it is made",
    "before the link",
    "after the link",
    "before it is in place",
    "after it is in place",
    "before it is noted",
]


def publish_all(connection: Connection, workspace: Workspace) -> Published:
    """As a run does, without checks."""
    refresh_results(connection)
    write_snapshot(connection, datetime.now(UTC), failed=0, warned=0)
    return publish(connection, workspace)


def relations(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() "
        "WHERE schema_name IN ('main', 'results') AND database_name = current_database() "
        "ORDER BY ALL"
    ).fetchall()


def differing(connection: Connection, workspace: Workspace) -> list[str]:
    """The relations in which the published file is not the warehouse. Read from a copy: readers in
    this process would be given the file that it opened first.
    """
    copy = workspace.root / "copy.duckdb"
    shutil.copyfile(workspace.published, copy)
    with duckdb.connect(copy, read_only=True) as published:
        assert relations(published) == relations(connection)
        odd = []
        for schema, name in relations(connection):
            query = f"FROM {schema}.{name} ORDER BY ALL"
            wanted = connection.sql(query).to_arrow_table()
            found = published.sql(query).to_arrow_table()
            if not found.equals(wanted):
                odd.append(f"{schema}.{name}: {found.num_rows} rows for {wanted.num_rows}")
    copy.unlink()
    return odd


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


@pytest.fixture
def connection(workspace: Workspace) -> Iterator[Connection]:
    """A warehouse that was published twice, so that a standby is there."""
    with closing(open_warehouse(workspace, threads=1)) as opened:
        replace_dimensions(opened, empty_catalog())
        for i in range(2):
            record(opened, workspace, [commit(make_fragment(workspace, f"f{i}", i))])
            publish_all(opened, workspace)
        yield opened


def add(connection: Connection, workspace: Workspace, name: str, first_day: int = 0) -> None:
    record(connection, workspace, [commit(make_fragment(workspace, name, 5, first_day=first_day))])


def test_each_file_equals_the_warehouse_whatever_changed(
    workspace: Workspace, connection: Connection
) -> None:
    """New and late inputs, newer versions, withdrawals, refusals, declared targets, and nothing."""
    rng = random.Random(11)
    catalog = empty_catalog()
    ways = []
    for step in range(24):
        name = f"f{rng.randrange(12)}"
        made = make_fragment(
            workspace, name, rng.randrange(3), f"c{rng.randrange(2)}", rng.randrange(6)
        )
        what = rng.randrange(10)
        if what < 6:
            record(connection, workspace, [commit(made)])
        elif what == 6:
            record(connection, workspace, [forget(made)])
        elif what == 7:
            record(connection, workspace, [quarantine(name)])
        elif what == 8:
            replace_dimensions(connection, catalog | {DIM_APPS.name: apps(step)})
        ways.append(publish_all(connection, workspace).is_whole)
        assert not differing(connection, workspace), f"step {step}, what {what}"
    assert not any(ways)


def apps(number: int) -> pa.Table:
    """One declared app."""
    row = dict.fromkeys(DIM_APPS.arrow_schema.names, f"app {number}") | {"position": 0}
    return pa.Table.from_pylist([row], schema=DIM_APPS.arrow_schema)


def test_the_file_does_not_grow_with_each_turn(
    workspace: Workspace, connection: Connection
) -> None:
    sizes = []
    for turn in range(16):
        add(connection, workspace, f"again{turn % 4}", turn % 4)
        record(connection, workspace, [forget(make_fragment(workspace, f"again{turn % 4}", 5))])
        sizes.append(publish_all(connection, workspace).size_bytes)
    assert max(sizes[8:]) <= max(sizes[:8])


@pytest.mark.parametrize("reader", [READER, COPIER], ids=["locked", "without a lock"])
def test_a_reader_of_the_file_before_is_left_alone(
    workspace: Workspace, connection: Connection, reader: str
) -> None:
    """It opened the published file; two publishes later that file is the standby, still open."""
    size = workspace.published.stat().st_size
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(workspace.published)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        ways = []
        for i in range(3):
            add(connection, workspace, f"n{i}")
            ways.append(publish_all(connection, workspace).is_whole)
            assert not differing(connection, workspace)
        out, _ = process.communicate("\n", timeout=60)
    # The first is made of the file before the reader's; the second would be made of the reader's.
    assert ways == [False, True, False]
    assert out.strip() == ("True" if reader is READER else str(size))


def test_a_file_with_a_second_name_is_left_alone(
    workspace: Workspace, connection: Connection, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.duckdb"
    kept.hardlink_to(workspace.published)
    before = kept.read_bytes()
    ways = []
    for i in range(3):
        add(connection, workspace, f"n{i}")
        ways.append(publish_all(connection, workspace).is_whole)
    assert ways == [False, True, False]
    assert kept.read_bytes() == before


@pytest.mark.parametrize("harm", ["gone", "touched", "cut", "another file"])
def test_a_standby_that_is_not_the_one_that_was_left_is_not_used(
    workspace: Workspace, connection: Connection, harm: str
) -> None:
    standby = workspace.standby
    if harm == "gone":
        standby.unlink()
    elif harm == "touched":
        os.utime(standby)
    elif harm == "cut":
        os.truncate(standby, 100_000)
    else:
        shutil.copyfile(workspace.published, standby)
    add(connection, workspace, "n")
    assert publish_all(connection, workspace).is_whole
    assert not differing(connection, workspace)
    add(connection, workspace, "m")
    assert not publish_all(connection, workspace).is_whole
    assert not differing(connection, workspace)


def test_where_the_system_cannot_tell_who_reads_the_whole_is_copied(
    workspace: Workspace, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(storage.fcntl, "F_SETLEASE")
    add(connection, workspace, "n")
    assert publish_all(connection, workspace).is_whole
    assert not differing(connection, workspace)


def test_what_changed_on_many_days_is_copied_as_a_whole(
    workspace: Workspace, connection: Connection
) -> None:
    record(connection, workspace, [commit(make_fragment(workspace, "long", 1, days=90, rows=400))])
    assert publish_all(connection, workspace).is_whole
    assert not differing(connection, workspace)


def test_another_published_file_is_no_standby(workspace: Workspace, connection: Connection) -> None:
    """A file that somebody put in place of the published one is replaced, and not kept."""
    other = workspace.published.with_name("other")
    shutil.copyfile(workspace.published, other)
    os.utime(other, (1, 1))
    other.replace(workspace.published)
    assert needs_publish(connection, workspace)
    publish_all(connection, workspace)
    add(connection, workspace, "n")
    assert publish_all(connection, workspace).is_whole
    assert not differing(connection, workspace)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_step_leaves_a_whole_file_and_the_next_publish_mends_all(
    workspace: Workspace, point: str
) -> None:
    with closing(open_warehouse(workspace, threads=1)) as opened:
        replace_dimensions(opened, empty_catalog())
        for i in range(3):
            add(opened, workspace, f"f{i}")
            publish_all(opened, workspace)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", DYING, here, str(workspace.root), point],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 9, done.stderr
    with duckdb.connect(workspace.published, read_only=True) as published:
        inputs = "SELECT count(DISTINCT input_id) FROM ledger_families"
        assert published.execute(inputs).fetchall()[0][0] in (3, 4)
    with closing(open_warehouse(workspace, threads=1)) as opened:
        for i in range(3):
            publish_all(opened, workspace)
            assert not differing(opened, workspace)
            add(opened, workspace, f"after{i}")
        assert not publish_all(opened, workspace).is_whole
        assert not differing(opened, workspace)
    names = {path.name for path in workspace.published.parent.iterdir()}
    assert names == {workspace.published.name, workspace.standby.name}


def test_the_lengths_of_spans_are_added_up() -> None:
    """They decide whether the whole is copied."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    spans = [(start, start + timedelta(hours=1)), (start + timedelta(2), start + timedelta(3))]
    assert Lacking(spans=spans).length == timedelta(days=1, hours=1)
