"""Arrow tables in and out of DuckDB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa


@contextmanager
def incoming(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> Iterator[None]:
    """Let SQL read the rows as the table ``incoming`` inside the block."""
    connection.register("incoming", rows)
    try:
        yield
    finally:
        connection.unregister("incoming")


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append rows to a table of the schemas, column by column name."""
    if rows.num_rows:
        with incoming(connection, rows):
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608


def fetch_table(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    values: Sequence[Any] | Mapping[str, Any] | None = None,
) -> pa.Table:
    """The rows of a query as Arrow."""
    rows = connection.sql(sql, params=values).to_arrow_table()
    if rows is None:
        raise ValueError(f"no rows come from: {sql}")
    return rows
