"""The board, stages and views, by the names that can be typed and in every form."""

import json
from pathlib import Path

import pytest
from calls import call

from v6share.jobs.terminal.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("view", "hint"),
    [
        ("kpi_stage3_aps", 'did you mean "kpi_stage3_apps"'),
        ("stge1", 'did you mean "stage1"'),
    ],
)
def test_a_wrong_view_gets_the_nearest_one(
    capsys: pytest.CaptureFixture[str], counted: Path, view: str, hint: str
) -> None:
    code, out, err = call(capsys, counted, "kpi", view)
    assert (code, out) == (ExitCode.USAGE, "")
    assert hint in err


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
@pytest.mark.parametrize("view", [None, "kpi_headline"])
def test_the_board_and_a_view_in_each_form(
    capsys: pytest.CaptureFixture[str], counted: Path, view: str | None, form: str
) -> None:
    code, out, _ = call(capsys, counted, "kpi", *([view] if view else []), "--format", form)
    assert code is ExitCode.DONE
    assert "\x1b" not in out
    assert "500" in out


@pytest.mark.parametrize("stage", ["1", "stage2", "Stage 3"])
def test_a_stage_prints_its_views(
    capsys: pytest.CaptureFixture[str], counted: Path, stage: str
) -> None:
    code, out, _ = call(capsys, counted, "kpi", stage, "--format", "json")
    assert code is ExitCode.DONE
    assert all(name.startswith(f"kpi_stage{stage[-1]}_") for name in json.loads(out))


def test_a_view_stands_under_the_name_that_can_be_typed(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    wanted = "kpi_stage2_coverage: how many apps, products and client regions have IPv6 traffic"
    for said in ("2", "stage2_coverage", "kpi_stage2_coverage"):
        assert wanted in call(capsys, counted, "kpi", said)[1]


def test_a_stage_keeps_to_the_limit(capsys: pytest.CaptureFixture[str], counted: Path) -> None:
    whole = call(capsys, counted, "kpi", "2")[1]
    cut = call(capsys, counted, "kpi", "2", "--limit", "1")[1]
    assert "more rows" not in whole
    assert "more rows; --limit 0 shows all" in cut
    data = call(capsys, counted, "kpi", "2", "--limit", "1", "--format", "json")[1]
    assert max(len(rows) for rows in json.loads(data).values()) == 1
