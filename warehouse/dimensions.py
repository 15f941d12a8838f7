"""The dimension tables: replaced as a whole, and only when something in them changed.

They alter no counted row, so a change of the catalog's endpoints or targets shows at the next
run without reading a flow again.
"""

import hashlib
from collections.abc import Mapping
from importlib import resources

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import rtt_boundaries
from v6share.schemas.columns import Table
from v6share.schemas.dimensions import (
    CATALOG_DIMENSIONS,
    DIM_IP_CLASS,
    DIM_RTT_BUCKETS,
)
from v6share.warehouse.database.arrow import insert_rows
from v6share.warehouse.database.state import raise_revision, read_state, write_state
from v6share.warehouse.database.transaction import transaction


def replace_dimensions(
    connection: duckdb.DuckDBPyConnection, catalog: Mapping[str, pa.Table]
) -> bool:
    """Make the dimension tables equal to the catalog's; whether anything changed.

    catalog: one table for each of CATALOG_DIMENSIONS, by name, with its columns. Raises KeyError
    for a missing one and pyarrow.ArrowInvalid for values that do not fit.
    """
    tables = {
        **{t.name: _shaped(catalog[t.name], t) for t in CATALOG_DIMENSIONS},
        DIM_RTT_BUCKETS.name: rtt_buckets(),
    }
    ip_class_sql = _read_ip_class_sql()
    digest = _digest(tables, ip_class_sql)
    if digest == read_state(connection, "dimensions"):
        return False
    with transaction(connection):
        for name, rows in tables.items():
            _replace(connection, name, rows)
        connection.execute(f"DELETE FROM {DIM_IP_CLASS.name}")  # noqa: S608
        connection.execute(f"INSERT INTO {DIM_IP_CLASS.name} BY NAME {ip_class_sql}")
        write_state(connection, "dimensions", digest)
        raise_revision(connection)
    return True


def rtt_buckets() -> pa.Table:
    """dim_rtt_buckets: bucket i holds values over bound i - 1, up to bound i."""
    bounds = rtt_boundaries()
    return pa.table(
        {
            "bucket": range(len(bounds)),
            "over_us": [-1, *bounds[:-1]],
            "to_us": list(bounds),
        },
        schema=DIM_RTT_BUCKETS.arrow_schema,
    )


def _shaped(rows: pa.Table, table: Table) -> pa.Table:
    return rows.select(table.arrow_schema.names).cast(table.arrow_schema)


def _replace(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of the schemas
    insert_rows(connection, name, rows)


def _read_ip_class_sql() -> str:
    text = resources.files("v6share.sql").joinpath("dim_ip_class.sql").read_text("utf-8")
    return text.strip().rstrip(";")


def _digest(tables: Mapping[str, pa.Table], ip_class_sql: str) -> str:
    sha = hashlib.sha256(ip_class_sql.encode())
    for name, rows in sorted(tables.items()):
        sha.update(f"\n{name}\n{rows.schema}\n".encode())
        sha.update(repr(rows.to_pylist()).encode())
    return sha.hexdigest()
