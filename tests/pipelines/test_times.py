"""Times of every form, against ``datetime`` and whole-number arithmetic."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from math import floor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from v6share.pipelines.kernels.normalise.faults import settled_times
from v6share.pipelines.kernels.normalise.times import (
    EARLIEST_MS,
    LATEST_MS,
    MISSING,
    UNREADABLE,
    read_times,
)
from v6share.schemas.ledger import REJECT_REASONS

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNITS = st.sampled_from(list(PER_SECOND))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001


def in_ms(number, unit):
    ms = floor(Fraction(number) * 1000 / PER_SECOND[unit])
    return ms if EARLIEST_MS <= ms <= LATEST_MS else UNREADABLE


def of_moment(moment):
    return (moment - EPOCH) // timedelta(milliseconds=1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-5000, 5000)), UNITS)
def test_integers_and_timestamps(values, unit):
    want = [MISSING if not v else in_ms(v, unit) for v in values]
    assert read_times(pa.array(values, pa.int64()), unit).tolist() == want
    for zone in (None, "UTC", "Asia/Shanghai"):
        stamps = pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone))
        assert read_times(stamps, "s").tolist() == want
    texts = pa.array([None if v is None else str(v) for v in values], pa.string())
    found = read_times(texts, unit).tolist()
    # A text is read as a sign and a number of 63 bits.
    assert all(v == -(2**63) or w == f for v, w, f in zip(values, want, found, strict=True))


def test_nanoseconds_of_today_in_every_type():
    """They have 19 digits; a 20th would pass 64 bits, as would 2^63."""
    now = 1_767_225_600_123_456_789
    for array in (
        pa.array([now]),
        pa.array([str(now)]),
        pa.array([f"0{now}.5"]),
        pa.array([now], pa.decimal128(20, 0)),
        pa.array([float(now)]),
    ):
        assert read_times(array, "ns").tolist() == [now // 10**6]
    texts = [str(2**63 - 1), str(2**63), str(2**64 + now), f"{now}0"]
    assert read_times(pa.array(texts), "ns").tolist() == [9_223_372_036_854, *[UNREADABLE] * 3]


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**11), 10**11, places=6).filter(bool), UNITS)
def test_fractions(value, unit):
    want = [in_ms(value, unit)]
    assert read_times(pa.array([format(value, "f")]), unit).tolist() == want
    assert read_times(pa.array([value], pa.decimal128(30, 6)), unit).tolist() == want


@settings(max_examples=300, deadline=None)
@given(moments, st.integers(-720, 720), st.sampled_from(" T"), st.integers(0, 6))
@example(datetime(2000, 2, 29, 23, 59, 59, 999999), 0, "T", 6)  # noqa: DTZ001
@example(datetime(1969, 12, 31, 23, 59, 59, 999500), 0, " ", 6)  # noqa: DTZ001
def test_text(moment, minutes, separator, places):
    moment -= timedelta(microseconds=moment.microsecond % 10 ** (6 - places))
    text = moment.isoformat(separator, "microseconds")[: 19 + (places + 1 if places else 0)]
    utc = moment.replace(tzinfo=UTC)
    assert read_times(pa.array([text, text + "Z"]), "s").tolist() == [of_moment(utc)] * 2
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    offset = zoned.strftime("%z")
    with_colon = f"{offset[:3]}:{offset[3:]}"
    assert (
        read_times(pa.array([text + offset, text + with_colon]), "s").tolist()
        == [of_moment(zoned)] * 2
    )
    assert read_times(pa.array([text]), "s", minutes).tolist() == [of_moment(zoned)]


@pytest.mark.parametrize(
    "text", ["", "0", "0.000000", "0000-00-00 00:00:00.000000", "0000-00-00T00:00:00Z", None]
)
def test_markers_are_missing(text):
    assert read_times(pa.array([text], pa.string()), "s").tolist() == [MISSING]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "1e9",
        "2026-13-01",
        "2026-02-29",
        "2026-01-01 24:00",
        "2026-01-01 10",
        "--5",
        "5.",
        "2026-01-01T10:00:00+1",
        "1234567890123456789",
        "2026-01-01 10:00:00 CET",
        "é",
        "5.x",
    ],
)
def test_what_is_no_time(text):
    found = read_times(pa.array([text]), "s").tolist()
    assert found == [UNREADABLE] or text == "5."


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_the_first_and_the_last_second_of_all_time(unit):
    """64 bits of nanoseconds reach neither."""
    first, last = EARLIEST_MS // 1000, LATEST_MS // 1000
    numbers = [s * PER_SECOND[unit] for s in (first - 1, first, last, last + 1)]
    want = [UNREADABLE, EARLIEST_MS, LATEST_MS - 999, UNREADABLE]
    assert read_times(pa.array(numbers), unit).tolist() == want
    assert read_times(pa.array([str(n) for n in numbers]), unit).tolist() == want


def test_a_leap_second_is_the_one_behind_it():
    texts = [f"2016-12-31 23:59:{s}" for s in (59, 60, 61)]
    new_year = of_moment(datetime(2017, 1, 1, tzinfo=UTC))
    assert read_times(pa.array(texts), "s").tolist() == [new_year - 1000, new_year, UNREADABLE]


def test_the_farthest_zones_and_a_comma():
    """Kiribati is 14 hours ahead; ISO 8601 allows a comma before the fraction."""
    texts = ["2026-01-01T14:00:00+14:00", "2025-12-31T12:00:00-1200", "2026-01-01 00:00:00,250"]
    midnight = of_moment(datetime(2026, 1, 1, tzinfo=UTC))
    want = [midnight, midnight, midnight + 250]
    assert read_times(pa.array(texts), "s").tolist() == want


def test_floats_are_read_by_their_shortest_text():
    values = pa.array([0.1, -0.0005, 1677577599.25, float("nan"), 0.0, None])
    want = [100, -1, 1677577599250, UNREADABLE, MISSING, MISSING]
    assert read_times(values, "s").tolist() == want
    assert read_times(pa.array([Decimal("1.5")]), "us").tolist() == [0]


def test_other_forms():
    assert read_times(pa.nulls(2), "s").tolist() == [MISSING] * 2
    big = pa.array([2**64 - 1], pa.uint64())
    assert read_times(big, "ns").tolist() == [UNREADABLE]
    texts = pa.array(["2026-01-01", "1970-01-02", None]).dictionary_encode()
    assert read_times(texts, "s").tolist() == [1767225600000, 86400000, MISSING]
    assert read_times(pa.array([5, 7, 9]).slice(1), "ms").tolist() == [7, 9]


def test_ten_minutes_after_its_export_a_record_is_of_the_future() -> None:
    export = np.full(2, 1_750_000_000_000, np.int64)
    end = export + np.array([600_000, 600_001])
    none, untold, faults = np.empty(0, np.bool_), np.empty(0, np.int64), np.zeros(2, np.uint16)
    settled_times(export, end, export, untold, none, none, faults)
    assert faults.tolist() == [0, 1 << REJECT_REASONS.index("future")]


def test_a_clock_that_was_never_set_is_as_good_as_none() -> None:
    """Eight minutes past 1970: the other time is taken, else the time of export, else none."""
    unset, known = 480_000, 1_750_000_000_000
    start = np.array([unset, known, unset, unset], np.int64)
    end = np.array([known, unset, unset, unset], np.int64)
    export = np.array([MISSING, MISSING, known, unset], np.int64)
    none, untold, faults = np.empty(0, np.bool_), np.empty(0, np.int64), np.zeros(4, np.uint16)
    got_start, got_end, findings = settled_times(start, end, export, untold, none, none, faults)
    assert got_start[:3].tolist() == got_end[:3].tolist() == [known] * 3
    assert faults.tolist() == [0, 0, 0, 1 << REJECT_REASONS.index("no_time")]
    assert dict(findings)["time fallback"].tolist() == [True, True, True, False]
