"""The step that counts: a run's inputs become fragments, with the progress shown meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from v6share.jobs.steps.run_context import RunContext, start_of, utc_now
from v6share.jobs.terminal import messages
from v6share.jobs.terminal.process import available_cores
from v6share.jobs.terminal.progress import Progress
from v6share.pipelines.work import Work
from v6share.schemas.catalog.suggest import catalog_advice
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.schemas.text.counts import counted
from v6share.warehouse.ledger.rerun import CountedAlready
from v6share.workspace import storage
from v6share.workspace.configured import Configured
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.pipelines.meter import Meter

_POLL_SECONDS: Final = 0.2
# Longer than any worker takes to write one fragment.
_DRAFT_SECONDS: Final = 3600
_OUTCOMES_KEPT: Final = timedelta(days=1)


def count(run: RunContext, inputs: Sequence[FoundInput]) -> list[Outcome]:
    """Turn inputs into fragments where the run counts; one outcome each, by path.

    Errors of another engine than this process as ``engine_of`` says.
    """
    if not inputs:
        return []
    if not run.is_batch:
        remove_leftovers(run.workspace)
    ordered = sorted(inputs, key=lambda one: one.order_of_work)
    return _count_here(run, ordered) if run.engine is None else run.engine(ordered, work_of(run))


def _count_here(run: RunContext, inputs: Sequence[FoundInput]) -> list[Outcome]:
    # Imported when there is something to count: NumPy, Numba and the kernels take a while to load.
    from v6share.pipelines.session import Session

    work = work_of(run)
    already = CountedAlready(run.known, run.versions)
    session = Session(work, run.ahead.plan(run.configured), run.ahead.identities, already)
    try:
        with nullcontext() if run.is_batch else _progress(session.meter, inputs):
            session.start_early(inputs)
            from v6share.pipelines.beam_pipeline import run_local  # here: Beam takes long to load

            return run_local(inputs, session)
    finally:
        session.close()
        storage.remove_folder(work.outcomes)


def say_catalog_advice(configured: Configured) -> None:
    """Warn where nothing can come of counting with this catalog."""
    advice = catalog_advice(configured.catalog, configured.workspace.catalog)
    if advice is not None:
        messages.warn(advice)


def work_of(run: RunContext) -> Work:
    """What a run is to do, as it travels to workers."""
    return Work(
        workspace=run.workspace,
        run_id=run.run_id,
        settings=run.configured.settings,
        catalog_version=run.configured.catalog_version,
        threads=run.configured.settings.run.threads or available_cores(),
        dialect=run.dialect,
    )


def remove_leftovers(workspace: Workspace) -> None:
    """Remove what killed runs left, and nothing of workers that count beside the runs.

    Workers of a pipeline elsewhere do not hold the workspace. They may be writing a fragment now,
    and a committer still has to read their outcomes. So only old drafts go, and only the folders
    of runs: those of pipelines have other names (``pipelines/engines/follow.py``). Nobody reads
    the outcomes of a killed run: what they say is found out again.
    """
    storage.remove_folder(workspace.recounting.fragments)
    storage.remove_drafts(workspace.fragments, "*/", _DRAFT_SECONDS)
    for folder in storage.list_folders(workspace.outcomes):
        start = start_of(folder.name)
        if start is not None and utc_now() - start > _OUTCOMES_KEPT:
            storage.remove_folder(folder)


@contextmanager
def _progress(meter: "Meter", inputs: Sequence[FoundInput]) -> Iterator[None]:
    """Show a meter until the block ends."""
    total = sum(one.size for one in inputs)
    messages.say(
        f"counting {counted(len(inputs), 'input')}",
        inputs=len(inputs),
        size=total,
    )
    ended = threading.Event()
    with Progress("counting", total, len(inputs)) as progress:

        def watch() -> None:
            while not ended.wait(_POLL_SECONDS):
                progress.show(meter.size, files=meter.inputs, rows=meter.rows)

        watcher = threading.Thread(target=watch, name="v6share-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
