"""Follow folders with v6share on any runner of Beam that runs unbounded pipelines.

    python follow.py --workspace mynet --input flows/ --runner=PrismRunner

Options that are not below go to Beam as they are; write them as --name=value.
"""

import argparse
import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions

from v6share.pipelines.engines.follow import follow_on, follow_work
from v6share.schemas.errors import UserError
from v6share.workspace.configured import configure


def main() -> None:
    """Start the pipeline and wait for it.

    Ctrl-C ends a runner that was started here; a job on a cluster is cancelled there.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, required=True, help="the workspace")
    parser.add_argument("--input", action="append", required=True, help="a folder; repeat it")
    parser.add_argument("--interval", type=float, default=10, help="seconds between two looks")
    ours, beams = parser.parse_known_args()
    try:
        work = follow_work(configure(ours.workspace))
        result = follow_on(PipelineOptions(beams), ours.input, work, ours.interval)
    except UserError as error:
        parser.error(str(error))
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
