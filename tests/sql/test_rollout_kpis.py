"""Golden cases of time, stages 1 and 2, attainment and headline, computed by hand."""

from datetime import date, datetime, time, timedelta

import pytest
from kpi_warehouse import Warehouse, view_files

from v6share.render.board import BOARD_VIEWS, board
from v6share.schemas.ledger import (
    FINDINGS,
    LEDGER_FAMILIES,
    LEDGER_FILES,
    LEDGER_OVERLAPS,
    REJECTS,
)

D = date(2024, 5, 14)
ONE = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- the last final day ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "as_of"),
    [
        (at("2024-05-15 01:00"), D),  # the day's end + 1 h: final
        (at("2024-05-15 00:00"), D - ONE),
    ],
)
def test_a_day_is_final_one_hour_after_its_end(w: Warehouse, end: datetime, as_of: date) -> None:
    w.heard(at("2024-05-13 00:00"), end)
    for day in (D - ONE, D, D + ONE):
        w.traffic(day)
    assert w.one("SELECT as_of, first_day FROM as_of") == (as_of, D - ONE)


def test_the_slowest_exporter_holds_the_day_back_unless_it_is_silent(w: Warehouse) -> None:
    for day in (D - 2 * ONE, D - ONE, D):
        w.traffic(day)
    w.heard(at("2024-05-10 00:00"), at("2024-05-15 02:00"), "fast")
    w.heard(at("2024-05-10 00:00"), at("2024-05-14 02:00"), "slow")  # 24 h behind: not silent
    assert w.one("SELECT as_of FROM as_of") == (D - ONE,)
    w.heard(at("2024-05-15 02:00"), at("2024-05-15 03:00"), "fast")  # now 25 h behind
    assert w.one("SELECT as_of FROM as_of") == (D,)


def test_the_family_that_was_seen_last_tells_how_far_an_exporter_is(w: Warehouse) -> None:
    w.traffic(D)
    w.final_days(D, D)
    w.connection.execute(
        "INSERT INTO exporters_1h SELECT * REPLACE ('v6' AS family, "
        "last_seen - INTERVAL 50 MINUTE AS last_seen) FROM exporters_1h"
    )
    assert w.one("SELECT as_of FROM as_of") == (D,)


def test_an_exporter_of_another_vantage_holds_nothing_back(w: Warehouse) -> None:
    w.traffic(D)
    w.exporter("core1", "core")
    w.heard(at("2024-05-14 00:00"), at("2024-05-15 02:00"))
    w.heard(at("2024-05-14 00:00"), at("2024-05-14 20:00"), "core1")
    assert w.one("SELECT as_of FROM as_of") == (D,)


def test_a_lone_record_from_the_future_does_not_move_as_of_past_the_traffic(w: Warehouse) -> None:
    w.traffic(D)
    w.final_days(D, D)
    w.heard(at("2036-01-01 00:00"), at("2036-01-01 01:00"), "bad clock")
    assert w.one("SELECT as_of FROM as_of") == (D,)


def test_absurd_clocks_move_no_day_and_are_shown(w: Warehouse) -> None:
    w.final_days(D - 6 * ONE, D)
    for back in range(7):
        w.traffic(D - back * ONE, records=2400)
    w.exporter("e1")
    # 1 % of a usual day are 24 records. The clocks of e1 and of another one show years far off,
    # on more days than there are days of data.
    for year in (*range(1992, 2002), *range(2090, 2101)):
        w.traffic(date(year, 1, 1), bytes=9)
        w.heard(at(f"{year}-01-01"), at(f"{year}-01-01 01:00"), "e1" if year % 2 else "e2")
    assert w.one("SELECT as_of, first_day, last_day, stray_records FROM as_of") == (
        *(D, D - 6 * ONE, D),
        21,
    )
    assert w.query(
        "SELECT period_start, exporter, hours_seen, hours_expected, silent FROM completeness "
        "WHERE period = 'week' ORDER BY exporter"
    ) == [(D - 6 * ONE, "e1", 168, 168, False), (D - 6 * ONE, None, 168, 168, False)]
    assert w.query("SELECT DISTINCT week_end FROM kpi_stage3_concentration") == [(D,)]
    assert "21 records lie days off all others" in str(headline(w)[6])
    # They are counted, and browsing shows them.
    assert w.one("SELECT count(DISTINCT day) FROM share_by_app WHERE year(day) <> 2024") == (21,)
    assert w.query("SELECT records, usual_records FROM data_days WHERE NOT is_data") == (
        [(1, 2400)] * 21
    )


@pytest.mark.parametrize(("records", "as_of"), [(23, D), (24, D + 5 * ONE)])
def test_a_day_of_data_has_a_hundredth_of_the_usual_day(
    w: Warehouse, records: int, as_of: date
) -> None:
    w.final_days(D, D)
    w.traffic(D, records=2400)
    w.final_days(D + 5 * ONE, D + 5 * ONE)
    w.traffic(D + 5 * ONE, records=records)
    assert w.one("SELECT as_of FROM as_of") == (as_of,)


def test_the_usual_day_follows_no_count_of_days(w: Warehouse) -> None:
    # One day of 300 records, and 5 days of one: half of the 305 lie on the first alone. The day
    # after it is none of data, but its records tell that the first is final.
    w.final_days(D, D)
    w.traffic(D, records=300)
    for day in (D + ONE, *(date(year, 1, 1) for year in range(2030, 2034))):
        w.traffic(day)
    assert w.query("SELECT DISTINCT usual_records FROM data_days") == [(300,)]
    assert w.one("SELECT as_of, last_day, newest_record_end, stray_records FROM as_of") == (
        *(D, D),
        *(at("2024-05-15 01:00"), 4),
    )


def test_of_two_middle_days_the_one_with_more_is_the_usual_one(w: Warehouse) -> None:
    # Weights 20, 10 and 10: the first day alone is half of 40.
    for back, records in enumerate((400, 100, 100)):
        w.traffic(D - back * ONE, records=records)
    assert w.query("SELECT DISTINCT usual_records FROM data_days") == [(400,)]


def test_growth_and_gaps_leave_no_day_out(w: Warehouse) -> None:
    # Ten times the traffic within a year (100 to 984 records), a gap of a year, and on.
    for week in (*range(53), *range(105, 158)):
        w.traffic(date(2022, 1, 1) + timedelta(days=7 * week), records=100 + 17 * min(week, 60))
    assert w.one("SELECT count(*), bool_and(is_data) FROM data_days") == (106, True)
    assert w.one("SELECT first_day, stray_records FROM as_of") == (date(2022, 1, 1), 0)


def a_day_of_data(w: Warehouse, day: date, records: int) -> None:
    w.traffic(day, records=records)
    w.heard(datetime.combine(day, time()), datetime.combine(day, time(23)))


@pytest.mark.parametrize(("gap", "stray"), [(731, 0), (732, 24)])
def test_what_lies_more_than_two_years_off_the_bulk_is_no_data(
    w: Warehouse, gap: int, stray: int
) -> None:
    a_day_of_data(w, D, 100)
    a_day_of_data(w, D - gap * ONE, 24)
    assert w.one("SELECT last_day, stray_records FROM as_of") == (D, stray)


def test_a_day_of_the_year_9999_fills_no_view_with_empty_days(w: Warehouse) -> None:
    """Of two days one is half of the data: nothing but the gap says that its clock is wrong."""
    w.exporter("e1")
    for day in (D, date(9999, 12, 30)):
        a_day_of_data(w, day, 1)
    assert w.one("SELECT first_day, last_day, stray_records FROM as_of") == (D, D, 1)
    assert w.one("SELECT moment FROM newest_record") == (at("2024-05-14 23:00"),)
    rows = {name: w.one(f"SELECT count(*) FROM {name}")[0] for name in view_files()}
    assert {name for name in rows if rows[name] > 1000} == set()


@pytest.mark.parametrize(
    ("days_on", "alone", "others", "as_of"),
    [
        (60, 1, 2, D),
        (-60, 1, 2, D),
        # A week without data may be true, and so may be what several exporters say.
        (8, 1, 2, D),
        (7, 1, 2, D + 7 * ONE),
        (60, 2, 2, D + 60 * ONE),
        (60, 1, 1, D + 60 * ONE),
    ],
)
def test_a_stretch_that_one_exporter_alone_sends_moves_nothing(
    w: Warehouse, days_on: int, alone: int, others: int, as_of: date
) -> None:
    """History of several exporters, one of them with a wrong clock and no time of receipt."""
    there = D + days_on * ONE
    for day, records, exporters in ((D - ONE, 10, others), (D, 10, others), (there, 9, alone)):
        w.traffic(day, records=records)
        for number in range(exporters):
            start = datetime.combine(day, time())
            w.heard(start, start + timedelta(hours=25), f"of {exporters} {number}")
    off = 0 if as_of == there else 9
    first = min(D - ONE, there) if days_on < 0 and not off else D - ONE
    assert w.one("SELECT as_of, first_day, stray_records FROM as_of") == (as_of, first, off)


def test_one_day_of_a_hundred_times_the_records_is_not_the_usual_day(w: Warehouse) -> None:
    # Weights: 8 for each of 20 days of 72 records, 85 for the one of 7,372: half of 245 are
    # reached with the days of 72.
    w.final_days(D - 20 * ONE, D)
    for back in range(21):
        w.traffic(D - back * ONE, records=7372 if back == 10 else 72)
    assert w.query("SELECT DISTINCT usual_records, is_data FROM data_days") == [(72, True)]
    assert w.one("SELECT as_of, first_day, stray_records FROM as_of") == (D, D - 20 * ONE, 0)


# --- completeness ---------------------------------------------------------------------------


def test_completeness_counts_hours(w: Warehouse) -> None:
    w.traffic(D - ONE)
    w.traffic(D)
    w.exporter("listed")
    # e1: 14 May 06:00 to 15 May 03:00 without 10:00-12:00
    w.heard(at("2024-05-14 06:00"), at("2024-05-14 10:00"))
    w.heard(at("2024-05-14 12:00"), at("2024-05-15 03:00"))
    # listed: 13 May 00:00-12:00, then silent for over 24 h
    w.heard(at("2024-05-13 00:00"), at("2024-05-13 12:00"), "listed")
    rows = w.query(
        "SELECT period_start, exporter, hours_seen, hours_expected, silent, final "
        "FROM completeness WHERE period = 'day' ORDER BY period_start, exporter NULLS FIRST"
    )
    assert rows == [
        (D - ONE, None, 12, 24, True, True),
        (D - ONE, "listed", 12, 24, True, True),
        (D, None, 16, 42, True, True),  # 18 - 2 of 18, and 0 of 24
        (D, "e1", 16, 18, False, True),
        (D, "listed", 0, 24, True, True),
        (D + ONE, None, 3, 6, True, False),
        (D + ONE, "e1", 3, 3, False, False),
        (D + ONE, "listed", 0, 3, True, False),
    ]
    # week 8-14 May: e1 16 of 18, listed 12 of 48
    assert w.query(
        "SELECT period_start, period_end, hours_seen, hours_expected, completeness "
        "FROM completeness WHERE period = 'week' AND exporter IS NULL"
    ) == [(date(2024, 5, 8), D, 28, 66, 28 / 66)]


def test_an_unlisted_exporter_that_left_is_not_expected_any_more(w: Warehouse) -> None:
    w.traffic(D - 5 * ONE)
    w.traffic(D)
    w.final_days(D - 5 * ONE, D)
    w.heard(at("2024-05-09 00:00"), at("2024-05-09 12:00"), "guest")
    assert w.one(
        "SELECT hours_seen, hours_expected FROM completeness "
        "WHERE exporter = 'guest' AND period = 'day'"
    ) == (12, 12)


# --- stage 1 --------------------------------------------------------------------------------


def pilot(w: Warehouse, sampling: int = 1000) -> None:
    w.final_days(D, D, sampling=sampling)
    for position, app in enumerate(("a", "b", "c")):
        w.app(app, position)
    w.product("p")
    w.product("q")
    w.endpoint("a", "p", "r", D - 20 * ONE, D - 10 * ONE)  # 10 days late, carrying
    w.endpoint("a", "p", "s", D - 20 * ONE, D - 20 * ONE)  # on time, silent
    w.endpoint("a", "p", "t", D + ONE)  # not due
    w.endpoint("b", "q", "r", D - 5 * ONE, D)  # enabled today: 5 days late; silent
    w.endpoint("b", "q", "s", D - 5 * ONE)  # overdue by 5 days
    w.endpoint("c", "q", "r", D - 3 * ONE, D + ONE)  # enabled tomorrow only
    w.traffic(D, app="a", family="v6", records=2, bytes=100)
    w.traffic(D, app="a", family="v4", records=2, bytes=300)
    w.traffic(
        D, app="a", service_region="s", family="v6", direction="to_service", bytes=9, records=5
    )  # requests that nobody answers
    w.traffic(D, app="b", product="q", family="v6", records=1, bytes=10)
    w.clients(D, [1, 2], scope="app", id="a")
    w.clients(D, [1], scope="app", id="b")
    w.clients(D - ONE, [1], scope="app", id="b")


def test_endpoints_by_name(w: Warehouse) -> None:
    pilot(w)
    rows = w.query(
        "SELECT app, product, region, due, enabled, enabled AND carrying > 0, silent, status, "
        "late_days FROM (SELECT app, product, region, due = 1 AS due, enabled = 1 AS enabled, "
        "carrying, silent = 1 AS silent, status, late_days FROM kpi_stage1_enablement "
        "WHERE level = 'endpoint') ORDER BY app, product, region"
    )
    assert rows == [
        ("a", "p", "r", True, True, True, False, "carrying", 10),
        ("a", "p", "s", True, True, False, True, "silent", 0),
        ("a", "p", "t", False, False, False, False, "planned", 0),
        ("b", "q", "r", True, True, False, True, "silent", 5),  # 1 record, 1 client: too little
        ("b", "q", "s", True, False, False, False, "overdue", 5),
        ("c", "q", "r", True, False, False, False, "overdue", 3),
    ]


def test_apps_and_products_are_dual_stacked_when_all_that_is_due_is_enabled(w: Warehouse) -> None:
    pilot(w)
    rows = w.query(
        "SELECT level, coalesce(app, product), planned, due, enabled, carrying, silent, "
        "dual_stacked, partial, status, late_days FROM kpi_stage1_enablement "
        "WHERE level <> 'endpoint' ORDER BY level, 2"
    )
    assert rows == [
        ("app", "a", 3, 2, 2, 1, 1, True, False, "dual-stacked", 10),
        ("app", "b", 2, 2, 1, 0, 1, False, True, "partial", 5),
        ("app", "c", 1, 1, 0, 0, 0, False, False, "overdue", 3),
        ("product", "p", 3, 2, 2, 1, 1, True, False, "dual-stacked", 10),
        ("product", "q", 3, 3, 1, 0, 1, False, True, "partial", 5),
    ]


def test_clients_of_a_vantage_that_feeds_no_kpi_carry_nothing(w: Warehouse) -> None:
    w.final_days(D, D, sampling=1000)
    w.app("a")
    w.product("p")
    w.endpoint("a", "p", "r", D, D)
    w.traffic(D, app="a", family="v6", records=9, bytes=9)
    w.clients(D, [1], scope="app", id="a")
    w.clients(D, [2], scope="app", id="a", vantage="core")
    assert w.one("SELECT status FROM endpoint_status") == ("silent",)
    w.clients(D, [3], scope="app", id="a")
    assert w.one("SELECT status FROM endpoint_status") == ("carrying",)


STATUS = "SELECT carrying, judged_by, clients_of FROM endpoint_status"


def test_an_endpoint_whose_clients_are_not_counted_is_judged_by_its_records(w: Warehouse) -> None:
    """As of DNS, whose clients are no active ones, so that there never are two."""
    w.final_days(D, D)
    w.app("dns")
    w.product("resolver", core=True)
    w.endpoint("dns", "resolver", "r", D, D)
    w.traffic(D, app="dns", product="resolver", family="v6", records=1, bytes=80)
    note = "IPv6 to clients, but fewer than 2 records of users; judged by records (DNS, ICMP)"
    assert w.one(STATUS) == (False, "records", None)
    assert w.one("SELECT note FROM kpi_stage1_silent") == (note,)
    w.traffic(D, app="dns", product="resolver", family="v6", records=1, bytes=80)
    assert w.one(STATUS) == (True, "records", None)
    assert w.query(
        "SELECT level, carrying, judged_by FROM kpi_stage1_enablement ORDER BY level"
    ) == [("app", 1, "records"), ("endpoint", 1, "records"), ("product", 1, "records")]
    parity = "SELECT carrying, judged_by FROM kpi_stage3_parity"
    assert w.one(parity) == (True, "records")
    # One counted client, and it is the clients that decide: they are too few.
    w.clients(D, [1], scope="app", id="dns")
    w.clients(D, [1], scope="product", id="resolver")
    assert w.one(STATUS) == (False, "clients", "app")
    assert w.one(parity) == (False, "clients")


def test_an_endpoint_of_dns_is_judged_by_its_records(w: Warehouse) -> None:
    """Also where it has another service, with one client; and where no IPv6 came at all."""
    w.final_days(D, D)
    w.app("dns")
    w.product("resolver", core=True)
    w.network("vpn", kind="relay")
    w.endpoint("dns", "resolver", "r", D, D, serves_dns=True)
    w.clients(D, [1], scope="app", id="dns")
    w.clients(D, [1], scope="product", id="resolver")
    w.traffic(D)
    parity = "SELECT carrying, judged_by FROM kpi_stage3_parity"
    silent = "SELECT note FROM kpi_stage1_silent"
    dns: dict[str, object] = {"app": "dns", "product": "resolver", "family": "v6", "bytes": 80}
    assert w.one(STATUS) == (False, "records", None)
    assert w.one(parity) == (False, "records")
    assert w.one(silent) == ("no IPv6 to clients",)
    w.traffic(D, records=9, network="vpn", **dns)
    w.traffic(D, records=1, **dns)
    assert w.one(STATUS) == (False, "records", None)
    assert w.one(silent) == (
        "IPv6 to clients, but fewer than 2 records of users; judged by records (DNS, ICMP)",
    )
    w.traffic(D, records=1, **dns)
    assert w.one(STATUS) == (True, "records", None)
    assert w.one(parity) == (True, "records")


def test_clients_of_the_day_next_to_the_span_are_counted_ones(w: Warehouse) -> None:
    """Where the reporting day begins at another hour, a client's day may lie outside."""
    w.final_days(D, D)
    w.endpoint("a", "p", "r", enabled_on=D)
    w.traffic(D, app="a", family="v6", records=9, bytes=9)
    w.clients(D + ONE, [1, 2], scope="app", id="a")
    assert w.one(STATUS) == (False, "clients", "app")


@pytest.mark.parametrize(
    ("traffic", "verdict"),
    [
        ({"network": "vpn"}, (False, "clients", "app")),  # a relay's clients are no users
        ({"direction": "to_service"}, (False, "clients", "app")),  # nobody answered
        ({"ip_class": "translated"}, (False, "clients", "app")),  # the service speaks IPv4
        ({"family": "v4"}, (False, "clients", "app")),
        ({"bytes": 0}, (False, "records", None)),
    ],
)
def test_records_that_make_no_endpoint_carry(
    w: Warehouse, traffic: dict[str, object], verdict: tuple[object, ...]
) -> None:
    w.final_days(D, D)
    w.network("vpn", kind="relay")
    w.endpoint("a", "p", "r", enabled_on=D)
    w.traffic(D, **{"app": "a", "family": "v6", "records": 9, "bytes": 9} | traffic)
    assert w.one(STATUS) == verdict


def test_apps_of_endpoints_that_are_judged_by_both(w: Warehouse) -> None:
    w.final_days(D, D)
    w.app("dns")
    w.product("p")
    w.endpoint("dns", "p", "r", D, D)
    w.endpoint("dns", "p", "s", D, D)
    w.endpoint("dns", "p", "t", D)  # not enabled: nothing is judged
    w.traffic(D, app="dns", family="v6", records=2, bytes=80)
    rows = w.query("SELECT region, judged_by FROM kpi_stage1_enablement ORDER BY level, region")
    assert rows == [
        (None, "clients, records"),
        ("r", "records"),
        ("s", "clients"),
        ("t", None),
        (None, "clients, records"),
    ]


def test_linkage_counts_pairs(w: Warehouse) -> None:
    pilot(w)
    rows = w.query(
        "SELECT app, product, planned, due, enabled, carrying, silent, missing_regions, "
        "ipv6_bytes, bytes FROM kpi_stage1_linkage"
    )
    assert rows == [
        ("a", "p", 3, 2, 2, 1, 1, None, 100, 400),
        ("b", "q", 2, 2, 1, 0, 1, ["s"], 10, 10),
        ("c", "q", 1, 1, 0, 0, 0, ["r"], 0, 0),
    ]


def test_silence_says_what_sampling_could_have_missed(w: Warehouse) -> None:
    pilot(w, sampling=1000)
    rows = w.query(
        "SELECT app, region, days_since_enabled, ipv6_records, note FROM kpi_stage1_silent"
    )
    assert rows == [
        (
            "a",
            "s",
            20,
            0,
            "no IPv6 to clients: fewer than about 3000 packets in 30 days (sampling 1 in 1000)",
        ),
        ("b", "r", 0, 1, "IPv6 to clients, but too little: fewer than 2 records or 2 clients"),
    ]


def test_silence_beside_an_unknown_interval_says_so(w: Warehouse) -> None:
    """Whoever scaled an exporter's counters said no interval: it may hide anything."""
    pilot(w, sampling=1000)
    w.heard(at("2024-05-01 00:00"), at("2024-05-01 05:00"), "scaled", sampling=0)
    assert w.one("SELECT note FROM kpi_stage1_silent WHERE region = 's'") == (
        "no IPv6 to clients; the sampling interval is not known",
    )


def test_translated_traffic_makes_no_endpoint_carrying(w: Warehouse) -> None:
    w.final_days(D, D)
    w.endpoint("a", "p", "r", enabled_on=D)
    w.traffic(D, app="a", family="v6", ip_class="translated", records=9, bytes=10)
    w.clients(D, [1, 2], scope="app", id="a")
    assert w.one("SELECT silent, ipv6_bytes, bytes FROM endpoint_status") == (True, 0, 10)


def test_records_without_bytes_make_no_endpoint_carrying(w: Warehouse) -> None:
    w.final_days(D, D)
    w.endpoint("a", "p", "r", enabled_on=D)
    w.traffic(D, app="a", family="v6", records=9, bytes=0)
    w.clients(D, [1, 2], scope="app", id="a")
    status = "SELECT silent, carrying, records, ipv6_bytes FROM endpoint_status"
    assert w.one(status) == (True, False, 9, 0)
    w.traffic(D, app="a", family="v6", records=1, bytes=1)
    assert w.one(status) == (False, True, 10, 1)


def test_traffic_without_a_product_counts_for_the_only_endpoint(w: Warehouse) -> None:
    w.final_days(D, D)
    w.endpoint("a", "p", "r", enabled_on=D)
    w.endpoint("b", "p", "r", enabled_on=D)
    w.endpoint("b", "q", "r", enabled_on=D)
    w.endpoint("", "z", "r", enabled_on=D)
    w.endpoint("lonely", "p", "r", enabled_on=D)
    w.traffic(D, app="lonely", family="v6", records=5, bytes=10)
    for day in (D - ONE, D):
        w.clients(day, [1], scope="app", id="lonely")  # one client, on two days
    for app in ("a", "b"):
        w.traffic(D, app=app, product="unclassified", family="v6", records=5, bytes=10)
        w.clients(D, [1, 2], scope="app", id=app)
    w.traffic(D, app="any", product="z", family="v6", records=5, bytes=10)
    w.clients(D, [1, 2], scope="product", id="z")
    assert w.query("SELECT app, product, carrying FROM endpoint_status ORDER BY ALL") == [
        ("", "z", True),
        ("a", "p", True),
        ("b", "p", False),
        ("b", "q", False),
        ("lonely", "p", False),
    ]


def test_the_products_own_endpoint_does_not_carry_what_is_an_apps(w: Warehouse) -> None:
    w.final_days(D, D)
    w.endpoint("a", "cdn", "r", enabled_on=D)
    w.endpoint("", "cdn", "r", enabled_on=D)
    w.clients(D, [1, 2], scope="app", id="a")
    w.clients(D, [1, 2], scope="product", id="cdn")
    w.traffic(D, app="a", product="cdn", family="v6", records=9, bytes=100)
    status = "SELECT app, records, ipv6_bytes, status FROM endpoint_status ORDER BY app"
    assert w.query(status) == [("", 0, 0, "silent"), ("a", 9, 100, "carrying")]
    w.traffic(D, app="b", product="cdn", family="v6", records=2, bytes=7)
    assert w.query(status) == [("", 2, 7, "carrying"), ("a", 9, 100, "carrying")]


# --- stage 2 --------------------------------------------------------------------------------


def active(w: Warehouse, where: str) -> list[tuple[object, ...]]:
    return w.query(
        'SELECT clients, clients_union, rotation_ratio, "both", penetration, standard_error '
        f"FROM kpi_stage2_active_clients WHERE period = '30_days' AND {where}"
    )


def test_prefixes_mean_union_and_rotation(w: Warehouse) -> None:
    w.final_days(D - 2 * ONE, D)
    for day in (D - 2 * ONE, D - ONE, D):
        w.traffic(day, records=1000)
    # A stray record on a day without data moves no mean.
    w.traffic(D - 9 * ONE)
    w.clients(D - 9 * ONE, [77])
    w.network("n", subscribers=10)
    for scope, name in (("all", ""), ("network", "n")):
        w.clients(D - ONE, [1, 2, 3], scope=scope, id=name)
        w.clients(D, [3, 4], scope=scope, id=name)
        w.clients(D, [4, 5], scope=scope, id=name, vantage="unlisted")  # the same day elsewhere
        w.clients(D, [6, 7, 8, 9], scope=scope, id=name, vantage="core")  # feeds no KPI
        w.clients(D, [10], scope=scope, id=name, family="v4")
    # days: {1, 2, 3} = 3 and {3, 4, 5} = 3: mean 3; union {1..5} = 5; rotation 5/3
    assert active(w, "scope = 'all' AND family = 'v6'") == [(3.0, 5.0, 5 / 3, None, None, 0.0)]
    # penetration = mean day / subscribers = 3 / 10
    assert active(w, "scope = 'network' AND family = 'v6'") == [(3.0, 5.0, 5 / 3, None, 0.3, 0.0)]
    # IPv4: 0 on the first of the two days, 1 on the second; 1 on each day on which there was any
    assert active(w, "scope = 'all' AND family = 'v4'")[0][:3] == (0.5, 1.0, 1.0)
    assert w.query(
        "SELECT day, clients FROM kpi_stage2_active_clients "
        "WHERE period = 'day' AND scope = 'all' AND family = 'v6' ORDER BY day"
    ) == [(D - ONE, 3.0), (D, 3.0)]


def test_sketches_unite_by_the_smaller_theta(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    quarter = 2**62  # theta / 2^64 = 1/4
    w.clients(D, [10, 20, quarter - 1], theta=quarter)
    w.clients(D, [20, 30, quarter, quarter + 5], vantage="unlisted", theta=2**63)
    # theta = 2^62; below it {10, 20, 30, 2^62 - 1} = 4; 4 / (1/4) = 16
    assert active(w, "scope = 'all'") == [(16.0, 16.0, 1.0, None, None, 0.016)]


def test_subscribers_are_observed_on_both_families(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.clients(D, [1, 2, 3], unit="subscriber", family="v6")
    w.clients(D, [3, 4], unit="subscriber", family="v4")
    # any = {1, 2, 3, 4}, both = {3}; penetration = 3 / 4
    assert active(w, "family = 'any'") == [(4.0, 4.0, 1.0, 1.0, None, 0.0)]
    assert active(w, "family = 'v6'") == [(3.0, 3.0, 1.0, None, 0.75, 0.0)]


def test_subscribers_on_both_families_are_those_below_theta(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    quarter = 2**62
    w.clients(D, [1, 2], unit="subscriber", theta=quarter)
    w.clients(D, [quarter], unit="subscriber", vantage="unlisted", theta=2**63)
    w.clients(D, [2, quarter], unit="subscriber", family="v4", theta=2**63)
    # Below 2^62: any = {1, 2}, both = {2}; each stands for 4.
    assert active(w, "family = 'any'") == [(8.0, 8.0, 1.0, 4.0, None, 0.016)]


@pytest.mark.parametrize("interval", [2, 100, 0])  # 0: scaled already, by a number not known
def test_counts_of_sampled_traffic_say_so(w: Warehouse, interval: int) -> None:
    w.final_days(D - ONE, D)
    w.traffic(D)
    w.target(2, "active_ipv6_clients_30d", 2)
    w.clients(D, [1, 2, 3], unit="subscriber")
    assert headline(w, "active_ipv6_clients_30d")[:3] == (3.0, 3.0, 3.0)
    assert w.one("SELECT DISTINCT sampled FROM kpi_stage2_active_clients") == (False,)
    w.final_days(D, D, exporter="e2", sampling=interval)
    value, low, high, _, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, low, high, attained) == (3.0, None, None, True)
    assert "a lower bound: exporters sample" in str(note)
    assert w.one("SELECT DISTINCT sampled FROM kpi_stage2_active_clients") == (True,)


def test_an_hour_of_unknown_sampling_is_sampled(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.clients(D, [1, 2, 3])
    w.connection.execute("UPDATE exporters_1h SET sampling_min = 0 WHERE hour(window_start) = 3")
    assert w.one("SELECT DISTINCT sampled FROM kpi_stage2_active_clients") == (True,)


def test_days_of_wrong_clocks_are_no_months(w: Warehouse) -> None:
    w.final_days(D, D)
    w.app("a")
    w.traffic(D, app="a", family="v6", records=1000, bytes=1)
    w.traffic(date(1995, 1, 1), app="a", family="v6", bytes=1)
    assert w.query("SELECT DISTINCT month FROM kpi_stage2_coverage") == [(date(2024, 5, 1),)]


def test_coverage_by_month(w: Warehouse) -> None:
    april = date(2024, 4, 30)
    w.final_days(april, D)
    w.app("a")
    w.app("b", 1)
    w.product("p")
    w.traffic(april, app="a", family="v6", bytes=1, client_region="x")
    w.traffic(D, app="a", family="v6", bytes=1, client_region="y")
    w.traffic(D, app="b", family="v4", bytes=9, client_region="x")
    w.traffic(D, app="b", family="v6", ip_class="translated", bytes=9, client_region="unknown")
    w.traffic(D + ONE, app="b", family="v6", bytes=1)  # not final
    assert w.query(
        'SELECT month, days, dimension, with_ipv6, "of", without FROM kpi_stage2_coverage'
    ) == [
        (date(2024, 4, 1), 1, "app", 1, 2, ["b"]),
        (date(2024, 4, 1), 1, "client_region", 1, 2, ["y"]),
        (date(2024, 4, 1), 1, "product", 1, 1, None),
        (date(2024, 5, 1), 1, "app", 1, 2, ["b"]),
        (date(2024, 5, 1), 1, "client_region", 1, 2, ["x"]),
        (date(2024, 5, 1), 1, "product", 1, 1, None),
    ]


# --- stage 3: parity and attainment ---------------------------------------------------------


def test_parity_is_a_matrix(w: Warehouse) -> None:
    w.final_days(D, D)
    w.product("p", core=True)
    w.product("q", core=True)
    w.product("side")
    w.endpoint("", "p", "r", enabled_on=D)
    w.endpoint("", "side", "s")
    w.traffic(D, product="p", family="v6", records=2, bytes=50)
    w.traffic(D, product="q", family="v4", records=2, bytes=70, service_region="t")
    w.traffic(D, product="side", family="v6", records=2, bytes=90)
    w.traffic(D, product="p", family="v6", records=1, bytes=5, service_region="s")  # too little
    w.traffic(D, product="q", family="v6", records=9, bytes=8)  # of one client only
    w.traffic(D, product="p", family="v6", records=9, bytes=7, service_region="unknown")  # nowhere
    # Requests that nobody answers, and a second client that no KPI counts.
    w.traffic(
        D, product="p", family="v6", records=9, bytes=9, service_region="t", direction="to_service"
    )
    w.clients(D, [2], scope="product", id="q", vantage="core")
    w.clients(D, [1, 2], scope="product", id="p")
    w.clients(D, [1], scope="product", id="q")
    rows = w.query(
        "SELECT product, region, planned, enabled, carrying, ipv6_bytes, bytes, cells_carrying, "
        "cells FROM kpi_stage3_parity"
    )
    # 2 core products x regions r, s (catalog), t (seen): 1 of 6 cells carries
    assert rows == [
        ("p", "r", 1, 1, True, 50, 50, 1, 6),
        ("p", "s", 0, 0, False, 5, 5, 1, 6),
        ("p", "t", 0, 0, False, 0, 0, 1, 6),
        ("q", "r", 0, 0, False, 8, 8, 1, 6),
        ("q", "s", 0, 0, False, 0, 0, 1, 6),
        ("q", "t", 0, 0, False, 0, 70, 1, 6),
    ]
    assert w.one("SELECT DISTINCT parity FROM kpi_stage3_parity") == (1 / 6,)


FIRST = date(2024, 1, 1)


def weekly_shares(w: Warehouse, shares: list[int], target: float = 0.9) -> None:
    """Week i (7 days from 1 January 2024) has 1,000 bytes a day, shares[i] of them IPv6."""
    last = FIRST + timedelta(days=7 * len(shares) - 1)
    w.final_days(FIRST, last)
    w.target(3, "top_apps_ipv6_share", target, top_n=20, weeks=4, ranking="live")
    for i, share in enumerate(shares):
        for day in range(7):
            when = FIRST + timedelta(days=7 * i + day)
            w.traffic(when, family="v6", bytes=share)
            w.traffic(when, family="v4", bytes=1000 - share)


def headline(w: Warehouse, metric: str = "top_apps_ipv6_share") -> tuple[object, ...]:
    return w.one(
        "SELECT value, ci_low, ci_high, target, attained, as_of, note FROM kpi_headline "
        f"WHERE metric = '{metric}'"
    )


def test_four_good_weeks_attain(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920])
    row = headline(w)
    last = FIRST + timedelta(days=27)
    assert row[:6] == (0.92, 0.92, 0.92, 0.9, True, last)
    assert f"first attained {last}" in str(row[6])
    # By wish: nothing is said of quarters.
    assert "live ranking of the last 28 days; " in str(row[6])
    w.connection.execute("UPDATE dim_targets SET ranking = 'previous_quarter'")
    assert "28 days, as the data hold no full quarter before; " in str(headline(w)[6])


def test_the_headline_is_the_newest_row_of_concentration(w: Warehouse) -> None:
    weekly_shares(w, [900, 910, 920])
    w.traffic(FIRST + timedelta(days=20), family="v6", bytes=0, bytes_variance=9_000)
    w.traffic(FIRST + timedelta(days=20), app="unclassified", bytes=70)
    where = "basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'"
    newest = w.one(
        "SELECT share, ci_low, ci_high, share_low, share_high, completeness, ranking "
        f"FROM kpi_stage3_concentration WHERE {where} ORDER BY week_end DESC LIMIT 1"
    )
    assert headline(w)[:3] == newest[:3]
    assert newest == w.one(
        "SELECT share, ci_low, ci_high, share_low, share_high, completeness, ranking "
        "FROM attainment ORDER BY day DESC LIMIT 1"
    )


def test_a_cut_week_is_shown_and_not_judged(w: Warehouse) -> None:
    w.final_days(D - 2 * ONE, D)
    w.target(3, "top_apps_ipv6_share", 0.5, weeks=1)
    w.traffic(D - 2 * ONE, family="v6", bytes=1)
    w.traffic(D, family="v6", bytes=9)
    row = headline(w)
    assert (row[0], row[4]) == (1.0, False)
    assert "only 3 days of data" in str(row[6])


def test_three_good_weeks_do_not(w: Warehouse) -> None:
    weekly_shares(w, [890, 920, 920, 920])
    # The difference of the first pair is 0.03, of the others 0: MAD = 0, so s_w = 0.
    assert headline(w)[4] is False
    assert "3 of 4 weeks" in str(headline(w)[6])


def test_week_to_week_noise_counts(w: Warehouse) -> None:
    weekly_shares(w, [800, 910, 930, 910, 930, 910])
    # differences, newest first: -0.02, 0.02, -0.02, 0.02, 0.11; median 0.02; distances from it
    # 0.04, 0, 0.04, 0, 0.09; MAD 0.04; s_w = 1.4826 * 0.04 / sqrt 2 = 0.041934;
    # judged = 0.91 - 1.645 * 0.041934 = 0.84102 < 0.9
    row = w.one(
        "SELECT differences, week_to_week, judged_share, weeks_met, met FROM attainment "
        "ORDER BY day DESC LIMIT 1"
    )
    assert row == (
        *(5, pytest.approx(0.041934, abs=1e-6), pytest.approx(0.84102, abs=1e-5)),
        *(0, False),
    )


def test_sampling_error_and_bounds_count(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920])
    last = FIRST + timedelta(days=27)
    # V = 30,000 on each family's side of the last day: v = (0.08^2 * 3e4 + 0.92^2 * 3e4) / 7000^2
    # = 0.8528 * 3e4 / 4.9e7 = 5.2212e-4; se = 0.022850; 0.92 - 1.645 * 0.02285 = 0.88241
    w.traffic(last, family="v6", bytes=0, bytes_variance=30_000)
    w.traffic(last, family="v4", bytes=0, bytes_variance=30_000)
    row = w.one("SELECT standard_error, judged_share FROM attainment ORDER BY day DESC LIMIT 1")
    assert row == (pytest.approx(0.02285, abs=1e-5), pytest.approx(0.88241, abs=1e-5))
    # 700 unclassified bytes in that week: share_low = 6440 / 7700
    w.traffic(last, app="unclassified", bytes=700)
    row = w.one("SELECT share, share_low FROM attainment ORDER BY day DESC LIMIT 1")
    assert row == (0.92, pytest.approx(6440 / 7700))


def test_an_incomplete_week_is_not_attained(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920])
    w.connection.execute(
        "DELETE FROM exporters_1h WHERE window_start >= TIMESTAMP '2024-01-10' "
        "AND window_start < TIMESTAMP '2024-01-10 04:00:00'"
    )
    # 164 of 168 hours = 97.6 %
    assert headline(w)[4] is False
    assert "3 of 4 weeks" in str(headline(w)[6])


def test_one_week_below_keeps_what_was_attained_and_two_lose_it(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920, 890])
    first = FIRST + timedelta(days=27)
    assert headline(w)[4] is True
    assert f"first attained {first}" in str(headline(w)[6])


def test_two_weeks_below_lose_it_and_keep_both_dates(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920, 890, 890])
    # k days at 890 in a week of 920: 920 - 30 k / 7 < 900 from k = 5 on, so the first week below
    # ends on day 32 (27 + 5, from 0) and the second one on day 39.
    first, lost = FIRST + timedelta(days=27), FIRST + timedelta(days=39)
    assert headline(w)[4] is False
    assert f"lost {lost}, first attained {first}" in str(headline(w)[6])
    rows = w.query("SELECT day FROM attainment WHERE below ORDER BY day")
    assert rows == [(lost,), (lost + ONE,), (lost + 2 * ONE,)]


def test_later_days_do_not_move_the_date_of_first_attainment(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=20, weeks=4, ranking="live")

    def headline_after(days: int) -> str:
        """The note with data of this many days: a week at 89 %, then 92 %."""
        w.connection.execute("DELETE FROM traffic_1d; DELETE FROM exporters_1h")
        w.final_days(FIRST, FIRST + timedelta(days=days - 1))
        for day in range(days):
            share = 890 if day < 7 else 920
            w.traffic(FIRST + timedelta(days=day), family="v6", bytes=share)
            w.traffic(FIRST + timedelta(days=day), family="v4", bytes=1000 - share)
        return str(headline(w)[6])

    # The oldest of the four weeks has j days at 92 %: 890 + 30 j / 7 >= 900 from j = 3 on. It then
    # ends on day 9 (from 0), and the newest on day 30. The differences are 0, 0 and 0.017: MAD 0.
    assert "3 of 4 weeks meet the rule" in headline_after(30)
    for days in (31, 32, 35, 37, 42):
        assert f"first attained {FIRST + timedelta(days=30)}" in headline_after(days)


def test_a_later_live_ranking_does_not_undo_what_was_attained(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, weeks=1, ranking="live")
    w.final_days(FIRST, FIRST + timedelta(days=27))
    for day in range(28):
        w.traffic(FIRST + timedelta(days=day), app="a", family="v6", bytes=1000)
        if day >= 21:  # from now on b is the top app of 28 days
            w.traffic(FIRST + timedelta(days=day), app="b", bytes=100_000)
    # Day 20 (from 0) is the first with two differences between weeks.
    value, _, _, _, attained, _, note = headline(w)
    assert (value, attained) == (0.0, True)
    assert f"first attained {FIRST + timedelta(days=20)}" in str(note)


def test_a_live_ranking_is_of_28_days(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, weeks=1, ranking="live")
    w.final_days(FIRST, FIRST + timedelta(days=28))
    for day in range(29):
        w.traffic(FIRST + timedelta(days=day), app="y", family="v6", bytes=10)
    w.traffic(FIRST, app="x", bytes=1000)
    shares = [share for (share,) in w.query("SELECT share FROM attainment ORDER BY day")]
    # x leads while its day is one of the 28: in its week with a share of 0, then with none.
    assert shares == [*[0.0] * 7, *[None] * 21, 1.0]


def test_of_equal_apps_the_first_by_name_is_judged(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, weeks=1, ranking="live")
    w.final_days(FIRST, FIRST + timedelta(days=6))
    for day in range(7):
        w.traffic(FIRST + timedelta(days=day), app="x", family="v6", bytes=10)
        w.traffic(FIRST + timedelta(days=day), app="y", bytes=10)
    (judged,) = w.query("SELECT share FROM attainment ORDER BY day DESC LIMIT 1")
    assert (
        judged
        == (1.0,)
        == w.one(
            "SELECT share FROM kpi_stage3_concentration "
            "WHERE basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'"
        )
    )


def test_a_rule_may_be_of_more_weeks_than_the_spread(w: Warehouse) -> None:
    weekly_shares(w, [920] * 14)
    w.connection.execute("UPDATE dim_targets SET weeks = 14")
    assert w.query("SELECT weeks_met, met FROM attainment ORDER BY day DESC LIMIT 1") == [
        (14, True)
    ]


def test_a_single_difference_is_no_spread(w: Warehouse) -> None:
    weekly_shares(w, [920, 920])
    w.connection.execute("UPDATE dim_targets SET weeks = 1")
    row = "SELECT differences, week_to_week, judged_share, met FROM attainment ORDER BY day DESC"
    assert w.query(row)[0] == (1, None, None, False)
    assert headline(w)[4] is False


def test_an_app_without_traffic_on_the_judged_day_counts_with_its_week(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, ranking="live")
    w.final_days(FIRST, FIRST + timedelta(days=8))
    for day in range(9):
        w.traffic(FIRST + timedelta(days=day), app="a", family="v6", bytes=100)
    w.traffic(FIRST + timedelta(days=2), app="b", bytes=300)
    # Days 2-8: 700 of a and 300 of b.
    assert w.query("SELECT numerator, denominator_value, days FROM attainment ORDER BY day")[
        -1
    ] == (*(700, 1000, 7),)


def test_what_was_below_before_it_was_attained_is_no_loss(w: Warehouse) -> None:
    weekly_shares(w, [890, 890, 890, 920, 920, 920, 920, 920])
    assert w.one("SELECT count(*) > 0 FROM attainment WHERE below") == (True,)
    assert headline(w)[4] is True
    note = str(headline(w)[6])
    assert "first attained" in note
    assert "in between" not in note


def test_an_unknown_sampling_error_is_never_attained(w: Warehouse) -> None:
    weekly_shares(w, [920, 920, 920, 920])
    w.connection.execute("UPDATE traffic_1d SET bytes_error_unknown = bytes")
    row = headline(w)
    assert (row[0], row[1], row[4]) == (0.92, None, False)
    assert "sampling error not known" in str(row[6])


@pytest.mark.parametrize(("unknown", "met"), [(70, True), (71, False)])
def test_an_error_of_over_one_percent_of_the_bytes_is_unknown(
    w: Warehouse, unknown: int, met: bool
) -> None:
    weekly_shares(w, [920, 920, 920, 920])
    # 1 % of the 7,000 bytes of the newest week are 70.
    w.traffic(FIRST + timedelta(days=27), bytes=0, bytes_error_unknown=unknown)
    row = w.one("SELECT standard_error, met FROM attainment ORDER BY day DESC LIMIT 1")
    assert row == (0.0 if met else None, met)


# --- headline, stages 1 and 2 ---------------------------------------------------------------


def test_headline_of_the_pilot(w: Warehouse) -> None:
    pilot(w)
    w.target(1, "apps_dual_stacked", 1)
    w.target(1, "products_dual_stacked", 2, by_date=D - 4 * ONE)
    assert headline(w, "apps_dual_stacked") == (
        *(1.0, None, None, 1.0, True, D),
        "1 declared dual-stacked, 0 of them with IPv6 seen at every enabled endpoint; "
        "2 overdue (1 of them partial); of 3 in the catalog",
    )
    assert headline(w, "products_dual_stacked") == (
        *(1.0, None, None, 2.0, False, D),
        "1 declared dual-stacked, 0 of them with IPv6 seen at every enabled endpoint; "
        "1 overdue (1 of them partial); of 2 in the catalog; "
        "target date 2024-05-10 passed 4 days ago",
    )


def test_overdue_means_the_same_on_the_board_as_in_the_headline(w: Warehouse) -> None:
    pilot(w)
    views = {name: w.table(f"SELECT * FROM {name}") for name in BOARD_VIEWS}
    summary = board(views)["stage_1_summary"].to_pylist()
    # b lacks 1 of 2 endpoints that are due, c all; both belong to q: 2 apps, 1 product, 2 endpoints
    overdue = {row["level"]: row["overdue"] for row in summary}
    assert overdue == {"app": 2, "product": 1, "endpoint": 2}
    for level in ("app", "product"):
        note = str(headline(w, f"{level}s_dual_stacked")[6])
        assert f"; {overdue[level]} overdue" in note


def test_headline_of_users_needs_subscriber_ids(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.target(2, "active_ipv6_clients_30d", 2)
    w.clients(D, [1, 2, 3])
    value, _, _, target, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, target, attained) == (3.0, 2.0, None)
    assert "a prefix is not a user" in str(note)
    w.clients(D, [7, 8], unit="subscriber")
    value, low, high, target, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, low, high, target, attained) == (2.0, 2.0, 2.0, 2.0, True)
    assert "3 IPv6 prefixes a day" in str(note)


def test_a_date_passes_while_users_cannot_be_counted(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.target(2, "active_ipv6_clients_30d", 2, by_date=D - ONE)
    w.clients(D, [1, 2, 3])
    assert "passed 1 days ago" in str(headline(w, "active_ipv6_clients_30d")[6])
    w.clients(D, [7, 8], unit="subscriber")
    assert "passed" not in str(headline(w, "active_ipv6_clients_30d")[6])


def test_ids_on_ipv4_alone_are_ids(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.target(2, "active_ipv6_clients_30d", 2)
    w.clients(D, [1, 2], unit="subscriber", family="v4")
    value, low, _, _, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, low, attained) == (0.0, 0.0, False)
    assert "distinct subscriber ids on IPv6 in 1 days" in str(note)
    w.clients(D, [7], family="v6")
    value, _, _, _, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, attained) == (0.0, False)
    assert "1 IPv6 prefixes a day whose exporters carry no subscriber id" in str(note)


def test_only_ipv4_clients_are_no_ipv6_client(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    w.target(2, "active_ipv6_clients_30d", 2)
    assert "no final day with clients yet" in str(headline(w, "active_ipv6_clients_30d")[6])
    w.clients(D, [1, 2], family="v4")
    value, _, _, _, attained, _, note = headline(w, "active_ipv6_clients_30d")
    assert (value, attained) == (0.0, None)
    assert "no IPv6 clients seen" in str(note)


def test_the_headline_says_what_was_rejected(w: Warehouse) -> None:
    weekly_shares(w, [920] * 4)
    w.entry(LEDGER_FILES, input_id="x", status="committed", rows_in=1000)
    w.entry(LEDGER_FILES, input_id="y", status="superseded", rows_in=10**6)
    # Another row counts them, or they stand for no traffic.
    for reason in ("egress_copy", "action_reject", "no_data", "zero_packets"):
        w.entry(REJECTS, input_id="x", reason=reason, rows=400)
    w.entry(REJECTS, input_id="x", reason="bad_address", rows=3)
    w.entry(REJECTS, input_id="x", reason="no_sampling_interval", rows=6)
    assert "rejected" not in str(headline(w)[6])
    w.entry(REJECTS, input_id="z", reason="no_sampling_interval", rows=1)
    assert "1.0 % of the rows read were rejected, most of them as no_sampling_interval" in str(
        headline(w)[6]
    )


def input_of(w: Warehouse, name: str, first: date, last: date, size: int = 1000) -> None:
    """An input of so many bytes that begins and ends on these days."""
    span = {"first_start": at(f"{first} 01:00"), "last_end": at(f"{last} 23:00")}
    w.entry(LEDGER_FILES, input_id=name, status="committed", rows_in=10, **span)
    w.entry(LEDGER_FAMILIES, input_id=name, disposition="counted", bytes=size)


# Weeks of ``weekly_shares`` with four of them: the newest one.
LAST = FIRST + timedelta(days=27)
WEEK_START = FIRST + timedelta(days=21)


def test_the_headline_says_what_is_doubtful(w: Warehouse) -> None:
    weekly_shares(w, [920] * 4)
    input_of(w, "x", WEEK_START, LAST)
    for name in "yz":
        input_of(w, name, LAST, LAST, size=0)
    w.entry(FINDINGS, input_id="x", exporter="e1", finding="documentation address", bytes=900)
    w.entry(FINDINGS, input_id="x", exporter="e1", finding="fewer bytes than headers", bytes=8)
    # Of what one input shares with others the most counts: the others share it, too.
    w.entry(LEDGER_OVERLAPS, input_id="z", other_input_id="x", rows=3, bytes=10)
    w.entry(LEDGER_OVERLAPS, input_id="z", other_input_id="y", rows=2, bytes=9)
    assert "doubtful" not in str(headline(w)[6])
    w.entry(LEDGER_OVERLAPS, input_id="y", other_input_id="x", rows=1, bytes=2)
    assert (
        '1.2 % of the bytes of the week\'s inputs are doubtful, "rows of another input": '
        "see findings" in str(headline(w)[6])
    )


@pytest.mark.parametrize(
    ("first", "last", "exporter", "said"),
    [
        (WEEK_START, LAST, "e1", True),
        (FIRST, WEEK_START, "e1", True),
        (LAST, LAST + timedelta(days=9), "e1", True),
        (FIRST, WEEK_START - timedelta(days=1), "e1", False),
        (LAST + timedelta(days=1), LAST + timedelta(days=9), "e1", False),
        (WEEK_START, LAST, "core router", False),
    ],
)
def test_what_is_doubtful_elsewhere_is_not_said_of_the_headline(
    w: Warehouse, first: date, last: date, exporter: str, said: bool
) -> None:
    weekly_shares(w, [920] * 4)
    w.exporter("core router", "core")
    w.heard(at(f"{FIRST} 00:00"), at(f"{LAST} 00:00"), "core router")
    input_of(w, "of the week", WEEK_START, LAST)
    input_of(w, "x", first, last)
    w.entry(FINDINGS, input_id="x", exporter=exporter, finding="two address families", bytes=100)
    assert ("doubtful" in str(headline(w)[6])) is said


def test_the_bytes_of_other_vantages_hide_nothing(w: Warehouse) -> None:
    """Nine tenths of the week's bytes are seen at the core: 5 of 100 are 5 %, not 0.5 %."""
    weekly_shares(w, [920] * 4)
    w.exporter("core router", "core")
    w.heard(at(f"{FIRST} 00:00"), at(f"{LAST + timedelta(days=1)} 01:00"), "core router")
    w.connection.execute("UPDATE exporters_1h SET bytes = 9 WHERE exporter = 'core router'")
    input_of(w, "x", WEEK_START, LAST)
    w.entry(FINDINGS, input_id="x", exporter="e1", finding="fewer bytes than headers", bytes=5)
    assert "5.0 % of the bytes of the week's inputs are doubtful, \"fewer" in str(headline(w)[6])
    # Of an overlap nobody knows whose rows they are: 40 bytes are 4 of 100.
    input_of(w, "y", FIRST, FIRST)
    w.entry(LEDGER_OVERLAPS, input_id="x", other_input_id="y", rows=1, bytes=40)
    assert "5.0 % of the bytes" in str(headline(w)[6])
    w.connection.execute("UPDATE ledger_overlaps SET bytes = 60")
    assert "6.0 % of the bytes of the week's inputs are doubtful, \"rows" in str(headline(w)[6])


def test_a_finding_whose_bytes_nobody_knows_hides_no_other(w: Warehouse) -> None:
    weekly_shares(w, [920] * 4)
    input_of(w, "x", WEEK_START, LAST)
    # As rules before version 7 left it.
    w.entry(FINDINGS, input_id="x", exporter="e1", finding="two address families", bytes=None)
    assert "doubtful" not in str(headline(w)[6])
    w.entry(FINDINGS, input_id="x", exporter="e1", finding="fewer bytes than headers", bytes=20)
    assert 'are doubtful, "fewer bytes than headers"' in str(headline(w)[6])


def test_the_headline_names_apps_that_left_the_catalog(w: Warehouse) -> None:
    weekly_shares(w, [920] * 4)
    assert "does not know (any more): 1" in str(headline(w)[6])
    w.app("a")
    assert "does not know" not in str(headline(w)[6])


def test_what_was_lost_and_attained_again_is_said(w: Warehouse) -> None:
    weekly_shares(w, [920] * 5 + [890] * 2 + [920] * 8)
    note = str(headline(w)[6])
    assert headline(w)[4] is True
    # Below: both weeks that end on a day are under 90 %. The last such day has a newest week of 5
    # days at 890 (920 - 30 * 5 / 7 < 900): 2 days behind the second week's end, day 48 (from 0).
    assert f"in between below the target until {FIRST + timedelta(days=50)}" in note
    assert "attained again" in note
