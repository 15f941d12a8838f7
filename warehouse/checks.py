"""Checks on the warehouse: SQL files that return the rows which should not be there.

Each file under ``sql/checks/`` starts with ``-- what: ...``, which holds where all is well,
``-- found: ...``, which says in words what one row of the query means, with its columns in braces,
and ``-- severity: fail`` or ``warn``. A failed check keeps the numbers from being published.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib import resources
from typing import Any, Literal, cast

import duckdb

from v6share.warehouse.database.arrow import fetch_table

Severity = Literal["fail", "warn"]

SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Check:
    """One check: the query returns offending rows; in_words makes a sentence of one of them."""

    name: str
    what: str
    in_words: str
    severity: Severity
    sql: str


@dataclass(frozen=True)
class CheckResult:
    """What a check found: how many offending rows, and the first few of them."""

    name: str
    what: str
    in_words: str
    severity: Severity
    found: int
    sample: tuple[dict[str, Any], ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    @property
    def example(self) -> str:
        """The first offending row as a part of a sentence. There must be one."""
        row = {name: _in_words(value) for name, value in self.sample[0].items()}
        return self.in_words.format_map(row)

    @property
    def blocks(self) -> bool:
        """Whether it must keep the numbers from being published."""
        return bool(self.found) and self.severity == "fail"


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
        if line.startswith(("-- what: ", "-- found: ", "-- severity: "))
    )
    if header.keys() != {"what", "found", "severity"} or header["severity"] not in ("fail", "warn"):
        raise ValueError(
            f"{file_name}: expected the lines `-- what: ...`, `-- found: ...` and "
            "`-- severity: fail|warn`"
        )
    severity = cast("Severity", header["severity"])
    name = file_name.removesuffix(".sql")
    return Check(name, header["what"], header["found"], severity, text)


def run_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check, on the warehouse or on a published file.

    Two at a time: most of them are too short for DuckDB to share one among its threads.
    """

    def run(check: Check) -> CheckResult:
        with connection.cursor() as cursor:
            return run_check(cursor, check)

    with ThreadPoolExecutor(2, thread_name_prefix="v6share-checks") as threads:
        return list(threads.map(run, read_checks()))


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
