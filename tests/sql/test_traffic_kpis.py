"""Golden cases of the traffic shares, computed by hand: the arithmetic stands in the comments."""

import math
from datetime import date, timedelta

import pytest
from kpi_warehouse import Warehouse

D = date(2024, 5, 14)  # as_of in most cases; 2024-05-01 .. 2024-05-14 are two full weeks
ONE = timedelta(days=1)


def share_row(w: Warehouse, view: str, where: str) -> dict[str, object]:
    (row,) = w.table(f"SELECT * FROM {view} WHERE {where}").to_pylist()
    return dict(row)


BYTES = "basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'"


# --- the three kinds of share ---------------------------------------------------------------


def a_mix_of_classes(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=500, packets=5)
    w.traffic(D, family="v4", bytes=100, packets=1)
    w.traffic(D, family="v4", ip_class="6in4", bytes=40, packets=1)
    w.traffic(D, family="v6", ip_class="4in6", bytes=70, packets=1)
    w.traffic(D, family="v6", ip_class="translated", bytes=90, packets=1)
    w.traffic(D, family="v4", ip_class="native_v6", underlay="v4", bytes=120, packets=1)
    w.traffic(D, family="v6", ip_class="native_v4", underlay="v6", bytes=80, packets=1)
    # Never in an app denominator:
    w.traffic(D, family="v4", ip_class="overlay", bytes=10_000)
    w.traffic(D, family="v6", ip_class="srv6", bytes=10_000)
    w.traffic(D, family="v6", ip_class="control", bytes=10_000)


@pytest.mark.parametrize(
    ("kind", "numerator"),
    [
        # W = 500 + 100 + 40 + 70 + 90 + 120 + 80 = 1000
        ("strict", 500),  # native IPv6 whose outermost header is IPv6
        ("wire", 740),  # 500 + 70 (4in6) + 90 (translated) + 80 (IPv4 inside an IPv6 underlay)
        ("service", 660),  # 500 + 40 (6in4) + 120 (native IPv6 inside an IPv4 underlay)
    ],
)
def test_the_three_shares(w: Warehouse, kind: str, numerator: int) -> None:
    a_mix_of_classes(w)
    row = share_row(
        w, "share_by_app", f"basis = 'bytes' AND denominator = 'all' AND share_kind = '{kind}'"
    )
    assert (row["numerator"], row["denominator_value"]) == (numerator, 1000)
    assert row["share"] == numerator / 1000


def test_the_normalised_share_takes_the_headers_off(w: Warehouse) -> None:
    # bytes6 - 40 p6 = 1000 - 40 * 10 = 600; bytes4 - 20 p4 = 1000 - 20 * 10 = 800: 600 / 1400
    w.traffic(D, family="v6", bytes=1000, packets=10)
    w.traffic(D, family="v4", bytes=1000, packets=10)
    row = share_row(
        w,
        "share_by_app",
        "basis = 'bytes_normalised' AND denominator = 'all' AND share_kind = 'strict'",
    )
    assert (row["numerator"], row["denominator_value"]) == (600, 1400)
    assert row["share"] == pytest.approx(600 / 1400)
    assert row["ci_low"] is None


def test_the_normalised_share_is_null_where_packets_are_no_packets(w: Warehouse) -> None:
    # 64,000 bytes in one packet: host offload, 64 % of all bytes
    w.traffic(D, family="v6", bytes=64_000, packets=1)
    w.traffic(D, family="v4", bytes=36_000, packets=36)
    row = share_row(
        w,
        "share_by_app",
        "basis = 'bytes_normalised' AND denominator = 'all' AND share_kind = 'strict'",
    )
    assert row["share"] is None
    assert share_row(w, "share_by_app", BYTES)["share"] == 0.64


def test_a_jumbo_frame_is_a_packet(w: Warehouse) -> None:
    w.traffic(D, bytes=11 * 9216, packets=10, records=1, network="jumbo")
    w.traffic(D, bytes=11 * 9216 + 1, packets=10, records=1, network="more")
    assert w.query("SELECT network, offloaded_bytes FROM kpi_traffic_1d ORDER BY network") == [
        ("jumbo", 0),
        ("more", 11 * 9216 + 1 - 20 * 10),
    ]


def test_a_packet_that_midnight_cuts_is_no_offload(w: Warehouse) -> None:
    # One packet of 1,500 bytes: half its bytes before midnight, the packet after it.
    w.traffic(D, bytes=750, packets=0, records=1)
    w.traffic(D + ONE, bytes=750, packets=1, records=0)
    assert w.query("SELECT offloaded_bytes FROM kpi_traffic_1d") == [(0,), (0,)]


def test_what_is_offloaded_is_compared_on_one_basis(w: Warehouse) -> None:
    """A hundredth of the bytes without headers: 1,000 of 100,000, though not of those with them."""
    w.traffic(D, family="v6", bytes=31_000, packets=0, records=1, network="m")
    w.traffic(D, family="v4", bytes=3_069_000 + 20 * 50_000, packets=50_000)
    where = "basis = 'bytes_normalised' AND denominator = 'all' AND share_kind = 'strict'"
    assert share_row(w, "share_by_app", where)["share"] == 0.01


def test_fewer_bytes_than_headers_normalise_to_none(w: Warehouse) -> None:
    # 100 packets without bytes (some exporters) take nothing off the other family's: 600 / 1400
    w.traffic(D, family="v6", bytes=1000, packets=10)
    w.traffic(D, family="v4", bytes=1000, packets=10)
    w.traffic(D, family="v4", bytes=0, packets=100, network="m")
    w.traffic(D, family="v6", bytes=39, packets=1, network="m")
    where = "basis = 'bytes_normalised' AND denominator = 'all' AND share_kind = 'strict'"
    row = share_row(w, "share_by_app", where)
    assert (row["numerator"], row["denominator_value"]) == (600, 1400)


def test_an_app_of_no_packets_is_in_no_normalised_figure(w: Warehouse) -> None:
    w.final_days(D - 13 * ONE, D)
    w.target(3, "top_apps_ipv6_share", 0.5, ranking="live")
    for back in range(14):
        w.traffic(D - back * ONE, app="a", family="v6", bytes=64_000)  # host offload
        w.traffic(D - back * ONE, app="b", family="v6", bytes=600, packets=1)
        w.traffic(D - back * ONE, app="b", family="v4", bytes=580, packets=1)
    where = "basis = '{}' AND denominator = 'all' AND share_kind = 'strict'"
    shown = (
        "SELECT share, share_low, min_app, min_share, mean_share, apps_at_target "
        "FROM kpi_stage3_concentration WHERE "
    )
    normalised, plain = where.format("bytes_normalised"), where.format("bytes")
    # b: 600 - 40 = 560 of IPv6, 580 - 20 = 560 of IPv4
    assert w.query(shown + normalised)[0] == (None, None, "b", 0.5, 0.5, 1)
    assert w.query(shown + plain)[0][2:4] == ("b", 600 / 1180)
    change = "SELECT count(*) FROM kpi_stage3_change WHERE "
    assert w.one(change + normalised) == (0,)
    assert w.one(change + plain) == (2,)


@pytest.mark.parametrize(("offloaded", "rows"), [(20_000, 1), (30_000, 0)])
def test_a_change_allows_a_hundredth_of_both_weeks_to_be_offloaded(
    w: Warehouse, offloaded: int, rows: int
) -> None:
    # 0.8 % and 1.2 % of two equal weeks
    w.final_days(D - 13 * ONE, D)
    w.target(3, "top_apps_ipv6_share", 0.5, ranking="live")
    for back in range(14):
        w.traffic(D - back * ONE, family="v6", bytes=2_480_000, packets=2480)
        w.traffic(D - back * ONE, family="v6", bytes=offloaded, packets=1, network="m")
    assert w.one(
        "SELECT count(*) FROM kpi_stage3_change WHERE basis = 'bytes_normalised' "
        "AND denominator = 'all' AND share_kind = 'strict'"
    ) == (rows,)


def test_opens_are_a_basis_of_their_own(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=900, tcp_opens=3)
    w.traffic(D, family="v4", bytes=100, tcp_opens=1)
    row = share_row(
        w, "share_by_app", "basis = 'tcp_opens' AND denominator = 'all' AND share_kind = 'strict'"
    )
    assert (row["numerator"], row["denominator_value"], row["share"]) == (3, 4, 0.75)


def test_only_vantages_that_feed_the_kpis_count(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=1)
    w.traffic(D, family="v4", bytes=99, vantage="core")
    assert share_row(w, "share_by_app", BYTES)["share"] == 1.0


# --- denominators ---------------------------------------------------------------------------


def denominators(w: Warehouse, app: str = "a") -> dict[str, int]:
    return dict(
        w.query(
            "SELECT denominator, denominator_value FROM share_by_app "
            f"WHERE basis = 'bytes' AND share_kind = 'strict' AND app = '{app}'"
        )
    )


def test_enabled_and_capable_hold_on_that_day(w: Warehouse) -> None:
    w.endpoint("a", "p", "r", enabled_on=D)
    w.network("n", ipv6_since=D)
    w.network("late", ipv6_since=D + ONE)
    w.traffic(D - ONE, bytes=1)  # the day before: neither
    w.traffic(D, bytes=2)  # enabled and capable
    w.traffic(D, bytes=4, network="late")  # enabled only
    w.traffic(D, bytes=8, service_region="elsewhere")  # no endpoint there
    w.traffic(D, bytes=16, network="unknown")  # enabled only
    rows = w.query(
        "SELECT day, denominator, denominator_value FROM share_by_app "
        "WHERE basis = 'bytes' AND share_kind = 'strict' ORDER BY day, denominator"
    )
    assert rows == [
        (D - ONE, "all", 1),
        (D - ONE, "capable", 0),
        (D - ONE, "enabled", 0),
        (D, "all", 30),  # 2 + 4 + 8 + 16
        (D, "capable", 2),
        (D, "enabled", 22),  # 2 + 4 + 16
    ]


def test_an_endpoint_that_names_the_app_wins_over_the_products_own(w: Warehouse) -> None:
    w.endpoint("", "p", "r", enabled_on=D)
    w.endpoint("b", "p", "r")  # b is not enabled, whatever its product is
    w.traffic(D, app="a", bytes=1)
    w.traffic(D, app="b", bytes=2)
    assert denominators(w, "a")["enabled"] == 1
    assert denominators(w, "b")["enabled"] == 0


def test_traffic_without_a_product_needs_all_endpoints_of_its_app_there(w: Warehouse) -> None:
    w.endpoint("a", "p", "r", enabled_on=D)
    w.endpoint("a", "q", "r")
    w.endpoint("b", "p", "r", enabled_on=D)
    w.endpoint("b", "q", "r", enabled_on=D)
    w.traffic(D, app="a", product="unclassified", bytes=1)
    w.traffic(D, app="b", product="unclassified", bytes=2)
    assert denominators(w, "a")["enabled"] == 0
    assert denominators(w, "b")["enabled"] == 2


def test_traffic_of_an_unknown_region_needs_all_endpoints_of_its_app(w: Warehouse) -> None:
    w.endpoint("a", "p", "r", enabled_on=D)
    w.endpoint("a", "p", "s")
    w.endpoint("b", "p", "r", enabled_on=D)
    w.endpoint("b", "q", "s", enabled_on=D)
    for app, octets in (("a", 1), ("b", 2), ("none", 4)):
        w.traffic(
            D,
            app=app,
            family="v6",
            ip_class="translated",
            service_region="unknown",
            product="unclassified",
            bytes=octets,
        )
    assert denominators(w, "a")["enabled"] == 0
    assert denominators(w, "b")["enabled"] == 2
    assert denominators(w, "none")["enabled"] == 0


# --- bounds ---------------------------------------------------------------------------------


def test_bounds_of_an_app_hold_all_that_might_be_its_own(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=60)
    w.traffic(D, family="v4", bytes=20)
    w.traffic(D, family="unknown", ip_class="unknown", bytes=10)  # its own, of unknown family
    w.traffic(D, family="v4", app="unclassified", product="unclassified", bytes=6)
    w.traffic(D, family="v6", app="unclassified", product="unclassified", bytes=3)
    w.traffic(D, family="unknown", app="unclassified", product="unclassified", bytes=1)
    w.traffic(D, family="v4", ip_class="overlay", app="unclassified", bytes=500)  # no app traffic
    row = share_row(w, "share_by_app", f"{BYTES} AND app = 'a'")
    # U = 10 + 6 + 3 + 1 = 20; low 60 / (80 + 20), high (60 + 20) / (80 + 20)
    assert row["undecided"] == 20
    assert (row["share"], row["share_low"], row["share_high"]) == (0.75, 0.60, 0.80)
    # unclassified itself: only its unknown family is in doubt: 3 / 9; 3 / 10 .. 4 / 10
    row = share_row(w, "share_by_app", f"{BYTES} AND app = 'unclassified'")
    assert (row["undecided"], row["share_low"], row["share_high"]) == (1, 0.3, 0.4)


def test_bounds_of_a_network_doubt_only_the_unknown_family(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=60)
    w.traffic(D, family="v4", app="unclassified", product="unclassified", bytes=30)
    w.traffic(D, family="unknown", bytes=10)
    for view in ("share_by_network", "share_by_region"):
        row = share_row(w, view, BYTES)
        # W = 60 + 30 (its network and family are known), U = 10
        assert (row["denominator_value"], row["undecided"]) == (90, 10)
        assert (row["share_low"], row["share_high"]) == (0.6, 0.7)


def test_what_may_be_capable_widens_the_capable_share(w: Warehouse) -> None:
    w.endpoint("a", "p", "r", enabled_on=D)
    w.network("n", ipv6_since=D)
    w.traffic(D, family="v6", bytes=10)
    w.traffic(D, app="unclassified", product="unclassified", bytes=3)  # in the capable network
    w.traffic(D, app="unclassified", product="unclassified", network="other", bytes=5)
    undecided = dict(
        w.query(
            "SELECT denominator, undecided FROM share_by_app "
            "WHERE basis = 'bytes' AND share_kind = 'strict' AND app = 'a'"
        )
    )
    assert undecided == {"all": 8, "enabled": 8, "capable": 3}


# --- sampling error -------------------------------------------------------------------------


def test_unsampled_traffic_is_exact(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=1)
    w.traffic(D, family="v4", bytes=2)
    row = share_row(w, "share_by_app", BYTES)
    assert row["ci_low"] == row["share"] == row["ci_high"]
    assert row["suppressed"] is False


def test_the_wilson_interval_by_hand(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=600_000, bytes_variance=3_000_000_000)
    w.traffic(D, family="v4", bytes=400_000, bytes_variance=2_000_000_000)
    row = share_row(w, "share_by_app", BYTES)
    # S = 0.6, W = 1e6; v = (0.4^2 * 3e9 + 0.6^2 * 2e9) / 1e12 = (0.48e9 + 0.72e9) / 1e12 = 0.0012
    # n_eff = 1e12 / 5e9 = 200; S (1 - S) / v = 0.24 / 0.0012 = 200; n = 200
    n, s, z = 200, 0.6, 1.959963985
    middle = s + z * z / (2 * n)
    spread = z * math.sqrt(s * (1 - s) / n + z * z / (4 * n * n))
    assert row["ci_low"] == pytest.approx((middle - spread) / (1 + z * z / n), abs=1e-7)
    assert row["ci_high"] == pytest.approx((middle + spread) / (1 + z * z / n), abs=1e-7)
    assert row["ci_low"] == pytest.approx(0.53084, abs=1e-5)
    assert row["suppressed"] is False


def test_a_share_of_one_still_has_an_interval(w: Warehouse) -> None:
    # v = 0, so n = n_eff = 1e6 / 1e4 = 100: low = 1 / (1 + z^2 / n) = 1 / 1.038415
    w.traffic(D, family="v6", bytes=1000, bytes_variance=10_000)
    row = share_row(w, "share_by_app", BYTES)
    assert row["ci_low"] == pytest.approx(1 / 1.0384146, abs=1e-6)
    assert row["ci_high"] == 1.0


def test_under_30_effective_draws_is_marked(w: Warehouse) -> None:
    # n_eff = 1000^2 / 50,000 = 20
    w.traffic(D, family="v6", bytes=1000, bytes_variance=50_000)
    row = share_row(w, "share_by_app", BYTES)
    assert row["suppressed"] is True
    assert row["share"] == 1.0


@pytest.mark.parametrize(("unknown", "known"), [(10, True), (11, False)])
def test_no_interval_where_over_one_percent_has_an_unknown_error(
    w: Warehouse, unknown: int, known: bool
) -> None:
    w.traffic(D, family="v6", bytes=1000, bytes_variance=1000, bytes_error_unknown=unknown)
    assert (share_row(w, "share_by_app", BYTES)["ci_low"] is not None) is known


def test_little_of_unknown_error_beside_what_was_not_sampled_is_exact(w: Warehouse) -> None:
    w.traffic(D, family="v6", bytes=995)
    w.traffic(D, family="v4", bytes=5, bytes_error_unknown=5)
    row = share_row(w, "share_by_app", BYTES)
    assert (row["share"], row["ci_low"], row["ci_high"]) == (0.995, 0.995, 0.995)


def test_sums_over_bigint_are_exact(w: Warehouse) -> None:
    big = 2**62
    for _ in range(4):
        w.traffic(D, family="v6", bytes=big, bytes_variance=2**100)
    row = share_row(w, "share_by_app", BYTES)
    assert row["numerator"] == row["denominator_value"] == 4 * big


# --- concentration and the apps -------------------------------------------------------------


def two_weeks(w: Warehouse) -> None:
    """Apps a and b in the weeks 1-7 and 8-14 May; all bytes of a week on its last day."""
    w.final_days(date(2024, 5, 1), D)
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, weeks=4, denominator="all", ranking="live")
    for day in range(1, 15):
        w.traffic(date(2024, 5, day), app="unclassified", product="unclassified", bytes=0)
    for app, v6, v4 in (("a", 60, 20), ("b", 10, 10)):
        w.traffic(D - 7 * ONE, app=app, family="v6", bytes=v6)
        w.traffic(D - 7 * ONE, app=app, family="v4", bytes=v4)
    for app, v6, v4 in (("a", 95, 5), ("b", 20, 80)):
        w.traffic(D, app=app, family="v6", bytes=v6)
        w.traffic(D, app=app, family="v4", bytes=v4)
    w.traffic(D, app="small", family="v4", bytes=9)  # third by bytes: not in the top 2
    w.traffic(D, app="unclassified", product="unclassified", bytes=50)


def test_concentration_by_week(w: Warehouse) -> None:
    two_weeks(w)
    rows = w.query(
        "SELECT week_start, week_end, days, numerator, denominator_value, share, undecided, "
        "share_low, share_high, apps, apps_at_target, min_app, min_share, mean_share, gap, "
        f"to_convert, completeness, ranking FROM kpi_stage3_concentration WHERE {BYTES}"
    )
    newest, before = rows
    # 95 + 20 = 115 of 200; U = 50: 115 / 250, 165 / 250; a 0.95, b 0.20, mean 0.575
    # gap 0.9 - 0.575 = 0.325, * 200 = 65 bytes to convert
    assert newest[:5] == (date(2024, 5, 8), D, 7, 115, 200)
    assert newest[5:9] == (0.575, 50, 115 / 250, 165 / 250)
    assert newest[9:13] == (2, 1, "b", 0.2)
    assert newest[13:17] == pytest.approx((0.575, 0.325, 65.0, 1.0))
    assert newest[17] == "live"
    # 70 of 100
    assert before[:6] == (date(2024, 5, 1), D - 7 * ONE, 7, 70, 100, 0.7)


def test_the_apps_of_the_newest_week(w: Warehouse) -> None:
    two_weeks(w)
    w.app("a")
    rows = w.query(
        "SELECT rank, app, name, numerator, denominator_value, share, share_low, weight, gap, "
        f"debt, at_target FROM kpi_stage3_apps WHERE {BYTES} ORDER BY rank"
    )
    a, b = rows
    assert a[:6] == (1, "a", "A", 95, 100, 0.95)
    assert a[6] == 95 / 150  # all 50 unclassified bytes might be a's
    # weight 1/2; gap 0.5 * (0.9 - 0.95) = -0.025; no debt
    assert a[7:] == (0.5, pytest.approx(-0.025), 0.0, True)
    # gap 0.5 * (0.9 - 0.2) = 0.35; debt 0.7 * 100 = 70
    assert b[7:] == (0.5, pytest.approx(0.35), pytest.approx(70.0), False)
    # The gaps add up to target - S = 0.325.
    assert a[8] + b[8] == pytest.approx(0.325)


def test_change_by_hand(w: Warehouse) -> None:
    two_weeks(w)
    rows = w.query(
        "SELECT app, rate, mix, total_share_1, total_share_2, total_change "
        f"FROM kpi_stage3_change WHERE {BYTES} ORDER BY app"
    )
    # week 1: w_a = 0.8, s_a = 0.75; w_b = 0.2, s_b = 0.5; S = 0.7
    # week 2: w_a = 0.5, s_a = 0.95; w_b = 0.5, s_b = 0.2; S = 0.575; mean S = 0.6375
    # rate_a = 0.65 * 0.2 = 0.13          mix_a = -0.3 * (0.85 - 0.6375) = -0.06375
    # rate_b = 0.35 * -0.3 = -0.105       mix_b = 0.3 * (0.35 - 0.6375) = -0.08625
    # sum: 0.13 - 0.06375 - 0.105 - 0.08625 = -0.125
    assert rows[0] == ("a", *map(pytest.approx, (0.13, -0.06375, 0.7, 0.575, -0.125)))
    assert rows[1] == ("b", *map(pytest.approx, (-0.105, -0.08625, 0.7, 0.575, -0.125)))


def test_change_does_not_depend_on_the_order_of_rows() -> None:
    """Weeks of over 2^53 bytes, of which no double holds every sum."""
    rows = [
        (day, app, family, 2**57 + 3 * (7 * day + 11 * app) + family)
        for day in range(14)
        for app in range(5)
        for family in range(2)
    ]
    found = []
    for order in (rows, rows[::-1], sorted(rows, key=lambda row: row[3] % 7)):
        w = Warehouse()
        w.final_days(D - 27 * ONE, D)
        w.target(3, "top_apps_ipv6_share", 0.9, top_n=5, ranking="live")
        for day, app, family, size in order:
            w.traffic(D - day * ONE, app=f"a{app}", family=("v4", "v6")[family], bytes=size)
        found.append(w.query("SELECT * FROM kpi_stage3_change"))
    assert found[0]
    assert found[0] == found[1] == found[2]


def test_change_needs_two_full_weeks(w: Warehouse) -> None:
    for back in range(13):
        w.traffic(D - back * ONE, family="v6", bytes=1)
    w.final_days(D - 13 * ONE, D)
    assert w.one("SELECT count(*) FROM kpi_stage3_change") == (0,)
    w.traffic(D - 13 * ONE, family="v4", bytes=1)  # the first day of the first of them
    # 6 of 7 bytes, then 7 of 7
    assert w.query(f"SELECT share_1, share_2 FROM kpi_stage3_change WHERE {BYTES}") == [(6 / 7, 1)]


def test_change_adds_up_when_an_app_comes_or_goes(w: Warehouse) -> None:
    two_weeks(w)
    w.connection.execute("UPDATE dim_targets SET top_n = 5")
    w.traffic(D - 7 * ONE, app="gone", family="v6", bytes=31)
    rows = w.query(
        "SELECT basis, denominator, share_kind, sum(rate + mix), any_value(total_change) "
        "FROM kpi_stage3_change GROUP BY ALL HAVING any_value(total_change) IS NOT NULL"
    )
    assert rows
    for row in rows:
        assert row[3] == pytest.approx(row[4], abs=1e-12)
    coming = w.one(f"SELECT rate, mix FROM kpi_stage3_change WHERE {BYTES} AND app = 'small'")
    assert coming[0] == 0.0
    assert coming[1] < 0


def test_the_waterfall_puts_every_byte_in_one_place(w: Warehouse) -> None:
    w.final_days(D - 28 * ONE, D)
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, ranking="live")
    w.endpoint("a", "p", "r", enabled_on=D - 40 * ONE)
    w.network("n", ipv6_since=D - 40 * ONE)
    w.traffic(D - 28 * ONE, bytes=1)  # before the 28 days
    w.traffic(D, family="v6", bytes=1000)  # strict: not in the queue
    w.traffic(D, family="v4", bytes=7)  # enabled, capable: residual
    w.traffic(D - 27 * ONE, family="v4", bytes=100)  # the first of the 28 days: residual
    w.traffic(D, family="v4", network="old", bytes=20)  # client not capable
    w.traffic(D, family="v4", service_region="s", network="old", bytes=300)  # not enabled
    w.traffic(D, family="v6", ip_class="translated", service_region="s", bytes=30)
    w.traffic(D, family="v4", ip_class="native_v6", underlay="v4", bytes=5)
    w.traffic(D, family="unknown", bytes=11)  # no denominator byte
    w.traffic(D, app="z", family="v4", bytes=999)  # not a top app
    rows = w.query("SELECT place, reason, service_region, network, bytes FROM kpi_stage3_waterfall")
    assert rows == [
        (1, "not_enabled", "s", "old", 300),
        (2, "residual", "r", "n", 107),
        (3, "tunnelled_or_translated", "s", "n", 30),
        (4, "client_not_capable", "r", "old", 20),
        (5, "tunnelled_or_translated", "r", "n", 5),
    ]
    # 462 = denominator - numerator of the strict share over the same days, and the parts are 1
    difference = w.one(
        "SELECT sum(denominator_value - numerator) FROM share_by_app "
        f"WHERE {BYTES} AND app = 'a' AND day >= DATE '{D - 27 * ONE}'"
    )
    assert w.one("SELECT sum(bytes), sum(part) FROM kpi_stage3_waterfall") == (
        difference[0],
        pytest.approx(1.0),
    )
    assert difference[0] == 462


# --- ranking --------------------------------------------------------------------------------


def test_the_ranking_is_that_of_the_previous_full_quarter(w: Warehouse) -> None:
    w.final_days(date(2023, 12, 31), D)
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="previous_quarter")
    for day in range(82):  # 82 of its 91 days are 9 of 10
        w.traffic(date(2024, 1, 1) + timedelta(days=day), app="unclassified")
    w.traffic(date(2023, 12, 31), app="d", bytes=99)  # before the quarter
    w.traffic(date(2024, 1, 1), app="b", family="v6", bytes=5)
    w.traffic(date(2024, 3, 31), app="c", family="v4", bytes=5)  # a tie with b: by id
    w.traffic(date(2024, 3, 31), app="a", bytes=4)
    w.traffic(date(2024, 3, 31), app="unclassified", bytes=50)
    w.traffic(D, app="a", bytes=1000)  # this quarter
    assert w.query("SELECT rank, app, mode, ranking_bytes FROM top_apps ORDER BY rank") == [
        (1, "b", "previous_quarter", 5),
        (2, "c", "previous_quarter", 5),
    ]
    w.connection.execute("DELETE FROM traffic_1d WHERE window_start = TIMESTAMP '2024-01-02'")
    w.connection.execute("DELETE FROM traffic_1d WHERE window_start = TIMESTAMP '2024-01-03'")
    assert w.query("SELECT DISTINCT mode FROM top_apps") == [("live",)]


@pytest.mark.parametrize(("days", "mode"), [(81, "previous_quarter"), (80, "live")])
def test_nine_of_ten_days_hold_a_quarter(w: Warehouse, days: int, mode: str) -> None:
    today = date(2023, 5, 14)
    w.final_days(today, today)
    w.traffic(date(2022, 12, 31))  # the data do not begin within the quarter
    for day in range(days):  # of the 90 of January to March 2023
        w.traffic(date(2023, 1, 1) + timedelta(days=day), bytes=1)
    w.traffic(today, bytes=1)
    assert w.query("SELECT DISTINCT mode FROM top_apps") == [(mode,)]


def test_without_a_full_quarter_the_ranking_is_live(w: Warehouse) -> None:
    w.final_days(date(2024, 1, 2), D)
    w.traffic(date(2024, 1, 2), app="b", bytes=99)  # the quarter is not full; before the 28 days
    w.traffic(D, app="a", bytes=1)
    assert w.query("SELECT rank, app, mode, from_day, to_day FROM top_apps") == [
        (1, "a", "live", D - 27 * ONE, D)
    ]


def test_a_pinned_ranking_is_the_catalogs(w: Warehouse) -> None:
    w.final_days(D, D)
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="pinned", ranking_apps=["z", "a", "m"])
    w.traffic(D, app="a", family="v6", bytes=10)
    w.traffic(D, app="m", bytes=10)
    assert w.query("SELECT rank, app, mode FROM top_apps ORDER BY rank") == [
        (1, "z", "pinned"),
        (2, "a", "pinned"),
    ]
    # z has no traffic: it is listed, with no share.
    assert w.query(
        f"SELECT app, denominator_value, share FROM kpi_stage3_apps WHERE {BYTES} ORDER BY rank"
    ) == [("z", 0, None), ("a", 10, 1.0)]
