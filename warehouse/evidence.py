"""Gathering the evidence by which the gate judges what is about to be published.

Each file ``sql/evidence/NAME.sql`` is one query, with a line ``-- key:`` that names the columns
which say what a row is about. It reads the tables and the kept results, and finds there:

- ``asked(moment)``: whether a day or a time is of a day in question, and
  ``asked(moment, before := 7)``, whether it is of one, or of the seven days before one. A macro of
  constants and not a table: by constants DuckDB leaves out what it need not read, and they reach
  what a view is made of.
- ``new_inputs``: a temporary table of the inputs in question.
- the variables ``now``, the clock, and ``newest``, the moment of the newest record; both UTC.

A day is looked at when it changed, and once more when it became final: that takes no change of its
own, for it is records of the next day that make it final.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources

import duckdb

from v6share.schemas.evidence import Evidence
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.touched import day_spans
from v6share.warehouse.database.transaction import transaction


@dataclass(frozen=True)
class Question:
    """What is to be judged: days that changed, and new inputs; None: all there are.

    Beside days that changed those are judged that became final since. now: with its zone.
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


def note_judged(connection: duckdb.DuckDBPyConnection) -> None:
    """Note that the gate gave its verdicts on what was gathered last: the days that are final by
    now need not be judged again unless they change.
    """
    judged = _last_final_day(connection)
    if judged != read_state(connection, "judged_final_day"):
        with transaction(connection):
            write_state(connection, "judged_final_day", judged)


def _last_final_day(connection: duckdb.DuckDBPyConnection) -> str:
    ((last,),) = connection.execute("SELECT max(day) FROM results.final_days").fetchall()
    return "" if last is None else str(last)


def _ask(connection: duckdb.DuckDBPyConnection, question: Question) -> None:
    spans = _all_days(connection) if question.days is None else _days(connection, question.days)
    within = [
        f"(moment >= DATE '{first}' - before AND moment < DATE '{last}' + 1)"
        for first, last in spans
    ]
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO asked(moment, before := 0) AS "
        f"({' OR '.join(within) or 'false'})"
    )
    moment = question.now.astimezone(UTC).replace(tzinfo=None)
    connection.execute("SET VARIABLE now = CAST(? AS TIMESTAMP)", [moment])
    connection.execute("SET VARIABLE newest = (SELECT moment FROM results.newest_record)")
    chosen = "SELECT input_id FROM main.ledger_files WHERE status = 'committed'"
    if question.inputs is None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE new_inputs AS {chosen}")
    else:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE new_inputs AS "
            "SELECT unnest(CAST(? AS VARCHAR[])) AS input_id",
            [sorted(question.inputs)],
        )


def _all_days(connection: duckdb.DuckDBPyConnection) -> list[tuple[date, date]]:
    """The span of all days that there are, of whatever vantage; none where there are none."""
    query = (
        "SELECT CAST(min(first) AS DATE), CAST(max(last) AS DATE) FROM ("
        "SELECT min(window_start) AS first, max(window_start) AS last FROM main.traffic_1d "
        "UNION ALL SELECT min(window_start), max(window_start) FROM main.exporters_1h)"
    )
    ((first, last),) = connection.execute(query).fetchall()
    return [] if first is None else [(first, last)]


def _days(
    connection: duckdb.DuckDBPyConnection, changed: Collection[date]
) -> list[tuple[date, date]]:
    """The days that changed, and those that became final since the gate last judged."""
    judged = read_state(connection, "judged_final_day")
    became_final = connection.execute(
        "SELECT day FROM results.final_days "
        "WHERE day > coalesce(CAST(? AS DATE), '-infinity'::DATE)",
        [judged or None],
    ).fetchall()
    days = {*changed, *(day for (day,) in became_final)}
    return list(day_spans(days, len(days)))


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
