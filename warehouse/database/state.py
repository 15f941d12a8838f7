"""Small facts that the warehouse keeps about itself; they are never published."""

from typing import Literal

import duckdb

Key = Literal[
    "views",
    "journal_offset",
    "journal_seal",
    "journal_file",
    "revision",
    "published",
    "published_file",
    "publishing_file",
    "standby_file",
    "dimensions",
    "declared",
    "unpublished",
    "checked_whole",
    "judged_whole",
    "replaced",
    "judged_final_day",
    "said",
]


def read_state(connection: duckdb.DuckDBPyConnection, key: Key, default: str = "") -> str:
    """The value of a key, or the default."""
    # fetchall, not fetchone: a result that is not read to its end blocks the connection.
    found = connection.execute("SELECT value FROM private.state WHERE key = ?", [key]).fetchall()
    return str(found[0][0]) if found else default


def write_state(connection: duckdb.DuckDBPyConnection, key: Key, value: str) -> None:
    """Set a key."""
    connection.execute("DELETE FROM private.state WHERE key = ?", [key])
    connection.execute("INSERT INTO private.state VALUES (?, ?)", [key, value])


def raise_revision(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that readers would see a difference, so that the next publish is not skipped."""
    revision = int(read_state(connection, "revision", "0")) + 1
    write_state(connection, "revision", str(revision))
