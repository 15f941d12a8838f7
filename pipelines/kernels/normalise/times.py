"""Times of every form to whole Unix milliseconds, rounded down, also before 1970."""

from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from numpy.typing import NDArray

from v6share.pipelines.kernels.flow_batch import I64, Bool
from v6share.pipelines.kernels.jit import compiled
from v6share.pipelines.kernels.normalise.addresses import null_mask, text_buffers
from v6share.pipelines.kernels.normalise.column_values import integer_view, value_type, whole

# Below every time that can be: the years 1 to 9999, which every database holds.
MISSING: Final = -(2**63)
# Flow export is younger than 1990; an earlier time is that of a clock that was never set.
FIRST_MS: Final = 631_152_000_000
UNREADABLE: Final = MISSING + 1
EARLIEST_MS: Final = -62_135_596_800_000
LATEST_MS: Final = 253_402_300_799_999
_LARGEST: Final = 2**63 - 1

UNITS_IN_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def reads_times(kind: pa.DataType) -> bool:
    """Whether ``read_times`` understands this Arrow type."""
    kind = value_type(kind)
    return bool(
        pt.is_timestamp(kind)
        or pt.is_integer(kind)
        or pt.is_floating(kind)
        or pt.is_decimal(kind)
        or pt.is_null(kind)
        or pt.is_string(kind)
        or pt.is_large_string(kind)
        or pt.is_string_view(kind)
    )


def read_times(array: pa.Array, unit: str, utc_offset_minutes: int = 0) -> I64:
    """Milliseconds; MISSING for null, 0 and texts of zeros, UNREADABLE for what is no time.

    Numbers, also in text, are in ``unit``; a timestamp has its own. Text without a zone is UTC
    plus ``utc_offset_minutes``.
    """
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pt.is_timestamp(array.type):
        return _scaled(integer_view(array), null_mask(array), array.type.unit)
    if pt.is_floating(array.type) or pt.is_decimal(array.type):
        return _of_fractions(array, unit)
    if pt.is_integer(array.type) or pt.is_null(array.type):
        numbers = whole(array)
        times = _scaled(numbers.values, numbers.absent, unit)
        if len(numbers.bad):
            times = np.where(numbers.bad, UNREADABLE, times)
        return times
    data, offsets, absent = text_buffers(array)
    out = np.empty(len(array), np.int64)
    _read_texts(data, offsets, absent, UNITS_IN_SECOND[unit], utc_offset_minutes * 60_000, out)
    return out


def _of_fractions(array: pa.Array, unit: str) -> I64:
    """Floats and decimals are rare; a float's text is its shortest, so 0.1 s is 100 ms."""
    texts = [None if v is None else format(v, "f") for v in _exact(array)]
    return read_times(pa.array(texts, pa.string()), unit)


def _exact(array: pa.Array) -> list[Any]:
    return [Decimal(repr(v)) if isinstance(v, float) else v for v in array.to_pylist()]


def _scaled(values: NDArray[np.int64], absent: Bool, unit: str) -> I64:
    values = values.astype(np.int64, copy=False)
    if unit == "ms" and len(absent) == 0 and _all_within(values):
        return values
    out = np.empty(len(values), np.int64)
    if unit == "ms":
        _from_ms(values, absent, out)
    elif unit == "us":
        _from_us(values, absent, out)
    elif unit == "ns":
        _from_ns(values, absent, out)
    else:
        _from_s(values, absent, out)
    return out


@compiled
def _all_within(values: I64) -> bool:
    """Tell whether all are times as they are: the common case, which needs no copy."""
    outside = 0
    # By its number: the compiler takes several values at once then, and else not.
    for i in range(len(values)):
        v = values[i]
        outside += (v < EARLIEST_MS) | (v > LATEST_MS) | (v == 0)
    return outside == 0


# One kernel a unit: dividing by a constant is a multiplication, by a variable it is not.
@compiled
def _from_s(values: I64, absent: Bool, out: I64) -> None:
    for i in range(len(out)):
        v = values[i]
        if v < EARLIEST_MS // 1000 or v > LATEST_MS // 1000:
            out[i] = UNREADABLE
        else:
            out[i] = v * 1000
    _mark_missing(values, absent, out)


@compiled
def _from_ms(values: I64, absent: Bool, out: I64) -> None:
    for i in range(len(out)):
        v = values[i]
        out[i] = UNREADABLE if v < EARLIEST_MS or v > LATEST_MS else v
    _mark_missing(values, absent, out)


@compiled
def _from_us(values: I64, absent: Bool, out: I64) -> None:
    for i in range(len(out)):
        v = values[i] // 1000
        out[i] = UNREADABLE if v < EARLIEST_MS or v > LATEST_MS else v
    _mark_missing(values, absent, out)


@compiled
def _from_ns(values: I64, absent: Bool, out: I64) -> None:
    for i in range(len(out)):
        out[i] = values[i] // 1_000_000
    _mark_missing(values, absent, out)


@compiled
def _mark_missing(values: I64, absent: Bool, out: I64) -> None:
    for i in range(len(out)):
        if values[i] == 0:
            out[i] = MISSING
    for i in range(len(absent)):
        if absent[i]:
            out[i] = MISSING


@compiled
def _read_texts(
    data: NDArray[np.uint8], offsets: I64, absent: Bool, per_second: int, zone_ms: int, out: I64
) -> None:
    for i in range(len(out)):
        start, end = offsets[i], offsets[i + 1]
        if (len(absent) and absent[i]) or start == end:
            out[i] = MISSING
        elif start < 0 or end > len(data) or end < start or end - start > 40:
            out[i] = UNREADABLE
        else:
            out[i] = _read_text(data, start, end, per_second, zone_ms)


@compiled
def _read_text(data: NDArray[np.uint8], start: int, end: int, per_second: int, zone_ms: int) -> int:
    zeros = True
    for i in range(start, end):
        c = data[i]
        # Digits 1 to 9 and letters other than T and Z say something; zeros and marks do not.
        if (c >= 49 and c <= 57) or (c >= 65 and c != 84 and c != 90):
            zeros = False
    if zeros:
        return MISSING
    if end - start >= 10 and data[start + 4] == 45 and data[start + 7] == 45:
        value = _read_date(data, start, end, zone_ms)
    else:
        value = _read_decimal(data, start, end, per_second)
    if value < EARLIEST_MS or value > LATEST_MS:
        return UNREADABLE
    return value


@compiled
def _read_decimal(data: NDArray[np.uint8], start: int, end: int, per_second: int) -> int:
    """``1677577599.25`` in units of a second's part, to milliseconds, rounded down."""
    negative = data[start] == 45
    i = start + 1 if negative else start
    first = i
    value: Any = 0
    while i < end and data[i] >= 48 and data[i] <= 57:
        digit = np.int64(data[i]) - 48
        if value > (_LARGEST - digit) // 10:
            return UNREADABLE
        value = value * 10 + digit
        i += 1
    if i == first:
        return UNREADABLE
    thousandths: Any = 0
    rest, place = False, 0
    if i < end:
        if data[i] != 46:
            return UNREADABLE
        i += 1
        while i < end:
            digit = np.int64(data[i]) - 48
            if digit < 0 or digit > 9:
                return UNREADABLE
            if place < 3:
                thousandths = thousandths * 10 + digit
                place += 1
            elif digit > 0:
                rest = True
            i += 1
    while place < 3:
        thousandths *= 10
        place += 1
    if per_second == 1:
        if value > LATEST_MS // 1000:
            return UNREADABLE
        value = value * 1000 + thousandths
    else:
        rest = rest or thousandths > 0 or value % (per_second // 1000) != 0
        value //= per_second // 1000
    if negative:
        return int(-value - (1 if rest else 0))
    return int(value)


@compiled
def _read_date(data: NDArray[np.uint8], start: int, end: int, zone_ms: int) -> int:
    """``YYYY-MM-DD``, then ``[T ]HH:MM[:SS[.fff]]``, then ``Z``, ``+HH:MM``, ``+HHMM`` or none."""
    year = _digits(data, start, 4, end)
    month = _digits(data, start + 5, 2, end)
    day = _digits(data, start + 8, 2, end)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_days(year, month):
        return UNREADABLE
    ms: Any = _days_since_1970(year, month, day) * 86_400_000
    i = start + 10
    if i == end:
        return int(ms - zone_ms)
    if data[i] != 84 and data[i] != 32:
        return UNREADABLE
    hour, minute = _digits(data, i + 1, 2, end), _digits(data, i + 4, 2, end)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or data[i + 3] != 58:
        return UNREADABLE
    ms += hour * 3_600_000 + minute * 60_000
    i += 6
    if i < end and data[i] == 58:
        second = _digits(data, i + 1, 2, end)
        if second < 0 or second > 60:
            return UNREADABLE
        ms += second * 1000
        i += 3
        if i < end and (data[i] == 46 or data[i] == 44):
            i += 1
            weight, first = 100, i
            while i < end and data[i] >= 48 and data[i] <= 57:
                ms += (np.int64(data[i]) - 48) * weight
                weight //= 10
                i += 1
            if i == first:
                return UNREADABLE
    if i == end:
        return int(ms - zone_ms)
    return _with_zone(data, i, end, ms)


@compiled
def _with_zone(data: NDArray[np.uint8], i: int, end: int, ms: int) -> int:
    if data[i] == 90 and i + 1 == end:
        return ms
    if data[i] != 43 and data[i] != 45:
        return UNREADABLE
    sign = 1 if data[i] == 43 else -1
    hours = _digits(data, i + 1, 2, end)
    i += 3
    minutes = 0
    if i < end:
        if data[i] == 58:
            i += 1
        minutes = _digits(data, i, 2, end)
        i += 2
    if i != end or hours < 0 or hours > 15 or minutes < 0 or minutes > 59:
        return UNREADABLE
    return ms - sign * (hours * 60 + minutes) * 60_000


@compiled
def _digits(data: NDArray[np.uint8], start: int, count: int, end: int) -> int:
    """A number of exactly ``count`` digits, or -1."""
    if start + count > end:
        return -1
    value: Any = 0
    for i in range(start, start + count):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return int(value)


@compiled
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _days_since_1970(year: int, month: int, day: int) -> int:
    """Days of the proleptic Gregorian calendar, with March as the first month of a year."""
    if month <= 2:
        year -= 1
    shifted = (month + 9) % 12
    return (
        365 * year
        + year // 4
        - year // 100
        + year // 400
        + (153 * shifted + 2) // 5
        + day
        - 1
        - 719_468
    )
