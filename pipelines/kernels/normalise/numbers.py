"""Whole numbers of a canonical column, from the sources that its dialect names."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from v6share.pipelines.kernels.flow_batch import I16, I32, I64, U64, Bool
from v6share.pipelines.kernels.jit import compiled
from v6share.pipelines.kernels.normalise.column_values import Whole, holds_in, whole
from v6share.pipelines.kernels.normalise.faults import whole_mask
from v6share.schemas.source_kinds import NumberSource
from v6share.schemas.text.numbers import without_thousands


def source_number(
    array: pa.Array, source: NumberSource, words: Callable[[str], int | None]
) -> Whole:
    """One column as whole numbers, its missing-markers absent, its names numbers."""
    number = whole(array, _with_names(source, words))
    values, absent, bad, beyond = number.values, number.absent, number.bad, number.beyond
    if source.missing:
        gone = holds_in(array, source.missing)
        if gone.any():
            absent = gone | absent if len(absent) else gone
            values = np.where(gone, 0, values)
            beyond = np.where(gone, np.uint64(0), beyond) if len(beyond) else beyond
    if source.times != 1:
        largest = 2**62 // source.times
        over = (values > largest) | (values < -largest)
        values = np.where(over, 0, values) * source.times
        bad = (bad | over if len(bad) else over) if over.any() else bad
        beyond = beyond[:0]
    return Whole(values, absent, bad, beyond)


def _with_names(
    source: NumberSource, words: Callable[[str], int | None]
) -> Callable[[str], int | None]:
    if not source.names and not source.prefixes and source.thousands is None:
        return words

    mark = source.thousands

    def read(text: str) -> int | None:
        if text in source.names:
            return source.names[text]
        for prefix, value in source.prefixes.items():
            if text.startswith(prefix):
                return value
        return words(text if mark is None else without_thousands(text, mark))

    return read


def first_number(first: Whole, other: Whole) -> Whole:
    """Row by row the first that is not absent."""
    rows = len(first.values)
    holes = whole_mask(first.absent, rows)
    absent = holes & whole_mask(other.absent, rows)
    bad = np.where(holes, whole_mask(other.bad, rows), whole_mask(first.bad, rows))
    return Whole(
        np.where(holes, other.values, first.values),
        absent if absent.any() else np.empty(0, np.bool_),
        bad if bad.any() else np.empty(0, np.bool_),
        _first_beyond(first, other, holes),
    )


def _first_beyond(first: Whole, other: Whole, holes: Bool) -> U64:
    if not len(first.beyond) and not len(other.beyond):
        return first.beyond
    none = np.zeros(len(holes), np.uint64)
    of_first, of_other = (one.beyond if len(one.beyond) else none for one in (first, other))
    return np.where(holes, of_other, of_first)


@compiled
def narrow_numbers(
    values: I64, absent: Bool, bad: Bool, high: int, other: int, out: I32 | I64
) -> None:
    """Numbers from 0 to high, else ``other``. Masks may be empty: then no row is in them."""
    for i in range(len(out)):
        out[i] = values[i] if (values[i] >= 0) & (values[i] <= high) else other
    for i in range(len(absent)):
        if absent[i]:
            out[i] = other
    for i in range(len(bad)):
        if bad[i]:
            out[i] = other


@compiled
def low_bits(values: I32, mask: int) -> I16:
    """The bits of each number that are in the mask; -1 stays."""
    out = np.empty(len(values), np.int16)
    for i in range(len(values)):
        out[i] = values[i] & mask if values[i] >= 0 else -1
    return out
