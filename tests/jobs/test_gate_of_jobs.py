"""What jobs do with the verdict of the gate: publish and say so, or keep what readers see."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows
from streams import published_paths

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.quality.gate import Gate, GateFailed
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.remedies import COULD_NOT_JUDGE
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parents[2] / "examples" / "quality"
NOTHING_HOLDS = {
    "name": "never",
    "severity": "fail",
    "what": "no exporter is there",
    "type": "expect_table_row_count_to_equal",
    "kwargs": {"value": 0},
}


@pytest.fixture(autouse=True)
def gate_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V6SHARE_QUALITY__GATE", "true")


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """Two days, of which the first is final."""
    for day in range(2):
        write_flows(
            tmp_path / "flows" / f"{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS,
            octets=1000 + day,
            rows=70,
        )
    return tmp_path / "flows"


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Gate]:
    """The gates that were started."""
    found: list[Gate] = []
    begin = Gate.begin

    def noted(self: Gate) -> None:
        found.append(self)
        begin(self)

    monkeypatch.setattr(Gate, "begin", noted)
    return found


def snapshot(root: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(Workspace(root).published, read_only=True) as published:
        return published.execute(query).fetchall()


def final_day_judged(root: Path) -> str:
    with duckdb.connect(Workspace(root).warehouse, read_only=True) as warehouse:
        return read_state(warehouse, "judged_final_day")


def expect(root: Path, *expectations: dict[str, Any]) -> None:
    (root / "quality").mkdir(exist_ok=True)
    text = json.dumps({"expectations": expectations})
    (root / "quality" / "exporters.json").write_text(text)


def test_what_it_found_is_in_the_published_file(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, begun: list[Gate]
) -> None:
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert "the gate: " in err
    assert begun
    kinds = "SELECT kind, count(*) FROM checks JOIN check_results USING (name) GROUP BY kind"
    found = dict(snapshot(root, kinds))
    assert found["plausibility"] > 15
    assert found["invariant"] > 15
    ((said,),) = snapshot(root, "SELECT gate FROM results.snapshot")
    assert "expectations met" in said
    # A run that has nothing new does not start it.
    begun.clear()
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    assert begun == []


def assert_helps_with_an_expectation(said: str) -> None:
    """To make the tables anew would find the same."""
    assert "`v6share forget INPUT` withdraws it" in said
    assert "edit quality/exporters.json" in said
    assert "`--no-gate` publishes without" in said
    assert "rebuild" not in said


def test_where_an_expectation_fails_readers_keep_what_they_have(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows / "0.parquet", "--no-gate")[0] is ExitCode.DONE
    expect(root, NOTHING_HOLDS)
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.GATE
    assert "check exporters.never: expected that no exporter is there" in err
    assert_helps_with_an_expectation(err)
    assert published_paths(root) == {"0.parquet"}
    for command in ("kpi", "status"):
        code, _, err = call(capsys, root, command)
        assert code is ExitCode.DONE
        assert "failed checks: exporters.never" in err
    assert_helps_with_an_expectation(err)
    code, out, err = call(capsys, root, "check", "--format", "json")
    assert code is ExitCode.GATE
    assert_helps_with_an_expectation(err)
    rows = {row["check"]: row for row in json.loads(out)}
    assert rows["exporters.never"]["found"] == "found 1"
    assert {row["example"] for row in rows.values() if row["result"] in ("ok", "not judged")} == {
        None
    }
    # Told to do without, it publishes, and says so; made to warn, as well.
    code, _, err = call(capsys, root, "run", flows, "--no-gate")
    assert code is ExitCode.DONE
    assert snapshot(root, "SELECT gate FROM results.snapshot") == [("not run",)]
    for command in ("kpi", "status"):
        assert call(capsys, root, command)[2].count("the gate did not judge") == 1
    assert published_paths(root) == {"0.parquet", "1.parquet"}
    expect(root, NOTHING_HOLDS | {"severity": "warn"})
    write_flows(flows / "2.parquet", start_ms=JANUARY_1 + 2 * DAY_MS)
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert "1 not met, to look at" in err
    for command in ("kpi", "status"):
        err = call(capsys, root, command)[2]
        assert "failed checks" not in err
        assert "did not judge" not in err


@pytest.mark.parametrize(
    "harm",
    [
        lambda gate: os.kill(gate._process.pid, signal.SIGKILL),
        lambda gate: os.kill(gate._process.pid, signal.SIGSTOP),
    ],
    ids=["dead", "hung"],
)
def test_a_gate_that_cannot_judge_is_no_pass(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Gate], None],
) -> None:
    assert run(capsys, root, flows / "0.parquet", "--no-gate")[0] is ExitCode.DONE
    validate = Gate.validate

    def harmed(self: Gate, *arguments: Any) -> Any:
        self.begin()
        harm(self)
        self._start_seconds = self._answer_seconds = 1
        return validate(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Gate, "validate", harmed)
        # Who looks publishes nothing, so nothing is held back for that.
        code, _, err = call(capsys, root, "check")
        assert (code, "nothing was published" in err) == (ExitCode.GATE, False)
        assert "not published" not in call(capsys, root, "status")[2]
        assert not Workspace(root).held_back.exists()
        code, _, err = run(capsys, root, flows)
    assert code is ExitCode.GATE
    assert "the gate could not judge the numbers: its process ended" in err or (
        "the gate could not judge the numbers: it did not answer" in err
    )
    assert published_paths(root) == {"0.parquet"}
    assert "the gate could not judge" in call(capsys, root, "kpi")[2]
    said = call(capsys, root, "status")[2]
    assert "Run the same again" in said
    assert "rebuild" not in said
    assert final_day_judged(root) == ""
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    assert published_paths(root) == {"0.parquet", "1.parquet"}
    assert final_day_judged(root) == "2026-01-01"
    # A word that an earlier version left where nothing is held back goes with the next run.
    with duckdb.connect(Workspace(root).warehouse) as warehouse:
        write_state(warehouse, "unpublished", COULD_NOT_JUDGE)
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    assert "not published" not in call(capsys, root, "status")[2]


def test_an_expectation_that_cannot_be_carried_out_fails_whatever_its_severity(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    expect(
        root,
        NOTHING_HOLDS
        | {
            "severity": "warn",
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "nosuch", "max_value": 1},
        },
    )
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.GATE
    assert "check exporters.never: could not be carried out" in err
    assert not Workspace(root).published.exists()


def test_a_mistake_in_a_suite_is_said_before_anything_is_counted(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    expect(root, NOTHING_HOLDS | {"severity": "critical"})
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "quality/exporters.json: expectations.[0].severity" in err
    assert not Workspace(root).warehouse.exists()
    (root / "quality" / "exporters.json").unlink()
    (root / "quality" / "exporter.json").write_text("{}")
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "there is no such evidence" in err
    (root / "quality" / "exporter.json").unlink()
    (root / "v6share.toml").write_text('[quality]\npython = ["own.py"]\n')
    code, _, err = call(capsys, root, "run", flows)
    assert code is ExitCode.USAGE
    assert "own.py: no such file" in err


def test_a_stream_is_judged_batch_by_batch(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    code, _, err = call(capsys, root, "stream", flows, "--once", "--most-files", 1)
    assert code is ExitCode.DONE, err
    assert snapshot(root, "SELECT count(*) FROM check_results WHERE judged > 0")[0][0] > 5
    expect(root, NOTHING_HOLDS)
    write_flows(flows / "2.parquet", start_ms=JANUARY_1 + 2 * DAY_MS)
    code, _, err = call(capsys, root, "stream", flows, "--once")
    assert code is ExitCode.GATE
    assert_helps_with_an_expectation(err)
    assert published_paths(root) == {"0.parquet", "1.parquet"}


def test_data_docs(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(capsys, root, flows, "--no-gate")[0] is ExitCode.DONE
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, root, "check", "--docs", "new/docs")
    assert code is ExitCode.DONE, err
    assert (tmp_path / "new/docs/index.html").exists()
    (tmp_path / "file").touch()
    for no_folder in ("file", "file/docs"):
        code, _, err = call(capsys, root, "check", "--docs", no_folder)
        assert code is ExitCode.USAGE, err
        assert "file" in err
    code, _, err = call(capsys, root, "check", "--docs", "other", "--no-gate")
    assert code is ExitCode.USAGE
    assert "--docs: found a job without the gate" in err
    assert not (tmp_path / "other").exists()


def test_the_example_of_an_own_expectation_judges(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    """As its README says: loaded where the settings name it, and it finds a stranger."""
    root = tmp_path / "ws"
    write_flows(flows / "strange.parquet", exporter="198.51.100.1", rows=40)
    (root / "quality").mkdir(parents=True)
    for file in (EXAMPLES / "ours.py", EXAMPLES / "exporters.json"):
        shutil.copy(file, root / "quality")
    code, _, said = run(capsys, root, flows)
    assert code == ExitCode.GATE, "not named in the settings, it is not known"
    assert "expect_exporters_of_ours" in said
    (root / "v6share.toml").write_text('[quality]\npython = ["ours.py"]\n')
    code, _, said = run(capsys, root, flows)
    assert code == ExitCode.GATE
    assert "every exporter is one of ours" in said
    own = root / "quality/ours.py"
    own.write_text(own.read_text().replace('"192.0.2.4"', '"192.0.2.4", "198.51.100.1"'))
    assert run(capsys, root, flows)[0] == ExitCode.DONE


def expect_of(root: Path, evidence: str, *expectations: dict[str, Any]) -> None:
    (root / "quality").mkdir(exist_ok=True)
    text = json.dumps({"expectations": expectations})
    (root / "quality" / f"{evidence}.json").write_text(text)


def test_to_run_again_does_not_pass_flows_that_failed(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """Whatever command is next: their inputs are not published, so they are judged again."""
    expect_of(root, "flows", NOTHING_HOLDS)
    for words in (
        ("run", flows),
        ("run", flows),
        ("stream", flows, "--once"),
        ("rebuild",),
        ("check",),
    ):
        code, _, err = call(capsys, root, *words)
        assert code is ExitCode.GATE, (words, err)
        assert "flows.never" in err, words
        assert not Workspace(root).published.exists()
    # To withdraw what failed is a way out.
    (flows / "1.parquet").unlink()
    assert call(capsys, root, "forget", flows / "0.parquet", "--no-publish")[0] is ExitCode.DONE


@pytest.mark.parametrize(
    "past_the_gate",
    [("check", "--no-gate"), ("rebuild", "--no-gate", "--no-publish")],
    ids=["check", "rebuild"],
)
def test_what_was_not_judged_is_judged_before_it_is_published(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, past_the_gate: tuple[str, ...]
) -> None:
    """That all other checks passed is not the gate's word."""
    expect_of(root, "values", NOTHING_HOLDS | {"kwargs": {"value": -1}})
    for _ in range(2):
        assert run(capsys, root, flows)[0] is ExitCode.GATE
    assert call(capsys, root, *past_the_gate)[0] is ExitCode.DONE
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.GATE
    assert "values.never" in err


def test_other_expectations_judge_all_there_is(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert run(capsys, root, flows)[0] is ExitCode.DONE
    names = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "path"}}
    none = {**NOTHING_HOLDS, **names}
    none["kwargs"] = {"column": "path", "value_set": [str(flows / "2.parquet")]}
    expect_of(root, "inputs", none)
    write_flows(flows / "2.parquet", start_ms=JANUARY_1 + 2 * DAY_MS)
    code, _, err = run(capsys, root, flows)
    assert code is ExitCode.GATE
    assert "0.parquet" in err, "an input of before"


def test_a_stream_outlives_its_gate(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that cannot judge holds the numbers back; files are counted, and it is asked again."""
    validate, times = Gate.validate, [0]

    def broken(self: Gate, *arguments: Any) -> Any:
        times[0] += 1
        if times[0] == 1:
            raise GateFailed("it is not itself")
        return validate(self, *arguments)

    monkeypatch.setattr(Gate, "validate", broken)
    monkeypatch.setattr("v6share.jobs.steps.stream_publisher._MINUTE", 0.0)
    code, _, err = call(capsys, root, "stream", flows, "--once", "--most-files", 1)
    assert code is ExitCode.DONE, err
    assert "it is not itself" in err
    assert "publishing goes on" in err
    assert published_paths(root) == {"0.parquet", "1.parquet"}
