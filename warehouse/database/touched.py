"""What changed in the tables since the kept results were made.

Whatever changes a table notes it here in the same transaction; the notes are taken in the
transaction that brings the results up to date.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa


@dataclass(frozen=True)
class Touched:
    """What changed in a relation: all of it, or some of its days, or nothing."""

    all: bool = False
    days: frozenset[date] = frozenset()

    def __bool__(self) -> bool:
        return self.all or bool(self.days)

    def __or__(self, other: "Touched") -> "Touched":
        return Touched(self.all or other.all, self.days | other.days)


NOTHING = Touched()
EVERYTHING = Touched(all=True)


def note_touched(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Note that tables may have changed anywhere."""
    connection.executemany("INSERT INTO private.touched VALUES (?, NULL)", [[t] for t in tables])


def note_touched_days(connection: duckdb.DuckDBPyConnection, table: str, days: pa.Array) -> None:
    """Note that a table may have changed on these days (date32)."""
    incoming = pa.table({"day": days})  # noqa: F841 - the SQL below reads it
    connection.execute("INSERT INTO private.touched SELECT ?, day FROM incoming", [table])


def take_touched(connection: duckdb.DuckDBPyConnection) -> dict[str, Touched]:
    """What was noted, by table; the notes are gone."""
    found: dict[str, Touched] = defaultdict(Touched)
    for name, day in connection.execute("SELECT DISTINCT * FROM private.touched").fetchall():
        found[name] |= EVERYTHING if day is None else Touched(days=frozenset([day]))
    connection.execute("DELETE FROM private.touched")
    return found
