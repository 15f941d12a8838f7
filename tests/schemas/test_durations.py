"""Durations as people write and read them."""

from datetime import timedelta

import pytest

from v6share.schemas.text.durations import duration_for_people, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("2h", 7200),
        ("1d", 86_400),
        ("1w", 604_800),
        ("45s", 45),
        ("1d12h", 129_600),
        (" 1h 30 m ", 5400),
        ("3650d", 315_360_000),
    ],
)
def test_what_is_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "2 hours", "-2h", "h", "1.5h", "0s", "3651d", "9999999999d", "2H", "٢h"]
)
def test_what_is_none(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (7199, "1h 59m"),
        (7200, "2h"),
        (86_400 + 59, "1d"),  # the second unit is hours, of which there is none
        (30 * 86_400 + 4 * 3600 + 59 * 60, "30d 4h"),
    ],
)
def test_how_a_duration_is_said(seconds: float, said: str) -> None:
    assert duration_for_people(timedelta(seconds=seconds)) == said


def test_what_is_said_can_be_written() -> None:
    for seconds in (1, 59, 3600, 7260, 90_000, 1_000_000):
        said = duration_for_people(timedelta(seconds=seconds))
        again = parse_duration(said)
        assert again is not None
        assert duration_for_people(again) == said
