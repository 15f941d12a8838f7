"""Weights: scaling, variance and verdicts against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from flow_maker import START_MS, catalog, flows
from hypothesis import example, given, settings
from hypothesis import strategies as st

from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.scale_counters import (
    COUNTED,
    LAST_MS,
    exact_variance,
    scale,
    variance,
)
from v6share.pipelines.kernels.aggregate.traffic import split_before, split_wide_before
from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.normalise.times import FIRST_MS
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.ledger import REJECT_REASONS

RULES = compile_rules(catalog())
EXPORTERS = {"192.0.2.2": ("core", 500, True), "192.0.2.3": ("edge", 100, False)}


def measured(*rows: dict, **plan):
    lane = Accumulator(Plan(RULES, EXPORTERS, bytes(16), **plan))
    batch = flows(list(rows))
    exporter = lane.exporters.numbers_of(batch.exporter)
    return lane.scale(batch, exporter, locate(batch, RULES))


def verdict(**row) -> str:
    got = int(measured(row).verdict[0])
    return "counted" if got == COUNTED else REJECT_REASONS[got]


@given(st.integers(0, 2**53), st.integers(1, 2**40), st.integers(1, 2**32 - 1))
def test_scale(count: int, num: int, den: int) -> None:
    exact = (count * num + den // 2) // den
    assert scale(count, num, den) == (exact if exact <= 2**53 else -1)


@given(st.integers(2, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(1, 2**45), st.booleans())
def test_variance_is_the_definition(interval: int, packets: int, octets: int, v6: bool) -> None:
    octets = min(octets, 2**53 // interval)
    smallest = 60 if v6 else 40
    hi, lo = variance(interval, octets, packets, smallest, 1500)
    exact = exact_variance(Fraction(interval), octets, packets, smallest, 1500)
    assert (int(hi) << 64) + int(lo) == exact


def test_variance_by_hand() -> None:
    # one packet of 1000 octets at 1:100: V = 100 * 99 * 1000^2
    assert exact_variance(Fraction(100), 1000, 1, 40, 1500) == 9_900_000_000
    # 2 packets of 1000 octets in all: 1000 * 1540 - 2 * 60000 = 1,420,000 > 1000^2 / 2
    assert exact_variance(Fraction(10), 1000, 2, 40, 1500) == 90 * 1_420_000
    # 3 full packets: the bound is 4500 * 1540 - 3 * 60000 = 6,750,000 = 4500^2 / 3
    assert exact_variance(Fraction(2), 4500, 3, 40, 1500) == 2 * 6_750_000
    # 5/2 with an odd result is rounded up: 5/2 * 3/2 * 1 = 3.75
    assert exact_variance(Fraction(5, 2), 1, 1, 40, 1500) == 4


@given(st.integers(0, 2**53), st.integers(1, 1_728_000_000), st.data())
def test_split_before(counter: int, duration: int, data: st.DataObject) -> None:
    upto = data.draw(st.integers(0, duration))
    assert split_before(counter, upto, duration) == counter * upto // duration


def test_split_before_of_products_about_64_bits() -> None:
    """Counters from 2^33 on pass 64 bits in the twenty days that a flow may be set to last."""
    most = 1_728_000_000
    for counter in (2**33 - 1, 2**33, 2**34 - 1, 2**34):
        assert split_before(counter, most - 1, most) == counter * (most - 1) // most


@given(st.integers(0, 2**106), st.integers(1, 1_728_000_000), st.data())
@settings(max_examples=200)
def test_split_wide_before(counter: int, duration: int, data: st.DataObject) -> None:
    upto = data.draw(st.integers(0, duration))
    hi, lo = split_wide_before(
        np.uint64(counter >> 64), np.uint64(counter & (2**64 - 1)), upto, duration
    )
    assert (int(hi) << 64) + int(lo) == counter * upto // duration


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 1000, 2**15, 2**15 + 1, 2**31]),
            st.sampled_from([1, 2, 3, 700, 2**20, 2**20 + 1]),
            st.sampled_from([1, 39, 60, 1500, 65_536, 65_537, 2**20, 2**20 + 1, 2**40]),
            st.booleans(),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([1500, 9000, 65_575]),
)
@example([(2**15, 700, 2**20, False)], 65_575)
@example([(2, 2**32 - 1, (2**32 - 1) * 65_575, False)], 65_575)  # a bound of more than 64 bits
def test_usual_rows_weigh_as_all_others(rows: list, largest: int) -> None:
    v6, v4 = {"src": "2a00::1", "dst": "2a00::2"}, {}
    got = measured(
        *({"num": n, "packets": k, "octets": o, **(v6 if six else v4)} for n, k, o, six in rows),
        max_packet_bytes=largest,
    )
    for i, (n, k, o, six) in enumerate(rows):
        if max(k, o) * n > 2**53:
            assert REJECT_REASONS[got.verdict[i]] == "counter_overflow"
            continue
        assert (int(got.packets[i]), int(got.octets[i])) == (k * n, o * n)
        exact = exact_variance(Fraction(n), o, k, 60 if six else 40, largest)
        assert (int(got.variance_hi[i]) << 64) + int(got.variance_lo[i]) == exact


def test_sampling_intervals() -> None:
    got = measured(
        {"num": 100, "den": 1},
        {"num": 7, "den": 2, "packets": 1, "octets": 3},
        {"exporter": "192.0.2.2", "num": 1, "den": 1},
        {"exporter": "192.0.2.3", "num": 0},
        {"exporter": "192.0.2.3", "num": 7},
        {"pre_scaled": True, "num": 0},
        {"pre_scaled": True, "num": 0, "exporter": "192.0.2.3", "packets": 1000},
    )
    assert got.packets.tolist() == [1000, 4, 5000, 1000, 70, 10, 1000]
    assert got.octets.tolist() == [500_000, 11, 2_500_000, 500_000, 35_000, 5000, 5000]
    assert got.tcp_opens.tolist() == [100, 4, 500, 100, 7, 1, 100]
    assert got.interval.tolist() == [100, 4, 500, 100, 7, 0, 100]
    assert got.error_unknown.tolist() == [0, 0, 0, 0, 0, 5000, 0]
    wide = [(int(h) << 64) + int(v) for h, v in zip(got.variance_hi, got.variance_lo, strict=True)]
    assert wide == [
        exact_variance(Fraction(100), 5000, 10, 40, 1500),
        exact_variance(Fraction(7, 2), 3, 1, 40, 1500),
        exact_variance(Fraction(500), 5000, 10, 40, 1500),
        exact_variance(Fraction(100), 5000, 10, 40, 1500),
        exact_variance(Fraction(7), 5000, 10, 40, 1500),
        0,
        exact_variance(Fraction(100), 50, 10, 40, 1500),
    ]


def test_scaled_counters_below_the_interval_come_from_one_packet() -> None:
    """10 packets at a declared 1:100 cannot be: at least one was seen, of 5000 / 100 octets."""
    got = measured({"pre_scaled": True, "num": 0, "exporter": "192.0.2.3", "packets": 10})
    assert (int(got.packets[0]), int(got.octets[0])) == (10, 5000)
    assert int(got.variance_lo[0]) == 100 * 99 * 50**2


@pytest.mark.parametrize("num", [1, 7])
@pytest.mark.parametrize("den", [1, 2])
def test_tcp_opens_are_tcp_with_a_syn(num: int, den: int) -> None:
    """-1 is no flags at all; a whole interval is weighed apart from a fraction."""
    shown = [(6, 2), (6, 18), (6, 16), (6, 0), (6, -1), (17, 2)]
    rows = [{"protocol": p, "flags": f, "num": num * den, "den": den} for p, f in shown]
    assert measured(*rows).tcp_opens.tolist() == [num, num, 0, 0, 0, 0]


def test_egress_copies_of_declared_exporters() -> None:
    rows = [
        {"exporter": exporter, "egress": egress, **wrong}
        for exporter in ("192.0.2.2", "192.0.2.9")
        for egress in (False, True)
        for wrong in ({}, {"num": 0}, {"duration": -1, "faults": 1 << 2})
    ]
    got = measured(*rows, both_directions=frozenset({"192.0.2.9"})).verdict
    reasons = ["counted" if v == COUNTED else REJECT_REASONS[v] for v in got]
    # 192.0.2.2 declares its interval; a time that cannot be comes before the direction.
    assert reasons == [
        *["counted", "counted", "end_before_start"] * 2,
        *["counted", "no_sampling_interval", "end_before_start"],
        *["egress_copy", "egress_copy", "end_before_start"],
    ]
    assert measured(*rows).verdict.tolist()[6:9] == measured(*rows).verdict.tolist()[9:]


def test_unknown_intervals_follow_the_setting() -> None:
    assert verdict(num=0) == "no_sampling_interval"
    assert measured({"num": 0}, unknown_interval=1).packets[0] == 10
    assert measured({"num": 0}, unknown_interval=64).packets[0] == 640


def test_what_is_counted_by_the_setting_has_a_variance_however_large() -> None:
    for interval, octets in ((2**32, 1000), (100, 2**46)):
        row = {"num": 0, "packets": 1, "octets": octets}
        got = measured(row, unknown_interval=interval)
        assert (int(got.variance_hi[0]) << 64) + int(got.variance_lo[0]) == (
            interval * (interval - 1) * octets**2
        )


def test_frames_lose_their_layer_2() -> None:
    got = measured({"packets": 10, "octets": 900, "layer2_octets": 18, "num": 2})
    assert got.octets[0] == 2 * (900 - 180)
    # Less octets than layer 2 takes leave none, and no debt.
    got = measured({"packets": 10, "octets": 179, "layer2_octets": 18, "num": 2})
    assert (int(got.packets[0]), int(got.octets[0])) == (20, 0)


def test_what_is_weighed_exactly_has_lost_its_layer_2_too() -> None:
    got = measured({"packets": 10, "octets": 900, "layer2_octets": 18, "num": 7, "den": 2})
    exact = exact_variance(Fraction(7, 2), 900 - 180, 10, 40, 1500)
    assert (int(got.octets[0]), int(got.variance_lo[0])) == (2520, exact)


def test_verdicts() -> None:
    day = 86_400_000
    assert verdict() == "counted"
    assert verdict(duration=day) == "counted"
    assert verdict(duration=day + 1) == "duration_too_long"
    assert verdict(octets=2**53) == "counted"
    assert verdict(octets=2**53 + 1) == "counter_overflow"
    assert verdict(octets=2**52, num=4) == "counter_overflow"
    assert verdict(start=-2_000_000_000_000) == "no_time"
    assert verdict(start=260_000_000_000_000) == "no_time"
    assert verdict(start=332_000 - 1_750_000_000_000) == "no_time", "a clock that was never set"
    # What was scaled already has the same bound.
    assert verdict(octets=2**53, pre_scaled=True) == "counted"
    assert verdict(octets=2**53 + 1, pre_scaled=True) == "counter_overflow"
    assert verdict(packets=2**53 + 1, pre_scaled=True) == "counter_overflow"
    many = 0
    for reason in ("no_counters", "future", "zero_packets"):
        many |= 1 << REJECT_REASONS.index(reason)
    assert verdict(faults=many) == "future", "the first reason in the list wins"


@pytest.mark.parametrize("interval", [{"num": 1}, {"num": 7, "den": 2}])
def test_the_first_and_the_last_moment_that_are_taken(interval: dict) -> None:
    """Whole intervals and fractions are weighed apart, and have the same bounds."""
    first, last, day = FIRST_MS - START_MS, LAST_MS - START_MS, 86_400_000
    assert verdict(start=first, duration=0, **interval) == "counted"
    assert verdict(start=first - 1, duration=1, **interval) == "no_time"
    assert verdict(start=last - 1, duration=1, **interval) == "counted"
    assert verdict(start=last, duration=1, **interval) == "no_time"
    assert verdict(duration=day, **interval) == "counted"
    assert verdict(duration=day + 1, **interval) == "duration_too_long"
