"""Source columns of any type as whole numbers, codes of text, or tests on rows.

Collectors type one column in many ways, and differently from file to file: a number is an
integer here, decimal text there, and a column that no record filled has the null type. Whatever
type a function cannot read it says so before (``reads_*``); nothing here raises for a value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from v6share.pipelines.kernels.flow_batch import I32, I64, U64, Bool, Coded
from v6share.pipelines.kernels.normalise.addresses import code_i32, is_bytes_or_text, null_mask

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1
_NOTHING: Final = "0:-. \0"


_NONE_BEYOND: Final[U64] = np.empty(0, np.uint64)


@dataclass(frozen=True)
class Whole:
    """Whole numbers: 0 where absent or bad. The masks are empty where no row is so.

    bad: something is there, but no whole number below 2^63 (a fraction, NaN, other text).
    beyond: the bad ones from 2^63 to 2^64 - 1, which an unsigned counter holds, and 0 elsewhere;
    of shape (0,), or all 0, where no row has one.
    """

    values: I64
    absent: Bool
    bad: Bool
    beyond: U64 = field(default_factory=lambda: _NONE_BEYOND)


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type below dictionary encoding."""
    return kind.value_type if pt.is_dictionary(kind) else kind


def reads_whole(kind: pa.DataType) -> bool:
    """Whether ``whole`` understands this Arrow type."""
    kind = value_type(kind)
    return bool(
        pt.is_integer(kind)
        or pt.is_floating(kind)
        or pt.is_decimal(kind)
        or pt.is_null(kind)
        or pt.is_string(kind)
        or pt.is_large_string(kind)
        or pt.is_string_view(kind)
    )


def reads_text(kind: pa.DataType) -> bool:
    """Whether ``coded`` understands this Arrow type."""
    kind = value_type(kind)
    return bool(
        is_bytes_or_text(kind)
        or pt.is_fixed_size_binary(kind)
        or pt.is_integer(kind)
        or pt.is_null(kind)
    )


def reads_tests(kind: pa.DataType) -> bool:
    """Whether ``holds_in`` and ``holds_zero`` understand this Arrow type."""
    kind = value_type(kind)
    return bool(
        reads_text(kind)
        or reads_whole(kind)
        or pt.is_boolean(kind)
        or pt.is_timestamp(kind)
        or is_list(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the type is bytes, of fixed or varying length, and not text."""
    return bool(
        pt.is_fixed_size_binary(kind)
        or pt.is_binary(kind)
        or pt.is_large_binary(kind)
        or pt.is_binary_view(kind)
    )


def has_four_bytes(array: pa.Array) -> Bool:
    """Where a value takes 4 bytes: bytes of that length, and integers. Text never does."""
    kind = value_type(array.type)
    if pt.is_integer(kind):
        return holds_present(array)
    if not is_bytes(kind):
        return np.zeros(len(array), np.bool_)
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    four: Bool = (
        pc.equal(pc.binary_length(array), 4).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return four


def whole(array: pa.Array, words: Callable[[str], int | None] | None = None) -> Whole:
    """A column as whole numbers. ``words`` reads text; by default a decimal number."""
    kind = array.type
    rows = len(array)
    if pt.is_null(kind):
        return Whole(np.zeros(rows, np.int64), np.ones(rows, np.bool_), _none())
    if pt.is_dictionary(kind):
        if pt.is_integer(kind.value_type):
            return whole(array.dictionary_decode())
        return _whole_by_distinct(array, words or decimal_number)
    if pt.is_integer(kind):
        return _whole_of_integers(array)
    if pt.is_floating(kind):
        return _whole_of_floats(array)
    return _whole_by_distinct(_encoded(array), words or decimal_number)


def integer_view(array: pa.Array) -> np.ndarray[Any, np.dtype[Any]]:
    """The values of an integer or timestamp array in their own width, without a copy.

    Where a row is null the value is whatever the buffer holds.
    """
    is_time = pt.is_timestamp(array.type)
    # An integer type has the same name in both; asking Arrow for it would need pandas.
    width = np.dtype("int64" if is_time else str(array.type))
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array), width)
    return np.frombuffer(buffer, width, len(array), array.offset * width.itemsize)


def coded(array: pa.Array, read: Callable[[Any], str | None]) -> Coded:
    """A column as codes into distinct texts; ``read`` gives the text of one value, or None."""
    if pt.is_null(array.type):
        return Coded(np.full(len(array), -1, np.int32), ())
    encoded = _encoded(array)
    texts: dict[str, int] = {}
    codes = []
    for value in _distinct(encoded):
        text = None if value is None else read(value)
        codes.append(-1 if text is None else texts.setdefault(text, len(texts)))
    if codes == list(range(len(codes))):
        return Coded(code_i32(encoded.indices), tuple(texts))
    return Coded(_looked_up(encoded, codes, -1, np.int32), tuple(texts))


def first_coded(columns: Sequence[Coded]) -> Coded:
    """Row by row the first that is not null."""
    first, *others = columns
    for other in others:
        first = _filled(first, other)
    return first


def holds_present(array: pa.Array) -> Bool:
    """Not null; of lists, not empty."""
    present: Bool = array.is_valid().to_numpy(zero_copy_only=False)
    if is_list(array.type):
        present = present & (list_lengths(array) > 0)
    return present


def holds_in(array: pa.Array, members: Sequence[int | str]) -> Bool:
    """Whether the value is one of the members: numbers as numbers, text as text.

    A text of digits is also tried as a number, since collectors differ in that.
    """
    numbers = {m for m in members if isinstance(m, int)}
    texts = {m for m in members if isinstance(m, str)}
    if pt.is_integer(array.type):
        values = integer_view(array)
        held = np.zeros(len(array), np.bool_)
        for n in numbers | {int(t) for t in texts if t.isascii() and t.isdecimal()}:
            if np.iinfo(values.dtype).min <= n <= np.iinfo(values.dtype).max:
                held |= values == n
        return _where_present(array, held)
    if pt.is_null(array.type) or pt.is_timestamp(array.type) or is_list(array.type):
        return np.zeros(len(array), np.bool_)
    return _holds(array, lambda v: v in numbers or v in texts or _as_number(v) in numbers)


def holds_zero(array: pa.Array) -> Bool:
    """Null, empty, 0, or nothing but zeros and separators, as ``0000-00-00``, ``::``, NULs."""
    if is_list(array.type):
        return ~holds_present(array)
    if pt.is_integer(array.type) or pt.is_timestamp(array.type):
        held: Bool = integer_view(array) == 0
        mask = null_mask(array)
        return held | mask if len(mask) else held
    return ~_holds(array, lambda v: not _is_zero(v))


def decimal_number(text: str) -> int | None:
    """A whole decimal number with an optional sign, else None."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits.isascii() and digits.isdecimal() and len(digits) <= 20:
        return int(text)
    return None


def plain_text(value: Any) -> str | None:
    """Text as it is, bytes as UTF-8 without trailing NULs, a number in decimal; '' is None."""
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("utf-8", "replace") or None
    return str(value) or None


def is_list(kind: pa.DataType) -> bool:
    """Whether every row has a list of values."""
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def list_lengths(array: pa.Array) -> I64:
    """How many values each row's list has; 0 where null."""
    lengths: I64 = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def _none() -> Bool:
    return np.empty(0, np.bool_)


def _whole_of_integers(array: pa.Array) -> Whole:
    values = integer_view(array)
    absent, bad, beyond = null_mask(array), _none(), _NONE_BEYOND
    if values.dtype == np.uint64:
        over = values > np.uint64(_INT64_MAX)
        if over.any():
            bad = over & ~absent if len(absent) else over
            beyond = np.where(bad, values, np.uint64(0))
            values = np.where(over, np.uint64(0), values)
        values = values.view(np.int64)
    numbers = values.astype(np.int64, copy=False)
    return Whole(np.where(absent, 0, numbers) if len(absent) else numbers, absent, bad, beyond)


def _whole_of_floats(array: pa.Array) -> Whole:
    values = array.fill_null(0).cast(pa.float64()).to_numpy(zero_copy_only=False)
    bad = ~((values >= -(2.0**63)) & (values < 2.0**63))
    bad |= np.floor(np.where(bad, 0.0, values)) != np.where(bad, 0.0, values)
    numbers = np.where(bad, 0.0, values).astype(np.int64)
    over = (values >= 2.0**63) & (values < 2.0**64)
    beyond = np.where(over, values, 0.0).astype(np.uint64) if over.any() else _NONE_BEYOND
    return Whole(numbers, null_mask(array), bad if bad.any() else _none(), beyond)


def _whole_by_distinct(encoded: pa.DictionaryArray, words: Callable[[str], int | None]) -> Whole:
    """Text and decimals: each distinct value once. Empty text is absent."""
    numbers, absents, bads, beyonds = [], [], [], []
    for value in _distinct(encoded):
        number = _number(value, words)
        is_absent = value is None or value in (b"", "")
        is_bad = not is_absent and (number is None or not _INT64_MIN <= number <= _INT64_MAX)
        numbers.append(0 if is_absent or is_bad or number is None else number)
        absents.append(is_absent)
        bads.append(is_bad)
        over = is_bad and number is not None and _INT64_MAX < number <= _UINT64_MAX
        beyonds.append(number if over else 0)
    absent: Bool = _looked_up(encoded, absents, True, np.bool_)
    bad: Bool = _looked_up(encoded, bads, False, np.bool_)
    return Whole(
        _looked_up(encoded, numbers, 0, np.int64),
        absent if absent.any() else _none(),
        bad if bad.any() else _none(),
        _looked_up(encoded, beyonds, 0, np.uint64) if any(beyonds) else _NONE_BEYOND,
    )


def _number(value: Any, words: Callable[[str], int | None]) -> int | None:
    if isinstance(value, bytes):
        return words(value.decode("utf-8", "replace"))
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def _encoded(array: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded, text as bytes (it may not be UTF-8), unused values left out."""
    if pt.is_dictionary(array.type):
        if len(array.dictionary) <= max(len(array), 64):
            return array
        array = array.dictionary_decode()
    if pt.is_string_view(array.type) or pt.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    return array.dictionary_encode()


def _distinct(encoded: pa.DictionaryArray) -> list[Any]:
    values = encoded.dictionary
    if pt.is_string_view(values.type) or pt.is_binary_view(values.type):
        values = values.cast(pa.large_binary())
    if pt.is_string(values.type):
        values = values.view(pa.binary())
    elif pt.is_large_string(values.type):
        values = values.view(pa.large_binary())
    listed: list[Any] = values.to_pylist()
    return listed


def _looked_up(encoded: pa.DictionaryArray, values: list[Any], null: Any, kind: Any) -> Any:
    """values[code] for every row, ``null`` for null rows."""
    table = np.array([*values, null], kind)
    return table[code_i32(encoded.indices)]


def _filled(first: Coded, other: Coded) -> Coded:
    holes = first.codes == -1
    if not holes.any():
        return first
    texts = {text: i for i, text in enumerate(first.values)}
    moved = np.array([texts.setdefault(t, len(texts)) for t in other.values] + [-1], np.int32)
    codes: I32 = np.where(holes, moved[other.codes], first.codes)
    return Coded(codes, tuple(texts))


def _holds(array: pa.Array, test: Callable[[Any], bool]) -> Bool:
    if pt.is_null(array.type):
        return np.zeros(len(array), np.bool_)
    encoded = _encoded(array)
    held = [v is not None and bool(test(_text_or_value(v))) for v in _distinct(encoded)]
    mask: Bool = _looked_up(encoded, held, False, np.bool_)
    return mask


def _where_present(array: pa.Array, held: Bool) -> Bool:
    mask = null_mask(array)
    return held & ~mask if len(mask) else held


def _text_or_value(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _as_number(value: Any) -> Any:
    return decimal_number(value) if isinstance(value, str) else value


def _is_zero(value: Any) -> bool:
    return not value.strip(_NOTHING) if isinstance(value, str) else not value


def flag_bits(array: pa.Array, bit_of: Callable[[str], int]) -> I64:
    """A list of names a row as bits ORed; -1 where null. Names that nobody knows have no bit."""
    rows = len(array)
    bits = np.full(rows, -1, np.int64)
    lengths = list_lengths(array)
    bits[array.is_valid().to_numpy(zero_copy_only=False)] = 0
    names = coded(array.flatten(), plain_text)
    table = np.array([*(bit_of(v) for v in names.values), 0], np.int64)
    owners = np.repeat(np.arange(rows), lengths)
    np.bitwise_or.at(bits, owners, table[names.codes])
    return bits
