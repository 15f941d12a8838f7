"""The source columns of one batch, and the questions that a dialect asks of them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from v6share.pipelines.kernels.flow_batch import I16, I32, I64, Bool, Coded
from v6share.pipelines.kernels.normalise.column_values import (
    Whole,
    coded,
    decimal_number,
    first_coded,
    flag_bits,
    holds_in,
    holds_present,
    holds_zero,
    integer_view,
    value_type,
)
from v6share.pipelines.kernels.normalise.numbers import (
    first_number,
    low_bits,
    narrow_numbers,
    source_number,
)
from v6share.pipelines.kernels.normalise.times import MISSING, UNREADABLE, read_times
from v6share.pipelines.kernels.normalise.vendor_formats import flag_bit, flags_of, sparing
from v6share.schemas.dialects import Dialect, Rule, Test
from v6share.schemas.source_kinds import NumberSource, Source, TimeSource

# The element that holds them has 16 bits; a larger number is none.
_FLAGS_FIELD: Final = 0xFFFF
_EMPTY: Final[Bool] = np.empty(0, np.bool_)


class SourceRows:
    """The columns of a source batch that a dialect knows.

    Where a question has no answer for want of its columns, the answer is None, so that what a
    file cannot show costs nothing.
    """

    def __init__(self, batch: pa.RecordBatch, dialect: Dialect) -> None:
        self.dialect = dialect
        self.rows = batch.num_rows
        known = dialect.source_columns
        self.columns: dict[str, pa.Array] = {
            name: _unwrapped(column)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if name in known
        }
        self.tested: dict[Test, Bool] = {}

    def present(self, sources: Sequence[Any]) -> list[Any]:
        """The sources whose column the file has."""
        return [s for s in sources if s.column in self.columns]

    def number(
        self, sources: Sequence[NumberSource], words: Callable[[str], int | None] = decimal_number
    ) -> Whole:
        """The first whole number that each row has."""
        out: Whole | None = None
        for source in sources:
            array = self.columns.get(source.column)
            if array is None:
                continue
            one = source_number(array, source, words)
            out = one if out is None else first_number(out, one)
            if len(out.absent) == 0:
                return out
        if out is None:
            return Whole(np.zeros(self.rows, np.int64), np.ones(self.rows, np.bool_), _EMPTY)
        return out

    def narrow(
        self,
        sources: Sequence[NumberSource],
        high: int,
        words: Callable[[str], int | None] = decimal_number,
    ) -> I32:
        """Numbers from 0 to high, else -1, in 32 bits."""
        only = self.present(sources)
        if len(only) == 1:
            array = self.columns[only[0].column]
            if pt.is_integer(array.type) and array.null_count == 0 and not only[0].missing:
                values = integer_view(array)
                if np.iinfo(values.dtype).min == 0 and np.iinfo(values.dtype).max <= high:
                    return values.astype(np.int32)
        number = self.number(sources, words)
        out = np.empty(self.rows, np.int32)
        narrow_numbers(number.values, number.absent, number.bad, high, -1, out)
        return out

    def wide(self, sources: Sequence[NumberSource], high: int) -> I64:
        """Numbers from 0 to high, else -1, in 64 bits."""
        number = self.number(sources)
        fine = (number.values >= 0) & (number.values <= high)
        for mask in (number.absent, number.bad):
            if len(mask):
                fine &= ~mask
        return number.values if fine.all() else np.where(fine, number.values, -1)

    def flags(self, sources: Sequence[NumberSource], mask: int) -> I16:
        """TCP flags as bits, those of the mask; -1 where absent."""
        only = self.present(sources)
        if len(only) == 1 and _is_list(self.columns[only[0].column]):
            bits = flag_bits(self.columns[only[0].column], flag_bit)
            return bits.astype(np.int16)
        return low_bits(self.narrow(sources, _FLAGS_FIELD, flags_of), mask)

    def time(self, sources: Sequence[TimeSource]) -> tuple[I64, Bool]:
        """The first time that each row has, MISSING where none; and where one was unreadable."""
        out: I64 | None = None
        for source in sources:
            one = self.one_time(source)
            if one is not None:
                out = one if out is None else np.where(out <= UNREADABLE, _better(out, one), out)
        if out is None:
            return np.full(self.rows, MISSING, np.int64), _EMPTY
        unreadable = out == UNREADABLE
        if not unreadable.any():
            return out, _EMPTY
        return np.where(unreadable, MISSING, out), unreadable

    def one_time(self, source: TimeSource) -> I64 | None:
        """One column as milliseconds; None where the file lacks it or its base."""
        array = self.columns.get(source.column)
        if array is None or (source.base is not None and source.base not in self.columns):
            return None
        value = self.difference(source) if source.before else self.moment(source)
        if source.base is None:
            return value
        base = read_times(self.columns[source.base], source.base_unit, source.utc_offset_minutes)
        usable = (value > UNREADABLE) & (base > UNREADABLE)
        difference = np.where(usable, value, 0)
        return np.where(usable, base - difference if source.before else base + difference, MISSING)

    def moment(self, source: TimeSource) -> I64:
        """One column as milliseconds, 0 being none."""
        array = self.columns[source.column]
        value = read_times(array, source.unit, source.utc_offset_minutes)
        if source.missing:
            value = np.where(holds_in(array, source.missing), MISSING, value)
        return value

    def difference(self, source: TimeSource) -> I64:
        """One column as milliseconds between two moments, which may be 0."""
        array = self.columns[source.column]
        return np.where(holds_zero(array) & holds_present(array), 0, self.moment(source))

    def lasted(self, sources: Sequence[TimeSource]) -> I64:
        """The first duration that each row has in milliseconds, MISSING where none."""
        out = np.full(self.rows, MISSING, np.int64)
        for source in self.present(sources):
            one = self.difference(source)
            out = np.where((out == MISSING) & (one >= 0), one, out)
        return out

    def texts(
        self,
        sources: Sequence[Source],
        reader: Callable[[pa.DataType], Callable[[Any], str | None]],
    ) -> Coded | None:
        """The first text that each row has; ``reader`` chooses by type how a value is read."""
        columns = []
        for source in self.present(sources):
            array = self.columns[source.column]
            read = sparing(reader(value_type(array.type)), source.missing)
            columns.append(coded(array, read))
        return first_coded(columns) if columns else None

    def any_of(self, rules: Sequence[Rule]) -> Bool | None:
        """Where one of the rules holds; None where none can."""
        masks = [m for m in (self.all_of(rule.when) for rule in rules) if m is not None]
        return np.logical_or.reduce(masks) if masks else None

    def all_of(self, tests: Collection[Test]) -> Bool | None:
        """Where every test holds; None where one cannot, for want of its columns."""
        masks = []
        for test in tests:
            mask = self.test(test)
            if mask is None:
                return None
            if len(mask):
                masks.append(mask)
        if not masks:
            return np.ones(self.rows, np.bool_) if tests else None
        out: Bool = np.logical_and.reduce(masks) if len(masks) > 1 else masks[0]
        return out

    def test(self, test: Test) -> Bool | None:
        """One test: a mask, or an empty one where it holds for all rows, None for no row."""
        arrays = [self.columns[c] for c in test.column if c in self.columns]
        holds_for_null = test.not_in is not None or test.present is False or test.zero is True
        if holds_for_null and len(arrays) < len(test.column):
            return _EMPTY
        if not arrays:
            return None
        if test not in self.tested:
            self.tested[test] = np.logical_or.reduce([_test_one(a, test) for a in arrays])
        return self.tested[test]


def _unwrapped(array: pa.Array) -> pa.Array:
    """Extension types (as uuid) by their storage."""
    if isinstance(array, pa.ExtensionArray):
        return array.storage
    return array


def _is_list(array: pa.Array) -> bool:
    return bool(pt.is_list(array.type) or pt.is_large_list(array.type))


def _better(old: I64, new: I64) -> I64:
    """Of a time that is missing or unreadable and another: the other, if it is a time."""
    return np.where(new > UNREADABLE, new, np.maximum(old, new))


def _test_one(array: pa.Array, test: Test) -> Bool:
    if test.present is not None:
        return holds_present(array) if test.present else ~holds_present(array)
    if test.zero is not None:
        return holds_zero(array) if test.zero else ~holds_zero(array)
    if test.is_in is not None:
        return holds_in(array, test.is_in)
    return ~holds_in(array, test.not_in or ())
