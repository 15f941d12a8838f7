"""The plan: all that decides how rows are counted, compiled once and the same for a whole run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from v6share.pipelines.kernels.classify.compile_catalog import Rules
from v6share.pipelines.kernels.flow_batch import I64
from v6share.pipelines.kernels.names import Names
from v6share.schemas.aggregates import UNLISTED


class PlanNames(NamedTuple):
    """What the numbers of a plan stand for, in the rows of fragments.

    app_of_pair, product_of_pair: by the number of an (app, product); client_region, network: by
    the number of a client's (region, network); scope, scope_id: by the number of a client scope.
    """

    vantage: Names
    app: Names
    app_of_pair: Names
    product_of_pair: Names
    service_region: Names
    client_region: Names
    network: Names
    scope: Names
    scope_id: Names


@dataclass(frozen=True)
class Plan:
    """All that decides how rows are counted; the same for a whole run.

    exporters: exporter text -> (vantage, declared sampling interval or 0, override).
    active_timeouts_ms: after how long an exporter reports a connection that goes on.
    both_directions: the exporters that report a flow on its way in and again on its way out.
    stale_ms: how long a record may have waited for its export. ahead_ms: how far it may be ahead of
    the clock of who reads it. max_interval: larger sampling intervals are doubtful.
    unknown_interval: what an unknown sampling interval counts as; 0 = reject.
    """

    rules: Rules
    exporters: Mapping[str, tuple[str, int, bool]]
    client_key: bytes
    unknown_interval: int = 0
    max_packet_bytes: int = 1500
    max_interval: int = 100_000
    max_duration_ms: int = 86_400_000
    stale_ms: int = 172_800_000
    ahead_ms: int = 3_600_000
    reporting_offset_ms: int = 0
    both_directions: frozenset[str] = frozenset()
    active_timeouts_ms: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def vantages(self) -> tuple[str, ...]:
        """The vantages there are, ascending."""
        return tuple(sorted({UNLISTED, *(v for v, _, _ in self.exporters.values())}))

    @cached_property
    def client_scopes(self) -> tuple[tuple[tuple[str, str], ...], I64]:
        """The (scope, id) there are, and the numbers of those of each cell of client sketches.

        Shape (cells, 3); a cell that is part of two has -1 besides.
        """
        of_cells = [
            *([("all", ""), ("app", a), ("product", p)] for a, p in self.rules.pairs),
            *([("client_region", r), ("network", n)] for r, n in self.rules.clients),
        ]
        number: dict[tuple[str, str], int] = {}
        numbers = np.full((len(of_cells), 3), -1, np.int64)
        for cell, scopes in enumerate(of_cells):
            for place, scope in enumerate(scopes):
                numbers[cell, place] = number.setdefault(scope, len(number))
        return tuple(number), numbers

    @cached_property
    def names(self) -> PlanNames:
        """Made once, for all fragments of a run."""
        pairs, clients, (scopes, _) = self.rules.pairs, self.rules.clients, self.client_scopes
        return PlanNames(
            vantage=Names(self.vantages),
            app=Names(self.rules.apps),
            app_of_pair=Names([app for app, _ in pairs]),
            product_of_pair=Names([product for _, product in pairs]),
            service_region=Names(self.rules.regions),
            client_region=Names([region for region, _ in clients]),
            network=Names([network for _, network in clients]),
            scope=Names([kind for kind, _ in scopes]),
            scope_id=Names([name for _, name in scopes]),
        )
