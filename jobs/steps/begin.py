"""How every command begins that counts flow files: it takes its turn and gathers what it needs."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from v6share.jobs.steps import report
from v6share.jobs.steps.find import find
from v6share.jobs.steps.gate import job_gate
from v6share.jobs.steps.head_start import head_start
from v6share.jobs.steps.run_context import RunContext, new_run_id, utc_now
from v6share.jobs.steps.runner import LOCAL, parse_runner
from v6share.jobs.steps.spark_engine import engine_of
from v6share.jobs.terminal import interrupt
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.find import Found
from v6share.render.text import SeveralForm
from v6share.schemas.dialects import builtin_dialects, dialect_named
from v6share.schemas.settings import Settings
from v6share.warehouse.commit import refuse_damaged_journal
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger.client_keys import refuse_other_key
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.rows import key_ids
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.status import findings_to_tell
from v6share.workspace.configured import read_declared, read_settings_first
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class Request:
    """The options of one command that counts flow files, as given."""

    paths: tuple[str, ...]
    since: str | None = None
    until: str | None = None
    dialect: str | None = None
    runner: str = "local"
    spark_conf: tuple[str, ...] = ()
    unknown_sampling: str | None = None
    wait: float = 0
    threads: int | None = None
    publish: bool = True
    gate: bool | None = None
    include_forgotten: bool = False
    form: SeveralForm = "table"

    @property
    def flags(self) -> dict[str, str | int | bool | None]:
        """The options that stand for settings, by name; None is "not given"."""
        return {
            "--unknown-sampling": self.unknown_sampling,
            "--threads": self.threads,
            "--gate": self.gate,
        }


def look(invocation: Invocation, request: Request) -> tuple[Workspace, Settings]:
    """The workspace and its settings, before anything is changed.

    Raises UserError where a name or a setting is wrong, there is no workspace, or its journal is
    lost.
    """
    if request.dialect is not None:
        dialect_named(request.dialect, builtin_dialects())
    parse_runner(request.runner, request.spark_conf)
    workspace = find_workspace(invocation.root)
    settings = read_settings_first(workspace, request.flags)
    refuse_lost_journal(workspace)
    return workspace, settings


@contextmanager
def begun(
    invocation: Invocation, request: Request, *, hashes: bool
) -> Iterator[tuple[RunContext, Found]]:
    """Hold the workspace while the block runs; give the run and the inputs that were found.

    hashes: whether all inputs that were never seen are sure to be counted.

    Raises UserError and CatalogError for mistakes in options, settings, catalog or state,
    WorkspaceBusy where another run holds the workspace, and JobStopped where there is no input.
    """
    workspace, settings = look(invocation, request)
    runner = parse_runner(request.runner, request.spark_conf)
    started_at, clock = utc_now(), time.monotonic()
    leaving = interrupt.leaving(interrupt.NOTHING_HALF_DONE)
    with (
        leaving,
        hold(workspace, invocation.command, request.wait),
        job_gate(workspace, settings.quality) as gate,
    ):
        found = find(request.paths, workspace)
        with closing(open_warehouse(workspace, settings.run.threads)) as connection:
            refuse_lost_runs(connection, workspace)
            refuse_damaged_journal(connection, workspace)
            refuse_lost_catalog(connection, workspace)
            known = known_inputs(connection)
            # Only what is counted in this process can be begun early here.
            new = known.never_seen(found.inputs)
            early = new if runner == LOCAL else ()
            if early:
                gate.begin()
            with head_start(early, hashes=hashes) as ahead, engine_of(runner) as engine:
                configured = read_declared(workspace, settings)
                keys = key_ids(connection)
                refuse_other_key(workspace, keys, configured.client_key_id)
                ahead.compile(configured)
                report.say_what_looks_wrong(configured)
                run = RunContext(
                    run_id=new_run_id(started_at),
                    command=invocation.command,
                    started_at=started_at,
                    clock=clock,
                    configured=configured,
                    connection=connection,
                    known=known,
                    ahead=ahead,
                    gate=replace(gate, engine=engine),
                    engine=engine,
                    dialect=request.dialect,
                    include_forgotten=request.include_forgotten,
                    earlier=configured.versions_under(keys[:-1]),
                    findings=_findings_so_far(connection),
                )
                yield run, found


def _findings_so_far(connection: Connection) -> frozenset[tuple[str, str]]:
    rows = findings_to_tell(connection).select(["finding", "exporter"]).to_pylist()
    return frozenset((row["finding"], row["exporter"]) for row in rows)
