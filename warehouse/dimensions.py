"""The dimension tables: each replaced as a whole, and only when something in it changed.

They alter no counted row, so a change of the catalog's endpoints or targets shows at the next
run without reading a flow again.
"""

import hashlib
import json
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
from v6share.warehouse.database.touched import note_touched
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
    digests = {name: _digest(rows) for name, rows in tables.items()}
    digests[DIM_IP_CLASS.name] = hashlib.sha256(ip_class_sql.encode()).hexdigest()
    before = _digests_before(connection)
    changed = [name for name, digest in digests.items() if before.get(name) != digest]
    if not changed:
        return False
    with transaction(connection):
        for name in changed:
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a name of the schemas
            if name == DIM_IP_CLASS.name:
                connection.execute(f"INSERT INTO {name} BY NAME {ip_class_sql}")
            else:
                insert_rows(connection, name, tables[name])
        write_state(connection, "dimensions", json.dumps(digests))
        note_touched(connection, changed)
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


def _read_ip_class_sql() -> str:
    text = resources.files("v6share.sql").joinpath("dim_ip_class.sql").read_text("utf-8")
    return text.strip().rstrip(";")


def _digest(rows: pa.Table) -> str:
    return hashlib.sha256(f"{rows.schema}\n{rows.to_pylist()!r}".encode()).hexdigest()


def _digests_before(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Those of the tables as they are; none where an older version noted one of them all."""
    noted = read_state(connection, "dimensions")
    return json.loads(noted) if noted.startswith("{") else {}
