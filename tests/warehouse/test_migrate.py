import duckdb
import pytest

from v6share.schemas.errors import UserError
from v6share.warehouse import migrate
from v6share.warehouse.blank import PUBLIC_TABLES

COLUMNS = """
    SELECT table_name, column_index, column_name, data_type, is_nullable, column_default, comment
    FROM duckdb_columns() WHERE schema_name = 'main' ORDER BY ALL
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
    bad = migrate.Migration(len(good) + 1, "bad", "CREATE TABLE extra (a INT); SELECT nothing")
    steps = [*good, bad]
    monkeypatch.setattr(migrate, "read_migrations", lambda: steps)
    with pytest.raises(duckdb.Error):
        migrate.migrate(connection)
    assert migrate.schema_version(connection) == len(good)
    assert not connection.execute(
        "SELECT * FROM duckdb_tables() WHERE table_name = 'extra'"
    ).fetchall()
    connection.close()
