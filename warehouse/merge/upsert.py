"""Merged aggregates into DuckDB: which rows are touched, and what waits where memory is short.

What merging means is said in ``combine``. All SQL here is made from the schemas' own names.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.aggregates import (
    DAY_MS,
    HOUR_MS,
    ROLL_UPS,
    TRAFFIC_1D,
    TRAFFIC_1H,
    TRAFFIC_5M,
)
from v6share.schemas.columns import Kind, Table
from v6share.schemas.merge_rows import combine, roll_up
from v6share.warehouse.database.arrow import delete_matching, fetch_table, insert_rows
from v6share.warehouse.database.touched import note_touched_days, note_touched_rows
from v6share.warehouse.merge.horizons import read_horizons, rows_kept

_WINDOW_US: Final = {TRAFFIC_1H.name: HOUR_MS * 1000, TRAFFIC_1D.name: DAY_MS * 1000}
# Staged rows that are merged at once; a row takes about 200 bytes, as much as 25 hashes.
PART_WEIGHT: Final = 1_000_000
_HASHES_PER_ROW: Final = 25


def with_roll_ups(table: Table) -> tuple[Table, ...]:
    """The tables that are kept from one fragment table's rows."""
    return (table, *ROLL_UPS) if table is TRAFFIC_5M else (table,)


def upsert_rows(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Merge partial aggregates into a table and into its roll-ups, from their horizons on.

    rows: as ``combine`` gives them. Raises SumBeyondRangeError. Two calls in one transaction must
    not share a key: the second would delete rows that the first inserted, and DuckDB 2.0.0 reads
    garbage after such a delete, once the inserted rows fill row groups.
    """
    horizons = read_horizons(connection)
    for kept in with_roll_ups(table):
        if kept is not table:
            rows = roll_up(kept, rows, _WINDOW_US[kept.name])
        _merge_into(connection, kept, rows_kept(rows, kept, horizons))


def _merge_into(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    """Merge into one table: only rows with the same keys are touched."""
    if not rows.num_rows:
        return
    touched = _touched(connection, table, rows)
    if touched.num_rows:
        delete_matching(connection, table.name, "rowid", touched.select(["row_number"]))
        rows = combine(table, [rows, touched])
    insert_rows(connection, table.name, rows)
    note_touched_rows(connection, table.name, rows.column(table.columns[0].name))


def _touched(connection: duckdb.DuckDBPyConnection, table: Table, incoming: pa.Table) -> pa.Table:
    """The rows of a table whose keys are among the incoming ones, with their row numbers.

    The range of the first key column is given as values, so that whole row groups outside it
    are never read, and no key is compared where the range is empty.
    """
    first = table.columns[0].name
    span = pc.min_max(incoming.column(first)).as_py()
    inside = f"t.{first} BETWEEN $min AND $max"
    found = connection.execute(f"SELECT 1 FROM {table.name} t WHERE {inside} LIMIT 1", span)
    if not found.fetchall():
        return table.arrow_schema.empty_table()
    keys = ", ".join(table.key)
    incoming = incoming.select(list(table.key))
    # Not through fetch_table: the SQL reads ``incoming`` of the function that asks.
    return connection.sql(
        f"SELECT t.rowid AS row_number, t.* FROM {table.name} t "
        f"SEMI JOIN incoming USING ({keys}) WHERE {inside}",
        params=span,
    ).to_arrow_table()


def stage_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, *, anew: bool = False
) -> None:
    """Add partial aggregates to those that wait; what does not fit into memory is spilled.

    anew: make the table in which they wait.
    """
    if anew:
        columns = ", ".join(f"{c.name} {c.kind.value}" for c in table.columns)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE stage_{table.name} ({columns})")
    insert_rows(connection, f"stage_{table.name}", rows)


def merge_stage(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Merge a table's staged rows, in parts that fit into memory and share no key."""
    for part in _parts(connection, table):
        upsert_rows(connection, table, combine(table, [_staged(connection, table, part)]))
    connection.execute(f"DROP TABLE temp.stage_{table.name}")


@dataclass(frozen=True)
class _Part:
    """Staged rows of some days; where one day is too much, those of one key bucket of it."""

    first_day: date
    last_day: date
    bucket: int = 0
    buckets: int = 1


def _parts(connection: duckdb.DuckDBPyConnection, table: Table) -> list[_Part]:
    weight = "count(*)"
    for column in table.measures:
        if column.kind is Kind.UBIGINT_LIST:
            weight += f" + sum(len({column.name})) // {_HASHES_PER_ROW}"
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


def _staged(connection: duckdb.DuckDBPyConnection, table: Table, part: _Part) -> pa.Table:
    # A roll-up's key has the same buckets: they leave out the first column, the time.
    keys = ", ".join(table.key[1:])
    return fetch_table(
        connection,
        f"SELECT * FROM stage_{table.name} "
        f"WHERE {table.day} BETWEEN ? AND ? AND hash({keys}) % ? = ?",
        [part.first_day, part.last_day, part.buckets, part.bucket],
    )


def delete_days(connection: duckdb.DuckDBPyConnection, table: Table, days: pa.Array) -> None:
    """Empty these UTC days (date32) of a table and of its roll-ups."""
    for kept in with_roll_ups(table):
        if kept.day is not None:
            delete_matching(connection, kept.name, kept.day, pa.table({"utc_day": days}))
            note_touched_days(connection, kept.name, days)
