"""Views in the headline's kind of share: each byte in one row, and what sums of rows are."""

import random
from datetime import date, datetime, time, timedelta

import pytest
from kpi_warehouse import Warehouse

D = date(2024, 5, 14)
ONE = timedelta(days=1)
SUMS = "sum(numerator), sum(denominator_value), sum(undecided)"
FAMILIES = (("v6", "native_v6"), ("v4", "native_v4"), ("v4", "6in4"), ("unknown", "unknown"))


def a_rollout(w: Warehouse, denominator: str) -> None:
    """28 days of a few apps, regions and networks, some traffic of no app and of no family."""
    rng = random.Random(7)
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="live", denominator=denominator)
    w.final_days(D - 27 * ONE, D)
    w.network("n1", carrier="c1", ipv6_since=D - 20 * ONE)
    w.network("n2", carrier="c1")
    w.network("n3", carrier="c2", ipv6_since=D - 40 * ONE)
    for app in ("a", "b", "c"):
        w.endpoint(app, "p", "r", enabled_on=D - rng.randrange(30) * ONE)
    for day in range(28):
        for app in ("a", "b", "c", "unclassified"):
            values = {
                "app": app,
                "client_region": rng.choice(["east", "west"]),
                "network": rng.choice(["n1", "n2", "n3", "unknown"]),
                "bytes_variance": rng.randrange(5000),
            }
            values["family"], values["ip_class"] = rng.choice(FAMILIES)
            parts = {rng.randrange(24): rng.randrange(1, 10**6) for _ in range(3)}
            w.traffic(D - day * ONE, bytes=sum(parts.values()), **values)
            for place, (hour, size) in enumerate(parts.items()):
                start = datetime.combine(D - day * ONE, time(hour))
                # The variance is a sum as well: all of it in one hour.
                w.hour(start, bytes=size, **{**values, **({"bytes_variance": 0} if place else {})})


@pytest.fixture(params=["all", "enabled", "capable"])
def rollout(w: Warehouse, request: pytest.FixtureRequest) -> Warehouse:
    a_rollout(w, request.param)
    return w


def of_target(w: Warehouse) -> str:
    ((denominator,),) = w.query("SELECT denominator FROM target_share")
    return f"basis = 'bytes' AND denominator = '{denominator}' AND share_kind = 'strict'"


def test_every_sum_of_the_headlines_rows_is_that_of_the_view_that_browses(
    rollout: Warehouse,
) -> None:
    for view, column in (
        ("share_by_app", "app"),
        ("share_by_app_region", "app, client_region"),
        ("share_by_app_network", "app, network"),
    ):
        wanted = rollout.query(
            f"SELECT day, {column}, numerator, denominator_value, share, ci_low, ci_high "
            f"FROM {view} WHERE {of_target(rollout)} ORDER BY ALL"
        )
        found = rollout.query(
            f"SELECT day, {column}, sum(numerator), sum(denominator_value), "
            "share_of(sum(numerator), sum(denominator_value)), "
            + ", ".join(
                f"share_ci_{end}(sum(numerator), sum(denominator_value), sum(variance_num), "
                "sum(variance_all), sum(error_unknown))"
                for end in ("low", "high")
            )
            + f" FROM share_headline_1d GROUP BY day, {column} ORDER BY ALL"
        )
        assert len(found) == len(wanted) > 0
        for row, other in zip(found, wanted, strict=True):
            assert row[:-5] == other[:-5]
            assert row[-5:] == pytest.approx(other[-5:])


def test_what_may_be_an_apps_own_is_what_the_sums_of_shares_say(rollout: Warehouse) -> None:
    assert rollout.query(
        "SELECT day, app, sum(undecided) FROM share_headline_1d GROUP BY ALL ORDER BY ALL"
    ) == rollout.query(
        "SELECT day, id, undecided FROM share_sums_1d "
        f"WHERE scope = 'app' AND {of_target(rollout)} ORDER BY ALL"
    )
    # Of a row's bounds: what share_by_app_region counts in, in the same network.
    rows = rollout.query(
        "SELECT numerator, denominator_value, undecided + loose, share_low, share_high "
        "FROM share_headline_1d WHERE denominator_value > 0"
    )
    for part, whole, may_be, low, high in rows:
        assert low == pytest.approx(part / (whole + may_be))
        assert high == pytest.approx((part + may_be) / (whole + may_be))
    loose = "SELECT day, client_region, network, max(loose) FROM share_headline_1d GROUP BY ALL"
    rollout.connection.execute("UPDATE traffic_1d SET bytes = 0 WHERE app = 'unclassified'")
    assert {row[3] for row in rollout.query(loose)} == {0}


def test_a_region_has_the_same_share_however_it_is_added_up(rollout: Warehouse) -> None:
    for view, column in (("share_by_region", "client_region"), ("share_by_network", "network")):
        wanted = rollout.query(
            f"SELECT day, {column}, numerator, denominator_value FROM {view} "
            f"WHERE {of_target(rollout)} AND {column} IS NOT NULL ORDER BY ALL"
        )
        assert wanted == rollout.query(
            f"SELECT day, {column}, sum(numerator), sum(denominator_value) "
            "FROM share_headline_1d GROUP BY ALL ORDER BY ALL"
        )


def test_the_ranked_rows_of_the_newest_week_are_the_headline(rollout: Warehouse) -> None:
    (value,) = rollout.one("SELECT value FROM kpi_headline WHERE stage = 3")
    found = rollout.one(
        "SELECT sum(numerator) / sum(denominator_value) FROM share_headline_1d "
        "WHERE rank IS NOT NULL AND final AND day > (SELECT max(as_of) FROM as_of) - 7"
    )
    assert found == (pytest.approx(value),)
    assert rollout.query("SELECT DISTINCT rank FROM share_headline_1d ORDER BY 1") == [
        (1,), (2,), (None,),
    ]  # fmt: skip


def test_the_hours_of_four_weeks_add_up_to_these_weeks(rollout: Warehouse) -> None:
    wanted = rollout.query(
        f"SELECT {SUMS} FROM kpi_stage3_concentration WHERE {of_target(rollout)}"
    )
    assert rollout.query(f"SELECT {SUMS} FROM share_by_hour") == wanted
    hours = [hour for (hour,) in rollout.query("SELECT hour FROM share_by_hour")]
    assert hours == sorted(set(hours))
    assert set(hours) <= set(range(24))


def test_an_hour_by_hand(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, ranking="live")
    w.final_days(D - 28 * ONE, D)
    for day, family, hours in (
        (D, "v6", {20: 60}),
        (D, "v4", {20: 40, 3: 50}),
        (D - ONE, "v6", {20: 100}),
        (D - 28 * ONE, "v4", {20: 1000}),  # before the 28 days
    ):
        w.traffic(day, family=family, bytes=sum(hours.values()))
        for hour, size in hours.items():
            w.hour(datetime.combine(day, time(hour)), family=family, bytes=size)
    assert w.query(
        "SELECT hour, days, numerator, denominator_value, share, ci_low FROM share_by_hour"
    ) == [(3, 1, 0, 50, 0.0, 0.0), (20, 2, 160, 200, 0.8, 0.8)]


def test_a_carrier_is_the_sum_of_its_networks(rollout: Warehouse) -> None:
    numbers = "sum(numerator), sum(denominator_value), sum(undecided)"
    key = "day, carrier, basis, denominator, share_kind"
    carriers = rollout.query(
        f"SELECT {key}, {numbers} FROM share_by_network WHERE scope = 'carrier' "
        "GROUP BY ALL ORDER BY ALL"
    )
    assert carriers == rollout.query(
        f"SELECT {key}, {numbers} FROM share_by_network WHERE carrier IS NOT NULL "
        "AND scope = 'network' GROUP BY ALL ORDER BY ALL"
    )
    assert {row[1] for row in carriers} == {"c1", "c2"}
    # A network without a carrier stands for itself alone.
    assert rollout.query(
        "SELECT DISTINCT scope, carrier FROM share_by_network WHERE network = 'unknown'"
    ) == [("network", None)]


def test_without_carriers_there_are_only_networks(w: Warehouse) -> None:
    w.final_days(D, D)
    w.traffic(D)
    assert w.query("SELECT DISTINCT scope FROM share_by_network") == [("network",)]


def test_what_a_carrier_is_called_changes_no_day_that_was_published(rollout: Warehouse) -> None:
    before = rollout.query("SELECT * FROM kpi_sums_1d ORDER BY day")
    rollout.connection.execute("UPDATE dim_networks SET carrier = 'another'")
    assert rollout.query("SELECT * FROM kpi_sums_1d ORDER BY day") == before
