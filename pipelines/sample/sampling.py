"""What an exporter saw of the true flows: packets sampled 1 in N, each by itself.

A flow of which no packet was sampled is not exported. First and last time, flags, packets and
bytes come from the sampled packets alone, as on a router.
"""

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from v6share.pipelines.sample.addresses import I64
from v6share.pipelines.sample.flows import TCP, Flows, join_flows

SYN: Final = 0x02
ACK: Final = 0x10
PUSH_ACK: Final = 0x18


@dataclass(frozen=True)
class Records:
    """Exported records: ``flows.take(i)`` are the true flows behind them.

    interval: the true one. packets, octets: as sampled. lost: as exported, -1 none.
    """

    flows: Flows
    interval: I64
    start_ms: I64
    end_ms: I64
    packets: I64
    octets: I64
    tcp_flags: I64
    lost: I64

    @property
    def rows(self) -> int:
        """How many records."""
        return len(self.packets)

    def take(self, which: I64) -> "Records":
        """The chosen records, by number."""
        changed = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "flows"}
        return replace(self, flows=self.flows.take(which), **changed)


def join_records(parts: list[Records]) -> Records:
    """Records after one another."""
    names = [f.name for f in fields(Records) if f.name != "flows"]
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Records(flows=join_flows([p.flows for p in parts]), **columns)


def sample_packets(flows: Flows, interval: int, rng: np.random.Generator) -> Records:
    """Sample each packet with probability 1 / interval; keep the flows that show at all."""
    seen = flows.counts
    if interval > 1:
        # Most expectations are far below 30, where NumPy's binomial inverts in a few steps.
        seen = rng.binomial(flows.counts, 1 / interval)
    kept = np.flatnonzero(seen.sum(axis=1) > 0)
    flows, seen = flows.take(kept), seen[kept]
    packets = seen.sum(axis=1)
    start, end = _sampled_times(flows, packets, interval, rng)
    return Records(
        flows=flows,
        interval=np.full(len(kept), interval, np.int64),
        start_ms=start,
        end_ms=end,
        packets=packets,
        octets=(seen * flows.sizes).sum(axis=1),
        tcp_flags=_sampled_flags(flows, seen, rng),
        lost=flows.lost,
    )


def _sampled_times(
    flows: Flows, packets: I64, interval: int, rng: np.random.Generator
) -> tuple[I64, I64]:
    """First and last of k packets that lie anywhere in the flow (order statistics)."""
    if interval == 1:
        return flows.start_ms, flows.end_ms
    length = flows.end_ms - flows.start_ms
    first = 1 - rng.random(len(packets)) ** (1 / packets)
    last = first + (1 - first) * rng.random(len(packets)) ** (1 / np.maximum(packets - 1, 1))
    last = np.where(packets == 1, first, last)
    return (
        flows.start_ms + (length * first).astype(np.int64),
        flows.start_ms + (length * last).astype(np.int64),
    )


def _sampled_flags(flows: Flows, seen: I64, rng: np.random.Generator) -> I64:
    """Flags of the sampled packets: the SYN is one packet of the smallest class."""
    small = np.maximum(flows.counts[:, 2], 1)
    syn = flows.has_syn & (rng.random(len(seen)) * small < seen[:, 2])
    others = seen.sum(axis=1) > syn
    answer = np.where(flows.to_service, SYN, SYN | ACK)
    flags = np.where(syn, answer, 0) | np.where(others, PUSH_ACK, 0)
    flags = np.where(flows.unanswered, SYN, flags)
    return np.where(flows.protocol == TCP, flags, 0)
