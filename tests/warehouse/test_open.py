"""How DuckDB is opened."""

from pathlib import Path

from fragment_maker import empty_catalog, workspace_at

from v6share.warehouse.database.connect import Connection, open_snapshot
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import publish

LOADING = ("autoinstall_known_extensions", "autoload_known_extensions")


def settings(connection: Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())


def test_what_a_killed_run_spilled_is_removed(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    spilled = workspace.state / "tmp" / "duckdb_temp_storage-0.tmp"
    spilled.parent.mkdir(parents=True)
    spilled.touch()
    open_warehouse(workspace).close()
    assert not spilled.exists()


def test_the_warehouse_is_bounded_in_memory_and_fetches_no_extension(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    connection = open_warehouse(workspace, threads=2)
    found = settings(connection)
    assert found["memory_limit"] == "512.0 MiB"
    assert found["temp_directory"] == str(workspace.state / "tmp")
    assert found["threads"] == "2"
    assert {found[name] for name in LOADING} == {"false"}
    replace_dimensions(connection, empty_catalog())
    publish(connection, workspace)
    connection.close()
    with open_snapshot(workspace.published) as snapshot:
        assert {settings(snapshot)[name] for name in LOADING} == {"false"}
