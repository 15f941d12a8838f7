"""The decisions about a batch of flows, given the places of its addresses."""

from collections.abc import Sequence

import numpy as np

from v6share.pipelines.kernels.classify.compile_catalog import Rules, name_hits
from v6share.pipelines.kernels.classify.decide import (
    SRV6_LOCATOR,
    Decisions,
    FlowArrays,
    Hits,
    NameArrays,
    decide,
)
from v6share.pipelines.kernels.classify.intervals import find_values
from v6share.pipelines.kernels.classify.places import Places
from v6share.pipelines.kernels.flow_batch import I32, Bool, Coded, FlowBatch, or_empty


def _arrays(batch: FlowBatch, rules: Rules) -> FlowArrays:
    return FlowArrays(
        batch.src_hi,
        batch.src_lo,
        batch.dst_hi,
        batch.dst_lo,
        batch.family,
        or_empty(batch.underlay, np.uint8),
        or_empty(batch.outer_protocol, np.int16),
        batch.protocol,
        batch.src_port,
        batch.dst_port,
        batch.tcp_flags,
        or_empty(batch.consumed, np.bool_),
        _segment_routing(batch, rules),
    )


def _segment_routing(batch: FlowBatch, rules: Rules) -> Bool:
    """Mark the flows whose record shows the header, or an outer destination that is a locator."""
    shown: Bool = or_empty(batch.segment_routing, np.bool_)
    if batch.outer_dst_hi is None or batch.outer_dst_lo is None:
        return shown
    places = find_values(rules.index, batch.outer_dst_hi, batch.outer_dst_lo)
    located: Bool = rules.arrays.place_flags[places] & SRV6_LOCATOR != 0
    return located | shown if len(shown) else located


def _names(batch: FlowBatch, rules: Rules) -> NameArrays:
    def met(coded: Coded | None, conditions: Sequence[str], below: bool) -> Hits:
        if coded is None or not conditions:
            return name_hits(_as_of_file(np.empty(0, np.int32)), (), (), below)
        return name_hits(_as_of_file(coded.codes.view()), coded.values, conditions, below)

    return NameArrays(
        met(batch.server_name, rules.server_names, True),
        met(batch.app_name, rules.app_names, False),
        met(batch.app_id, rules.app_ids, False),
        or_empty(batch.src_as, np.int64),
        or_empty(batch.dst_as, np.int64),
    )


def _as_of_file(codes: I32) -> I32:
    """As codes that stand in a file's own memory are: a kernel is compiled for one kind alone."""
    codes.flags.writeable = False
    return codes


def classify(batch: FlowBatch, rules: Rules, places: Places) -> Decisions:
    """Decide every flow: app, product, sides, regions, network and class. places: ``locate``'s."""
    return decide(_arrays(batch, rules), rules.arrays, _names(batch, rules), places)
