"""Arrow tables in and out of DuckDB.

Rows go in by DuckDB's replacement scan: SQL that names ``incoming`` reads the Python variable of
that name in the calling function. Decided against ``connection.register``: inside a transaction
its dropped views stay in the catalog, and keep every Arrow table in memory until the commit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from v6share.schemas.columns import Kind

# How DuckDB takes HUGEINT as it is. From decimal128 it would divide each value.
_HUGEINT: Final = pa.opaque(pa.binary(16), "hugeint", "DuckDB")


def insert_rows(connection: duckdb.DuckDBPyConnection, table: str, incoming: pa.Table) -> None:
    """Append rows to a table of the schemas, column by column name."""
    if incoming.num_rows:
        incoming = _with_hugeint(incoming)
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608


def _with_hugeint(rows: pa.Table) -> pa.Table:
    """The same bytes under another type: decimal128(38, 0) is HUGEINT in the schemas."""
    for i, field in enumerate(rows.schema):
        if field.type == Kind.HUGEINT.arrow:
            chunks = [_as_hugeint(chunk) for chunk in rows.column(i).chunks]
            column = pa.chunked_array(chunks, type=_HUGEINT)
            rows = rows.set_column(i, pa.field(field.name, _HUGEINT, field.nullable), column)
    return rows


def _as_hugeint(chunk: pa.Array) -> pa.Array:
    storage = pa.Array.from_buffers(
        _HUGEINT.storage_type, len(chunk), chunk.buffers(), chunk.null_count, chunk.offset
    )
    return pa.ExtensionArray.from_storage(_HUGEINT, storage)


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
