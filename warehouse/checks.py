"""Checks on the warehouse: SQL files that return the rows which should not be there.

Each file under ``sql/checks/`` starts with ``-- what: ...``, which holds where all is well,
``-- found: ...``, which says in words what one row of the query means, with its columns in braces,
and ``-- severity: fail`` or ``warn``. A failed check keeps the numbers from being published.

A line ``-- scope:`` says what need not be looked at again, where a check has passed before:

- ``days``: the check says of each day what it finds there, whatever the others hold. Only days that
  changed are looked at.
- ``inputs``: the same of each input.
- ``replacements``: each commit that only adds has proved it for what it added (``merge/balance``).
  It is run where an input was replaced or withdrawn.

It is the same SQL then, on temporary views that hide the tables. A check without the line is run as
it stands. All are from time to time: files may be damaged where nothing changed.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib import resources
from typing import Any, Final, Literal, cast, get_args

import duckdb

from v6share.schemas.aggregates import AGGREGATES
from v6share.schemas.ledger import INPUT_LEDGERS, LEDGER_FILES
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.touched import (
    MOST_DAYS,
    MOST_INPUTS,
    day_spans,
    forget_unchecked,
    read_unchecked,
)
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.unpublished import Lacking, read_lacking
from v6share.warehouse.database.views import quoted

Severity = Literal["fail", "warn"]
Scope = Literal["days", "inputs", "replacements", ""]

SAMPLE_ROWS = 5
NOT_JUDGED: Final = "not judged"
_SCOPES: Final = ", ".join(filter(None, get_args(Scope)))
# So often all days are checked, whatever changed.
WHOLE_EVERY: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Check:
    """One check: the query returns offending rows; in_words makes a sentence of one of them."""

    name: str
    what: str
    in_words: str
    severity: Severity
    sql: str
    scope: Scope = ""


@dataclass(frozen=True)
class Changed:
    """What changed since the checks last passed. replaced: an input was replaced or withdrawn."""

    days: frozenset[date] = frozenset()
    inputs: frozenset[str] = frozenset()
    replaced: bool = False


@dataclass(frozen=True)
class CheckResult:
    """What a check found: how many offending rows, and the first few of them.

    judged: the rows that an expectation of the gate looked at, None for checks of the tables.
    error: why it could not be carried out; it blocks then.
    """

    name: str
    what: str
    in_words: str
    severity: Severity
    found: int
    sample: tuple[dict[str, Any], ...]
    judged: int | None = None
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not (self.found or self.error)

    @property
    def suite(self) -> str:
        """The suite of an expectation of the gate; empty for a check of the tables."""
        return "" if self.judged is None else self.name.rpartition(".")[0]

    @property
    def example(self) -> str:
        """The first offending row as a part of a sentence. There must be one."""
        return self.examples[0]

    @property
    def examples(self) -> list[str]:
        """The same of each row of the sample."""
        rows = ({name: _in_words(value) for name, value in row.items()} for row in self.sample)
        return [self.in_words.format_map(row) for row in rows]

    @property
    def blocks(self) -> bool:
        """Whether it must keep the numbers from being published."""
        return bool(self.error) or (bool(self.found) and self.severity == "fail")

    @property
    def outcome(self) -> str:
        """In a word or two: ok, warning, failed, error, or that there was nothing to judge."""
        if self.error:
            return "error"
        if self.found:
            return "failed" if self.blocks else "warning"
        return NOT_JUDGED if self.judged == 0 else "ok"


def _in_words(value: object) -> str:
    match value:
        case None:
            return "none"
        case int() | Decimal():
            return f"{value:,}"
        case datetime():
            return value.isoformat(" ", "minutes")
    return str(value) or "(empty)"


def read_checks() -> list[Check]:
    """The checks that come with v6share, by name."""
    files = resources.files("v6share.sql").joinpath("checks").iterdir()
    texts = {f.name: f.read_text("utf-8") for f in files if f.name.endswith(".sql")}
    return [parse_check(name, text) for name, text in sorted(texts.items())]


def parse_check(file_name: str, text: str) -> Check:
    """The check of one file. Raises ValueError where its header is not complete."""
    header = dict(
        line.removeprefix("-- ").split(": ", 1)
        for line in text.splitlines()
        if line.startswith(("-- what: ", "-- found: ", "-- severity: ", "-- scope: "))
    )
    scope = header.pop("scope", "")
    if scope not in get_args(Scope):
        raise ValueError(f"{file_name}: found the scope {scope}, expected one of {_SCOPES}")
    if header.keys() != {"what", "found", "severity"} or header["severity"] not in ("fail", "warn"):
        raise ValueError(
            f"{file_name}: expected the lines `-- what: ...`, `-- found: ...` and "
            "`-- severity: fail|warn`"
        )
    severity = cast("Severity", header["severity"])
    name = file_name.removesuffix(".sql")
    return Check(name, header["what"], header["found"], severity, text, cast("Scope", scope))


def what_to_check(connection: duckdb.DuckDBPyConnection, now: datetime) -> Changed | None:
    """What changed since the checks passed; None where all is to be checked.

    All is: where that was never done by these checks, a day ago or more (or after ``now``, by a
    clock that was set back since), where a check failed last, and where more changed than is worth
    telling apart.
    """
    checked, _, checks = read_state(connection, "checked_whole").partition(" ")
    if checks != _digest() or not is_recent(datetime.fromisoformat(checked), now):
        return None
    changed = read_unchecked(connection)
    touched = [changed[table.name] for table in AGGREGATES if table.name in changed]
    days = frozenset(day for one in touched for day in one.days)
    # Of those that are published already they passed; to check one of them again does no harm.
    inputs = read_lacking(connection).get(f"main.{LEDGER_FILES.name}", Lacking())
    if any(one.all for one in touched) or inputs.is_all:
        return None
    if len(days) > MOST_DAYS or len(inputs.ids) > MOST_INPUTS:
        return None
    return Changed(days, frozenset(inputs.ids), bool(read_state(connection, "replaced")))


def is_recent(checked: datetime, now: datetime) -> bool:
    """Whether a check of all at that moment is good enough still."""
    return timedelta(0) <= now - checked < WHOLE_EVERY


def _digest() -> str:
    """Of the checks' texts: what other ones passed is not known to pass these."""
    return sha256("".join(check.sql for check in read_checks()).encode()).hexdigest()


def note_checked(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    results: Sequence[CheckResult],
    *,
    whole: bool,
) -> None:
    """Note what the checks found, for ``what_to_check``. whole: they were run on all there is.

    Once one keeps the numbers back, all is checked until none does.
    """
    with transaction(connection):
        if any(result.blocks for result in results):
            write_state(connection, "checked_whole", "")
            return
        forget_unchecked(connection)
        write_state(connection, "replaced", "")
        if whole:
            note_checked_whole(connection, now)


def note_checked_whole(connection: duckdb.DuckDBPyConnection, began: datetime) -> None:
    """Note that all there was at a moment passed."""
    write_state(connection, "checked_whole", f"{began.isoformat()} {_digest()}")


def run_checks(
    connection: duckdb.DuckDBPyConnection, changed: Changed | None = None
) -> list[CheckResult]:
    """Run the checks, on the warehouse or on a published file.

    changed: what did, where all the rest is known to have passed; None: all is checked.
    """
    checks = read_checks()
    if changed is not None and not changed.replaced:
        checks = [check for check in checks if check.scope != "replacements"]
    return _run(connection, checks, changed)


def run_checks_in_parts(connection: duckdb.DuckDBPyConnection) -> Iterator[list[CheckResult]]:
    """Run the checks on all there is, a day after the other, and at last what is not by day.

    Between two parts the tables may change: what changes is to be checked by itself.
    """
    checks = read_checks()
    by_day = [check for check in checks if check.scope == "days"]
    for day in _all_days(connection):
        yield _run(connection, by_day, Changed(days=frozenset([day])))
    yield _run(connection, [check for check in checks if check not in by_day], None)


def _all_days(connection: duckdb.DuckDBPyConnection) -> list[date]:
    days = " UNION ".join(f"SELECT {table.day} AS day FROM {table.name}" for table in AGGREGATES)  # noqa: S608 - names of the schemas
    return [day for (day,) in connection.execute(f"{days} ORDER BY day").fetchall()]


def _run(
    connection: duckdb.DuckDBPyConnection, checks: Sequence[Check], changed: Changed | None
) -> list[CheckResult]:
    """Two at a time: most are too short for DuckDB to share one among its threads."""

    def run(check: Check) -> CheckResult:
        with connection.cursor() as cursor:
            if changed is not None and check.scope == "days":
                hide_other_days(cursor, changed.days)
            if changed is not None and check.scope == "inputs":
                hide_other_inputs(cursor, changed.inputs)
            return run_check(cursor, check)

    with ThreadPoolExecutor(2, thread_name_prefix="v6share-checks") as threads:
        return list(threads.map(run, checks))


def hide_other_days(connection: duckdb.DuckDBPyConnection, days: Collection[date]) -> None:
    """Put temporary views of the aggregates' names before them, with their rows of some days."""
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    spans = list(day_spans(days, MOST_DAYS))
    for table in AGGREGATES:
        source = f"{quoted(database)}.main.{table.name}"
        chosen = [f"{table.day} BETWEEN '{first}' AND '{last}'" for first, last in spans]
        rows = f"SELECT * FROM {source} WHERE {' OR '.join(chosen) or 'false'}"  # noqa: S608
        connection.execute(f"CREATE TEMP VIEW {table.name} AS {rows}")


def hide_other_inputs(connection: duckdb.DuckDBPyConnection, inputs: Collection[str]) -> None:
    """Put temporary views of the ledger's names before it, with the rows of some inputs."""
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    connection.execute(
        "CREATE TEMP TABLE chosen AS SELECT unnest(CAST(? AS VARCHAR[])) AS input_id",
        [sorted(inputs)],
    )
    for table in INPUT_LEDGERS:
        connection.execute(
            f"CREATE TEMP VIEW {table.name} AS FROM {quoted(database)}.main.{table.name} "
            "SEMI JOIN temp.chosen USING (input_id)"
        )


def run_check(connection: duckdb.DuckDBPyConnection, check: Check) -> CheckResult:
    """Run one check."""
    query = check.sql.strip().rstrip(";")
    rows = fetch_table(
        connection,
        f"SELECT *, count(*) OVER () AS found FROM (\n{query}\n) LIMIT {SAMPLE_ROWS}",  # noqa: S608
    )
    sample = rows.drop_columns(["found"]).to_pylist()
    found = rows.column("found")[0].as_py() if rows.num_rows else 0
    return CheckResult(check.name, check.what, check.in_words, check.severity, found, tuple(sample))
