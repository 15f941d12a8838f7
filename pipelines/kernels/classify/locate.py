"""Where the addresses of a batch lie: their places in the index of all prefixes."""

import numpy as np

from v6share.pipelines.kernels.classify.compile_catalog import Rules
from v6share.pipelines.kernels.classify.intervals import find_values
from v6share.pipelines.kernels.classify.places import Embedded, Places, find_embedded, find_special
from v6share.pipelines.kernels.flow_batch import U32, U64, FlowBatch


def locate(batch: FlowBatch, rules: Rules) -> Places:
    """Look up the addresses of a batch, and those embedded in them."""
    src = find_values(rules.index, batch.src_hi, batch.src_lo)
    dst = find_values(rules.index, batch.dst_hi, batch.dst_lo)
    special = find_special(rules.arrays.place_special, src, dst)
    return Places(
        src,
        dst,
        special,
        _embedded(rules, special, src, batch.src_hi, batch.src_lo),
        _embedded(rules, special, dst, batch.dst_hi, batch.dst_lo),
    )


def _embedded(rules: Rules, special: U32, places: U32, hi: U64, lo: U64) -> Embedded:
    rows, low = find_embedded(rules.arrays.place_embedded, special, places, hi, lo)
    found = np.empty(len(places) if len(rows) else 0, np.uint32)
    if len(rows):
        found[rows] = find_values(rules.index, np.zeros(len(rows), np.uint64), low)
    return Embedded(rows, found)
