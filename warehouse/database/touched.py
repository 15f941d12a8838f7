"""What changed in the tables since the kept results were made, and since the checks last passed.

Whatever changes a table notes it here in the same transaction, for the published files as well
(``unpublished``). The transaction that brings the results up to date hands the notes on to the
checks.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.warehouse.database import unpublished

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
# What changed on more days, or in more inputs, is not worth telling apart: it is checked, and
# published, with all there is.
MOST_DAYS: Final = 62
MOST_INPUTS: Final = 20_000


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
    named = list(tables)
    _note_all(connection, named)
    unpublished.note_whole(connection, [f"main.{table}" for table in named])


def note_touched_days(connection: duckdb.DuckDBPyConnection, table: str, days: pa.Array) -> None:
    """Note that a table may have changed on these days (date32)."""
    _note_days(connection, table, days)
    unpublished.note_starts(connection, f"main.{table}", days, _DAY)


def note_touched_rows(
    connection: duckdb.DuckDBPyConnection, table: str, starts: pa.ChunkedArray
) -> None:
    """Note that a table may have changed where these rows lie.

    starts: their window starts (timestamp) or days (date32). Of windows the hours are noted, too,
    for to publish an hour takes a fraction of what it takes to publish a day.
    """
    _note_days(connection, table, pc.unique(pc.cast(starts, pa.date32())))
    is_days = pa.types.is_date(starts.type)
    spans = pc.unique(starts if is_days else pc.floor_temporal(starts, unit="hour"))
    unpublished.note_starts(connection, f"main.{table}", spans, _DAY if is_days else _HOUR)


def note_touched_ids(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[str], ids: Iterable[str]
) -> None:
    """Note that in tables without a time the rows of these ids may have changed."""
    named = list(tables)
    _note_all(connection, named)
    unpublished.note_ids(connection, [f"main.{table}" for table in named], ids)


def _note_all(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    connection.executemany("INSERT INTO private.touched VALUES (?, NULL)", [[t] for t in tables])


def _note_days(connection: duckdb.DuckDBPyConnection, table: str, days: pa.Array) -> None:
    incoming = pa.table({"day": days})  # noqa: F841 - the SQL below reads it
    connection.execute("INSERT INTO private.touched SELECT ?, day FROM incoming", [table])


def take_touched(connection: duckdb.DuckDBPyConnection) -> dict[str, Touched]:
    """What the results lack, by table; the checks have it to do still."""
    found = _read(connection, "touched")
    connection.execute("INSERT INTO private.unchecked SELECT DISTINCT * FROM private.touched")
    connection.execute("DELETE FROM private.touched")
    return found


def read_unchecked(connection: duckdb.DuckDBPyConnection) -> dict[str, Touched]:
    """What changed since the checks last passed, by table."""
    return _read(connection, "unchecked")


def forget_unchecked(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that the checks passed."""
    connection.execute("DELETE FROM private.unchecked")


def _read(connection: duckdb.DuckDBPyConnection, notes: str) -> dict[str, Touched]:
    found: dict[str, Touched] = defaultdict(Touched)
    query = f"SELECT DISTINCT * FROM private.{notes}"  # noqa: S608 - one of two names
    for name, day in connection.execute(query).fetchall():
        found[name] |= EVERYTHING if day is None else Touched(days=frozenset([day]))
    return found


def day_spans(days: Iterable[date], longest: int) -> Iterator[tuple[date, date]]:
    """First and last of runs of neighbouring days, none of more than ``longest`` days.

    Given as a span, days are found in a table without reading the others.
    """
    ascending = iter(sorted(set(days)))
    run = list(islice(ascending, 1))
    for day in ascending:
        if day - run[-1] > timedelta(1) or len(run) == longest:
            yield run[0], run[-1]
            run = []
        run.append(day)
    if run:
        yield run[0], run[-1]
