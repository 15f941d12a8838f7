"""A file out of which much was removed is written anew, with all that it holds."""

from contextlib import closing
from pathlib import Path

from fragment_maker import assert_equal, commit, contents, make_fragment, workspace_at

from v6share.warehouse.commit import record
from v6share.warehouse.database.compact import compact, is_worthwhile
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage

OBJECTS = """
    SELECT schema_name, view_name AS name, column_count::VARCHAR, comment FROM duckdb_views()
    WHERE NOT internal AND database_name = current_database()
    UNION ALL SELECT schema_name, table_name, sql, comment FROM duckdb_tables()
    UNION ALL SELECT schema_name, function_name, macro_definition, comment FROM duckdb_functions()
    WHERE NOT internal AND database_name = current_database()
    UNION ALL SELECT schema_name, table_name || '.' || column_name, data_type, comment
    FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()
    ORDER BY ALL
"""


def test_it_becomes_smaller_and_holds_the_same(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path / "w")
    with closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [commit(make_fragment(workspace, "f", 1))])
        refresh_results(connection)
        assert not is_worthwhile(connection)
        connection.execute(
            "CREATE TABLE private.much AS SELECT hash(i) AS h FROM range(2000000) t(i)"
        )
        connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE private.much")
        before = connection.execute(OBJECTS).fetchall()
        tables = contents(connection)
        assert is_worthwhile(connection)
    size = storage.size(workspace.warehouse)
    compact(workspace.warehouse, workspace)
    assert storage.size(workspace.warehouse) < size / 2
    with closing(open_warehouse(workspace)) as connection:
        assert connection.execute(OBJECTS).fetchall() == before
        assert_equal(contents(connection), tables)
        assert not is_worthwhile(connection)
