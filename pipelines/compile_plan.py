"""The plan: catalog, settings and client key, compiled into what a run counts by."""

from typing import Final

from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.pipelines.kernels.plan import Plan
from v6share.pipelines.work import Work
from v6share.schemas.aggregates import DAY_MS, HOUR_MS
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.version import catalog_version
from v6share.schemas.dialects import dialects_digest
from v6share.schemas.errors import UserError
from v6share.schemas.settings import Settings
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.client_key import key_id, read_client_key

_MINUTE_MS: Final = 60_000
_UNKNOWN_INTERVAL: Final = {"reject": 0, "unsampled": 1}


def compile_plan(catalog: Catalog, settings: Settings, client_key: bytes) -> Plan:
    """Turn catalog, settings and key into the plan of a run."""
    unknown = settings.sampling.unknown
    return Plan(
        rules=compile_rules(catalog),
        exporters={
            e.exporter: (e.vantage, e.sampling_interval or 0, e.override) for e in catalog.exporters
        },
        client_key=client_key,
        unknown_interval=_UNKNOWN_INTERVAL[unknown] if isinstance(unknown, str) else unknown,
        max_packet_bytes=settings.sampling.max_packet_bytes,
        max_interval=settings.sampling.max_interval,
        max_duration_ms=settings.time.max_duration_hours * HOUR_MS,
        stale_ms=settings.time.stale_days * DAY_MS,
        ahead_ms=settings.time.ahead_hours * HOUR_MS,
        reporting_offset_ms=settings.time.reporting_utc_offset_minutes * _MINUTE_MS,
        active_timeouts_ms={
            e.exporter: e.active_timeout * 1000 for e in catalog.exporters if e.active_timeout
        },
        both_directions=frozenset(e.exporter for e in catalog.exporters if e.directions == "both"),
    )


def read_plan(work: Work) -> Plan:
    """Compile the plan of a run from its workspace, as a worker elsewhere does.

    Raises CatalogError, and UserError where the catalog is no longer the run's.
    """
    catalog, client_key = read_catalog(work.workspace), read_client_key(work.workspace)
    now = catalog_version(catalog, work.settings, key_id(client_key), dialects_digest())
    if now != work.catalog_version:
        raise UserError(f"{work.workspace.catalog}: changed while the run was under way; run again")
    return compile_plan(catalog, work.settings, client_key)
