"""What unsampled records show of TCP's health: opens, unanswered opens, retransmissions.

Sampled ones show nothing of it: a SYN without an ACK may have been answered unseen.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED, Measures
from v6share.pipelines.kernels.classify.decide import TO_SERVICE, Decisions
from v6share.pipelines.kernels.flow_batch import I16, I32, I64, U8, U32
from v6share.pipelines.kernels.jit import compiled
from v6share.schemas.aggregates import HOUR_MS

_SYN, _ACK, _TCP = 2, 16, 6
TCP_FLOWS: Final = 0
UNANSWERED: Final = 1
RETRANSMITTED: Final = 2
PACKETS: Final = 3
MEASURES: Final = 4


class HealthInputs(NamedTuple):
    """Columns of n flows; vantage_of: of each exporter.

    ``retransmits`` may have shape (0,), and -1 in it is absent.
    """

    start_ms: I64
    packets: I64
    family: U8
    protocol: I16
    tcp_flags: I16
    exporter: U32
    vantage_of: I32
    retransmits: I64


@compiled
def pack_cell(app: Any, client: Any, family: Any) -> Any:
    """Pack (app, client, family): the cell in which performance is compared. app: 64 bits."""
    return (app << 32 | client) << 2 | family


@compiled
def health_counts(
    flows: HealthInputs, measures: Measures, decisions: Decisions
) -> tuple[I64, I64, I64]:
    """Give the flows that show something: key words (m,), (m,) and counts (m, ``MEASURES``)."""
    verdicts, intervals = measures.verdict, measures.interval
    protocols, all_packets, again = flows.protocol, flows.packets, flows.retransmits
    n = len(verdicts)
    rows, count = np.empty(n, np.uint32), 0
    for i in range(n):
        rows[count] = i
        count += (verdicts[i] == COUNTED) & (intervals[i] == 1) & (protocols[i] == _TCP)
    a, b = np.empty(count, np.int64), np.empty(count, np.int64)
    values = np.zeros((count, MEASURES), np.int64)
    told = 0
    for k in range(count):
        i = rows[k]
        flags = flows.tcp_flags[i]
        opens = flags > 0 and flags & _SYN > 0 and decisions.direction[i] == TO_SERVICE
        row = values[told]
        row[TCP_FLOWS] = opens
        row[UNANSWERED] = opens and flags & _ACK == 0
        # More retransmitted packets than packets is no count.
        has_count = len(again) > 0 and 0 <= again[i] <= all_packets[i]
        row[RETRANSMITTED] = again[i] if has_count else 0
        row[PACKETS] = all_packets[i] if has_count else 0
        a[told] = flows.start_ms[i] // HOUR_MS << 32 | flows.vantage_of[flows.exporter[i]]
        b[told] = pack_cell(
            np.int64(decisions.app[i]), decisions.client[i], np.int64(flows.family[i])
        )
        told += row[TCP_FLOWS] > 0 or row[PACKETS] > 0
    return a[:told], b[:told], values[:told]
