"""What helps fits what failed: tables, expectations, a gate that could not judge, damage."""

import pytest

from v6share.warehouse.remedies import COULD_NOT_JUDGE, DAMAGED, what_mends, what_publishes

ANEW = "makes the tables anew"
WITHDRAW = "`v6share forget INPUT` withdraws it"


@pytest.mark.parametrize(
    ("suites", "said", "not_said"),
    [
        ({""}, {ANEW}, {WITHDRAW, "quality/"}),
        ({"shares", "days"}, {WITHDRAW, "quality/days.json, quality/shares.json"}, {ANEW}),
        ({"", "days"}, {ANEW, WITHDRAW, "quality/days.json"}, set()),
    ],
)
def test_failed_checks(suites: set[str], said: set[str], not_said: set[str]) -> None:
    advice = what_mends(suites)
    assert {one for one in said if one not in advice} == set()
    assert {one for one in not_said if one in advice} == set()


@pytest.mark.parametrize(
    ("why", "said", "not_said"),
    [
        ("failed checks: conservation", ANEW, WITHDRAW),
        ("failed checks: days.bytes, days.jump", "edit quality/days.json (", ANEW),
        ("failed checks: conservation, days.bytes", ANEW, "no more"),
        (COULD_NOT_JUDGE, "Run the same again", ANEW),
        (DAMAGED, "makes the warehouse again", WITHDRAW),
        ("--no-publish was given", "The next `v6share run` publishes", "v6share check"),
        ("", "The next `v6share run` publishes", "v6share check"),
    ],
)
def test_reasons_as_they_are_noted(why: str, said: str, not_said: str) -> None:
    assert said in what_publishes(why)
    assert not_said not in what_publishes(why)
