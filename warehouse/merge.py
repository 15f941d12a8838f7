"""Merging partial aggregates inside DuckDB, by the rules that the columns state.

Every merge is exact and a monoid, so the tables depend on the set of live fragments alone, not on
the order or the grouping in which they came. All SQL here is made from the schemas' own names.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
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
from v6share.warehouse.arrow import delete_matching, insert_rows

_GRAINS: Final = {TRAFFIC_1H.name: "hour", TRAFFIC_1D.name: "day"}
# Rows (and, for sketches, hashes) that are merged at once.
PART_WEIGHT: Final = 4_000_000
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
    theta, hashes = _sketch_columns(table)
    kept = f"list_filter({hashes}, lambda h, i: h < {theta} AND (i = 1 OR h <> {hashes}[i - 1]))"
    return (
        f"SELECT * REPLACE (coalesce({hashes}[{THETA_SIZE + 1}], {theta}) AS {theta}, "
        f"{hashes}[1:{THETA_SIZE}] AS {hashes}) FROM ("
        f"SELECT * REPLACE ({kept} AS {hashes}) FROM ("
        f"SELECT * REPLACE (list_sort({hashes}) AS {hashes}) FROM ({united})))"
    )


def _sketch_columns(table: Table) -> tuple[str, str]:
    (theta,) = (c.name for c in table.measures if c.kind is Kind.UBIGINT)
    (hashes,) = (c.name for c in table.measures if c.kind is Kind.UBIGINT_LIST)
    return theta, hashes


def create_stage(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty temporary tables in which partial aggregates wait for their merge."""
    for table in FRAGMENT_TABLES:
        columns = ", ".join(f"{c.name} {c.kind.value}" for c in table.columns)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE stage_{table.name} ({columns})")


def stage_rows(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Add partial aggregates to those that wait; what does not fit into memory is spilled."""
    insert_rows(connection, f"stage_{table.name}", rows)


def merge_stage(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Merge a table's staged rows into it and into its roll-ups, in parts that fit into memory.

    The parts share no key. So no row that this transaction inserted is deleted again by it:
    DuckDB 2.0.0 reads garbage after such a delete, once the inserted rows fill row groups.
    """
    for part in _parts(connection, table):
        _merge_part(connection, table, part)


@dataclass(frozen=True)
class _Part:
    """Staged rows of some days; where one day is too much, those of one key bucket of it."""

    first_day: date
    last_day: date
    bucket: int = 0
    buckets: int = 1


def _parts(connection: duckdb.DuckDBPyConnection, table: Table) -> list[_Part]:
    weight = "count(*)"
    if _is_sketch(table):
        weight += f" + sum(len({_sketch_columns(table)[1]}))"
    days = connection.execute(
        f"SELECT {table.day} AS utc_day, CAST({weight} AS BIGINT) FROM stage_{table.name} "
        "GROUP BY utc_day ORDER BY utc_day"
    ).fetchall()
    return list(divide_days(days, PART_WEIGHT))


def divide_days(days: Sequence[tuple[date, int]], limit: int) -> Iterator[_Part]:
    """Parts of at most ``limit`` weight each: neighbouring days together, a heavy day in buckets.

    days: (day, weight), ascending.
    """
    together: list[date] = []
    total = 0
    for day, weight in days:
        if together and total + weight > limit:
            yield _Part(together[0], together[-1])
            together, total = [], 0
        if weight > limit:
            buckets = -(-weight // limit)
            yield from (_Part(day, day, bucket, buckets) for bucket in range(buckets))
        else:
            together.append(day)
            total += weight
    if together:
        yield _Part(together[0], together[-1])


def _merge_part(connection: duckdb.DuckDBPyConnection, table: Table, part: _Part) -> None:
    # A roll-up's key has the same buckets: they leave out the first column, the time.
    keys = ", ".join(table.key[1:])
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE part_{table.name} AS SELECT * FROM stage_{table.name} "
        f"WHERE {table.day} BETWEEN ? AND ? AND hash({keys}) % ? = ?",
        [part.first_day, part.last_day, part.buckets, part.bucket],
    )
    finer = table
    for roll_up in with_roll_ups(table)[1:]:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE part_{roll_up.name} AS "
            + merged_select(roll_up, _truncated(roll_up, finer))
        )
        finer = roll_up
    for kept in with_roll_ups(table):
        _merge_into(connection, kept)


def _truncated(roll_up: Table, finer: Table) -> str:
    start = roll_up.columns[0].name
    grain = _GRAINS[roll_up.name]
    return (
        f"(SELECT * REPLACE (CAST(date_trunc('{grain}', {start}) AS TIMESTAMP) AS {start}) "
        f"FROM part_{finer.name})"
    )


def _merge_into(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Merge a part into its table: only rows with the same keys are touched.

    The range of the first key column is given as values, so that whole row groups outside it
    are never read.
    """
    name, keys, first = table.name, ", ".join(table.key), table.columns[0].name
    (low, high) = connection.execute(
        f"SELECT min({first}), max({first}) FROM part_{name}"
    ).fetchall()[0]
    if low is None:
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS "
        f"SELECT t.rowid AS row_number, t.* FROM {name} t SEMI JOIN part_{name} USING ({keys}) "
        f"WHERE t.{first} BETWEEN ? AND ?",
        [low, high],
    )
    connection.execute(f"DELETE FROM {name} WHERE rowid IN (SELECT row_number FROM touched)")
    both = f"(SELECT * FROM part_{name} UNION ALL SELECT * EXCLUDE (row_number) FROM touched)"
    connection.execute(f"INSERT INTO {name} BY NAME {merged_select(table, both)}")


def drop_stage(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove the temporary tables of a merge."""
    staged = [f"stage_{table.name}" for table in FRAGMENT_TABLES]
    for name in (*staged, *(f"part_{table.name}" for table in AGGREGATES), "touched"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def delete_days(connection: duckdb.DuckDBPyConnection, table: Table, days: pa.Array) -> None:
    """Empty these UTC days (date32) of a table and of its roll-ups."""
    for kept in with_roll_ups(table):
        if kept.day is not None:
            delete_matching(connection, kept.name, kept.day, pa.table({"utc_day": days}))
