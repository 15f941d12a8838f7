"""Reading every value of a database: whether what stands in it can be read."""

import duckdb

from v6share.warehouse.database.views import quoted


def read_whole(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Read every value of every table. Raises duckdb.Error where one cannot be read."""
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [database]
    ).fetchall()
    for schema, name in tables:
        place = ".".join(map(quoted, (database, schema, name)))
        connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {place}").fetchall()  # noqa: S608
