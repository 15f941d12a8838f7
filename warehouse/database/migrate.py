"""Migrations: numbered SQL files, applied in order, each with a record that it was; then the views.

Decided against: tables made from the schemas at run time. What stands in a user's file must be
reachable from every older file, so the steps are written down and tested against the schemas.
Views, macros and kept results hold nothing of their own, so they are made anew where this version's
are others: the results are filled when they are next brought up to date.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

import duckdb

from v6share.schemas.errors import UserError
from v6share.schemas.published import SNAPSHOT
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.views import (
    quoted,
    read_macros,
    read_views,
    sources_of,
)

# Of the file, which is published as it is: DuckDB 1.5 tools can read it, too.
STORAGE_VERSION: Final = "v1.5.0"


@dataclass(frozen=True, order=True)
class Migration:
    """One step. ``version`` counts from 1 without gaps."""

    version: int
    name: str
    sql: str


def read_migrations() -> list[Migration]:
    """The steps of this version of v6share, in order."""
    found = sorted(
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in resources.files("v6share.sql").joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    )
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"gap or double number in {[step.name for step in found]}")
    return found


def sources() -> list[str]:
    """The texts that say everything a warehouse is made of but its rows."""
    return [*(step.sql for step in read_migrations()), *_sources_of_views()]


def _sources_of_views() -> list[str]:
    return [*_before_views(), *sources_of(read_views())]


def _before_views() -> list[str]:
    """The statements that make what stands beside the views: macros, the row of the snapshot."""
    return [read_macros(), SNAPSHOT.ddl("results"), *SNAPSHOT.comments("results")]


def migrate(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring the warehouse to this version's schema and views; the version it has then.

    Raises UserError where a newer v6share made the warehouse, and where it is another database.
    """
    steps = read_migrations()
    done = schema_version(connection)
    if done > len(steps):
        raise UserError(
            f"the warehouse has schema version {done}, this v6share knows {len(steps)}: a newer "
            "v6share made it. Use that version, or `v6share rebuild` to make it again with this one"
        )
    if not done and _has_tables(connection):
        raise UserError(
            "the warehouse has tables and no word of how they came about: it is none, perhaps a "
            "published file. `v6share rebuild` makes it again from the journal and the fragments"
        )
    digest = hashlib.sha256("\n".join(_sources_of_views()).encode()).hexdigest()
    if done == len(steps) and read_state(connection, "views") == digest:
        return done
    with transaction(connection):
        # First: a step may change the tables below the views.
        _drop_views(connection)
        for step in steps[done:]:
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO private.migrations VALUES (?, ?)", [step.version, step.name]
            )
        for statement in _before_views():
            connection.execute(statement)
        for view in read_views():
            view.create(connection)
        connection.execute("DELETE FROM private.kept")
        write_state(connection, "views", digest)
    return len(steps)


def _has_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM duckdb_tables() "
            "WHERE database_name = current_database() AND NOT temporary LIMIT 1"
        ).fetchall()
    )


def _drop_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop all views, macros and kept results."""
    for kind, schema, name in connection.execute(
        "SELECT 'VIEW', schema_name, view_name FROM duckdb_views() "
        "WHERE NOT internal AND database_name = current_database() "
        "UNION SELECT 'MACRO', schema_name, function_name FROM duckdb_functions() "
        "WHERE NOT internal AND database_name = current_database() "
        "UNION SELECT 'TABLE', schema_name, table_name FROM duckdb_tables() "
        "WHERE schema_name = 'results' AND database_name = current_database()"
    ).fetchall():
        connection.execute(f"DROP {kind} {quoted(schema)}.{quoted(name)}")


def schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The version of an open warehouse; 0 for an empty file."""
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = 'private' AND table_name = 'migrations'"
    ).fetchone()
    if known is None:
        return 0
    (version,) = connection.execute(
        "SELECT coalesce(max(version), 0) FROM private.migrations"
    ).fetchall()[0]
    return int(version)
