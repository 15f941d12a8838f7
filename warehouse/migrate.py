"""Migrations: numbered SQL files, applied in order, each with the record that it was.

Decided against: tables made from the schemas at run time. What stands in a user's file must be
reachable from every older file, so the steps are written down and tested against the schemas.
"""

from dataclasses import dataclass
from importlib import resources

import duckdb

from v6share.schemas.errors import UserError
from v6share.warehouse.transaction import transaction


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


def migrate(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring the warehouse to this version's schema; the version it has then.

    Raises UserError where a newer v6share made the warehouse.
    """
    steps = read_migrations()
    done = schema_version(connection)
    if done > len(steps):
        raise UserError(
            f"the warehouse has schema version {done}, this v6share knows {len(steps)}: a newer "
            "v6share made it. Use that version, or `v6share rebuild` to make it again with this one"
        )
    for step in steps[done:]:
        with transaction(connection):
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO private.migrations VALUES (?, ?)", [step.version, step.name]
            )
    return len(steps)


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
