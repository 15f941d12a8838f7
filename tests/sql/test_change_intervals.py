"""Is this drop real? The intervals, the scatter and the verdicts of kpi_stage3_change."""

import math
from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from kpi_warehouse import Warehouse

D = date(2024, 5, 14)
ONE = timedelta(days=1)
WEEK = timedelta(days=7)
BYTES = "basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'"
Z = 1.959963985

# Per app: bytes of IPv6 and of IPv4, in the earlier week and in the later one.
Bytes = dict[tuple[str, int, int], float]
SIZES: Bytes = {
    ("a", 0, 0): 7000, ("a", 0, 1): 3000, ("a", 1, 0): 4000, ("a", 1, 1): 4500,
    ("b", 0, 0): 2500, ("b", 0, 1): 2500, ("b", 1, 0): 6000, ("b", 1, 1): 1000,
    ("come", 1, 0): 900, ("come", 1, 1): 300,
    ("gone", 0, 0): 200, ("gone", 0, 1): 1700,
}  # fmt: skip
VARIANCES = {key: 3 * size + 17 * place for place, (key, size) in enumerate(SIZES.items())}


def kitagawa(sizes: Mapping[tuple[str, int, int], float]) -> dict[str, float]:
    """Rate and mix of each app and the change of all, by the formula alone."""
    apps = sorted({app for app, _, _ in sizes})
    whole = {
        (app, week): sizes.get((app, week, 0), 0) + sizes.get((app, week, 1), 0)
        for app in apps
        for week in (0, 1)
    }
    total = [sum(whole[app, week] for app in apps) for week in (0, 1)]
    all_shares = [
        sum(sizes.get((app, week, 0), 0) for app in apps) / total[week] for week in (0, 1)
    ]
    found = {"total": all_shares[1] - all_shares[0]}
    for app in apps:
        share = [
            sizes[app, week, 0] / whole[app, week] if whole[app, week] else None for week in (0, 1)
        ]
        first, second = (own if own is not None else share[1 - i] for i, own in enumerate(share))
        weight = [whole[app, week] / total[week] for week in (0, 1)]
        found[f"rate {app}"] = sum(weight) / 2 * (second - first)
        found[f"mix {app}"] = (weight[1] - weight[0]) * (first + second - sum(all_shares)) / 2
    return found


def error_by_small_steps(name: str) -> float:
    """The standard error of a figure: how it moves with each count, times that one's variance."""
    variance = 0.0
    for key, size in SIZES.items():
        step = size * 1e-5
        up, down = (kitagawa({**SIZES, key: size + sign * step})[name] for sign in (1, -1))
        variance += ((up - down) / (2 * step)) ** 2 * VARIANCES[key]
    return math.sqrt(variance)


def test_the_intervals_follow_from_the_variances_of_all_counts(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=9, ranking="live")
    w.final_days(D - 13 * ONE, D)
    for (app, week, family), size in SIZES.items():
        w.traffic(
            D - (7 - 7 * week) * ONE,
            app=app,
            family=("v6", "v4")[family],
            bytes=int(size),
            bytes_variance=VARIANCES[app, week, family],
        )
    w.traffic(D - 13 * ONE, app="unclassified", bytes=1)  # the first day of two full weeks
    rows = w.table(f"SELECT * FROM kpi_stage3_change WHERE {BYTES}").to_pylist()
    assert {row["app"] for row in rows} == {"a", "b", "come", "gone"}
    wanted = kitagawa(SIZES)
    for row in rows:
        for figure, name in (
            ("rate", f"rate {row['app']}"),
            ("mix", f"mix {row['app']}"),
            ("total", "total"),
        ):
            value = row["total_change" if figure == "total" else figure]
            assert value == pytest.approx(wanted[name], abs=1e-15)
            half = Z * error_by_small_steps(name)
            assert row[f"{figure}_ci_high"] - value == pytest.approx(half, rel=1e-6, abs=1e-12)
            assert value - row[f"{figure}_ci_low"] == pytest.approx(half, rel=1e-6, abs=1e-12)
        assert row["total_verdict"] == "not known: fewer than 2 earlier changes"
    assert wanted["rate come"] == wanted["rate gone"] == 0


def weeks(w: Warehouse, shares: list[float]) -> None:
    """An app alone, with these shares in consecutive weeks; the last one ends on D."""
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=1, ranking="live")
    first = D - len(shares) * WEEK + ONE
    w.final_days(first, D)
    w.traffic(first, app="unclassified")
    for back, share in enumerate(reversed(shares)):
        for family, part in (("v6", share), ("v4", 1 - share)):
            w.traffic(D - back * WEEK, family=family, bytes=round(part * 10_000))


CHANGE = (
    "SELECT rate, rate_scatter, rate_verdict, total_scatter, total_verdict, mix_verdict, "
    f"earlier_changes FROM kpi_stage3_change WHERE {BYTES} AND period = 'week'"
)


@pytest.mark.parametrize(
    ("newest", "verdict"),
    [(0.75, "within sampling and scatter"), (0.74, "real drop"), (0.87, "real rise")],
)
def test_a_drop_is_real_where_it_is_more_than_the_usual_scatter(
    w: Warehouse, newest: float, verdict: str
) -> None:
    # 12 changes of +-0.02 before the newest one: MAD 0.02, scatter 1.4826 * 0.02 = 0.029652, and
    # 1.96 times that is 0.0581. From 0.80: -0.05 is less, -0.06 and +0.07 are more.
    weeks(w, [0.80, 0.82] * 6 + [0.80, newest])
    rate, scatter, said, total_scatter, total_said, mix_said, changes = w.one(CHANGE)
    assert rate == pytest.approx(newest - 0.80)
    assert scatter == total_scatter == pytest.approx(0.029652)
    assert (said, total_said, changes) == (verdict, verdict, 12)
    # Of one app alone nothing moves to another.
    assert mix_said == "within sampling and scatter"


def test_older_changes_than_twelve_do_not_count(w: Warehouse) -> None:
    weeks(w, [0.1, 0.9] * 4 + [0.80] * 14)
    assert w.one(CHANGE)[1] == 0.0


def test_a_verdict_says_why_it_is_not_known(w: Warehouse) -> None:
    weeks(w, [0.80, 0.82, 0.50])
    assert w.one(CHANGE)[1:3] == (None, "not known: fewer than 2 earlier changes")
    w.connection.execute("UPDATE traffic_1d SET bytes_variance = 10_000_000")
    assert w.one(CHANGE)[2] == "not known: too few samples"
    w.connection.execute("UPDATE traffic_1d SET bytes_error_unknown = bytes")
    assert w.one(CHANGE)[2] == "not known: the sampling error is not"
    assert w.one(f"SELECT total_ci_low, rate_ci_low FROM kpi_stage3_change WHERE {BYTES}") == (
        None,
        None,
    )


def test_only_bytes_have_an_interval(w: Warehouse) -> None:
    """Of the other bases nobody knows the variance: no figure of theirs is exact, or real."""
    weeks(w, [0.80] * 13 + [0.30])
    w.connection.execute("UPDATE traffic_1d SET tcp_opens = bytes")
    rows = w.query(
        "SELECT basis, total_change < 0, total_ci_low, total_ci_high, total_verdict, rate_ci_low, "
        "rate_verdict, mix_ci_low, mix_verdict FROM kpi_stage3_change WHERE period = 'week' "
        "AND basis <> 'bytes' AND denominator = 'all' AND share_kind = 'strict'"
    )
    unknown = "not known: the sampling error is not"
    assert rows == [
        (basis, True, None, None, unknown, None, unknown, None, unknown)
        for basis in ("bytes_normalised", "tcp_opens")
    ]


@pytest.mark.parametrize(
    ("variances", "error"),
    [
        # S = 1/4: v = (9/16 * 160 + 1/16 * 160) / 40^2 = 100 / 40^2, so 10 / 40.
        ("160, 320", 0.25),
        ("0, 0", 0.0),
        ("NULL, 320", None),
        ("160, NULL", None),
        ("NULL, NULL", None),
    ],
)
def test_the_standard_error_of_a_share(w: Warehouse, variances: str, error: float | None) -> None:
    assert w.one(f"SELECT share_standard_error(10, 40, {variances})") == (error,)


def test_sampling_alone_may_make_a_change(w: Warehouse) -> None:
    weeks(w, [0.80] * 13 + [0.78])
    assert w.one(CHANGE)[2] == "real drop"  # nothing was sampled, and nothing ever moved
    # Each week's share gets an error: v = (0.2^2 * V + 0.8^2 * V) / 10_000^2, V = 100,000 a family:
    # 0.0261; of the difference of two weeks about 0.0369, and 1.96 times that is 0.072.
    w.connection.execute("UPDATE traffic_1d SET bytes_variance = 100_000")
    assert w.one(CHANGE)[2] == "within sampling and scatter"


@pytest.mark.parametrize(
    ("last", "months"),
    [
        (date(2024, 5, 31), ("2024-04-01", "2024-04-30", "2024-05-01", "2024-05-31")),
        (date(2024, 5, 30), ("2024-03-01", "2024-03-31", "2024-04-01", "2024-04-30")),
    ],
)
def test_months_are_those_of_the_calendar_and_full(
    w: Warehouse, last: date, months: tuple[str, ...]
) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="live")
    w.final_days(date(2024, 3, 1), last)
    for month, bytes6 in ((3, 20), (4, 50), (5, 30)):
        for app, family, size in (("a", "v6", bytes6), ("a", "v4", 50), ("b", "v6", 10 * month)):
            w.traffic(date(2024, month, 1), app=app, family=family, bytes=size)
    w.traffic(last, app="a", family="v6", bytes=1)
    found = w.one(
        "SELECT DISTINCT from_start, from_end, to_start, to_end FROM kpi_stage3_change "
        "WHERE period = 'month'"
    )
    assert tuple(map(str, found)) == months
    sums = w.one(
        f"SELECT sum(rate + mix), any_value(total_change) FROM kpi_stage3_change WHERE {BYTES} "
        "AND period = 'month'"
    )
    assert sums[0] == pytest.approx(sums[1])


def test_the_headlines_kind_stands_first_with_the_week_before_the_month(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="live")
    last = date(2024, 5, 31)
    w.final_days(date(2024, 4, 1), last)
    for back, a, b in ((40, 50, 50), (7, 50, 50), (0, 60, 90)):
        for app, size in (("a", a), ("b", b)):
            w.traffic(last - back * ONE, app=app, family="v6", bytes=size)
            w.traffic(last - back * ONE, app=app, bytes=100 - size)
    w.traffic(date(2024, 4, 1), app="unclassified")
    rows = w.query("SELECT basis, denominator, share_kind, period, app FROM kpi_stage3_change")
    kind = ("bytes", "all", "strict")
    assert rows[:4] == [
        (*kind, "week", "b"), (*kind, "week", "a"), (*kind, "month", "b"), (*kind, "month", "a"),
    ]  # fmt: skip


def test_a_month_that_the_data_begin_in_is_not_full(w: Warehouse) -> None:
    w.target(3, "top_apps_ipv6_share", 0.9, top_n=2, ranking="live")
    w.final_days(date(2024, 4, 2), date(2024, 5, 31))
    for day in (date(2024, 4, 2), date(2024, 5, 1), date(2024, 5, 31)):
        w.traffic(day, family="v6", bytes=10)
    rows = w.query("SELECT DISTINCT period FROM kpi_stage3_change")
    assert rows == [("week",)]
