"""What a run is to do, in a form that travels to any worker, and the plan compiled from it."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import pyarrow as pa

from v6share.pipelines.kernels.aggregate.accumulator import Plan
from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.schemas.aggregates import HOUR_MS
from v6share.schemas.catalog.parse import Catalog, catalog_version
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import RULES_VERSION, FragmentKey
from v6share.schemas.settings import Settings
from v6share.workspace.declared import key_id, read_catalog, read_client_key
from v6share.workspace.paths import Workspace

_MINUTE_MS: Final = 60_000
_UNKNOWN_INTERVAL: Final = {"reject": 0, "unsampled": 1}


@dataclass(frozen=True)
class Work:
    """One run's work: small, and without secrets. Catalog and key are read where they are.

    dialect: forced, or None to recognise each file's. committed: keys that need no counting.
    now_ns: when the run began; a file that cannot be read and is younger than the settings'
    settle time then is still being written.
    """

    workspace: Workspace
    run_id: str
    settings: Settings
    catalog_version: str
    now_ns: int
    threads: int
    dialect: str | None = None
    committed: frozenset[FragmentKey] = frozenset()

    def key(self, input_id: str, dialect: str) -> FragmentKey:
        """Give the key of an input under this run's versions."""
        return FragmentKey(input_id, dialect, RULES_VERSION, self.catalog_version)

    def refusal_key(self, input_id: str) -> FragmentKey:
        """Give what a refusal of an input is bound to: with another ``--dialect`` it may count."""
        return self.key(input_id, self.dialect or "")

    @property
    def outcomes(self) -> Path:
        """Where the workers of this run write what became of the inputs."""
        return self.workspace.outcomes / self.run_id

    @property
    def plan(self) -> Plan:
        """The compiled catalog, once a process: a runner copies its work for every stage.

        Raises CatalogError, and UserError where the catalog is no longer the run's.
        """
        with _compiling:
            if self.catalog_version not in _plans:
                self._compile()
            return _plans[self.catalog_version]

    def prepare(self, plan: Plan) -> None:
        """Take a catalog that is compiled already, for the workers in this process."""
        with _compiling:
            _plans.clear()
            _plans[self.catalog_version] = plan

    def release(self) -> None:
        """Give back the memory of the compiled catalog, and of the batches that were read."""
        with _compiling:
            _plans.clear()
        pa.default_memory_pool().release_unused()

    def _compile(self) -> None:
        catalog, client_key = read_catalog(self.workspace), read_client_key(self.workspace)
        now = catalog_version(catalog, self.settings, key_id(client_key), dialects_digest())
        if now != self.catalog_version:
            raise UserError(
                f"{self.workspace.catalog}: changed while the run was under way; run again"
            )
        _plans.clear()
        _plans[now] = compile_plan(catalog, self.settings, client_key)


_plans: dict[str, Plan] = {}
_compiling: Final = Lock()


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
        both_directions=frozenset(e.exporter for e in catalog.exporters if e.directions == "both"),
    )
