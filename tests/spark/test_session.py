"""``count_in_spark`` and ``--runner spark`` inside a session that is there already."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flow_files import spoil
from pyspark.serializers import CloudPickleSerializer
from pyspark.sql import SparkSession
from workspaces import CLIENT_KEY, differing, fragments, tables

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.pipelines.engines.spark import count_in_spark
from v6share.pipelines.engines.spark_session import spark_session
from v6share.pipelines.find import find_inputs
from v6share.pipelines.work import Work
from v6share.schemas.errors import EngineFailed, UserError
from v6share.workspace.configured import configure
from v6share.workspace.paths import Workspace


@pytest.fixture(scope="module")
def session(environment: None) -> Iterator[SparkSession]:
    """A session of two workers, as an application of its user has one."""
    settings = {"spark.master": "local[2]", "spark.ui.enabled": "false", "spark.app.name": "mine"}
    with spark_session(settings, shows_log=False) as started:
        yield started


def is_at_work(session: SparkSession) -> bool:
    return session.sparkContext.parallelize([1, 2, 3], 2).sum() == 6


def work_in(root: Path) -> Work:
    configured = configure(root)
    settings, version = configured.settings, configured.catalog_version
    return Work(configured.workspace, "a run", settings, version, threads=2)


def test_a_refused_file_among_good_ones(
    session: SparkSession, fresh: Path, few_flows: Path
) -> None:
    bad = spoil(few_flows / "bad.parquet")
    found = find_inputs([str(few_flows)]).inputs
    outcomes = count_in_spark(session, found, work_in(fresh))
    assert [one.path for one in outcomes] == [one.path for one in found]
    assert {one.path: one.reason for one in outcomes if one.status == "quarantined"} == {
        str(bad): "unreadable"
    }
    assert [one.status for one in outcomes].count("fragment") == 3
    assert is_at_work(session)


def test_inputs_that_are_counted_twice_by_two_workers_at_once(
    session: SparkSession, fresh: Path, few_flows: Path, counted_here: Callable[[Path], Path]
) -> None:
    """As when a worker dies after it has written a fragment, and before Spark knows."""
    found, work = find_inputs([str(few_flows)]).inputs, work_in(fresh)
    once = count_in_spark(session, found, work)
    written = fragments(fresh)
    assert written == fragments(counted_here(few_flows))
    twice = count_in_spark(session, [*found, *found], work)
    assert fragments(fresh) == written
    assert twice == [outcome for outcome in once for _ in range(2)]


def test_a_run_uses_the_session_and_leaves_it_open(
    session: SparkSession,
    fresh: Path,
    few_flows: Path,
    counted_here: Callable[[Path], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ["-C", str(fresh), "run", str(few_flows), "--runner", "spark"]
    assert cli.call(run) is ExitCode.DONE
    assert "counting 3 inputs in Spark (local[2])" in capsys.readouterr().err
    assert fragments(fresh) == fragments(counted_here(few_flows))
    assert differing(tables(fresh), tables(counted_here(few_flows))) == []
    assert session.sparkContext.appName == "mine"
    assert is_at_work(session)


def test_a_session_that_is_there_keeps_its_settings(
    session: SparkSession, fresh: Path, few_flows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["-C", str(fresh), "run", str(few_flows), "--runner", "spark"]
    code = cli.call([*run, "--spark-conf", "spark.executor.memory=2g"])
    assert code is ExitCode.USAGE
    said = capsys.readouterr().err
    assert "found settings of Spark (spark.executor.memory), but a session is active" in said
    assert is_at_work(session)


def test_what_travels_to_a_worker_has_no_key(
    session: SparkSession, fresh: Path, few_flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function that Spark pickles to send it, with all that it refers to."""
    sent: list[bytes] = []
    dumps = CloudPickleSerializer.dumps

    def noted(self: CloudPickleSerializer, thing: object) -> bytes:
        sent.append(dumps(self, thing))
        return sent[-1]

    monkeypatch.setattr(CloudPickleSerializer, "dumps", noted)
    count_in_spark(session, find_inputs([str(few_flows)]).inputs, work_in(fresh))
    assert [one for one in sent if fresh.parent.name.encode() in one]
    for form in (CLIENT_KEY, CLIENT_KEY.hex().encode()):
        assert not [one for one in sent if form in one]


def test_a_catalog_that_has_changed_meanwhile(
    session: SparkSession, fresh: Path, few_flows: Path
) -> None:
    work = replace(work_in(fresh), run_id="another", catalog_version="of yesterday")
    with pytest.raises(UserError, match="catalog: changed while the run was under way; run again"):
        count_in_spark(session, find_inputs([str(few_flows)]).inputs, work)
    assert fragments(fresh) == {}


def test_a_worker_that_does_not_see_the_workspace_makes_no_key(
    session: SparkSession, fresh: Path, few_flows: Path, tmp_path: Path
) -> None:
    """Its hashes would be those of other clients."""
    elsewhere = replace(work_in(fresh), workspace=Workspace(tmp_path / "not mounted"))
    with pytest.raises(UserError, match=r"client\.key: not there on .*, where Spark counts"):
        count_in_spark(session, find_inputs([str(few_flows)]).inputs, elsewhere)
    assert not (tmp_path / "not mounted").exists()


def test_a_workspace_that_cannot_be_written_ends_the_job_in_a_line(
    session: SparkSession, fresh: Path, few_flows: Path
) -> None:
    (fresh / "state" / "fragments").write_bytes(b"a file where a folder has to be")
    with pytest.raises(EngineFailed, match=r"\ASpark gave up: \w+Error: .*fragments.*\Z"):
        count_in_spark(session, find_inputs([str(few_flows)]).inputs, work_in(fresh))
    assert is_at_work(session)
