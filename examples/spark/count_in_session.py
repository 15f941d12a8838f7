"""Count flow files inside a Spark session of your own, and commit what came of it.

    python count_in_session.py WORKSPACE FLOWS...

The steps are those of ``v6share run``: hold the workspace, find, sort out, count, commit, check and
publish. Only this process, the driver, opens the warehouse; workers write fragments.
"""

import sys
import time
from contextlib import closing
from pathlib import Path

try:
    from pyspark.sql import SparkSession
except ImportError:
    sys.exit("error: Spark is not installed here: pip install 'v6share[spark]'")

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import work_of
from v6share.jobs.steps.gate import job_gate
from v6share.jobs.steps.head_start import head_start
from v6share.jobs.steps.run_context import RunContext, new_run_id, utc_now
from v6share.jobs.terminal.exit_codes import JobStopped
from v6share.pipelines.engines.spark import count_in_spark
from v6share.pipelines.find import find_inputs
from v6share.schemas.errors import EngineFailed, UserError
from v6share.schemas.outcome import Outcome
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.rerun import passed_over, sort_out
from v6share.warehouse.open import open_warehouse
from v6share.workspace.configured import configure
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import WorkspaceBusy, hold


def count_and_commit(session: SparkSession, root: Path, flows: list[str]) -> list[Outcome]:
    """Count what is new among the flow files, and publish; what became of each that was counted.

    Raises UserError for mistakes, WorkspaceBusy where another run holds the workspace, EngineFailed
    where Spark gives up, JobStopped where a check fails.
    """
    workspace = find_workspace(root)
    refuse_lost_journal(workspace)
    started_at, clock = utc_now(), time.monotonic()
    with hold(workspace, "count_in_session", 0):
        configured = configure(root)
        threads = configured.settings.run.threads
        with (
            job_gate(workspace, configured.settings.quality) as gate,
            closing(open_warehouse(workspace, threads)) as connection,
        ):
            refuse_lost_runs(connection, workspace)
            refuse_lost_catalog(connection, workspace)
            with head_start((), hashes=False) as nothing_begun:
                run = RunContext(
                    run_id=new_run_id(started_at),
                    command="count_in_session",
                    started_at=started_at,
                    clock=clock,
                    configured=configured,
                    connection=connection,
                    known=known_inputs(connection),
                    ahead=nothing_begun,
                    gate=gate,
                )
                found = find_inputs(flows, (workspace.state, workspace.published.parent)).inputs
                fates = sort_out(found, run.known, run.versions, include_forgotten=False)
                outcomes = count_in_spark(session, fates["todo"], work_of(run))
                commit(run, outcomes, passed_over(fates))
            check_and_publish(connection, workspace, gate, wanted=True)
    return outcomes


def main() -> None:
    """Count, print a line for each file, and go on using the session."""
    if len(sys.argv) < 3:
        sys.exit("usage: python count_in_session.py WORKSPACE FLOWS...")
    root, *flows = sys.argv[1:]
    session = SparkSession.builder.appName("mine").getOrCreate()
    try:
        outcomes = count_and_commit(session, Path(root), flows)
    except (UserError, WorkspaceBusy, EngineFailed, JobStopped) as error:
        sys.exit(f"error: {error}")
    for one in outcomes:
        print(one.status, one.rows_counted, one.path)
    ends: list[str] = [one.status for one in outcomes]
    by_status = session.sparkContext.parallelize(ends or ["none"])
    print(dict(by_status.countByValue()))
    session.stop()


if __name__ == "__main__":
    main()
