"""Gathering the evidence by which the gate judges what is about to be published.

Each file ``sql/evidence/NAME.sql`` is one query, with a line ``-- key:`` that names the columns
which say what a row is about. It reads the tables and the kept results, of the days from
``first_day`` to ``last_day`` and of the inputs in ``new_inputs``; ``now`` is the clock, UTC.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources

import duckdb

from v6share.schemas.evidence import Evidence
from v6share.warehouse.database.arrow import fetch_table


@dataclass(frozen=True)
class Question:
    """What is to be judged: days from the first to the last, and new inputs; None: all there are.

    now: with its zone.
    """

    now: datetime
    days: Collection[date] | None = None
    inputs: Collection[str] | None = None


@dataclass(frozen=True)
class _Query:
    key: tuple[str, ...]
    sql: str


def gather_evidence(
    connection: duckdb.DuckDBPyConnection, question: Question
) -> dict[str, Evidence]:
    """All evidence by name; the kept results must be up to date."""
    _ask(connection, question)
    return {
        name: Evidence(fetch_table(connection, query.sql), query.key)
        for name, query in _queries().items()
    }


def sampled_inputs(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Paths and dialects of the inputs in question, as ``gather_evidence`` was last asked; the
    newest first.
    """
    return connection.execute(
        "SELECT path, dialect FROM main.ledger_files SEMI JOIN temp.new_inputs USING (input_id) "
        "WHERE status = 'committed' ORDER BY committed_at DESC, path"
    ).fetchall()


def _ask(connection: duckdb.DuckDBPyConnection, question: Question) -> None:
    if question.days is None:
        query = "SELECT min(day), max(day) FROM main.data_days"
        ((first, last),) = connection.execute(query).fetchall()
    else:
        first, last = min(question.days, default=None), max(question.days, default=None)
    moment = question.now.astimezone(UTC).replace(tzinfo=None)
    # Without a day there is none in between.
    for name, value, kind in (
        ("first_day", first, "DATE"),
        ("last_day", last, "DATE"),
        ("now", moment, "TIMESTAMP"),
    ):
        connection.execute(f"SET VARIABLE {name} = CAST(? AS {kind})", [value])
    chosen = "SELECT input_id FROM main.ledger_files WHERE status = 'committed'"
    if question.inputs is None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE new_inputs AS {chosen}")
    else:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE new_inputs AS "
            "SELECT unnest(CAST(? AS VARCHAR[])) AS input_id",
            [sorted(question.inputs)],
        )


@cache
def _queries() -> Mapping[str, _Query]:
    """The queries that come with v6share, by name."""
    files = resources.files("v6share.sql").joinpath("evidence").iterdir()
    texts = {one.name: one.read_text("utf-8") for one in files if one.name.endswith(".sql")}
    return {
        name.removesuffix(".sql"): _Query(_key_in(name, text), text.strip())
        for name, text in sorted(texts.items())
    }


def _key_in(name: str, text: str) -> tuple[str, ...]:
    for line in text.splitlines():
        if line.startswith("-- key:"):
            return tuple(word.strip() for word in line.removeprefix("-- key:").split(","))
    raise ValueError(f"{name}: found no line `-- key: ...`")
