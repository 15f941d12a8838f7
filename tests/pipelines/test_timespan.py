"""The span of --since and --until."""

import pytest

from v6share.pipelines.timespan import Span, parse_span
from v6share.schemas.errors import UserError


def test_span_of_days_and_times() -> None:
    assert parse_span("1970-01-02", None) == Span(86_400_000, None)
    assert parse_span(None, "1970-01-01T01:00+01:00") == Span(None, 0)
    assert parse_span(None, "1970-01-01T00:00:00.5Z") == Span(None, 500)


@pytest.mark.parametrize("text", ["", "today", "2026-13-01", "01.02.2026"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UserError, match="--since: found"):
        parse_span(text, None)


@pytest.mark.parametrize(
    ("first", "last", "overlaps"),
    [(0, 9, False), (0, 10, True), (19, 30, True), (20, 30, False), (0, 30, True)],
)
def test_the_span_is_half_open(first: int, last: int, overlaps: bool) -> None:
    assert Span(10, 20).overlaps(first, last) is overlaps
