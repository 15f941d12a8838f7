"""Merging partial aggregates inside DuckDB, by the rules that the columns state.

Every merge is exact and a monoid, so the tables depend on the set of live fragments alone, not on
the order or the grouping in which they came. All SQL here is made from the schemas' own names.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from typing import Final

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import (
    FRAGMENT_TABLES,
    ROLL_UPS,
    THETA_SIZE,
    TRAFFIC_1D,
    TRAFFIC_1H,
    TRAFFIC_5M,
)
from v6share.schemas.columns import Column, Kind, Merge, Table
from v6share.warehouse.arrow import incoming

_GRAINS: Final = {TRAFFIC_1H.name: "hour", TRAFFIC_1D.name: "day"}
AGGREGATES: Final = (*FRAGMENT_TABLES, *ROLL_UPS)


def with_roll_ups(table: Table) -> tuple[Table, ...]:
    """The tables that are kept from one fragment table's rows."""
    return (table, *ROLL_UPS) if table is TRAFFIC_5M else (table,)


def merged_select(table: Table, source: str) -> str:
    """SQL for the rows of ``source`` with equal keys merged into one.

    Integer sums raise when they pass the column's range. Theta sketches (see
    ``_trimmed_sketches``) are united, then trimmed again.
    """
    keys = ", ".join(table.key)
    measures = ", ".join(_merged(column) for column in table.measures)
    united = f"SELECT {keys}, {measures} FROM {source} GROUP BY {keys}"
    return _trimmed_sketches(table, united) if _is_sketch(table) else united


def _is_sketch(table: Table) -> bool:
    return any(column.merge is Merge.THETA for column in table.measures)


def _merged(column: Column) -> str:
    name = column.name
    match column.merge:
        case Merge.SUM:
            return f"CAST(sum({name}) AS {column.kind.value}) AS {name}"
        case Merge.MIN | Merge.MAX:
            return f"{column.merge.value}({name}) AS {name}"
        case Merge.THETA if column.kind is Kind.UBIGINT_LIST:
            return f"flatten(list({name})) AS {name}"
        case Merge.THETA:
            return f"min({name}) AS {name}"
    raise ValueError(f"{name} is no measure")


def _trimmed_sketches(table: Table, united: str) -> str:
    """Keep the distinct hashes below the least threshold, at most THETA_SIZE of them.

    Where more remain, the threshold becomes the smallest hash that is left out. Sorting first and
    comparing neighbours is four times faster than list_distinct.
    """
    (theta,) = (c.name for c in table.measures if c.kind is Kind.UBIGINT)
    (hashes,) = (c.name for c in table.measures if c.kind is Kind.UBIGINT_LIST)
    kept = f"list_filter({hashes}, lambda h, i: h < {theta} AND (i = 1 OR h <> {hashes}[i - 1]))"
    return (
        f"SELECT * REPLACE (coalesce({hashes}[{THETA_SIZE + 1}], {theta}) AS {theta}, "
        f"{hashes}[1:{THETA_SIZE}] AS {hashes}) FROM ("
        f"SELECT * REPLACE ({kept} AS {hashes}) FROM ("
        f"SELECT * REPLACE (list_sort({hashes}) AS {hashes}) FROM ({united})))"
    )


def stage_rows(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Put partial aggregates into a temporary table, and their roll-ups into one each."""
    columns = ", ".join(f"CAST({c.name} AS {c.kind.value}) AS {c.name}" for c in table.columns)
    with incoming(connection, rows):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE stage_{table.name} AS SELECT {columns} FROM incoming"
        )
    finer = table
    for roll_up in with_roll_ups(table)[1:]:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE stage_{roll_up.name} AS "
            + merged_select(roll_up, _truncated(roll_up, finer))
        )
        finer = roll_up


def _truncated(roll_up: Table, finer: Table) -> str:
    start = roll_up.columns[0].name
    grain = _GRAINS[roll_up.name]
    return (
        f"(SELECT * REPLACE (CAST(date_trunc('{grain}', {start}) AS TIMESTAMP) AS {start}) "
        f"FROM stage_{finer.name})"
    )


def merge_stage(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Merge a table's staged rows into it: only rows with the same keys are touched.

    The range of the first key column is given as values, so that whole row groups outside it
    are never read.
    """
    name, keys, first = table.name, ", ".join(table.key), table.columns[0].name
    (low, high) = connection.execute(
        f"SELECT min({first}), max({first}) FROM stage_{name}"
    ).fetchall()[0]
    if low is None:
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS "
        f"SELECT t.rowid AS row_number, t.* FROM {name} t SEMI JOIN stage_{name} USING ({keys}) "
        f"WHERE t.{first} BETWEEN ? AND ?",
        [low, high],
    )
    connection.execute(f"DELETE FROM {name} WHERE rowid IN (SELECT row_number FROM touched)")
    both = f"(SELECT * FROM stage_{name} UNION ALL SELECT * EXCLUDE (row_number) FROM touched)"
    connection.execute(f"INSERT INTO {name} BY NAME {merged_select(table, both)}")


def drop_stage(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove the temporary tables of a merge."""
    for name in (*(f"stage_{table.name}" for table in AGGREGATES), "touched"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def delete_days(connection: duckdb.DuckDBPyConnection, table: Table, days: pa.Array) -> None:
    """Empty these UTC days (date32) of a table and of its roll-ups."""
    with incoming(connection, pa.table({"day": days})):
        for kept in with_roll_ups(table):
            connection.execute(
                f"DELETE FROM {kept.name} WHERE {kept.day} IN (SELECT day FROM incoming)"
            )
