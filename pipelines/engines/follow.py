"""The unbounded pipeline on a runner of Beam: follow paths, leave fragments and outcomes.

It commits nothing and holds no lock: a committer takes what it leaves (``outcome_files``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, SwitchingDirectRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult

from v6share.pipelines.beam_pipeline import build
from v6share.pipelines.find import find_inputs, is_missing
from v6share.pipelines.follow_inputs import FollowInputs
from v6share.pipelines.work import Work
from v6share.schemas.errors import UserError
from v6share.workspace.configured import Configured

# One folder of outcomes for all pipelines that follow, after a restart, too. It is not the id of a
# run, so no run takes it for what a killed run has left.
FOLLOW: Final = "follow"
_BOUNDED_ONLY: Final = (BundleBasedDirectRunner, FnApiRunner, SwitchingDirectRunner)


def follow_work(configured: Configured) -> Work:
    """The work of a pipeline that follows: the workspace as it is declared now.

    Outcomes go to ``state/outcomes/follow``. A bundle has one thread unless the settings say more:
    an engine has bundles side by side. When the catalog changes, workers that start later refuse to
    count by it: start the pipeline again then.
    """
    return Work(
        workspace=configured.workspace,
        run_id=FOLLOW,
        settings=configured.settings,
        catalog_version=configured.catalog_version,
        threads=configured.settings.run.threads or 1,
    )


def follow_on(
    options: PipelineOptions, paths: Sequence[str], work: Work, interval_seconds: float
) -> PipelineResult:
    """Start the pipeline on the runner that the options name; give its result while it runs.

    Options are Beam's own and go to it as they are, but for ``streaming``, which is set. paths:
    files, folders or globs, looked at every interval_seconds; workers must see them, and the
    workspace, at the same places. Raises UserError for a runner that cannot do it, for a path that
    is not there, and for what ``find_inputs`` refuses.
    """
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(options=options)
    if isinstance(pipeline.runner, _BOUNDED_ONLY):
        raise UserError(
            f"--runner: found {type(pipeline.runner).__name__} (Beam's own choice where none is "
            "named), which never gives what an unbounded source finds; expected a runner for "
            "streams, such as PrismRunner, FlinkRunner or DataflowRunner"
        )
    excluded = (work.workspace.state, work.workspace.published.parent)
    # Looked at here once: a worker could only log what is wrong with a path, and go on.
    missing = [path for path in find_inputs(paths, excluded).empty if is_missing(path)]
    if missing:
        raise UserError(f"{', '.join(missing)}: no such file or directory; nothing was started")
    absolute = [str(Path.cwd() / path) for path in paths]
    build(pipeline, FollowInputs(absolute, interval_seconds, excluded), work)
    return pipeline.run()
