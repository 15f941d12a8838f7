"""What the published file and its standby lack of the warehouse.

There are two files that readers meet in turn: the published one, and the one before it, which
stands by. Whatever changes a relation that is published notes it here in the same transaction.
What the published file lacks the standby lacks, too; what was published last only the standby
lacks. So neither needs a copy of all there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import AGGREGATES
from v6share.warehouse.database.views import quoted

Span = tuple[datetime, datetime]


@dataclass
class Lacking:
    """What is lacking of one relation: all of it, half-open spans of UTC time, or rows by id."""

    is_all: bool = False
    spans: list[Span] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    @property
    def length(self) -> timedelta:
        """Of all spans together."""
        return sum((until - since for since, until in self.spans), timedelta())


def note_whole(connection: duckdb.DuckDBPyConnection, relations: Iterable[str]) -> None:
    """Note that all of some relations may have changed. relations: with their schema."""
    for relation in relations:
        connection.execute(
            "INSERT INTO private.unpublished VALUES (?, NULL, NULL, NULL, false)", [relation]
        )


def note_starts(
    connection: duckdb.DuckDBPyConnection, relation: str, starts: pa.Array, length: timedelta
) -> None:
    """Note that a relation may have changed in spans of one length. starts: date32 or timestamp.

    The last day of the year 9999 ends a microsecond early: Python knows no later time.
    """
    incoming = pa.table({"since": starts})  # noqa: F841 - the SQL below reads it
    connection.execute(
        "INSERT INTO private.unpublished "
        "SELECT ?, CAST(since AS TIMESTAMP), least(CAST(since AS TIMESTAMP) + ?, "
        "TIMESTAMP '9999-12-31 23:59:59.999999'), NULL, false FROM incoming",
        [relation, length],
    )


def note_days(connection: duckdb.DuckDBPyConnection, relation: str, days: Iterable[date]) -> None:
    """Note that a relation may have changed on some days."""
    note_starts(connection, relation, pa.array(sorted(days), pa.date32()), timedelta(1))


def note_ids(
    connection: duckdb.DuckDBPyConnection, relations: Iterable[str], ids: Iterable[str]
) -> None:
    """Note that the rows of some ids may have changed in relations."""
    incoming = pa.table({"id": pa.array(sorted(ids), pa.string())})  # noqa: F841 - as above
    for relation in relations:
        connection.execute(
            "INSERT INTO private.unpublished SELECT ?, NULL, NULL, id, false FROM incoming",
            [relation],
        )


def read_lacking(connection: duckdb.DuckDBPyConnection) -> dict[str, Lacking]:
    """What the standby lacks, by relation."""
    found: dict[str, Lacking] = {}
    rows = connection.execute(
        "SELECT DISTINCT relation, since, until, id FROM private.unpublished ORDER BY ALL"
    ).fetchall()
    for relation, since, until, one_id in rows:
        lacking = found.setdefault(relation, Lacking())
        if one_id is not None:
            lacking.ids.add(one_id)
        elif since is None:
            lacking.is_all = True
        elif lacking.spans and since <= lacking.spans[-1][1]:
            first, last = lacking.spans[-1]
            lacking.spans[-1] = (first, max(last, until))
        else:
            lacking.spans.append((since, until))
    return found


def note_published(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that the published file lacks nothing now; the one before it stands by."""
    connection.execute("DELETE FROM private.unpublished WHERE is_published")
    connection.execute("UPDATE private.unpublished SET is_published = true")


def copy_lacking(
    connection: duckdb.DuckDBPyConnection, target: str, lacking: Mapping[str, Lacking]
) -> None:
    """Make relations of an attached database equal to this one's, as far as they may differ."""
    for relation, what in lacking.items():
        schema, _, name = relation.partition(".")
        place = f"{quoted(schema)}.{quoted(name)}"
        for condition, values in _conditions(name, what):
            connection.execute(
                f"DELETE FROM {quoted(target)}.{place} WHERE {condition}",  # noqa: S608 - names
                values,
            )
            connection.execute(
                f"INSERT INTO {quoted(target)}.{place} FROM {place} WHERE {condition}",
                values,
            )


def _conditions(name: str, lacking: Lacking) -> Iterable[tuple[str, list[object]]]:
    """The conditions, with their values, that choose what is lacking."""
    if lacking.is_all:
        yield "true", []
        return
    time = _TIME_OF.get(name, "day")
    for since, until in lacking.spans:
        yield f"{time} >= ? AND {time} < ?", [since, until]
    if lacking.ids:
        column = "run_id" if name == "ledger_runs" else "input_id"
        yield f"{column} IN (SELECT unnest(CAST(? AS VARCHAR[])))", [sorted(lacking.ids)]


_TIME_OF = {table.name: table.columns[0].name for table in AGGREGATES}
