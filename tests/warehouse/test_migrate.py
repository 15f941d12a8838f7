import duckdb
import pytest

from v6share.schemas.errors import UserError
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.database import migrate
from v6share.warehouse.database.state import read_state
from v6share.warehouse.database.views import View, read_views

COLUMNS = """
    SELECT table_name, column_index, column_name, data_type, is_nullable, column_default, comment
    FROM duckdb_columns() WHERE schema_name = 'main'
    AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main')
    ORDER BY ALL
"""
TABLES = """
    SELECT table_name, comment, has_primary_key, index_count, check_constraint_count
    FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY ALL
"""


def test_a_migrated_warehouse_has_exactly_the_tables_of_the_schemas() -> None:
    migrated, made = duckdb.connect(), duckdb.connect()
    migrate.migrate(migrated)
    for table in PUBLIC_TABLES:
        made.execute(table.ddl())
        for comment in table.comments():
            made.execute(comment)
    for query in (TABLES, COLUMNS):
        assert migrated.execute(query).fetchall() == made.execute(query).fetchall()
    assert len(migrated.execute(TABLES).fetchall()) == len(PUBLIC_TABLES)
    migrated.close()
    made.close()


def test_migrating_twice_changes_nothing() -> None:
    connection = duckdb.connect()
    version = migrate.migrate(connection)
    assert migrate.migrate(connection) == version == migrate.schema_version(connection)
    connection.close()


def views_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' "
        "ORDER BY view_name"
    ).fetchall()
    return [name for (name,) in rows]


def test_views_are_made_anew_where_they_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = duckdb.connect()
    older = [View("gone", "CREATE VIEW definitions.gone AS SELECT app FROM main.traffic_5m", "")]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "read_views", lambda: older)
        patched.setattr(migrate, "read_macros", lambda: "CREATE MACRO share_of(a) AS a")
        version = migrate.migrate(connection)
    assert views_of(connection) == ["gone"]
    assert migrate.migrate(connection) == version
    assert views_of(connection) == sorted(view.name for view in read_views())
    assert connection.execute("SELECT share_of(1, 4)").fetchall() == [(0.25,)]
    connection.close()


def test_views_that_cannot_be_made_leave_those_that_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = duckdb.connect()
    migrate.migrate(connection)
    made = read_state(connection, "views")
    bad = [*read_views(), View("bad", "CREATE VIEW definitions.bad AS FROM nothing", "")]
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "read_views", lambda: bad)
        with pytest.raises(duckdb.CatalogException):
            migrate.migrate(connection)
    assert views_of(connection) == sorted(view.name for view in read_views())
    assert read_state(connection, "views") == made
    connection.close()


def test_a_newer_warehouse_is_refused() -> None:
    connection = duckdb.connect()
    migrate.migrate(connection)
    connection.execute("INSERT INTO private.migrations VALUES (99, '0099_later')")
    with pytest.raises(UserError, match=r"schema version 99.*newer"):
        migrate.migrate(connection)
    connection.close()


def test_a_failed_step_leaves_no_half(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = duckdb.connect()
    good = migrate.read_migrations()
    migrate.migrate(connection)
    bad = migrate.Migration(len(good) + 1, "bad", "CREATE TABLE extra (a INT); SELECT nothing")
    steps = [*good, bad]
    monkeypatch.setattr(migrate, "read_migrations", lambda: steps)
    with pytest.raises(duckdb.Error):
        migrate.migrate(connection)
    assert migrate.schema_version(connection) == len(good)
    assert not connection.execute(
        "SELECT * FROM duckdb_tables() WHERE table_name = 'extra'"
    ).fetchall()
    assert views_of(connection)
    connection.close()
