"""Wires a run's work to the pipeline, with the progress shown meanwhile."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from v6share.jobs.cores import available_cores
from v6share.jobs.steps.head_start import load_pipeline
from v6share.jobs.terminal import messages
from v6share.jobs.terminal.progress import Progress
from v6share.pipelines.crew import crew_ahead, meter_of
from v6share.pipelines.kernels.aggregate.accumulator import Plan
from v6share.pipelines.work import Work
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.workspace.configured import Configured

_POLL_SECONDS: Final = 0.2


def count_inputs(
    configured: Configured,
    plan: Plan,
    inputs: Sequence[FoundInput],
    *,
    dialect: str | None,
    run_id: str,
    committed: frozenset[FragmentKey],
) -> list[Outcome]:
    """Turn inputs into fragments on this machine; one outcome each, by path.

    plan: the compiled catalog; its memory is free afterwards. committed: keys that need no
    counting. Outcome lines of this and of broken-off runs are removed: what they say is in the
    journal, or is found out again. So are fragments that a killed run was writing.
    """
    work = Work(
        workspace=configured.workspace,
        run_id=run_id,
        settings=configured.settings,
        catalog_version=configured.catalog_version,
        now_ns=time.time_ns(),
        threads=configured.settings.run.threads or available_cores(),
        dialect=dialect,
        committed=committed,
    )
    work.prepare(plan)
    shutil.rmtree(configured.workspace.outcomes, ignore_errors=True)
    # The workspace is ours alone, so whoever was writing these is dead.
    for torn in configured.workspace.fragments.glob("*/.*.tmp"):
        torn.unlink(missing_ok=True)
    ordered = sorted(inputs, key=lambda one: one.order_of_work)
    try:
        with _progress_of(run_id, ordered), crew_ahead(work, ordered):
            load_pipeline()
            from v6share.pipelines.batch import run_local  # here: Beam takes long to load

            return run_local(ordered, work)
    finally:
        work.release()
        shutil.rmtree(configured.workspace.outcomes, ignore_errors=True)


@contextmanager
def _progress_of(run_id: str, inputs: Sequence[FoundInput]) -> Iterator[None]:
    """Show the run's meter until the block ends."""
    total = sum(one.size for one in inputs)
    messages.say(f"counting {len(inputs):,} inputs", inputs=len(inputs), size=total)
    ended = threading.Event()
    with Progress("counting", total, len(inputs)) as progress:
        watcher = threading.Thread(
            target=_watch, args=(run_id, progress, ended), name="v6share-progress", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _watch(run_id: str, progress: Progress, ended: threading.Event) -> None:
    meter = meter_of(run_id)
    while not ended.wait(_POLL_SECONDS):
        progress.show(meter.size, files=meter.inputs, rows=meter.rows)
