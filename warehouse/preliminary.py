"""The KPIs as if the last day of data were final, for who asks before any day is.

The views are made once more in memory, over the tables of a published file, with another ``as_of``:
so every number is made by the formula that makes it later. Nothing of it is kept or published.
"""

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

import duckdb

from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.database.arrow import fetch_table, insert_rows
from v6share.warehouse.database.blank import NO_DOWNLOADS
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.database.views import Kept, View, read_macros, read_views


@contextmanager
def open_preliminary(snapshot: Connection, names: Collection[str]) -> Iterator[Connection]:
    """A database with these views and tables, as if the last day of data were final.

    snapshot: a published file of this version, in which no day is final.
    """
    views = [view for view in read_views() if view.name in _below(names)]
    needed = {*names, *(need for view in views for need in view.needs)}
    with closing(duckdb.connect(config=NO_DOWNLOADS)) as connection:
        connection.execute(f"CREATE SCHEMA definitions; CREATE SCHEMA results; {read_macros()}")
        for table in PUBLIC_TABLES:
            if table.name in needed:
                connection.execute(table.ddl())
                rows = fetch_table(snapshot, f"FROM main.{table.name}")
                insert_rows(connection, f"main.{table.name}", rows)
        for view in views:
            _make(connection, view)
        yield connection


def _below(names: Collection[str]) -> set[str]:
    """The views of these names, and all that they need."""
    wanted = set(names)
    for view in reversed(read_views()):
        if view.name in wanted:
            wanted |= view.needs
    return wanted


def _make(connection: Connection, view: View) -> None:
    """Make a view and its result. All others take the last final day from that of ``as_of``."""
    view.create(connection)
    if view.kept is not Kept.NOT:
        connection.execute(f"INSERT INTO results.{view.name} FROM definitions.{view.name}")
    if view.name == "as_of":
        connection.execute("UPDATE results.as_of SET as_of = last_day")
