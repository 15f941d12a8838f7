"""How many bytes a packet's outer headers take, where a record lists headers and their sizes."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from v6share.pipelines.kernels.flow_batch import I64, Bool
from v6share.pipelines.kernels.jit import compiled
from v6share.pipelines.kernels.normalise.column_values import (
    holds_in,
    is_list,
    list_lengths,
    reads_text,
    reads_whole,
    whole,
)
from v6share.pipelines.kernels.normalise.numbers import narrow_numbers


def reads_names(kind: pa.DataType) -> bool:
    """Whether ``sizes_before`` understands this Arrow type as the names of headers."""
    return pt.is_null(kind) or (is_list(kind) and reads_text(kind.value_type))


def reads_sizes(kind: pa.DataType) -> bool:
    """Whether ``sizes_before`` understands this Arrow type as the sizes of headers."""
    return pt.is_null(kind) or (is_list(kind) and reads_whole(kind.value_type))


def sizes_before(names: pa.Array, sizes: pa.Array, until: Sequence[int | str], largest: int) -> I64:
    """Bytes of each row's headers before the first that is named in ``until``.

    names, sizes: lists, the outermost header first. All that have a name and a size count where
    none of ``until`` is among them. 0 where a row shows none, where a size is no whole number, and
    where the sum is over ``largest``.
    """
    out = np.zeros(len(names), np.int64)
    if pt.is_null(names.type) or pt.is_null(sizes.type):
        return out
    shown = whole(sizes.flatten())
    octets = np.empty(len(shown.values), np.int64)
    narrow_numbers(shown.values, shown.absent, shown.bad, largest, -1, octets)
    _add_before(
        holds_in(names.flatten(), until), list_lengths(names), octets, list_lengths(sizes), out
    )
    out[out > largest] = 0
    return out


@compiled
def _add_before(is_end: Bool, name_counts: I64, sizes: I64, size_counts: I64, out: I64) -> None:
    """Add up sizes row by row; a negative one makes the row's sum 0."""
    name, size = 0, 0
    for i in range(len(out)):
        for k in range(min(name_counts[i], size_counts[i])):
            if is_end[name + k]:
                break
            if sizes[size + k] < 0:
                out[i] = 0
                break
            out[i] += sizes[size + k]
        name += name_counts[i]
        size += size_counts[i]
