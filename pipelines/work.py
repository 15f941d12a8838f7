"""What a run is to do, in a form that travels to any worker, and the plan compiled from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final

from v6share.pipelines.kernels.lane import Plan
from v6share.pipelines.kernels.rules import compile_rules
from v6share.schemas.aggregates import HOUR_MS
from v6share.schemas.catalog import Catalog
from v6share.schemas.fragment import RULES_VERSION, FragmentKey
from v6share.schemas.settings import Settings
from v6share.schemas.workspace import Workspace

_MINUTE_MS: Final = 60_000
_UNKNOWN_INTERVAL: Final = {"reject": 0, "unsampled": 1}


@dataclass(frozen=True)
class Work:
    """One run's work.

    dialect: forced, or None to recognise each file's. committed: keys that need no counting.
    now_ns: when the run began; a file that cannot be read and is younger than the settings'
    settle time then is still being written.
    """

    workspace: Workspace
    run_id: str
    catalog: Catalog
    settings: Settings
    catalog_version: str
    client_key: bytes = field(repr=False)
    now_ns: int
    threads: int
    dialect: str | None = None
    committed: frozenset[FragmentKey] = frozenset()

    def key(self, input_id: str, dialect: str) -> FragmentKey:
        """Give the key of an input under this run's versions."""
        return FragmentKey(input_id, dialect, RULES_VERSION, self.catalog_version)

    @property
    def outcomes(self) -> Path:
        """Where the workers of this run write what became of the inputs."""
        return self.workspace.outcomes / self.run_id

    @cached_property
    def plan(self) -> Plan:
        """Compile the catalog. Raises CatalogError."""
        return _plan_of(self)

    def __getstate__(self) -> Mapping[str, object]:
        """Leave the compiled plan behind: it is large, and a worker compiles it in a second."""
        return {k: v for k, v in self.__dict__.items() if k != "plan"}


_plans: dict[str, Plan] = {}
_compiling: Final = Lock()


def _plan_of(work: Work) -> Plan:
    """Compile once a process: a runner may copy its work for every stage."""
    with _compiling:
        if work.catalog_version not in _plans:
            _plans.clear()
            _plans[work.catalog_version] = compile_plan(
                work.catalog, work.settings, work.client_key
            )
        return _plans[work.catalog_version]


def compile_plan(catalog: Catalog, settings: Settings, client_key: bytes) -> Plan:
    """Turn catalog, settings and key into the plan that every lane follows."""
    unknown = settings.sampling.unknown
    return Plan(
        rules=compile_rules(catalog),
        exporters={
            e.exporter: (e.vantage, e.sampling_interval or 0, e.override) for e in catalog.exporters
        },
        client_key=client_key,
        unknown_interval=_UNKNOWN_INTERVAL[unknown] if isinstance(unknown, str) else unknown,
        max_packet_bytes=settings.sampling.max_packet_bytes,
        max_duration_ms=settings.time.max_duration_hours * HOUR_MS,
        reporting_offset_ms=settings.time.reporting_utc_offset_minutes * _MINUTE_MS,
    )
