"""The Beam pipeline: inputs to fragments and outcomes, and nothing else.

Any runner can run it: ``build`` takes a source and the work. Workers leave fragments and
outcome lines behind; at least once is enough, because fragments are content-addressed and the
committer knows what it has.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from v6share.pipelines.crew import Crew
from v6share.pipelines.outcome_files import distinct_outcomes, read_outcome_files, write_outcomes
from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput, Outcome


class MakeFragments(beam.DoFn):
    """Turn inputs into fragments. Each bundle has a crew of threads, which ends with it."""

    def __init__(self, work: Work, shared: Shared) -> None:
        self._work = work
        self._shared = shared
        self._session: Session | None = None
        self._crew: Crew | None = None

    def setup(self) -> None:
        """Join the driver's session, where that is this process; make one anywhere else.

        A runner copies this object for every stage, so the session cannot be a part of it.
        """
        self._session = self._shared.acquire(lambda: Session(self._work))

    def start_bundle(self) -> None:
        """Take the crew that was begun ahead, or a new one."""
        if self._session is None:
            raise RuntimeError("a worker must be set up before its first bundle")
        self._crew = self._session.gather()

    def process(self, found: FoundInput) -> Iterator[Outcome]:
        """Begin an input and give the outcomes that are due."""
        crew = self._gathered()
        try:
            yield from crew.submit(found)
        except BaseException:
            crew.stop()
            raise

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Give the outcomes of all inputs still under way."""
        crew = self._gathered()
        window = GlobalWindow()
        try:
            for outcome in crew.drain():
                yield WindowedValue(outcome, window.max_timestamp(), (window,))
        except BaseException:
            crew.stop()
            raise
        finally:
            self._crew = None

    def _gathered(self) -> Crew:
        if self._crew is None:
            raise RuntimeError("a bundle must be started before it is processed")
        return self._crew


class RecordOutcomes(beam.DoFn):
    """Pass outcomes on, and write those of a bundle to a file of its own.

    They are written at the end of the bundle: a bundle that fails is made again as a whole.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def start_bundle(self) -> None:
        """Begin without an outcome."""
        self._outcomes: list[Outcome] = []

    def process(self, outcome: Outcome) -> Iterator[Outcome]:
        """Keep one outcome."""
        self._outcomes.append(outcome)
        yield outcome

    def finish_bundle(self) -> None:
        """Write the outcomes, if there are any."""
        write_outcomes(self._directory, self._outcomes)


def build(
    pipeline: beam.Pipeline, source: Any, work: Work, shared: Shared | None = None
) -> PCollection[Outcome]:
    """Build the pipeline: a source transform of ``FoundInput`` to recorded ``Outcome``.

    source: bounded or not, in the global window. shared: by which workers in this process find a
    session that was begun already. Raises UserError where the source is windowed otherwise.
    """
    found = pipeline | "FindInputs" >> source
    windows = found.windowing.windowfn
    if not isinstance(windows, GlobalWindows):
        # A bundle's last outcomes are given for the global window, whatever their inputs were in.
        raise UserError(
            f"the source of inputs: found windows of {type(windows).__name__}, expected the global "
            "window: a file is one input whenever it came, and flows are split over windows of "
            "time when they are counted. Take the windowing out of the source"
        )
    outcomes: PCollection[Outcome] = (
        found
        | "MakeFragments" >> beam.ParDo(MakeFragments(work, shared or Shared()))
        | "RecordOutcomes" >> beam.ParDo(RecordOutcomes(work.outcomes))
    )
    return outcomes


def run_local(found: Sequence[FoundInput], session: Session) -> list[Outcome]:
    """Run the pipeline in this process, inputs in the order given; give the outcomes, by path.

    The runner is named: DirectRunner would look for a binary to download first.
    """
    shared = Shared()
    # The first to acquire it decides what is shared: ``setup`` of the workers in this process gets
    # this session then, and makes none.
    shared.acquire(lambda: session)
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        build(pipeline, beam.Create(found, reshuffle=False), session.work, shared)
    # A runner gives no results back: the workers have written them to files.
    return read_outcomes(session.work.outcomes)


def read_outcomes(directory: Path) -> list[Outcome]:
    """Read what the workers of a run recorded, each outcome once, by path.

    Raises UserError where a file there is not what a worker wrote: a part is not to pass for all.
    """
    files = read_outcome_files(directory)
    for path, reason in files.refused:
        raise UserError(f"{path}: {reason}")
    return distinct_outcomes(files.whole)
