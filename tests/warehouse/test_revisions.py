# ruff: noqa: DTZ001 - times here are UTC without zone, as in the tables
"""What is said of final days that changed after they were published, computed by hand."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    START,
    Made,
    assert_equal,
    contents,
    empty_catalog,
    input_id,
    ledgers,
    workspace_at,
    write_fragment,
)

from v6share.schemas.aggregates import FRAGMENT_TABLES, TRAFFIC_5M
from v6share.schemas.fragment import RULES_VERSION, FragmentKey
from v6share.schemas.ledger import LEDGER_FINAL_DAYS
from v6share.warehouse.commit import record
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.final_days import record_final_days
from v6share.warehouse.kept.compare import compare_results
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.kept.snapshot import write_snapshot
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import Commit, FinalDays, Forget
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import Published, needs_publish, publish
from v6share.warehouse.rebuild import rebuild
from v6share.workspace.paths import Workspace

DAY = START.date()
NEXT = DAY + timedelta(days=1)
# What the first file has of the first day: 5 records, 100 bytes, 70 of them IPv6.
V4 = {"family": "v4", "ip_class": "native_v4", "records": 3, "bytes": 30}
V6 = {"family": "v6", "ip_class": "native_v6", "records": 2, "bytes": 70}
_TEXT = {
    "vantage": "edge", "app": "mail", "product": "p1", "client_region": "north",
    "service_region": "north", "network": "mobile", "underlay": "none", "direction": "to_client",
}  # fmt: skip
_EXPORTER = {"family": "v4", "packets": 1, "bytes": 1, "sampling_min": 1, "sampling_max": 1}


def at(hour: int) -> datetime:
    """A moment of the day on which all commits and publishes of this file happen."""
    return datetime(2026, 4, 1, hour)


def traffic(day: date = DAY, **values: Any) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day)
    numbers = {column.name: 0 for column in TRAFFIC_5M.measures}
    return {"window_start": start, **_TEXT, **numbers, "packets": 1, **values}


def heard(exporter: str, until: datetime) -> dict[str, Any]:
    hour = until.replace(minute=0) - timedelta(hours=1)
    times = {"window_start": hour, "first_seen": hour, "last_seen": until}
    return {"exporter": exporter, "records": 1, **_EXPORTER, **times}


def file(
    workspace: Workspace,
    name: str,
    *rows: dict[str, Any],
    exporters: tuple[dict[str, Any], ...] = (),
    catalog_version: str = "c1",
    **others: list[dict[str, Any]],
) -> Made:
    """A fragment of these rows of traffic_5m and of exporters_1h, on the disk."""
    key = FragmentKey(input_id(name), "ipfix", RULES_VERSION, catalog_version)
    days = [row["window_start"] for row in (*rows, *exporters)]
    row: dict[str, Any] = {table.name: [] for table in FRAGMENT_TABLES}
    row |= {"traffic_5m": list(rows), "exporters_1h": list(exporters), **others}
    row |= {**ledgers(row["traffic_5m"], 0), "sampled_rows": []}
    counted = sum(one["records"] for one in rows)
    row |= {
        **vars(key), "size": 1, "rows_in": counted, "rows_counted": counted, "rows_rejected": 0,
        "first_start": min(days), "last_end": max(days) + timedelta(seconds=1),
    }  # fmt: skip
    write_fragment(workspace, key, row)
    return Made(key, row, f"/flows/{name}.parquet")


def catalog(*feeding: str) -> dict[str, pa.Table]:
    """A catalog in which these vantages feed the KPIs."""
    tables = empty_catalog()
    rows = [{"vantage": one, "feeds_kpis": one in feeding} for one in ("edge", "unlisted", "core")]
    schema = tables["dim_vantages"].schema
    return {**tables, "dim_vantages": pa.Table.from_pylist(rows, schema=schema)}


@dataclass
class Home:
    """A workspace with its open warehouse."""

    workspace: Workspace
    connection: duckdb.DuckDBPyConnection

    def commit(self, hour: int, *made: Made) -> None:
        inputs = tuple(one.committed() for one in made)
        record(self.connection, self.workspace, [Commit(f"run{hour}", at(hour), inputs)])

    def forget(self, hour: int, made: Made) -> None:
        entry = Forget(f"run{hour}", at(hour), (made.key.input_id,), "by mistake")
        record(self.connection, self.workspace, [entry])

    def publish(self, hour: int) -> Published:
        refresh_results(self.connection)
        moment = at(hour).replace(tzinfo=UTC)
        record_final_days(self.connection, self.workspace, moment)
        write_snapshot(self.connection, moment, failed=0, warned=0)
        return publish(self.connection, self.workspace)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the published file."""
        with duckdb.connect(self.workspace.published, read_only=True) as snapshot:
            return snapshot.execute(query).fetchall()

    def first_file(self) -> Made:
        """The first day with 5 records and 100 bytes, and that it is final."""
        exporters = (heard("r1", START + timedelta(hours=25)),)
        return file(self.workspace, "first", traffic(**V4), traffic(**V6), exporters=exporters)

    def noted(self) -> list[FinalDays]:
        entries = [entry for entry, _ in journal.read(self.workspace.journal)]
        return [entry for entry in entries if isinstance(entry, FinalDays)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """With the vantage ``core``, which feeds no KPI."""
    workspace = workspace_at(tmp_path / "w")
    connection = open_warehouse(workspace)
    replace_dimensions(connection, catalog("edge", "unlisted"))
    made = Home(workspace, connection)
    yield made
    made.connection.close()


# day, final, changes, first_final_at, last_changed_at, then first and now of records, bytes,
# ipv6_bytes, share, and the difference of the shares
UNCHANGED = (DAY, True, 0, at(2), None, 5, 5, 100, 100, 70, 70, 0.7, 0.7, 0.0)


def test_a_day_that_never_changed(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    assert home.read("FROM revisions") == [UNCHANGED]
    # What comes after it, up to an hour before the next day would be final, is no change to it.
    more = heard("r1", START + timedelta(hours=48))
    home.commit(3, file(home.workspace, "more", traffic(NEXT, **V4), exporters=(more,)))
    home.publish(4)
    assert home.read("FROM revisions") == [UNCHANGED]
    assert home.read("FROM revision_inputs") == []
    assert len(home.noted()) == 1


def test_a_late_file(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    home.commit(3, file(home.workspace, "late", traffic(**V4 | {"records": 1, "bytes": 100})))
    home.publish(4)
    # 70 of 200 bytes are IPv6 now.
    assert home.read("FROM revisions") == [
        (DAY, True, 1, at(2), at(3), 5, 6, 100, 200, 70, 70, 0.7, 0.35, -0.35)
    ]
    assert home.read("SELECT * EXCLUDE (input_id) FROM revision_inputs") == [
        (DAY, at(3), "committed", "/flows/late.parquet", "", 1, "run3")
    ]


def test_what_is_published_once_is_one_change_and_the_newest_commit_counts(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    home.commit(3, file(home.workspace, "late", traffic(**V4)))
    home.commit(5, file(home.workspace, "later", traffic(**V4)))
    home.commit(6, file(home.workspace, "another day", traffic(NEXT, **V4)))
    home.publish(7)
    assert home.read("SELECT changes, last_changed_at, bytes_now FROM revisions") == [
        (1, at(5), 160)
    ]


def test_traffic_that_feeds_no_kpi_changes_no_day(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    home.commit(3, file(home.workspace, "late", traffic(**V4 | {"vantage": "core"})))
    home.publish(4)
    assert home.read("FROM revisions") == [UNCHANGED]
    assert home.read("FROM revision_inputs") == []


def test_traffic_of_no_share_changes_the_records_alone(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    gre = {"family": "v4", "ip_class": "gre", "records": 4, "bytes": 900}
    home.commit(3, file(home.workspace, "late", traffic(**gre)))
    home.publish(4)
    assert home.read("FROM revisions") == [
        (DAY, True, 1, at(2), at(3), 5, 9, 100, 100, 70, 70, 0.7, 0.7, 0.0)
    ]


def test_a_withdrawn_file(home: Home) -> None:
    late = file(home.workspace, "late", traffic(**V4))
    home.commit(1, home.first_file(), late)
    home.publish(2)
    home.forget(3, late)
    home.publish(4)
    (row,) = home.read("FROM revisions")
    assert row[:-1] == (DAY, True, 1, at(2), at(3), 8, 5, 130, 100, 70, 70, 70 / 130, 0.7)
    assert home.read("SELECT status, reason, committed_at FROM revision_inputs") == [
        ("forgotten", "by mistake", at(3))
    ]


def test_a_day_whose_only_file_is_withdrawn_is_still_named(home: Home) -> None:
    first = home.first_file()
    home.commit(1, first)
    home.publish(2)
    home.forget(3, first)
    home.publish(4)
    gone = (DAY, False, 1, at(2), at(3), 5, 0, 100, 0, 70, 0, 0.7, None, None)
    assert home.read("FROM revisions") == [gone]
    home.publish(5)
    assert home.read("FROM revisions") == [gone]
    # Counted again, the day is as it was, after two changes.
    home.commit(6, first)
    home.publish(7)
    assert home.read("FROM revisions") == [
        (DAY, True, 2, at(2), at(6), 5, 5, 100, 100, 70, 70, 0.7, 0.7, 0.0)
    ]


def test_a_file_counted_again_by_another_catalog_moves_traffic_between_apps(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    exporters = (heard("r1", START + timedelta(hours=25)),)
    rows = (traffic(**V4), traffic(**V6 | {"app": "unclassified"}))
    again = file(home.workspace, "first", *rows, exporters=exporters, catalog_version="c2")
    home.commit(3, again)
    home.publish(4)
    assert home.read("FROM revisions") == [
        (DAY, True, 1, at(2), at(3), 5, 5, 100, 100, 70, 70, 0.7, 0.7, 0.0)
    ]
    assert home.read("SELECT status, committed_at, reason FROM revision_inputs ORDER BY ALL") == [
        ("committed", at(3), ""),
        ("superseded", at(3), f"counts now by rules {RULES_VERSION}, catalog c2, dialect ipfix"),
    ]


def test_other_clients_of_a_day_are_a_change(home: Home) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    sketch = {
        "day": DAY, "vantage": "edge", "scope": "all", "id": "", "family": "v6", "unit": "prefix",
        "theta": 2**64 - 1, "client_hashes": [1, 2],
    }  # fmt: skip
    home.commit(3, file(home.workspace, "late", traffic(NEXT, **V4), clients_1d=[sketch]))
    home.publish(4)
    assert home.read("SELECT changes, records_first, records_now FROM revisions") == [(1, 5, 5)]


def test_a_day_that_becomes_final_late(home: Home) -> None:
    """The second router has sent up to noon only, so nothing of the day is final."""
    slow = heard("r2", START + timedelta(hours=12))
    home.commit(1, home.first_file(), file(home.workspace, "slow", exporters=(slow,)))
    home.publish(2)
    assert home.read("FROM revisions") == []
    home.commit(3, file(home.workspace, "more", traffic(**V4)))
    home.publish(4)
    assert home.noted() == []
    on_time = heard("r2", START + timedelta(hours=25))
    home.commit(5, file(home.workspace, "last", traffic(**V6), exporters=(on_time,)))
    home.publish(6)
    assert home.read("SELECT * EXCLUDE (share_first, share_now) FROM revisions") == [
        (DAY, True, 0, at(6), None, 10, 10, 200, 200, 140, 140, 0.0)
    ]


def test_a_changed_catalog_has_no_commit_and_counts_from_the_publish(home: Home) -> None:
    core = traffic(**V4 | {"vantage": "core"})
    home.commit(1, home.first_file(), file(home.workspace, "core", core))
    home.publish(2)
    replace_dimensions(home.connection, catalog("edge", "unlisted", "core"))
    home.publish(4)
    assert home.read("SELECT changes, last_changed_at, bytes_now FROM revisions") == [
        (1, at(4), 130)
    ]
    assert home.read("FROM revision_inputs") == []


def changed_twice(home: Home) -> dict[str, pa.Table]:
    """A day that changed by a late file and a withdrawn one; what is noted of it."""
    late = file(home.workspace, "late", traffic(**V4))
    home.commit(1, home.first_file())
    home.publish(2)
    home.commit(3, late)
    home.publish(4)
    home.forget(5, late)
    # Only what changed is copied, into the file before.
    assert not home.publish(6).is_whole
    noted = contents(home.connection, (LEDGER_FINAL_DAYS,))
    assert noted["ledger_final_days"].column("revision").to_pylist() == [0, 1, 2]
    assert home.read("FROM ledger_final_days ORDER BY ALL") == [
        tuple(row.values()) for row in noted["ledger_final_days"].to_pylist()
    ]
    return noted


def test_a_rebuild_gives_the_same_rows(home: Home) -> None:
    noted, rows = changed_twice(home), home.read("FROM revisions")
    home.connection.close()
    rebuild(home.workspace, catalog("edge", "unlisted"))
    home.connection = open_warehouse(home.workspace)
    home.publish(8)
    assert_equal(contents(home.connection, (LEDGER_FINAL_DAYS,)), noted)
    assert home.read("FROM revisions") == rows
    assert len(home.noted()) == 3


def test_entries_that_are_applied_again_change_nothing(home: Home) -> None:
    noted = changed_twice(home)
    record(home.connection, home.workspace, home.noted())
    assert_equal(contents(home.connection, (LEDGER_FINAL_DAYS,)), noted)
    (day,) = home.noted()[0].days
    record(home.connection, home.workspace, [FinalDays(at(9), (replace(day, bytes=1),))])
    assert_equal(contents(home.connection, (LEDGER_FINAL_DAYS,)), noted)
    # The same where all of them are applied at once.
    home.connection.close()
    rebuild(home.workspace, catalog("edge", "unlisted"))
    home.connection = open_warehouse(home.workspace)
    assert_equal(contents(home.connection, (LEDGER_FINAL_DAYS,)), noted)


def test_what_is_noted_of_a_day_is_something_to_publish(home: Home) -> None:
    changed_twice(home)
    assert not needs_publish(home.connection, home.workspace)
    (day,) = home.noted()[0].days
    record(home.connection, home.workspace, [FinalDays(at(9), (replace(day, revision=3),))])
    assert needs_publish(home.connection, home.workspace)


def test_kept_sums_are_what_their_definition_gives(home: Home) -> None:
    changed_twice(home)
    assert [result for result in compare_results(home.connection) if not result.passed] == []


# Publishes; dies where told.
RUN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_revisions
from test_revisions import Home
from v6share.warehouse.ledger import journal
from v6share.warehouse.open import open_warehouse
from v6share.workspace.paths import Workspace

def dying(function, after):
    def wrapped(*args, **named):
        if after:
            function(*args, **named)
        os._exit(9)
    return wrapped

points = {
    "before the append": (journal, "append", False),
    "after the append": (journal, "append", True),
    "after the commit": (test_revisions, "record_final_days", True),
    "before the publish": (test_revisions, "publish", False),
}
workspace = Workspace(Path(sys.argv[2]))
connection = open_warehouse(workspace, threads=1)
module, name, after = points[sys.argv[3]]
setattr(module, name, dying(getattr(module, name), after))
Home(workspace, connection).publish(4)
"""


@pytest.mark.parametrize(
    ("point", "published_at"),
    [
        ("before the append", at(6)),
        ("after the append", at(4)),
        ("after the commit", at(4)),
        ("before the publish", at(4)),
    ],
)
def test_a_kill_before_the_file_is_published_is_made_good(
    home: Home, point: str, published_at: datetime
) -> None:
    home.commit(1, home.first_file())
    home.publish(2)
    home.commit(3, file(home.workspace, "late", traffic(**V4)))
    home.connection.close()
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", RUN, here, str(home.workspace.root), point]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert home.read("FROM revisions") == [UNCHANGED]
    home.connection = open_warehouse(home.workspace)
    home.publish(6)
    home.publish(7)
    assert home.read("SELECT changes, last_changed_at, bytes_now FROM revisions") == [
        (1, at(3), 130)
    ]
    found = home.read("SELECT revision, published_at FROM ledger_final_days ORDER BY ALL")
    assert found == [(0, at(2)), (1, published_at)]
    assert [entry.at for entry in home.noted()] == [at(2), published_at]
