"""What stands on the board, and above its sections."""

from datetime import date, datetime

import pyarrow as pa
import pytest

from v6share.render.board import (
    board,
    for_people,
    is_preliminary,
    marked_preliminary,
    titles,
    what_waits,
)
from v6share.render.text import text_of
from v6share.render.units import with_header

DAY = date(2026, 3, 28)
APPS = pa.table(
    {
        "rank": [1, 2, 3],
        "app": ["a", "b", "c"],
        "basis": ["bytes"] * 3,
        "denominator": ["all"] * 3,
        "share_kind": ["strict"] * 3,
        "share": [0.9, 0.89996, 0.5],
        "ci_low": [0.9, 0.8, 0.4],
        "ci_high": [0.9, 0.9, 0.6],
        "target": [0.9] * 3,
        "weight": [0.5, 0.3, 0.2],
        "debt": [0.0, 120.0, 8_384_292.0],
        "at_target": [True, False, False],
    }
)
ABOUT = "unit: share, ci_low, ci_high, target, weight: share 0 to 1; debt: of the basis"


def views(as_of: date | None = DAY) -> dict[str, pa.Table]:
    nothing = {
        "kpi_headline": "stage metric value ci_low ci_high target attained as_of note",
        "kpi_stage1_enablement": "level app product planned enabled carrying silent dual_stacked "
        "status late_days due",
        "kpi_stage1_silent": "app product region enabled_on days_since_enabled note",
        "kpi_stage2_active_clients": "period scope unit family clients clients_union "
        "rotation_ratio penetration standard_error",
        "kpi_stage2_coverage": "month days dimension with_ipv6 of share",
        "kpi_stage3_concentration": "week_end basis denominator share_kind share ci_low ci_high "
        "share_low share_high apps_at_target apps",
        "kpi_stage3_waterfall": "place",
    }
    kinds = {"level": pa.string(), "app": pa.string(), "product": pa.string()} | {
        name: pa.string() for name in ("period", "scope", "share_kind", "metric")
    }
    kinds |= {"dual_stacked": pa.bool_()}
    empty = {
        name: pa.table({c: pa.array([], kinds.get(c, pa.int64())) for c in columns.split()})
        for name, columns in nothing.items()
    }
    return {
        **empty,
        "kpi_stage3_apps": with_header(APPS, ABOUT),
        "target_share": pa.table({"denominator": ["all"]}),
        "as_of": pa.table({"as_of": pa.array([as_of], pa.date32())}),
        "dim_vantages": pa.table(
            {"vantage": ["unlisted", "core", "edge"], "feeds_kpis": [True, False, True]}
        ),
    }


def test_the_apps_below_target_look_as_if_they_were() -> None:
    section = for_people(board(views()))["stage_3_apps_below_target"]
    assert text_of(section, "table").splitlines() == [
        "rank  app     share  ci_low  ci_high  target  weight  debt_bytes",
        "   3  c      50.0 %  40.0 %   60.0 %  90.0 %  20.0 %     8.38 MB",
        "   2  b    89.996 %  80.0 %   90.0 %  90.0 %  30.0 %       120 B",
    ]


def test_every_section_has_a_title_with_days_and_a_view_that_can_be_typed() -> None:
    headings = titles(views())
    assert headings.keys() == board(views()).keys()
    for heading in headings.values():
        assert heading.rpartition("[")[2].rstrip("]") in views()
    assert "as of 2026-03-28 (UTC), seen from the vantages edge, unlisted" in headings["headline"]
    for name, days in (
        ("stage_1_silent", "2026-02-27 to 2026-03-28"),
        ("stage_3_newest_week", "2026-03-22 to 2026-03-28"),
        ("stage_3_convert_next", "2026-03-01 to 2026-03-28"),
    ):
        assert days in headings[name]


def test_without_a_final_day_the_titles_say_so() -> None:
    assert "without a final day yet" in titles(views(None))["stage_3_newest_week"]


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(None, None, "-"), (5.0, 5.0, "exact"), (4.0, 6.0, "4 to 6")]
)
def test_an_interval_of_nothing_is_exact(low: float | None, high: float | None, shown: str) -> None:
    headline = pa.table(
        {
            "stage": [2],
            "metric": ["active_ipv6_clients_30d"],
            "value": [5.0],
            "ci_low": pa.array([low], pa.float64()),
            "ci_high": pa.array([high], pa.float64()),
            "target": [9.0],
            "attained": [False],
            "as_of": [DAY],
            "note": [""],
        }
    )
    shown_headline = for_people(board(views() | {"kpi_headline": headline}))["headline"]
    assert shown_headline["interval"].to_pylist() == [shown]


WAITING = {
    "as_of": None,
    "last_day": DAY,
    "next_day": DAY,
    "final_once": datetime(2026, 3, 29, 1),  # noqa: DTZ001 - UTC without a zone, as in the views
    "waiting_for": 1234,
    "held_back_by": "r1",
    "held_back_to": datetime(2026, 3, 28, 23, 55, 59),  # noqa: DTZ001
}


def test_what_a_day_waits_for_is_one_sentence() -> None:
    said = "2026-03-28 is final once every exporter has records after 2026-03-29 01:00"
    assert what_waits({**WAITING, "waiting_for": 0, "held_back_by": None}) == said
    assert what_waits(WAITING) == (
        f"{said}; 1,234 have none yet, furthest behind is r1 with 2026-03-28 23:55 (who is silent "
        "for over 24 hours is not waited for)"
    )
    assert "behind is one without a name with" in what_waits({**WAITING, "held_back_by": ""})


def test_numbers_are_preliminary_where_there_are_data_and_no_day_is_final() -> None:
    assert is_preliminary(WAITING)
    assert not is_preliminary({**WAITING, "as_of": DAY})
    assert not is_preliminary({**WAITING, "next_day": None})
    # An earlier version published the file.
    assert not is_preliminary({"as_of": None})


def test_a_preliminary_headline_is_marked_and_judges_nothing() -> None:
    headline = pa.table({"value": [1.5, 2.0], "attained": [True, None], "note": ["so", None]})
    assert marked_preliminary(headline).to_pylist() == [
        {"value": 1.5, "attained": None, "note": "preliminary; so"},
        {"value": 2.0, "attained": None, "note": "preliminary"},
    ]
