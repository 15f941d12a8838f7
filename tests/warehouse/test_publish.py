import errno
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from fragment_maker import (
    assert_equal,
    commit,
    contents,
    empty_catalog,
    make_fragment,
    quarantine,
    workspace_at,
)

from v6share.schemas.errors import UserError
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.commit import record
from v6share.warehouse.database import connect as opening
from v6share.warehouse.database import migrate
from v6share.warehouse.database.connect import open_snapshot
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.views import View, read_views
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import needs_publish, publish, was_altered
from v6share.warehouse.rebuild import rebuild
from v6share.warehouse.relations import list_relations, select
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# Opens the published file again and again: every opening must find whole commits only.
READER = """
import sys
from pathlib import Path
from v6share.warehouse.database.connect import open_snapshot
path, seen, opens = Path(sys.argv[1]), set(), 0
print("reading", flush=True)
while 30 not in seen:
    with open_snapshot(path) as connection:
        (files, families, records, counted) = connection.execute(
            "SELECT (SELECT count(*) FROM ledger_files), "
            "(SELECT count(DISTINCT input_id) FROM ledger_families), "
            "(SELECT sum(records) FROM traffic_5m), "
            "(SELECT sum(rows_counted) FROM ledger_files)"
        ).fetchall()[0]
    assert files == families, (files, families)
    assert records == counted, (records, counted)
    assert not seen or files >= max(seen), (files, seen)
    seen.add(files)
    opens += 1
print(opens, len(seen))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "it's")


def test_the_snapshot_holds_the_public_tables_and_views(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    replace_dimensions(connection, empty_catalog())
    record(connection, workspace, [commit(*(make_fragment(workspace, f"f{i}", i) for i in (1, 2)))])
    published = publish(connection, workspace)
    wanted = contents(connection, PUBLIC_TABLES)
    assert published.size_bytes == workspace.published.stat().st_size
    assert [file.name for file in workspace.published.parent.iterdir()] == ["v6share.duckdb"]
    # The warehouse is still open for writing; readers do not mind.
    with open_snapshot(workspace.published) as snapshot:
        assert_equal(contents(snapshot, PUBLIC_TABLES), wanted)
        schemas = snapshot.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
        assert sorted(schemas) == [("main",), ("results",)]
        comments = snapshot.execute("SELECT count(comment), count(*) FROM duckdb_columns() "
                                    "WHERE table_name = 'traffic_5m'").fetchall()  # fmt: skip
        assert comments == [(19, 19)]
    connection.close()


def test_every_view_works_under_any_name(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    replace_dimensions(connection, empty_catalog())
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    publish(connection, workspace)
    connection.close()
    other = duckdb.connect()
    other.execute('ATTACH ? AS "any name" (READ_ONLY)', [str(workspace.published)])
    for view in read_views():
        for schema in ("main", "definitions"):
            other.execute(f'SELECT * FROM "any name".{schema}.{view.name}').fetchall()
    other.close()


def test_views_are_selected_by_name_only(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [
        View(
            "base",
            "CREATE VIEW definitions.base AS SELECT app, bytes FROM main.traffic_5m",
            "it's a base",
        ),
        View(
            "top",
            "CREATE VIEW definitions.top AS SELECT sum(bytes) AS bytes FROM results.base",
            "",
        ),
    ]
    monkeypatch.setattr(migrate, "read_views", lambda: views)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    publish(connection, workspace)
    connection.close()
    with open_snapshot(workspace.published) as snapshot:
        relations = list_relations(snapshot)
        assert relations[0] == ("base", "it's a base")
        known = dict(relations)
        assert select(snapshot, "top", known).num_rows == 1
        with pytest.raises(UserError, match="did you mean top"):
            select(snapshot, "topp", known)
        with pytest.raises(UserError, match="there are: base"):
            select(snapshot, "x; DROP TABLE y", known)
    other = duckdb.connect()
    other.execute("ATTACH ? AS renamed (READ_ONLY)", [str(workspace.published)])
    assert other.execute("SELECT count(*) FROM renamed.top").fetchall() == [(1,)]
    other.close()


def test_a_run_killed_right_after_the_rename_leaves_no_stranger(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    before = read_state(connection, "published_file")
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    publish(connection, workspace)
    write_state(connection, "published_file", before)  # as if killed before it was noted
    assert needs_publish(connection, workspace)
    assert not was_altered(connection, workspace)
    workspace.published.write_bytes(b"somebody else's")
    assert was_altered(connection, workspace)
    connection.close()


def storage_version(path: Path) -> str:
    with duckdb.connect(path, read_only=True) as connection:
        ((version,),) = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() "
            "WHERE database_name = current_database()"
        ).fetchall()
    return str(version)


def test_older_tools_can_read_the_published_file(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    connection.close()
    assert storage_version(workspace.published) == "v1.5.0+"


def test_a_warehouse_that_older_tools_could_not_read_is_refused(workspace: Workspace) -> None:
    duckdb.connect(workspace.warehouse).close()
    assert storage_version(workspace.warehouse) != "v1.5.0+"
    with pytest.raises(UserError, match=r"storage version v.*expected v1\.5\.0.*v6share rebuild"):
        open_warehouse(workspace)
    rebuild(workspace, None)
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    connection.close()
    assert storage_version(workspace.published) == "v1.5.0+"


def test_a_log_without_its_warehouse_is_no_part_of_a_new_one(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    before = contents(connection, PUBLIC_TABLES)
    connection.close()
    workspace.warehouse.unlink()
    log = workspace.warehouse.with_name("warehouse.duckdb.wal")
    log.write_bytes(b"of the file that is gone")
    connection = open_warehouse(workspace)
    assert_equal(contents(connection, PUBLIC_TABLES), before)
    connection.close()


def published_anew(workspace: Workspace) -> frozenset[str]:
    """What a snapshot of a warehouse that is made for it holds; the warehouse is gone again."""
    workspace.warehouse.unlink(missing_ok=True)
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    connection.close()
    assert [file.name for file in workspace.state.glob(".*")] == []
    with open_snapshot(workspace.published) as snapshot:
        return frozenset(dict(list_relations(snapshot)))


EVERYTHING = {table.name for table in PUBLIC_TABLES} | {view.name for view in read_views()}


def test_a_new_warehouse_holds_every_table_and_view(workspace: Workspace) -> None:
    assert published_anew(workspace) == EVERYTHING


@pytest.mark.parametrize("left", [".warehouse.duckdb.0.draft", ".warehouse.duckdb.0.draft.wal"])
def test_what_a_killed_run_left_is_removed(workspace: Workspace, left: str) -> None:
    assert published_anew(workspace) == EVERYTHING
    (workspace.state / left).write_bytes(b"of a run that was killed")
    open_warehouse(workspace).close()
    assert not (workspace.state / left).exists()


def test_a_published_file_is_no_warehouse(workspace: Workspace) -> None:
    published_anew(workspace)
    workspace.warehouse.write_bytes(workspace.published.read_bytes())
    with pytest.raises(UserError, match="perhaps a published file"):
        open_warehouse(workspace)
    rebuild(workspace, None)
    open_warehouse(workspace).close()


def test_nothing_published_yet(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="nothing is published"), open_snapshot(workspace.published):
        pass


def test_whoever_has_opened_a_snapshot_reads_on_in_it(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "f1", 1))])
    publish(connection, workspace)
    with open_snapshot(workspace.published) as snapshot:
        known = dict(list_relations(snapshot))
        before = select(snapshot, "traffic_5m", known)
        record(connection, workspace, [commit(make_fragment(workspace, "f2", 2))])
        publish(connection, workspace)
        for table in PUBLIC_TABLES:  # most of them are read here for the first time
            select(snapshot, table.name, known)
        assert select(snapshot, "traffic_5m", known).equals(before)
    with open_snapshot(workspace.published) as snapshot:
        assert select(snapshot, "traffic_5m", known).num_rows > before.num_rows
    connection.close()


def test_publishing_is_needed_when_readers_would_see_a_difference(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    made = make_fragment(workspace, "f", 1)
    assert needs_publish(connection, workspace)
    publish(connection, workspace)
    assert not needs_publish(connection, workspace)
    record(connection, workspace, [commit(made)])
    assert needs_publish(connection, workspace)
    publish(connection, workspace)
    at = commit(made).at
    run = Run("r1", "run x", "0.1.0", 1, "c1", at, at, 0, 1, 0, 0, 0, 0, "no-op")
    record(connection, workspace, [commit(made), run])
    assert not needs_publish(connection, workspace)
    record(connection, workspace, [quarantine("bad")])
    assert needs_publish(connection, workspace)
    publish(connection, workspace)
    replace_dimensions(connection, empty_catalog())
    assert needs_publish(connection, workspace)
    publish(connection, workspace)
    published = workspace.published.read_bytes()
    noted = workspace.published.stat().st_mtime_ns
    for size, later_ns in ((len(published), 1), (len(published) - 1, 0)):
        workspace.published.write_bytes(bytes(size))
        os.utime(workspace.published, ns=(noted, noted + later_ns))
        assert needs_publish(connection, workspace)
        assert was_altered(connection, workspace)
    workspace.published.unlink()
    assert needs_publish(connection, workspace)
    assert not was_altered(connection, workspace)
    connection.close()


def test_a_failed_publish_keeps_the_old_snapshot(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    before = workspace.published.read_bytes()
    leftover = workspace.published.parent / ".v6share.duckdb.0.draft.wal"
    leftover.write_bytes(b"of a run that was killed")
    record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
    tables = contents(connection, PUBLIC_TABLES)

    def fail(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "sync", fail)
        with pytest.raises(OSError, match="No space left"):
            publish(connection, workspace)
    assert needs_publish(connection, workspace)
    assert workspace.published.read_bytes() == before
    assert [file.name for file in workspace.published.parent.iterdir()] == ["v6share.duckdb"]
    publish(connection, workspace)
    connection.close()
    with open_snapshot(workspace.published) as snapshot:
        assert_equal(contents(snapshot, PUBLIC_TABLES), tables)


def test_a_snapshot_that_is_replaced_while_it_is_opened_is_opened_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    real, calls = duckdb.connect, []

    def connect(path: Path, **options: object) -> duckdb.DuckDBPyConnection:
        calls.append(path)
        if len(calls) == 1:
            publish(connection, workspace)
            raise duckdb.IOException("Could not read enough bytes from file")
        return real(path, **options)

    monkeypatch.setattr(opening.duckdb, "connect", connect)
    with open_snapshot(workspace.published) as snapshot:
        assert snapshot.execute("SELECT count(*) FROM ledger_files").fetchall() == [(0,)]
    assert len(calls) == 2
    workspace.published.write_bytes(b"no database")
    with pytest.raises(UserError, match="cannot be read"), open_snapshot(workspace.published):
        pass
    connection.close()


def test_a_snapshot_that_vanishes_while_it_is_opened_is_none(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = open_warehouse(workspace)
    publish(connection, workspace)

    def connect(path: Path, **_: object) -> duckdb.DuckDBPyConnection:
        path.unlink()
        raise duckdb.IOException(f'Cannot open file "{path}": No such file or directory')

    monkeypatch.setattr(opening.duckdb, "connect", connect)
    with pytest.raises(UserError, match="nothing is published"), open_snapshot(workspace.published):
        pass
    connection.close()


def test_a_path_that_speaks_of_locks_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "blocks.duckdb"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="cannot be read"), open_snapshot(path):
        pass


def test_readers_see_whole_commits_during_30_publishes(workspace: Workspace) -> None:
    connection = open_warehouse(workspace, threads=1)
    reader = None
    for i in range(30):
        record(connection, workspace, [commit(make_fragment(workspace, f"f{i}", i, rows=4))])
        publish(connection, workspace)
        if reader is None:
            reader = subprocess.Popen(
                [sys.executable, "-c", READER, str(workspace.published)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
    out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    opens, states = map(int, out.split())
    assert opens >= states > 1
    connection.close()


def test_a_warehouse_in_use_is_a_clear_error(workspace: Workspace) -> None:
    """Also after it was published, for which its file is read beside DuckDB."""
    connection = open_warehouse(workspace)
    publish(connection, workspace)
    script = (
        "import sys; from pathlib import Path\n"
        "from v6share.workspace.paths import Workspace\n"
        "from v6share.schemas.errors import UserError\n"
        "from v6share.warehouse.open import open_warehouse\n"
        "try: open_warehouse(Workspace(Path(sys.argv[1])))\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)], capture_output=True, text=True
    )
    connection.close()
    assert "is open in another process" in done.stdout, done.stderr


def test_a_damaged_warehouse_is_a_clear_error(workspace: Workspace) -> None:
    workspace.warehouse.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="v6share rebuild"):
        open_warehouse(workspace)
