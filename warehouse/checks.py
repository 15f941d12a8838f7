"""Checks on the warehouse: SQL files that return the rows which should not be there.

Each file under ``sql/checks/`` starts with ``-- what: ...`` and ``-- severity: fail`` or
``warn``. A failed check keeps the numbers from being published.
"""

from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, cast

import duckdb

from v6share.warehouse.arrow import fetch_table

Severity = Literal["fail", "warn"]

SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Check:
    """One check: the query returns offending rows."""

    name: str
    what: str
    severity: Severity
    sql: str


@dataclass(frozen=True)
class CheckResult:
    """What a check found: how many offending rows, and the first few of them."""

    name: str
    what: str
    severity: Severity
    found: int
    sample: tuple[dict[str, Any], ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    @property
    def blocks(self) -> bool:
        """Whether it must keep the numbers from being published."""
        return bool(self.found) and self.severity == "fail"


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
        if line.startswith(("-- what: ", "-- severity: "))
    )
    if header.keys() != {"what", "severity"} or header["severity"] not in ("fail", "warn"):
        raise ValueError(
            f"{file_name}: expected the lines `-- what: ...` and `-- severity: fail|warn`"
        )
    severity = cast("Severity", header["severity"])
    return Check(file_name.removesuffix(".sql"), header["what"], severity, text)


def run_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check, on the warehouse or on a published file."""
    return [run_check(connection, check) for check in read_checks()]


def run_check(connection: duckdb.DuckDBPyConnection, check: Check) -> CheckResult:
    """Run one check."""
    query = check.sql.strip().rstrip(";")
    rows = fetch_table(
        connection,
        f"SELECT *, count(*) OVER () AS found FROM (\n{query}\n) LIMIT {SAMPLE_ROWS}",  # noqa: S608
    )
    sample = rows.drop_columns(["found"]).to_pylist()
    found = rows.column("found")[0].as_py() if rows.num_rows else 0
    return CheckResult(check.name, check.what, check.severity, found, tuple(sample))
