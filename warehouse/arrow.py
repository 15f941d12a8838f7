"""Arrow tables in and out of DuckDB.

Rows go in by DuckDB's replacement scan: SQL that names ``incoming`` reads the Python variable of
that name in the calling function. Decided against ``connection.register``: inside a transaction
its dropped views stay in the catalog, and keep every Arrow table in memory until the commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, incoming: pa.Table) -> None:
    """Append rows to a table of the schemas, column by column name."""
    if incoming.num_rows:
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608


def delete_matching(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    expression: str,
    incoming: pa.Table,
) -> None:
    """Delete the rows of a table whose ``expression`` is among the values of the one column."""
    (column,) = incoming.column_names
    connection.execute(
        f"DELETE FROM {table} WHERE {expression} IN (SELECT {column} FROM incoming)"  # noqa: S608
    )


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
