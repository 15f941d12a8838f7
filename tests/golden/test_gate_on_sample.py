"""The expectations that come with v6share, on the sample: sixty clean days meet all of them, and
each of them finds what it is there for.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sample_run import SAMPLE, Counted

from v6share.jobs.steps.gate import JobGate, job_gate
from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.flow_sample import sample_flows
from v6share.quality.suites import default_suites, parse_suite
from v6share.schemas.evidence import Evidence
from v6share.schemas.settings import Quality
from v6share.warehouse.checks import Changed, CheckResult
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.database.state import write_state
from v6share.warehouse.open import open_warehouse
from v6share.workspace.configured import configure_for_reading
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

LAST = date(2026, 3, 28)
NEWEST = "(SELECT moment FROM newest_record)"
OF_LAST = f"day = DATE '{LAST}'"
ON_LAST = f"CAST(window_start AS DATE) = DATE '{LAST}'"
# What is to be found, and what is done to the tables and kept results for it.
HARMS = {
    "exporters.silent": "DELETE FROM exporters_1h WHERE exporter = '192.0.2.1' "
    f"AND CAST(window_start AS DATE) > DATE '{LAST}'; DELETE FROM results.exporters_1d "
    f"WHERE exporter = '192.0.2.1' AND day > DATE '{LAST}'",
    "exporters.sampling_changed": "UPDATE exporters_1h SET sampling_max = 2 * sampling_max "
    f"WHERE exporter = '192.0.2.1' AND window_start > {NEWEST} - INTERVAL 12 HOUR",
    "families.vanished": "DELETE FROM traffic_1d "
    f"WHERE app = 'video' AND family = 'v6' AND {ON_LAST}",
    "days.volume": f"UPDATE results.share_cells_1d SET bytes = 5 * bytes WHERE {OF_LAST}",
    "days.unclassified_rise": "UPDATE results.share_cells_1d SET is_loose = true "
    f"WHERE {OF_LAST} AND id = 'video' AND scope = 'app'",
    "inputs.rejects": "UPDATE rejects SET reason = 'no_time', \"rows\" = rows_in // 2 "
    "FROM ledger_files f WHERE f.input_id = rejects.input_id",
    "inputs.future": "UPDATE rejects SET reason = 'future', \"rows\" = rows_in // 50 "
    "FROM ledger_files f WHERE f.input_id = rejects.input_id",
    "inputs.ahead_of_the_clock": "UPDATE ledger_files SET last_end = last_end + INTERVAL 9 YEAR",
    "inputs.late": "UPDATE ledger_files SET committed_at = committed_at + INTERVAL 1 HOUR",
    "inputs.twins": "INSERT INTO ledger_files SELECT * REPLACE (upper(input_id) AS input_id) "
    "FROM ledger_files; INSERT INTO ledger_families "
    "SELECT * REPLACE (upper(input_id) AS input_id) FROM ledger_families",
    **{
        f"values.{suite}": f"UPDATE traffic_1d SET {column} = 'nosuch' WHERE {ON_LAST}"
        for suite, column in (
            ("families", "family"),
            ("ip_classes", "ip_class"),
            ("underlays", "underlay"),
            ("directions", "direction"),
            ("declared", "app"),
        )
    },
    "shares.at_least_0": "UPDATE results.kpi_headline SET value = -0.1, ci_low = -0.1 "
    "WHERE metric = 'top_apps_ipv6_share'",
    "shares.at_most_1": "UPDATE results.kpi_headline SET value = 1.1, ci_high = 1.1 "
    "WHERE metric = 'top_apps_ipv6_share'",
    "shares.in_bounds": "UPDATE results.kpi_headline SET ci_low = 0.999 "
    "WHERE metric = 'top_apps_ipv6_share'",
    "moves.moved": "UPDATE results.share_cells_1d SET strict = NOT strict "
    f"WHERE {OF_LAST} AND id = 'video'",
    "ranking.places": "UPDATE results.share_cells_1d SET bytes = 100 * bytes "
    f"WHERE day > DATE '{LAST}' - 7 AND id = (SELECT app FROM top_apps ORDER BY rank DESC LIMIT 1)",
}
# What is to be found in the sample of flows, and the value that a column is given for it.
HARMED_FLOWS: dict[str, tuple[str, object]] = {
    "families": ("family", "v5"),
    "ip_classes": ("ip_class", "native_v5"),
    "packet_sizes": ("bytes_per_packet", 19.0),
    "durations": ("duration_ms", 3_600_001),
    "sampling": ("sampling_interval", 1_000_001),
    "exporters": ("exporter", ""),
}
# What else the same harm shows, and rightly.
BESIDE = {
    "days.volume": {"moves.moved"},
    "values.families": {"families.vanished"},
    "values.declared": {"families.vanished"},
    "ranking.places": {"days.volume", "moves.moved"},
}


@pytest.fixture(scope="module")
def gate(counted: Counted) -> Iterator[JobGate]:
    with job_gate(Workspace(counted.root), Quality()) as opened:
        yield opened


@pytest.fixture(scope="module")
def warehouse(counted: Counted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A copy that may be harmed."""
    root = tmp_path_factory.mktemp("harmed") / "ws"
    shutil.copytree(counted.root, root)
    with closing(open_warehouse(Workspace(root))) as connection:
        # As after a run with the gate: no day is asked about but those that a test names.
        write_state(connection, "judged_final_day", str(LAST))
        yield connection


def judged(
    gate: JobGate, warehouse: Connection, first: date, last: date, now: datetime | None = None
) -> dict[str, CheckResult]:
    days = frozenset(first + timedelta(i) for i in range((last - first).days + 1))
    ((inputs,),) = warehouse.execute("SELECT list(input_id) FROM ledger_files").fetchall()
    changed = Changed(days, frozenset(inputs))
    found = gate.judge(warehouse, changed, now or datetime(2026, 11, 30, tzinfo=UTC))
    return {one.name: one for one in found}


def test_sixty_clean_days_meet_every_expectation(gate: JobGate, warehouse: Connection) -> None:
    found = judged(gate, warehouse, date(2025, 11, 15), date(2026, 1, 13))
    assert [one for one in found.values() if not one.passed] == []
    idle = {name for name, one in found.items() if one.outcome == "not judged"}
    # No exporter is silent at the end of the data, and these are months old.
    assert idle == {"exporters.silent", "exporters.silent_by_the_clock"}


def test_what_happened_in_the_sample_is_found(gate: JobGate, warehouse: Connection) -> None:
    """An app that loses IPv6 in January (see data/sample/README.md)."""
    found = judged(gate, warehouse, date(2026, 1, 24), date(2026, 1, 28))
    (row,) = found["moves.moved"].sample
    assert "app drive, day 2026-01-26" in row["row"]
    assert "errors -7.39" in row["row"].split(", "), row


def test_each_expectation_finds_its_harm(gate: JobGate, warehouse: Connection) -> None:
    wanted = {
        f"{name.removesuffix('.json')}.{one.name}"
        for name, text in default_suites().items()
        for one in parse_suite(name, text).expectations
    }
    of_flows = {f"flows.{name}" for name in HARMED_FLOWS}
    assert wanted == {*HARMS, *of_flows, "exporters.silent_by_the_clock"}
    quiet = judged(gate, warehouse, LAST - timedelta(6), LAST)
    assert [name for name, one in quiet.items() if not one.passed] == []
    for name, harm in HARMS.items():
        warehouse.execute(f"BEGIN; {harm}")
        try:
            found = judged(gate, warehouse, LAST - timedelta(6), LAST)
        finally:
            warehouse.execute("ROLLBACK")
        odd = {one.name for one in found.values() if not one.passed}
        assert odd - BESIDE.get(name, set()) == {name}, name
        assert found[name].found
        assert not found[name].error
        assert found[name].example
        if name == "exporters.silent":  # by whom it is known what was said already
            assert [row["exporter"] for row in found[name].sample] == ["192.0.2.1"]


def test_each_expectation_of_flows_finds_its_harm(gate: JobGate, counted: Counted) -> None:
    """Of a sample of every file; two in a hundred rows are harmed."""
    configured = configure_for_reading(counted.root, {})
    plan = compile_plan(configured.catalog, configured.settings, configured.client_key)
    flows = sample_flows([(str(path), "") for path in sorted(SAMPLE.glob("flows/*"))], plan)
    assert flows.num_rows > 1_000

    def not_passed(rows: pa.Table) -> set[str]:
        frames = {"flows": Evidence(rows, ("path", "row"))}
        assert gate.gate is not None
        verdicts = gate.gate.validate(gate.suites, frames)
        return {one.name for one in verdicts if one.outcome != "passed"}

    assert not_passed(flows) == set()
    for name, (column, value) in HARMED_FLOWS.items():
        values = flows[column].to_pylist()
        values[::50] = [value] * len(values[::50])
        at = flows.column_names.index(column)
        harmed = flows.set_column(at, column, pa.array(values, flows.schema.field(at).type))
        assert not_passed(harmed) == {name}


def test_live_data_that_stopped_are_seen_by_the_clock(gate: JobGate, warehouse: Connection) -> None:
    """The sample was loaded as a history, of which the clock says nothing."""
    ((newest,),) = warehouse.execute(f"SELECT {NEWEST}").fetchall()

    def by_the_clock(**later: int) -> str:
        now = newest.replace(tzinfo=UTC) + timedelta(**later)
        return judged(gate, warehouse, LAST, LAST, now)["exporters.silent_by_the_clock"].outcome

    assert by_the_clock(hours=27) == "not judged"
    warehouse.execute("BEGIN; UPDATE ledger_files SET committed_at = last_end + INTERVAL 1 HOUR")
    try:
        assert by_the_clock(hours=25) == "ok"
        assert by_the_clock(hours=27) == by_the_clock(days=31) == "warning"
        assert by_the_clock(days=61) == "not judged"
    finally:
        warehouse.execute("ROLLBACK")


def test_an_exporter_of_one_hour_is_not_said_to_be_silent(
    gate: JobGate, warehouse: Connection
) -> None:
    """It has no usual pauses by which to tell."""
    warehouse.execute(
        "BEGIN; INSERT INTO exporters_1h SELECT * REPLACE ('new' AS exporter) FROM exporters_1h "
        f"WHERE exporter = '192.0.2.1' AND window_start = DATE '{LAST}'; "
        "INSERT INTO results.exporters_1d "
        "FROM definitions.exporters_1d WHERE exporter = 'new'"
    )
    try:
        found = judged(gate, warehouse, LAST, LAST)
    finally:
        warehouse.execute("ROLLBACK")
    assert found["exporters.silent"].outcome == "not judged"


def test_the_starter_is_what_comes_with_it(tmp_path: Path) -> None:
    """Every suite that comes with v6share can be read."""
    for name, text in default_suites().items():
        assert parse_suite(name, text).expectations
