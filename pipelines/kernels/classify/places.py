"""The places of addresses in the index of all prefixes, and what is special about them."""

from typing import NamedTuple

import numpy as np

from v6share.pipelines.kernels.classify.intervals import MAPPED
from v6share.pipelines.kernels.flow_batch import I32, U8, U32, U64, Bool
from v6share.pipelines.kernels.jit import compiled


class Embedded(NamedTuple):
    """IPv4 addresses inside the addresses of one side: rows, and the places of these addresses.

    Shapes (m,) and (n,); places has entries only at the rows.
    """

    rows: U32
    places: U32


class Places(NamedTuple):
    """Where the addresses of n flows lie, and those embedded in them.

    special: the flows with an address in a special range, shape (m,).
    """

    src: U32
    dst: U32
    special: U32
    src_embedded: Embedded
    dst_embedded: Embedded


@compiled
def find_special(place_special: Bool, src_places: U32, dst_places: U32) -> U32:
    """Give the flows with an address in a special range: few, so all that is rare looks at them."""
    rows, count = np.empty(len(src_places), np.uint32), 0
    for i in range(len(src_places)):
        rows[count] = i
        count += place_special[src_places[i]] | place_special[dst_places[i]]
    return rows[:count].copy()


@compiled
def embedded_v4(hi: np.uint64, lo: np.uint64, length: int) -> np.uint64:
    """Read the IPv4 address embedded behind a prefix (RFC 6052, 2.2; bits 64 to 71 are zero)."""
    if length == 96:
        return lo & np.uint64(0xFFFFFFFF)
    if length == 64:
        return (lo >> np.uint64(24)) & np.uint64(0xFFFFFFFF)
    if length == 32:
        return hi & np.uint64(0xFFFFFFFF)
    if length == 16:
        # 6to4 (RFC 3056): the 32 bits behind 2002::/16.
        return (hi >> np.uint64(16)) & np.uint64(0xFFFFFFFF)
    upper = hi & ((np.uint64(1) << np.uint64(64 - length)) - np.uint64(1))
    low_bits = np.uint64(length - 32)
    lower = (lo >> (np.uint64(56) - low_bits)) & ((np.uint64(1) << low_bits) - np.uint64(1))
    return (upper << low_bits) | lower


@compiled
def find_embedded(lengths: U8, rows: U32, places: U32, hi: U64, lo: U64) -> tuple[U32, U64]:
    """Give the flows, of some, whose address embeds an IPv4 address; and that in its mapped form.

    Shapes (n,) of places and halves, (m,) of rows.
    """
    embedding, count = np.empty(len(rows), np.uint32), 0
    for i in rows:
        embedding[count] = i
        count += lengths[places[i]] > 0
    low = np.empty(count, np.uint64)
    for k in range(count):
        i = embedding[k]
        inside = embedded_v4(hi[i], lo[i], int(lengths[places[i]]))
        low[k] = (MAPPED << np.uint64(32)) | inside
    return embedding[:count].copy(), low


def rows_flagged(place_flags: I32, flag: int, places: Places) -> Bool:
    """Mark the flows of which an address lies in a special range of some kind."""
    found = np.zeros(len(places.src), np.bool_)
    rows, flags = places.special, place_flags
    found[rows] = (flags[places.src[rows]] | flags[places.dst[rows]]) & flag != 0
    return found
