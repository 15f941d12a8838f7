"""Comparing kept results with their definitions, row by row in both directions.

Each definition reads what is below it by the public names, so a result that equals its definition
is right when the results below it are. All of them together are traced back to the tables.
"""

# ruff: noqa: S608 - all SQL here is made from names of views and tables; values are bound

from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb

from v6share.warehouse.checks import SAMPLE_ROWS, CheckResult
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.touched import day_spans
from v6share.warehouse.database.views import Kept, View, read_views
from v6share.warehouse.kept.refresh import DAYS_AT_ONCE, days_of

# Rows of one side among which that is looked for which is most like one of the other side.
_ROWS_COMPARED: Final = 100
# Columns that say which row it is, of those that are equal.
_NAMING_COLUMNS: Final = 8

Row = Mapping[str, Any]


def compare_results(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """One check for each kept result; what it found are rows that the two do not share."""
    views = read_views()
    return [_compare(connection, view, views) for view in views if view.kept is not Kept.NOT]


def _compare(
    connection: duckdb.DuckDBPyConnection, view: View, views: Sequence[View]
) -> CheckResult:
    found: int = 0
    sample: list[dict[str, Any]] = []
    for where, values in _parts(connection, view, views):
        for name, schema in (("kept", "results"), ("defined", "definitions")):
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {schema}.{view.name}{where}", values
            )
        only_kept, kept_count = _missing(connection, "kept", "defined")
        only_defined, defined_count = _missing(connection, "defined", "kept")
        found += max(kept_count, defined_count)
        if len(sample) < SAMPLE_ROWS:
            sample += _differences(view, only_kept, only_defined)
    return CheckResult(
        name=f"results.{view.name}",
        what="the kept result equals its definition",
        in_words="{view} has {kept}, expected {defined}, in the row {row}",
        severity="fail",
        found=found,
        sample=tuple(sample[:SAMPLE_ROWS]),
    )


def _parts(
    connection: duckdb.DuckDBPyConnection, view: View, views: Sequence[View]
) -> list[tuple[str, list[Any]]]:
    """Which rows are compared at once: a condition and its values."""
    if view.kept is not Kept.BY_DAY:
        return [("", [])]
    days = day_spans(days_of(connection, view, views), DAYS_AT_ONCE)
    return [(" WHERE day BETWEEN ? AND ?", list(span)) for span in days]


def _missing(
    connection: duckdb.DuckDBPyConnection, one: str, other: str
) -> tuple[Sequence[Row], int]:
    """Rows of one temporary table that the other lacks, or has less often: some, and how many."""
    rest = f"(FROM temp.{one} EXCEPT ALL FROM temp.{other})"
    rows = fetch_table(connection, f"FROM {rest} ORDER BY ALL LIMIT {_ROWS_COMPARED}").to_pylist()
    ((count,),) = connection.execute(f"SELECT count(*) FROM {rest}").fetchall()
    return rows, count


def _differences(
    view: View, only_kept: Sequence[Row], only_defined: Sequence[Row]
) -> list[dict[str, Any]]:
    """Rows side by side: each with the one of the other side that is most like it."""
    left = list(only_defined)
    pairs: list[tuple[Row | None, Row | None]] = []
    for kept in only_kept[:SAMPLE_ROWS]:
        alike = max(left, key=lambda row: _equal_columns(kept, row), default=None)
        if alike is not None:
            left.remove(alike)
        pairs.append((kept, alike))
    pairs += [(None, row) for row in left[: SAMPLE_ROWS - len(pairs)]]
    return [_difference(view, kept, defined) for kept, defined in pairs]


def _equal_columns(one: Row, other: Row) -> int:
    return sum(one[name] == other[name] for name in one)


def _difference(view: View, kept: Row | None, defined: Row | None) -> dict[str, Any]:
    row = kept or defined or {}
    differing = [n for n in row if kept is None or defined is None or kept[n] != defined[n]]
    naming = [n for n in row if n not in differing] or list(row)
    return {
        "view": view.name,
        "row": _in_words(row, naming[:_NAMING_COLUMNS]),
        "kept": _in_words(kept, differing),
        "defined": _in_words(defined, differing),
    }


def _in_words(row: Row | None, names: Sequence[str]) -> str:
    return "no such row" if row is None else ", ".join(f"{name} {row[name]}" for name in names)
