"""Bringing the kept results up to date with the tables, in one transaction.

The views are gone through in their order, each after what it reads. What did not change is carried
over: a result is made again only where something that it reads changed, and one that comes out as
it was changes nothing further. So a new file of a day that is not final yet leaves nearly all KPIs
alone, as these read final days only.
"""

# ruff: noqa: S608 - all SQL here is made from names of views and tables; values are bound

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import reduce
from operator import or_
from typing import Final

import duckdb

from v6share.schemas.aggregates import AGGREGATES, CLIENT_COUNTS_1D
from v6share.warehouse.database.touched import (
    EVERYTHING,
    NOTHING,
    Touched,
    day_spans,
    take_touched,
)
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.unpublished import note_days, note_whole
from v6share.warehouse.database.views import Kept, View, read_views

# Days of a result that are made at once: as many as fit into memory where all are made.
DAYS_AT_ONCE: Final = 62

_DAY_OF: Final = {table.name: table.day for table in (*AGGREGATES, CLIENT_COUNTS_1D)}


def refresh_results(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Make the results equal to their definitions; the names of those that were made again.

    Everything, or nothing where it fails.
    """
    views = read_views()
    # In the order of the definition, which readers expect of a result.
    connection.execute("SET preserve_insertion_order = true")
    try:
        with transaction(connection):
            known = {name for (name,) in connection.execute("FROM private.kept").fetchall()}
            touched = take_touched(connection)
            if not touched and known >= {v.name for v in views if v.kept is not Kept.NOT}:
                return []
            return list(_made_again(connection, views, known, touched))
    finally:
        # A connection that failed for good cannot even do that; the first error matters.
        with suppress(duckdb.Error):
            connection.execute("SET preserve_insertion_order = false")


def _made_again(
    connection: duckdb.DuckDBPyConnection,
    views: Sequence[View],
    known: set[str],
    touched: dict[str, Touched],
) -> Iterator[str]:
    """Make again what needs it; note in ``touched`` what that changes for the views after it."""
    for view in views:
        change = reduce(or_, (touched.get(need, NOTHING) for need in view.needs), NOTHING)
        if view.kept is not Kept.NOT:
            if view.name in known:
                change = _bring_up_to_date(connection, view, views, change)
            else:
                _make_anew(connection, view, views)
                change = EVERYTHING
            if change:
                relation = f"results.{view.name}"
                if change.all:
                    note_whole(connection, [relation])
                else:
                    note_days(connection, relation, change.days)
                yield view.name
        touched[view.name] = change


def _make_anew(connection: duckdb.DuckDBPyConnection, view: View, views: Sequence[View]) -> None:
    """Make a result of which nothing is known, and note that it is."""
    if view.kept is Kept.BY_DAY:
        _make_days(connection, view, days_of(connection, view, views))
    else:
        connection.execute(f"DELETE FROM results.{view.name}")
        connection.execute(f"INSERT INTO results.{view.name} FROM definitions.{view.name}")
    connection.execute("INSERT INTO private.kept VALUES (?)", [view.name])


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, view: View, views: Sequence[View], change: Touched
) -> Touched:
    """Make a result again as far as a change of what it reads asks for it; what changed in it."""
    if view.kept is Kept.BY_DAY:
        _make_days(
            connection, view, days_of(connection, view, views) if change.all else change.days
        )
        return change
    if view.kept is Kept.OF_FINAL_DAYS and not change.all:
        change = Touched(days=_final(connection, change.days))
    return EVERYTHING if change and _make_whole(connection, view) else NOTHING


def _final(connection: duckdb.DuckDBPyConnection, days: frozenset[date]) -> frozenset[date]:
    """Those of the days that are final."""
    ((as_of,),) = connection.execute("SELECT max(as_of) FROM results.final_span").fetchall()
    return frozenset(day for day in days if as_of is not None and day <= as_of)


def _make_whole(connection: duckdb.DuckDBPyConnection, view: View) -> bool:
    """Make a result again; whether it differs from what was kept."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE made AS FROM definitions.{view.name}")
    kept = f"results.{view.name}"
    changed = _differ(connection, "temp.made", kept)
    if changed:
        connection.execute(f"DELETE FROM {kept}")
        connection.execute(f"INSERT INTO {kept} FROM temp.made")
    connection.execute("DROP TABLE temp.made")
    return changed


def _differ(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> bool:
    """Whether two relations of the same columns hold other rows, or one of them more often."""
    # Counted, for EXISTS is not always true in DuckDB 2.0 where there are rows.
    query = (
        f"SELECT (SELECT count(*) FROM {one}) <> (SELECT count(*) FROM {other}) "
        f"OR (SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})) > 0"
    )
    return bool(connection.execute(query).fetchall()[0][0])


def _make_days(connection: duckdb.DuckDBPyConnection, view: View, days: Iterable[date]) -> None:
    for first, last in day_spans(days, DAYS_AT_ONCE):
        connection.execute(
            f"DELETE FROM results.{view.name} WHERE day BETWEEN ? AND ?", [first, last]
        )
        connection.execute(
            f"INSERT INTO results.{view.name} FROM definitions.{view.name} "
            "WHERE day BETWEEN ? AND ?",
            [first, last],
        )


def days_of(connection: duckdb.DuckDBPyConnection, view: View, views: Sequence[View]) -> set[date]:
    """Every day that a result by day has, or should have by the tables below it."""
    sources = [
        f"SELECT DISTINCT {day} AS day FROM main.{name}"
        for name in sorted(_tables_below(view, {one.name: one for one in views}))
        if (day := _DAY_OF.get(name)) is not None
    ]
    query = " UNION ".join([f"SELECT DISTINCT day FROM results.{view.name}", *sources])
    return {day for (day,) in connection.execute(query).fetchall()}


def _tables_below(view: View, by_name: Mapping[str, View]) -> set[str]:
    below: set[str] = set()
    for need in view.needs:
        below |= _tables_below(by_name[need], by_name) if need in by_name else {need}
    return below
