"""Warnings that last are said once, and again when they become more."""

from pathlib import Path

import duckdb
import pytest

from v6share.warehouse.checks import CheckResult
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.said import warnings_to_say
from v6share.workspace.paths import Workspace


@pytest.fixture
def connection(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    return open_warehouse(Workspace(tmp_path))


def silent(*names: str, found: int = 0, name: str = "silent_exporters") -> CheckResult:
    rows = tuple({"exporter": one, "last_seen": None} for one in names)
    return CheckResult(
        name, "all have sent", "{exporter} has not", "warn", found or len(rows), rows
    )


def said(connection: duckdb.DuckDBPyConnection, *results: CheckResult) -> list[str]:
    return [result.example for result in warnings_to_say(connection, results)]


def test_what_lasts_is_said_once_and_what_is_new_first(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert said(connection, silent("a")) == ["a has not"]
    assert said(connection, silent("a")) == []
    (result,) = warnings_to_say(connection, [silent("a", "b")])
    assert (result.example, result.found) == ("b has not", 2)
    assert said(connection, silent("a", "b")) == []
    # It sent, and fell silent again.
    assert said(connection, silent("b")) == []
    assert said(connection, silent("a", "b")) == ["a has not"]
    assert said(connection, silent()) == []
    assert said(connection, silent("b")) == ["b has not"]
    connection.close()


def test_more_than_a_sample_shows(connection: duckdb.DuckDBPyConnection) -> None:
    many = silent(*"abcde", found=8)
    assert said(connection, many) == ["a has not"]
    assert said(connection, many) == []
    assert said(connection, silent(*"abcde", found=9)) == ["a has not"]
    # Fewer, of which some stand in the sample only now: those were among the eight, or are new.
    assert said(connection, silent(*"bcdef", found=8)) == ["f has not"]
    assert said(connection, silent(*"abcde", found=8)) == []
    connection.close()


def test_other_warnings_and_what_blocks(connection: duckdb.DuckDBPyConnection) -> None:
    other = silent("a", name="stray_days")
    for _ in range(2):
        assert said(connection, other) == ["a has not"]
    failed = CheckResult("silent_exporters", "", "{e}", "fail", 1, ({"e": "a"},))
    assert said(connection, failed) == []  # it is said elsewhere, and always
    # What had nothing to judge neither says anything nor forgets.
    gate = CheckResult("exporters.silent", "", "{row}", "warn", 1, ({"row": "exporter a"},), 4)
    idle = CheckResult("exporters.silent", "", "{row}", "warn", 0, (), 0)
    assert said(connection, gate) == ["exporter a"]
    assert said(connection, idle) == []
    assert said(connection, gate) == []
    connection.close()
