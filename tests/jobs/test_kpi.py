"""The board, stages and views, by the names that can be typed and in every form."""

import json
import re
from pathlib import Path

import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows

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


@pytest.fixture
def one_day(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> Path:
    """A workspace with one day of data: of one exporter until 00:03, of another until 00:01."""
    (root / "catalog").mkdir()
    (root / "catalog/apps.toml").write_text(
        '[[app]]\nid = "web"\nname = "Web"\nmatch = [{port = 443}]\n'
    )
    (root / "catalog/targets.toml").write_text("[stage3]\ntop_n = 1\nshare = 0.90\n")
    for exporter, rows in (("192.0.2.1", 4), ("192.0.2.2", 2)):
        write_flows(tmp_path / f"day/{exporter}.parquet", exporter=exporter, rows=rows)
    assert run(capsys, root, tmp_path / "day")[0] is ExitCode.DONE
    return root


WAITS = (
    "2026-01-01 is final once every exporter has records after 2026-01-02 01:00; 2 have none yet, "
    "furthest behind is 192.0.2.2 with 2026-01-01 00:01"
)


def test_before_any_day_is_final_the_board_is_preliminary_and_says_so(
    capsys: pytest.CaptureFixture[str], one_day: Path
) -> None:
    code, out, _ = call(capsys, one_day, "kpi")
    assert code is ExitCode.DONE
    lines = out.splitlines()
    assert lines[0].startswith(
        f"PRELIMINARY: no day is final yet; these are the numbers as if 2026-01-01 were. {WAITS}"
    )
    titles = [line for line in lines if line.endswith("]") or "no rows" in line]
    assert len(titles) == 9
    assert all(line.startswith("Preliminary: ") for line in titles)
    # Half of the bytes are IPv6, and no target is judged.
    assert re.search(r"IPv6 share of the top apps +50\.0 % .* 90\.0 % +-$", out, re.MULTILINE)
    for form in ("json", "markdown"):
        assert WAITS in call(capsys, one_day, "kpi", "--format", form)[1]
    told = json.loads(call(capsys, one_day, "kpi", "--format", "json")[1])
    assert list(told)[:2] == ["preliminary", "headline"]
    assert all(row["note"].startswith("preliminary; ") for row in told["headline"])
    assert {row["attained"] for row in told["headline"]} == {None}
    assert told["stage_3_newest_week"][0]["share"] == 0.5


def test_what_is_published_of_a_day_that_is_not_final_stays_empty(
    capsys: pytest.CaptureFixture[str], one_day: Path
) -> None:
    told = json.loads(call(capsys, one_day, "kpi", "kpi_headline", "--format", "json")[1])
    assert {row["as_of"] for row in told} == {None}
    waits, _, _ = WAITS.partition(";")
    assert all(f"no final day in the data yet; {waits}" in row["note"] for row in told)
    # Not 0, as of a catalog in which nothing is enabled.
    assert {row["value"] for row in told} == {None}
    assert "dual-stacked" not in " ".join(row["note"] for row in told)
    assert json.loads(call(capsys, one_day, "kpi", "stage3_apps", "--format", "json")[1]) == []


def test_a_status_says_what_the_next_day_waits_for(
    capsys: pytest.CaptureFixture[str], one_day: Path, tmp_path: Path
) -> None:
    code, out, err = call(capsys, one_day, "status", "--format", "json")
    assert code is ExitCode.DONE
    assert WAITS in err
    (days,) = json.loads(out)["days"]
    assert (days["as_of"], days["next_day"]) == (None, "2026-01-01")
    assert (days["final_once"], days["waiting_for"]) == ("2026-01-02T01:00:00Z", 2)
    # The first exporter goes on and on, and the second one is not waited for any more.
    later = tmp_path / "later.parquet"
    write_flows(later, start_ms=JANUARY_1 + DAY_MS + 3_600_000, rows=9)
    assert run(capsys, one_day, later)[0] is ExitCode.DONE
    err = call(capsys, one_day, "status")[2]
    assert "2026-01-02 is final once every exporter has records after 2026-01-03 01:00" in err
    assert "PRELIMINARY" not in call(capsys, one_day, "kpi")[1]


def test_one_view_in_place_of_the_board_names_those_that_are_left_out(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    err = call(capsys, counted, "kpi", "--format", "csv")[2]
    for name in ("kpi_stage1_enablement", "kpi_stage2_coverage", "kpi_stage3_waterfall"):
        assert f"{name}, " in err or f"{name}. " in err
    assert "`v6share kpi NAME --format csv` gives each" in err
    whole = call(capsys, counted, "kpi", "share_by_hour", "--format", "csv")
    assert "more rows" not in whole[2]
    for form in ("csv", "json"):
        _, _, err = call(capsys, counted, "kpi", "share_by_region", "--format", form, "--limit", 2)
        assert "more rows; without --limit all are printed" in err
