"""Horizons: the first day of which a table keeps rows, once older ones were pruned.

The tables are those of all inputs, less the rows before the horizons. To leave these out takes no
account of others, so it is the same whether they are left out before a merge or removed after it:
whatever comes later for a pruned day counts in the tables that keep that day, and nowhere else.
Traffic is kept by the day for ever, so nothing that was counted is lost to the KPIs.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Mapping
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.aggregates import CLIENTS_1D, HEALTH_1H, RTT_1H, TRAFFIC_1H, TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.touched import note_touched_days

Horizons = Mapping[str, date]

# Those whose old rows may be pruned.
PRUNED_TABLES: Final = (TRAFFIC_5M, TRAFFIC_1H, RTT_1H, HEALTH_1H, CLIENTS_1D)
# Not a table: the notes of refused inputs.
QUARANTINE: Final = "quarantine"


def read_horizons(connection: duckdb.DuckDBPyConnection) -> dict[str, date]:
    """The horizons by the name of the table; none where no table was pruned.

    Of a warehouse or a published file; an earlier version knew of none.
    """
    try:
        rows = connection.execute(
            "SELECT part, kept_from FROM main.ledger_pruned WHERE part <> ?", [QUARANTINE]
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    return dict(rows)


def remove_before_horizons(connection: duckdb.DuckDBPyConnection, horizons: Horizons) -> None:
    """Remove what lies before new horizons; part of a transaction."""
    for table in PRUNED_TABLES:
        if table.name in horizons:
            remove_before(connection, table, horizons[table.name])


def remove_before(connection: duckdb.DuckDBPyConnection, table: Table, day: date) -> None:
    """Remove the rows of the days before one."""
    first = table.columns[0].name
    days = fetch_table(
        connection,
        f"SELECT DISTINCT {table.day} AS utc_day FROM {table.name} WHERE {first} < CAST(? AS DATE)",
        [day],
    )
    if days.num_rows:
        connection.execute(f"DELETE FROM {table.name} WHERE {first} < CAST(? AS DATE)", [day])
        note_touched_days(connection, table.name, days.column(0).combine_chunks())


def rows_kept(rows: pa.Table, table: Table, horizons: Horizons) -> pa.Table:
    """The rows that a table keeps: those from its horizon on."""
    horizon = horizons.get(table.name)
    if horizon is None:
        return rows
    starts = rows.column(table.columns[0].name)
    return rows.filter(pc.greater_equal(starts, pa.scalar(horizon).cast(starts.type)))
