"""What Spark has counted is judged in its session, by the same suites."""

import json
from pathlib import Path

import duckdb
import pytest
from spark_runs import spark_options
from workspaces import v6share

from v6share.jobs.terminal.exit_codes import ExitCode

GATE = {"V6SHARE_QUALITY__GATE": "true"}


def outcomes(root: Path) -> dict[str, str]:
    with duckdb.connect(root / "published" / "v6share.duckdb", read_only=True) as published:
        query = "SELECT name, outcome FROM check_results WHERE judged IS NOT NULL"
        return dict(published.execute(query).fetchall())


@pytest.fixture
def judged_here(fresh: Path, tmp_path: Path, few_flows: Path) -> dict[str, str]:
    other = tmp_path / "other"
    (other / "catalog").parent.mkdir()
    (other / "catalog").symlink_to(fresh / "catalog")
    code, _, err = v6share(other, "run", few_flows, env=GATE)
    assert code == 0, err
    return outcomes(other)


def test_the_same_suites_find_the_same(
    fresh: Path, few_flows: Path, judged_here: dict[str, str]
) -> None:
    options = spark_options("local[2]")
    code, _, err = v6share(fresh, "run", few_flows, *options, env=GATE)
    assert code == 0, err
    assert outcomes(fresh) == judged_here
    assert "ok" in judged_here.values()


def test_what_fails_there_is_not_published(fresh: Path, few_flows: Path) -> None:
    (fresh / "quality").mkdir()
    never = {
        "name": "never",
        "severity": "fail",
        "what": "no exporter is there",
        "type": "expect_table_row_count_to_equal",
        "kwargs": {"value": 0},
    }
    text = json.dumps({"expectations": [never]})
    (fresh / "quality" / "exporters.json").write_text(text)
    code, _, err = v6share(fresh, "run", few_flows, *spark_options("local[2]"), env=GATE)
    assert code == ExitCode.GATE
    assert "check exporters.never" in err
    assert not (fresh / "published" / "v6share.duckdb").exists()
