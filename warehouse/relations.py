"""The views and tables of a published file, and their rows."""

import difflib
from collections.abc import Collection
from functools import cache
from typing import Final

import duckdb
import pyarrow as pa

from v6share.schemas.errors import UserError
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.views import (
    Kept,
    columns_of,
    divisible,
    quoted,
    read_views,
)

_KEYS: Final = {table.name: table.key for table in PUBLIC_TABLES}


def list_relations(snapshot: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """The views and tables of a published file with what they are about; views first."""
    rows = snapshot.execute(
        "SELECT name, coalesce(comment, '') FROM ("
        "SELECT 0 AS place, view_name AS name, comment, internal, database_name, schema_name "
        "FROM duckdb_views() UNION ALL "
        "SELECT 1, table_name, comment, internal, database_name, schema_name FROM duckdb_tables()"
        ") WHERE NOT internal AND database_name = current_database() AND schema_name = 'main' "
        "ORDER BY place, name"
    ).fetchall()
    return [(name, comment) for name, comment in rows]


def select(
    snapshot: duckdb.DuckDBPyConnection, name: str, known: Collection[str], *, exact: bool = True
) -> pa.Table:
    """All rows of one view or table of a published file, in the order of its definition or key.

    known: what the file holds (``list_relations``). exact: numbers as they are, of up to 128 bits
    as decimals; else as readers of views see them, without decimals. Raises UserError, with the
    nearest names, for a name that is not among them.
    """
    if name not in known:
        raise UserError(_unknown_view(name, known))
    order = f" ORDER BY {', '.join(_KEYS[name])}" if name in _KEYS else ""
    # Days that were made again stand behind the others.
    order = " ORDER BY ALL" if name in _results_by_day() else order
    relation, chosen = f"main.{quoted(name)}", "*"
    if not exact:
        chosen = divisible(columns_of(snapshot, relation))
    elif name in _results(snapshot):
        relation = f"results.{quoted(name)}"
    return fetch_table(snapshot, f"SELECT {chosen} FROM {relation}{order}")  # noqa: S608


def _results(snapshot: duckdb.DuckDBPyConnection) -> set[str]:
    """The views that have an exact result; in a file of an earlier version not all have one."""
    found = snapshot.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_catalog = current_database() AND table_schema = 'results'"
    ).fetchall()
    return {name for (name,) in found}


@cache
def _results_by_day() -> frozenset[str]:
    return frozenset(view.name for view in read_views() if view.kept is Kept.BY_DAY)


def _unknown_view(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
    return f"there is no view '{name}' in the published file; {hint}"
