"""The local runner: bundles end at once, and Beam is left as it was."""

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.worker import statesampler

from v6share.pipelines.batch import prompt_ends

periods_ms: list[int] = []


class NotePeriod(beam.DoFn):
    def process(self, element: int) -> Iterator[int]:
        periods_ms.append(statesampler.get_current_tracker().sampling_period_ms)
        yield element


def run_pipeline() -> int:
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        pipeline | beam.Create([1], reshuffle=False) | beam.ParDo(NotePeriod())
    return periods_ms.pop()


def test_a_bundle_does_not_wait_long_for_the_sampler_of_states() -> None:
    usual = run_pipeline()
    with prompt_ends():
        prompt = run_pipeline()
    assert prompt <= 10 < usual
    assert run_pipeline() == usual
