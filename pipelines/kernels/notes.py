"""What a reader should know of a batch besides its sums: its span, and addresses of note."""

import numpy as np

from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I32, I64, U8, Bool
from v6share.pipelines.kernels.measure import COUNTED


@compiled
def counted_span(starts: I64, ends: I64, verdict: U8) -> tuple[int, int]:
    """Give the first start and the last end of the counted flows; without any, first > last."""
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for i in range(len(verdict)):
        counted = verdict[i] == COUNTED
        first = min(first, starts[i]) if counted else first
        last = max(last, ends[i]) if counted else last
    return first, last


@compiled
def rows_flagged(place_flags: I32, flag: int, src_places: I32, dst_places: I32) -> Bool:
    """Mark the flows of which an address lies in a special range."""
    out = np.empty(len(src_places), np.bool_)
    for i in range(len(out)):
        out[i] = (place_flags[src_places[i]] | place_flags[dst_places[i]]) & flag != 0
    return out
