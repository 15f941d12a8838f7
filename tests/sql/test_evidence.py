"""Golden cases of the evidence: what the gate is shown, computed by hand."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from math import sqrt
from statistics import stdev
from typing import Any

import pytest
from kpi_warehouse import Warehouse, make_results

from v6share.schemas.ledger import LEDGER_FILES, REJECTS
from v6share.warehouse.database.state import write_state
from v6share.warehouse.evidence import Question, gather_evidence

D = date(2024, 5, 28)
ONE = timedelta(days=1)
HOUR = timedelta(hours=1)
MIDNIGHT = datetime.combine(D, time())
QUERIES = "".join(
    one.read_text("utf-8")
    for one in resources.files("v6share.sql").joinpath("evidence").iterdir()
    if one.name.endswith(".sql")
)


@pytest.fixture
def w(w: Warehouse) -> Warehouse:
    """A warehouse whose final days were judged, all of them."""
    w.connection.execute("CREATE SCHEMA private")
    w.connection.execute("CREATE TABLE private.state (key VARCHAR, value VARCHAR)")
    write_state(w.connection, "judged_final_day", str(D + 9999 * ONE))
    return w


def ask(
    w: Warehouse,
    name: str,
    days: Collection[date] | None = (),
    now: datetime = MIDNIGHT + 25 * HOUR,
) -> list[dict[str, Any]]:
    """The rows of one kind of evidence."""
    make_results(w.connection, QUERIES)
    found = gather_evidence(w.connection, Question(now.replace(tzinfo=UTC), days))
    rows: list[dict[str, Any]] = found[name].rows.to_pylist()
    return rows


def final_history(w: Warehouse, first: date, last: date, v6: int, v4: int, **values: Any) -> None:
    """Days with bytes of either family."""
    for i in range((last - first).days + 1):
        day = first + i * ONE
        w.traffic(day, family="v6", bytes=v6, records=100, **values)
        w.traffic(day, family="v4", bytes=v4, records=100, **values)
    w.final_days(first, last)


@pytest.mark.parametrize(("usual", "now"), [((0, 100), (100, 0)), ((100, 0), (0, 100))])
def test_a_share_that_stood_still_at_its_end_moves(
    w: Warehouse, usual: tuple[int, int], now: tuple[int, int]
) -> None:
    """No scatter and no sampling error: 1 by the least error there is, 0.005."""
    final_history(w, D - 28 * ONE, D - ONE, *usual)
    final_history(w, D, D, *now)
    (row,) = [one for one in ask(w, "moves", [D]) if one["app"] == "(all)"]
    assert row["days_before"] == 28
    assert abs(row["errors"]) == pytest.approx(200)


def test_a_move_is_told_in_errors_of_sampling_and_of_the_usual_scatter(w: Warehouse) -> None:
    before = [40, 50, 60, 50] * 7
    for i, v6 in enumerate([*before, 90]):
        day = D - (28 - i) * ONE
        w.traffic(day, family="v6", bytes=v6, bytes_variance=20)
        w.traffic(day, family="v4", bytes=100 - v6, bytes_variance=30)
    w.final_days(D - 28 * ONE, D)
    (row,) = [one for one in ask(w, "moves", [D]) if one["app"] == "(all)"]
    usual, scatter = sum(before[-7:]) / 700, stdev(before) / 100
    sampling = 50 * 0.9 * 0.1 / 100**2
    assert (row["share"], row["usual"]) == pytest.approx((0.9, usual))
    assert row["errors"] == pytest.approx((0.9 - usual) / sqrt(scatter**2 + sampling))


def test_all_days_are_those_of_every_vantage(w: Warehouse) -> None:
    w.traffic(D, vantage="core", family="odd")
    assert {"column": "family", "value": "odd", "declared": None} in ask(w, "values", None)
    assert ask(w, "values", []) == []


def test_what_exporters_declare_to_be_no_traffic_is_no_reject(w: Warehouse) -> None:
    by_design = ("egress_copy", "action_reject", "no_data", "zero_packets")
    for i, (lost, future) in enumerate(((0, 0), (10, 0), (0, 5))):
        moment = MIDNIGHT + i * HOUR
        w.entry(
            LEDGER_FILES, input_id=f"{i}", path=f"{i}", status="committed",
            rows_in=120, rows_rejected=80 + lost + future, first_start=moment, last_end=moment,
        )  # fmt: skip
        for reason in by_design:
            w.entry(REJECTS, input_id=f"{i}", reason=reason, rows=20)
        w.entry(REJECTS, input_id=f"{i}", reason="no_time", rows=lost)
        w.entry(REJECTS, input_id=f"{i}", reason="future", rows=future)
    make_results(w.connection, QUERIES)
    rows = gather_evidence(w.connection, Question(datetime.now(UTC), []))["inputs"].rows
    assert rows["reject_share"].to_pylist() == [0, 10 / 40, 5 / 40]
    assert rows["future_share"].to_pylist() == [0, 0, 5 / 40]


def new_intervals(w: Warehouse, exporter: str) -> int | None:
    (row,) = [one for one in ask(w, "exporters") if one["exporter"] == exporter]
    found: int | None = row["new_intervals"]
    return found


@pytest.mark.parametrize(("before", "after"), [(100, 200), (200, 100), (0, 100), (100, 0)])
@pytest.mark.parametrize(("hours", "expected"), [(1, 1), (12, 1), (24, 1), (25, 0), (120, 0)])
def test_a_change_of_sampling_is_said_for_a_day(
    w: Warehouse, before: int, after: int, hours: int, expected: int
) -> None:
    end = MIDNIGHT + 24 * HOUR
    w.traffic(D)
    changed = end - hours * HOUR
    w.heard(MIDNIGHT - 10 * ONE, changed, sampling=before)
    w.heard(changed, end, sampling=after)
    assert new_intervals(w, "e1") == expected


def test_sampling_is_compared_with_the_day_of_records_before(w: Warehouse) -> None:
    end = MIDNIGHT + 24 * HOUR
    w.traffic(D)
    # One that paused for a week, one that is new, and one that changed before it fell silent.
    w.heard(MIDNIGHT - 8 * ONE, MIDNIGHT - 7 * ONE, exporter="paused", sampling=100)
    w.heard(MIDNIGHT, end, exporter="paused", sampling=50)
    w.heard(MIDNIGHT, end, exporter="new", sampling=50)
    w.heard(MIDNIGHT - 3 * ONE, MIDNIGHT - 2 * ONE, exporter="gone", sampling=50)
    w.heard(MIDNIGHT - 2 * ONE, MIDNIGHT - ONE, exporter="gone", sampling=60)
    assert [new_intervals(w, one) for one in ("paused", "new", "gone")] == [1, None, None]


def test_exporters_of_the_catalog_are_judged_for_sixty_days(w: Warehouse) -> None:
    end = MIDNIGHT + 24 * HOUR
    w.traffic(D)
    w.heard(MIDNIGHT, end)
    for days in (10, 20, 59, 70):
        last = end - days * ONE
        for exporter in (f"listed {days}", f"other {days}"):
            w.heard(last - 12 * HOUR, last, exporter=exporter)
        w.exporter(f"listed {days}")
    found = {one["exporter"]: one for one in ask(w, "exporters")}
    assert found.keys() == {"e1", "listed 10", "other 10", "listed 20", "listed 59"}
    assert found["listed 59"]["pauses"] == 11
    assert found["listed 59"]["pauses_silent"] == 59 * 24


@pytest.mark.parametrize(
    ("committed", "now", "expected"),
    [
        (timedelta(hours=2), timedelta(hours=30), 30),
        (timedelta(days=3), timedelta(days=31), 31 * 24),
        (timedelta(days=4), timedelta(days=5), None),
        (timedelta(hours=2), timedelta(days=61), None),
    ],
)
def test_the_clock_judges_exporters_of_live_data(
    w: Warehouse, committed: timedelta, now: timedelta, expected: int | None
) -> None:
    """Live: committed soon after it ended. Once it was, it stays so for two months."""
    end = MIDNIGHT + 24 * HOUR
    w.traffic(D)
    w.heard(MIDNIGHT, end)
    w.entry(
        LEDGER_FILES, input_id="a", status="committed", first_start=MIDNIGHT,
        # A record of a wrong clock does not make it the newest one.
        last_end=end + 400 * ONE, committed_at=end + committed,
    )  # fmt: skip
    (row,) = ask(w, "exporters", now=end + now)
    assert row["clock_silent_hours"] == expected


def test_days_in_between_are_not_asked_about(w: Warehouse) -> None:
    final_history(w, D - 40 * ONE, D, 60, 40)
    asked = [D - 30 * ONE, D]
    assert [one["day"] for one in ask(w, "days", asked)] == asked
    assert {one["day"] for one in ask(w, "families", asked)} == set(asked)
    assert {one["day"] for one in ask(w, "moves", asked)} == set(asked)
    by_app = [one for one in ask(w, "shares", asked) if one["view"] == "share_by_app"]
    assert [one["day"] for one in by_app] == asked
    # The days before are looked at as ever.
    assert [one["weeks"] for one in ask(w, "days", asked)] == [1, 4]


def test_no_family_is_missed_on_a_day_that_goes_on(w: Warehouse) -> None:
    final_history(w, D - 7 * ONE, D, 60, 40)
    w.traffic(D + ONE, family="v4", records=100)
    assert ask(w, "families", [D + ONE]) == []
    assert {one["usual_days"] for one in ask(w, "families", [D])} == {0, 7}


def test_days_that_became_final_are_judged_though_they_did_not_change(w: Warehouse) -> None:
    final_history(w, D - 9 * ONE, D, 60, 40)
    write_state(w.connection, "judged_final_day", str(D - 2 * ONE))
    assert [one["day"] for one in ask(w, "days", [D + ONE])] == [D - ONE, D]
    write_state(w.connection, "judged_final_day", "")
    assert len(ask(w, "days", [])) == 10


def test_every_view_of_shares_is_looked_at(w: Warehouse) -> None:
    w.app("a")
    final_history(w, D - 9 * ONE, D, 60, 40)
    found = {one["view"]: one for one in ask(w, "shares", [D])}
    assert found.keys() == {
        "share_by_app", "share_by_region", "share_by_network", "share_by_app_region",
        "share_by_app_network", "kpi_stage3_apps", "kpi_stage3_concentration", "kpi_headline",
    }  # fmt: skip
    by_day = [one for name, one in found.items() if name.startswith("share_by_")]
    assert {(one["shares"], one["least"], one["greatest"]) for one in by_day} == {(1, 0.6, 0.6)}
    for table, column in (
        ("kpi_stage3_apps", "share_high"),
        ("kpi_stage3_concentration", "ci_high"),
        ("kpi_headline", "ci_high"),
    ):
        # Of clients, which are no share.
        w.connection.execute(
            f"UPDATE results.{table} SET {column} = 0"
            + (", value = 7 WHERE metric LIKE 'active_%'" if table == "kpi_headline" else "")
        )
    rows = gather_evidence(w.connection, Question(datetime.now(UTC), [D]))["shares"].rows
    outside = {one["view"]: one["outside"] for one in rows.to_pylist() if one["outside"]}
    assert outside.keys() == {"kpi_stage3_apps", "kpi_stage3_concentration", "kpi_headline"}
    assert outside["kpi_headline"] == 1
    assert max(one["greatest"] for one in rows.to_pylist()) <= 1
