"""What stays the same through one run, and is handed from step to step."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from v6share import __version__
from v6share.jobs.steps.gate import JobGate
from v6share.jobs.steps.head_start import HeadStart, Warm
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.spark_engine import SparkEngine
from v6share.schemas.fragment import RULES_VERSION
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger.changes import Changes
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.rerun import Versions
from v6share.workspace.configured import Configured
from v6share.workspace.paths import Workspace

_START: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class RunContext:
    """One run, or one batch of a stream.

    known: what the ledger knew before it. clock: its start, ``time.monotonic()``. is_batch: one of
    many of a stream, which says only what is its own. recorded: what its commits changed. phases:
    how long its steps took. engine: counts; None where this process does. earlier: as in
    ``Versions``. findings: what was found before it, each as finding and exporter, where new ones
    are to be told.
    """

    run_id: str
    command: str
    started_at: datetime
    clock: float
    configured: Configured
    connection: Connection
    known: KnownInputs
    ahead: HeadStart | Warm
    gate: JobGate
    engine: SparkEngine | None = None
    dialect: str | None = None
    include_forgotten: bool = False
    is_batch: bool = False
    earlier: frozenset[str] = frozenset()
    findings: frozenset[tuple[str, str]] = frozenset()
    recorded: list[Changes] = field(default_factory=list)
    phases: Phases = field(default_factory=Phases)

    @property
    def workspace(self) -> Workspace:
        """Where it happens."""
        return self.configured.workspace

    @property
    def versions(self) -> Versions:
        """What it counts with."""
        catalog_version = self.configured.catalog_version
        return Versions(RULES_VERSION, catalog_version, self.dialect, self.earlier)


def new_run_id(now: datetime) -> str:
    """The id of a run: its start, in UTC, and a random part."""
    return f"{now:{_START}}-{secrets.token_hex(4)}"


def start_of(run_id: str) -> datetime | None:
    """When the run with this id began; None where the text is not the id of a run."""
    start, dash, _ = run_id.partition("-")
    try:
        return datetime.strptime(start, _START).replace(tzinfo=UTC) if dash else None
    except ValueError:
        return None


def entry_of(command: str, catalog_version: str, now: datetime, outcome: str) -> Run:
    """The journal entry of a command that counts no input."""
    return Run(
        run_id=new_run_id(now),
        command=command,
        code_version=__version__,
        rules_version=RULES_VERSION,
        catalog_version=catalog_version,
        started_at=now,
        finished_at=now,
        inputs_committed=0,
        inputs_known=0,
        inputs_quarantined=0,
        rows_in=0,
        rows_counted=0,
        rows_rejected=0,
        outcome=outcome,
    )


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
