"""The pipeline under a stream: late inputs, bundles of any size, inputs that come twice.

On a runner that takes a made stream of bundles; a real unbounded source is tried in ``prism/``.
"""

import base64
import zlib
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_pipeline import TestPipeline as MadePipeline
from apache_beam.testing.test_stream import TestStream as MadeStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, Repeatedly
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, TimestampedValue
from apache_beam.utils.shared import Shared
from flow_sets import Made, count
from workspaces import CLIENT_KEY, differing, fragments, journal, tables

from v6share.pipelines.beam_pipeline import MakeFragments, RecordOutcomes, build
from v6share.pipelines.engines.follow import FOLLOW, follow_on, follow_work
from v6share.pipelines.find import find_inputs
from v6share.pipelines.outcome_files import distinct_outcomes, read_outcome_files
from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import Outcome
from v6share.warehouse.commit import record
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.outcomes import journal_entries, sort_outcomes
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.configured import configure

AT = datetime(2026, 1, 1, tzinfo=UTC)
STREAMING = PipelineOptions(["--streaming"])


@pytest.fixture
def work(fresh: Path) -> Work:
    return follow_work(configure(fresh))


def stream_pipeline() -> MadePipeline:
    return MadePipeline(runner=BundleBasedDirectRunner(), options=STREAMING)


def test_late_and_repeated_inputs_in_several_bundles(made: Made, fresh: Path, work: Work) -> None:
    found = find_inputs([str(made.flows)]).inputs
    first, second, *others = found
    stream = (
        MadeStream()
        .add_elements([TimestampedValue(first, 100)])
        .advance_watermark_to(1000)
        # Late: behind the watermark, and one of them for the second time.
        .add_elements([TimestampedValue(second, 5), TimestampedValue(first, 5)])
        .advance_watermark_to(2000)
        .advance_processing_time(60)
        .add_elements([TimestampedValue(one, 3000) for one in others])
        .add_elements([TimestampedValue(first, 3000)])
        .advance_watermark_to_infinity()
    )
    with stream_pipeline() as pipeline:
        build(pipeline, stream, work)
    files = read_outcome_files(work.outcomes)
    assert files.refused == ()
    # By the order of their names, so by the order of time.
    bundles = [sorted(one.path for one in file.outcomes) for file in files.whole]
    assert bundles == [
        [first.path],
        sorted([first.path, second.path]),
        sorted(one.path for one in others),
        [first.path],
    ]
    outcomes = distinct_outcomes(files.whole)
    assert [one.path for one in outcomes] == [one.path for one in found]
    assert {one.status for one in outcomes} == {"fragment"}
    assert fragments(fresh) == fragments(made.root)
    # What the stream left changes nothing for a run over the folder.
    assert count(fresh, made.flows) == 0
    assert fragments(fresh) == fragments(made.root)
    assert differing(tables(fresh), tables(made.root)) == []


def test_a_committer_that_is_broken_off_commits_once(made: Made, fresh: Path, work: Work) -> None:
    """It records, then removes. Killed between the two, it reads and records the same again."""
    found = find_inputs([str(made.flows)]).inputs
    stream = MadeStream().add_elements(found[:2]).add_elements([*found[2:], found[0]])
    with stream_pipeline() as pipeline:
        build(pipeline, stream.advance_watermark_to_infinity(), work)
    for run_id in ("killed", "again"):
        files = read_outcome_files(work.outcomes).whole
        assert len(files) == 2
        with closing(open_warehouse(work.workspace)) as connection:
            result = sort_outcomes(distinct_outcomes(files), known_inputs(connection))
            record(connection, work.workspace, journal_entries(result, run_id, AT))
    for file in files:
        storage.remove(file.path)
    assert read_outcome_files(work.outcomes) == ((), ())
    entries = [entry for entry in journal(fresh) if entry["type"] == "commit"]
    assert [(entry["run_id"], len(entry["inputs"])) for entry in entries] == [
        ("killed", len(found))
    ]
    # A run over the folder finds nothing new, and publishes what the committer has committed.
    assert count(fresh, made.flows) == 0
    runs = [entry for entry in journal(fresh) if entry["type"] == "run"]
    assert runs[-1]["outcome"] == "no-op"
    assert differing(tables(fresh), tables(made.root)) == []


def test_a_stream_without_inputs_writes_nothing(work: Work) -> None:
    stream = MadeStream().advance_watermark_to(1000).advance_watermark_to_infinity()
    with stream_pipeline() as pipeline:
        build(pipeline, stream, work)
    assert not work.outcomes.exists()


def test_an_empty_bundle_writes_nothing(work: Work) -> None:
    """Some engines make a bundle of every look at a folder, whether or not it found a file."""
    record = RecordOutcomes(work.outcomes)
    record.start_bundle()
    record.finish_bundle()
    assert not work.outcomes.exists()
    busy = Outcome("/flows/a.parquet", 1, 2, "busy", reason="busy")
    record.start_bundle()
    assert list(record.process(busy)) == [busy]
    record.finish_bundle()
    record.start_bundle()
    record.finish_bundle()
    assert [file.outcomes for file in read_outcome_files(work.outcomes).whole] == [(busy,)]


def test_outcomes_are_passed_on_in_the_global_window(made: Made, work: Work) -> None:
    found = find_inputs([str(made.flows)]).inputs[:2]
    with MadePipeline(runner=BundleBasedDirectRunner()) as pipeline:
        outcomes = build(pipeline, beam.Create([*found, *found]), work)
        assert outcomes.windowing.is_default()
        said = outcomes | beam.Map(lambda one: (one.path, one.status))
        assert_that(said, equal_to([(one.path, "fragment") for one in (*found, *found)]))
    lines = Counter(one.path for f in read_outcome_files(work.outcomes).whole for one in f.outcomes)
    assert lines == {one.path: 2 for one in found}
    assert len(fragments(work.workspace.root)) == len(found)


class Windowed(beam.PTransform):
    def __init__(self, window_into: beam.WindowInto) -> None:
        super().__init__()
        self.window_into = window_into

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        return pipeline | beam.Create([]) | self.window_into


@pytest.mark.parametrize("windows", [FixedWindows(300), Sessions(60)])
def test_a_source_in_windows_is_refused(work: Work, windows: object) -> None:
    said = f"found windows of {type(windows).__name__}, expected the global window"
    with pytest.raises(UserError, match=said):
        build(MadePipeline(), Windowed(beam.WindowInto(windows)), work)


def test_a_source_with_a_trigger_is_none_in_windows(work: Work) -> None:
    """A trigger says when groups are given, and here nothing is grouped."""
    trigger = beam.WindowInto(
        GlobalWindows(),
        trigger=Repeatedly(AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
    )
    build(MadePipeline(), Windowed(trigger), work)


def test_the_client_key_does_not_travel(work: Work) -> None:
    """Flink's page and Spark's logs show what a pipeline carries."""
    shared, session = Shared(), Session(work)
    shared.acquire(lambda: session)
    session.gather().stop()  # the plan is compiled now, and holds the key
    packed = pickler.dumps(MakeFragments(work, shared), use_zlib=True)
    carried = zlib.decompress(base64.b64decode(packed))
    assert work.catalog_version.encode() in carried
    for form in (CLIENT_KEY, CLIENT_KEY.hex().encode(), base64.b64encode(CLIENT_KEY)):
        assert form not in carried


@pytest.mark.parametrize(
    ("options", "paths", "said"),
    [
        ([], ["."], "--runner: found "),
        (["--runner=DirectRunner"], ["."], "--runner: found "),
        (["--runner=FnApiRunner"], ["."], "--runner: found FnApiRunner "),
        (["--runner=BundleBasedDirectRunner"], ["."], "--runner: found BundleBasedDirectRunner "),
        (["--runner=PrismRunner"], ["no/such/folder"], "no/such/folder: no such file or directory"),
        (["--runner=PrismRunner"], [""], "found an empty text"),
        (["--runner=PrismRunner"], ["s3://bucket/flows"], "object-store URLs cannot be read yet"),
    ],
)
def test_what_cannot_be_followed_is_said_before_anything_starts(
    work: Work, options: list[str], paths: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        follow_on(PipelineOptions(options), paths, work, 1)
    assert not work.outcomes.exists()


def test_what_follows_is_not_named_like_a_run(work: Work) -> None:
    """Else a run would clear its outcomes away a day later."""
    from v6share.jobs.steps.run_context import new_run_id, start_of, utc_now

    assert start_of(FOLLOW) is None
    now = utc_now()
    assert start_of(new_run_id(now)) == now.replace(microsecond=0)
