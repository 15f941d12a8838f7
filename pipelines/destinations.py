"""Where unclassified flows went: bytes by the prefix, port and AS number of the service.

For proposing rules, to whoever asks for them. Services alone are told, as prefixes of /24 and /48:
no client address leaves this module, and nothing of it is stored.
"""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import refuse_beyond_range
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.decide import TO_CLIENT, TO_SERVICE
from v6share.pipelines.kernels.classify.intervals import MAPPED
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.flow_batch import Bool, FlowBatch
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import IP_CLASSES
from v6share.schemas.catalog.propose import Destination

_NATIVE: Final = [IP_CLASSES.index("native_v4"), IP_CLASSES.index("native_v6")]
_LENGTH_V4: Final = 24
_LENGTH_V6: Final = 48
# From here on systems take ports for their own side of a flow: who has one is no service.
_FIRST_EPHEMERAL: Final = 32_768
_KEY: Final = ("hi", "lo", "port", "asn")
# Destinations that are held at once; a scan of a network has millions, of few bytes each.
_MOST_HELD: Final = 200_000


class Destinations:
    """The destinations of the unclassified flows of some files, in the apps' denominators.

    total: all unclassified bytes, also of flows whose service nobody can tell.
    """

    def __init__(self, plan: Plan, vantages: Collection[str], clients: Collection[str]) -> None:
        """vantages: those whose flows count. clients: networks that hold clients and no service."""
        self.total = 0
        self._plan = plan
        self._held: list[pa.Table] = []
        self._counts = np.array([vantage in vantages for vantage in plan.vantages], np.bool_)
        networks = [network in clients for _, network in plan.rules.clients]
        self._is_client = np.array(networks, np.bool_)[plan.rules.arrays.place_client]

    def largest(self) -> list[Destination]:
        """The destinations, those with the most bytes first."""
        return [
            Destination(_network(row["hi"], row["lo"]), row["port"], row["asn"], row["bytes"])
            for row in _summed(self._held).to_pylist()
        ]

    def add(self, batch: FlowBatch) -> None:
        """Add some flows, as a run would count them.

        Raises InputRefused, and adds nothing, where sums of 64 bits could wrap.
        """
        if batch.rows == 0:
            return
        rules = self._plan.rules
        accumulator = Accumulator(self._plan)
        exporter = accumulator.exporters.numbers_of(batch.exporter)
        batch = accumulator.settled(batch, exporter)
        places = locate(batch, rules)
        decisions = classify(batch, rules, places)
        measures = accumulator.scale(batch, exporter, places)
        vantage = np.array(accumulator.exporters.vantage, np.uint32)[exporter]
        unclassified = (
            (measures.verdict == COUNTED)
            & (decisions.app == len(rules.apps) - 1)
            & np.isin(decisions.ip_class, _NATIVE)
            & self._counts[vantage]
        )
        total = self.total + sum(measures.octets[unclassified].tolist())
        refuse_beyond_range(total)
        self.total = total
        to_client = decisions.direction == TO_CLIENT
        port = np.where(to_client, batch.src_port, batch.dst_port)
        told: Bool = unclassified & (to_client | (decisions.direction == TO_SERVICE))
        told &= (port > 0) & (port < _FIRST_EPHEMERAL)
        told &= ~self._is_client[np.where(to_client, places.src, places.dst)]
        rows = np.flatnonzero(told)
        hi, lo = _prefixes(
            np.where(to_client, batch.src_hi, batch.dst_hi)[rows],
            np.where(to_client, batch.src_lo, batch.dst_lo)[rows],
        )
        columns = {
            "hi": hi,
            "lo": lo,
            "port": port[rows],
            "asn": _as_numbers(batch, to_client)[rows],
            "bytes": measures.octets[rows],
        }
        self._held.append(pa.table(columns))
        if sum(part.num_rows for part in self._held) > _MOST_HELD:
            self._held = [_summed(self._held)]


def _prefixes(hi: np.ndarray, lo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The prefixes of addresses, as addresses are held; of IPv6 the lower half is 0."""
    is_v4 = (hi == 0) & (lo >> np.uint64(32) == MAPPED)
    mask_v4 = ~np.uint64(2 ** (32 - _LENGTH_V4) - 1)
    mask_v6 = ~np.uint64(2 ** (64 - _LENGTH_V6) - 1)
    return np.where(is_v4, hi, hi & mask_v6), np.where(is_v4, lo & mask_v4, np.uint64(0))


def _as_numbers(batch: FlowBatch, to_client: Bool) -> np.ndarray:
    """The AS number of the service's side; 0 where it is not known."""
    nothing = np.zeros(batch.rows, np.int64)
    src = nothing if batch.src_as is None else batch.src_as
    dst = nothing if batch.dst_as is None else batch.dst_as
    return np.maximum(np.where(to_client, src, dst), 0)


def _summed(parts: list[pa.Table]) -> pa.Table:
    """One row a destination, those with the most bytes first; of very many the smallest go."""
    if not parts:
        return pa.table({name: pa.array([], pa.int64()) for name in (*_KEY, "bytes")})
    summed = pa.concat_tables(parts).group_by(list(_KEY)).aggregate([("bytes", "sum")])
    summed = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    order = [("bytes", "descending"), *((name, "ascending") for name in _KEY)]
    return summed.take(pc.sort_indices(summed, order)).slice(0, _MOST_HELD // 2)


def _network(hi: int, lo: int) -> IPv4Network | IPv6Network:
    if hi == 0 and lo >> 32 == int(MAPPED):
        return IPv4Network((lo & 0xFFFFFFFF, _LENGTH_V4))
    return IPv6Network((hi << 64, _LENGTH_V6))
