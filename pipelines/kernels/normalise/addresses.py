"""Addresses of every form to 128 bits, in bulk: text, bytes, integers.

An address is two uint64 halves in host order; IPv4 is ``::ffff:a.b.c.d``. Text is strict
(RFC 4291, 2.2, as Python's ``ipaddress``): no leading zeros in dotted quads. Around it may stand
what ``host_names.bare_address`` takes off, by the same rules. The kernels read Arrow's buffers as
they are and check every offset against them, so a damaged array can give a wrong answer but never
reach other memory.
"""

from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from numpy.typing import NDArray

from v6share.pipelines.kernels.flow_batch import I32, I64, U8, U64, Bool
from v6share.pipelines.kernels.jit import compiled

Halves: TypeAlias = tuple[U64, U64, U8]
Bytes: TypeAlias = NDArray[np.uint8]

# States of an address. A v4-mapped one is IPv4.
ABSENT: Final = 0
MALFORMED: Final = 1
IPV4: Final = 4
IPV6: Final = 6

_MAPPED: Final = np.uint64(0xFFFF_0000_0000)
_NO_ROWS: Final[Bool] = np.empty(0, np.bool_)
_LONGEST_TEXT: Final = 45
# With brackets and a port, or with the name of an interface.
_LONGEST_WITH_MORE: Final = 128
_OPENS, _CLOSES, _PERCENT, _COLON, _SLASH = 91, 93, 37, 58, 47
_HOST_V4: Final = np.frombuffer(b"/32", np.uint8)
_HOST_V6: Final = np.frombuffer(b"/128", np.uint8)
_HEX: Final = np.full(256, -1, np.int8)
for _i, _c in enumerate("0123456789abcdef"):
    _HEX[ord(_c)] = _HEX[ord(_c.upper())] = _i


def parse_addresses(text: pa.Array) -> Halves:
    """Addresses from text (any text type, also dictionary-encoded): (hi, lo, state).

    state is ABSENT for null and '', MALFORMED for what is no address (halves 0), else IPV4 or
    IPV6.
    """
    if pt.is_dictionary(text.type):
        return _of_dictionary(text)
    data, offsets, absent = text_buffers(text)
    rows = len(text)
    hi, lo, state = np.empty(rows, np.uint64), np.empty(rows, np.uint64), np.empty(rows, np.uint8)
    _parse_all(data, offsets, absent, hi, lo, state)
    return hi, lo, state


def parse_prefixes(text: pa.Array) -> tuple[U64, U64, U8, Bool]:
    """Prefixes from text: (hi, lo, length, ok).

    ``10.0.0.0/8``, ``2001:db8::/32``; a bare address is a host prefix. length counts the 128 bits
    of the mapped form, so ``10.0.0.0/8`` is 104. ok is False for null, for text that is no
    prefix, and where bits to the right of the length are set. Netmasks are no prefixes here.
    """
    data, offsets, absent = text_buffers(text)
    rows = len(text)
    hi, lo = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
    length, ok = np.empty(rows, np.uint8), np.empty(rows, np.bool_)
    _parse_prefixes(data, offsets, absent, hi, lo, length, ok)
    return hi, lo, length, ok


def read_addresses(array: pa.Array) -> Halves:
    """Addresses from any type that ``holds_addresses`` accepts: (hi, lo, state).

    Bytes are 4 or 16 long, or empty (absent); integers are IPv4, and -1 in 32 bits is
    255.255.255.255.
    """
    kind = array.type
    if pt.is_dictionary(kind):
        return _of_dictionary(array)
    if pt.is_null(kind):
        return _absent(len(array))
    if pt.is_fixed_size_binary(kind):
        return _of_fixed(array, kind.byte_width)
    if pt.is_integer(kind):
        return _of_integers(array)
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        data, offsets, absent = text_buffers(array)
        rows = len(array)
        hi, lo = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
        state = np.empty(rows, np.uint8)
        _read_bytes(data, offsets, absent, hi, lo, state)
        return hi, lo, state
    return parse_addresses(array)


def holds_addresses(kind: pa.DataType) -> bool:
    """Whether ``read_addresses`` understands this Arrow type."""
    if pt.is_dictionary(kind):
        return not pt.is_dictionary(kind.value_type) and holds_addresses(kind.value_type)
    if pt.is_fixed_size_binary(kind):
        return bool(kind.byte_width in (4, 16))
    return bool(is_bytes_or_text(kind) or pt.is_integer(kind) or pt.is_null(kind))


def is_bytes_or_text(kind: pa.DataType) -> bool:
    """Whether the type is text or bytes of varying length."""
    return bool(
        pt.is_string(kind)
        or pt.is_large_string(kind)
        or pt.is_string_view(kind)
        or pt.is_binary(kind)
        or pt.is_large_binary(kind)
        or pt.is_binary_view(kind)
    )


def text_buffers(array: pa.Array) -> tuple[Bytes, I64, Bool]:
    """The bytes, the rows + 1 offsets into them, and which rows are null (empty: none is).

    For text and bytes of varying length; without a copy where the offsets are 64 bits wide.
    """
    if pt.is_string_view(array.type) or pt.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    wide = pt.is_large_string(array.type) or pt.is_large_binary(array.type)
    _, offset_buffer, data_buffer = array.buffers()
    if offset_buffer is None or len(array) == 0:
        return np.empty(0, np.uint8), np.zeros(len(array) + 1, np.int64), null_mask(array)
    every = np.frombuffer(offset_buffer, np.int64 if wide else np.int32)
    shown = every[array.offset : array.offset + len(array) + 1]
    offsets: I64 = shown.astype(np.int64, copy=False)
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return data, offsets, null_mask(array)


def null_mask(array: pa.Array) -> Bool:
    """Which rows are null; an empty array where none is."""
    if array.null_count == 0:
        return _NO_ROWS
    mask: Bool = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def _absent(rows: int) -> Halves:
    return np.zeros(rows, np.uint64), np.zeros(rows, np.uint64), np.zeros(rows, np.uint8)


def _of_dictionary(array: pa.DictionaryArray) -> Halves:
    """Each distinct address once, unless the dictionary is the larger part."""
    if len(array.dictionary) > len(array):
        return read_addresses(array.dictionary_decode())
    hi, lo, state = read_addresses(array.dictionary)
    codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
    if len(hi) == 0:
        return _absent(len(array))
    out = hi[codes], lo[codes], state[codes]
    if array.null_count:
        for half in out:
            half[null_mask(array)] = 0
    return out


def _of_fixed(array: pa.Array, width: int) -> Halves:
    rows = len(array)
    buffer = array.buffers()[1]
    if buffer is None or rows == 0:
        return _absent(rows)
    begin = array.offset * width
    hi, lo, state = np.empty(rows, np.uint64), np.empty(rows, np.uint64), np.empty(rows, np.uint8)
    if width == 16:
        words = np.frombuffer(buffer, np.uint64, 2 * rows, begin)
        _read_sixteen(words, null_mask(array), hi, lo, state)
    else:
        quads = np.frombuffer(buffer, ">u4", rows, begin).astype(np.int64)
        _read_integers(quads, null_mask(array), hi, lo, state)
    return hi, lo, state


def _of_integers(array: pa.Array) -> Halves:
    rows = len(array)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    if values.dtype == np.int32:
        values = values.view(np.uint32)
    if values.dtype == np.uint64:
        values = np.minimum(values, np.uint64(1 << 62))
    hi, lo, state = np.empty(rows, np.uint64), np.empty(rows, np.uint64), np.empty(rows, np.uint8)
    _read_integers(values.astype(np.int64, copy=False), null_mask(array), hi, lo, state)
    return hi, lo, state


@compiled
def _parse_all(data: Bytes, offsets: I64, absent: Bool, hi: U64, lo: U64, state: U8) -> None:
    for i in range(len(hi)):
        hi[i], lo[i], state[i] = 0, 0, ABSENT
        if (len(absent) and absent[i]) or offsets[i] == offsets[i + 1]:
            continue
        hi[i], lo[i], state[i] = _parse_one(data, offsets[i], offsets[i + 1])
        if state[i] == MALFORMED:
            start, end = _bare(data, offsets[i], offsets[i + 1])
            hi[i], lo[i], state[i] = _parse_one(data, start, end)


@compiled
def _bare(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Where the address itself stands in a text, as ``host_names.bare_address`` says it."""
    if start < 0 or end > len(data):
        return start, end
    while start < end and _is_space(data[start]):
        start += 1
    while start < end and _is_space(data[end - 1]):
        end -= 1
    if start == end or end - start > _LONGEST_WITH_MORE:
        return start, end
    if data[start] == _OPENS:
        close = _first(data, start, end, _CLOSES)
        has_length = _is_host_length(data, start + 1, close, close + 1, end)
        if close < end and (has_length or _is_port(data, close + 1, end)):
            start, end = start + 1, close
    else:
        colon = _first(data, start, end, _COLON)
        if colon < end and _is_port(data, colon, end) and _is_quad(data, start, colon):
            return start, colon
    slash = _first(data, start, end, _SLASH)
    if _is_host_length(data, start, slash, slash, end):
        end = slash
    zone = _first(data, start, end, _PERCENT)
    more = min(_first(data, zone + 1, end, _PERCENT), _first(data, start, end, _SLASH))
    if zone + 1 < end and more == end and _first(data, start, zone, _COLON) < zone:
        end = zone
    return start, end


@compiled
def _is_space(byte: int) -> bool:
    return bool((byte == 32) | ((byte >= 9) & (byte <= 13)))


@compiled
def _first(data: Bytes, start: int, end: int, byte: int) -> int:
    """Where a byte stands first in a text; its end where it does not."""
    for i in range(start, end):
        if data[i] == byte:
            return i
    return max(start, end)


@compiled
def _is_quad(data: Bytes, start: int, end: int) -> bool:
    """Whether a text has digits and dots alone."""
    plain = start < end
    for i in range(start, end):
        plain &= (48 <= data[i] <= 57) | (data[i] == 46)
    return plain


@compiled
def _is_host_length(data: Bytes, start: int, stop: int, at: int, end: int) -> bool:
    """Whether at ``at`` the length of one address stands: of that from start to stop."""
    length = _HOST_V6 if _first(data, start, stop, _COLON) < stop else _HOST_V4
    same = end - at == len(length)
    for i in range(len(length)):
        same = same and data[at + i] == length[i]
    return same


@compiled
def _is_port(data: Bytes, start: int, end: int) -> bool:
    """Whether nothing is left of a text, or a colon and the digits of a port."""
    if start == end:
        return True
    if data[start] != _COLON or not 2 <= end - start <= 6:
        return False
    digits = True
    for i in range(start + 1, end):
        digits &= 48 <= data[i] <= 57
    return digits


@compiled
def _parse_one(data: Bytes, start: int, end: int) -> tuple[np.uint64, np.uint64, int]:
    nothing = np.uint64(0)
    if start < 0 or end > len(data) or end - start < 2 or end - start > _LONGEST_TEXT:
        return nothing, nothing, MALFORMED
    for i in range(start, min(end, start + 5)):
        if data[i] == 46:  # a dot before any colon
            quad = _parse_quad(data, start, end)
            if quad < 0:
                return nothing, nothing, MALFORMED
            return nothing, _MAPPED | np.uint64(quad), IPV4
        if data[i] == 58:
            return _parse_groups(data, start, end)
    return nothing, nothing, MALFORMED


@compiled
def _parse_quad(data: Bytes, start: int, end: int) -> int:
    """The 32 bits of a dotted quad, or -1."""
    if end - start < 7 or end - start > 15:
        return -1
    value: Any = 0
    octet: Any = 0
    digits, dots = 0, 0
    for i in range(start, end):
        c = np.int64(data[i])
        if c == 46:
            if digits == 0:
                return -1
            value = (value << 8) | octet
            octet, digits, dots = 0, 0, dots + 1
        elif c < 48 or c > 57 or (digits > 0 and octet == 0):
            return -1
        else:
            octet = octet * 10 + (c - 48)
            digits += 1
            if octet > 255:
                return -1
    if dots != 3 or digits == 0:
        return -1
    return int((value << 8) | octet)


@compiled
def _parse_groups(data: Bytes, start: int, end: int) -> tuple[np.uint64, np.uint64, int]:
    """IPv6 text that has a colon. ``::`` splits it into a head and a tail of 16-bit groups."""
    nothing = np.uint64(0)
    bad = (nothing, nothing, MALFORMED)
    hi, lo, groups = nothing, nothing, 0
    head_hi, head_lo, head = nothing, nothing, -1
    i = start
    if data[i] == 58:
        if data[i + 1] != 58:
            return bad
        i += 2
        head = 0
    while i < end:
        group: Any = 0
        j = i
        while j < end and j - i < 5 and _HEX[data[j]] >= 0:
            group = (group << 4) | np.int64(_HEX[data[j]])
            j += 1
        if j < end and data[j] == 46:
            quad = _parse_quad(data, i, end)
            if quad < 0:
                return bad
            hi = (hi << np.uint64(32)) | (lo >> np.uint64(32))
            lo = (lo << np.uint64(32)) | np.uint64(quad)
            groups += 2
            break
        if j == i or j - i > 4 or groups == 8:
            return bad
        hi = (hi << np.uint64(16)) | (lo >> np.uint64(48))
        lo = (lo << np.uint64(16)) | np.uint64(group)
        groups += 1
        i = j
        if i == end:
            break
        if data[i] != 58 or i + 1 == end:
            return bad
        i += 1
        if data[i] == 58:
            if head >= 0:
                return bad
            head_hi, head_lo, head = hi, lo, groups
            hi, lo, groups = nothing, nothing, 0
            i += 1
    if head < 0:
        if groups != 8:
            return bad
    elif head + groups > 7:
        return bad
    elif head > 0:
        # The head's groups move to the top: by 16 bits for every group that is not the head's.
        shift = np.uint64(16 * (8 - head))
        if shift >= np.uint64(64):
            hi |= head_lo << (shift - np.uint64(64))
        else:
            hi |= (head_hi << shift) | (head_lo >> (np.uint64(64) - shift))
            lo |= head_lo << shift
    return hi, lo, _state(hi, lo)


@compiled
def _state(hi: np.uint64, lo: np.uint64) -> int:
    return IPV4 if hi == 0 and lo >> np.uint64(32) == np.uint64(0xFFFF) else IPV6


@compiled
def _swap(word: np.uint64) -> np.uint64:
    """Byte order reversed; the compiler makes one instruction of it."""
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8)) | (
        (word >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    )
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16)) | (
        (word >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    )
    return (word << np.uint64(32)) | (word >> np.uint64(32))


@compiled
def _read_sixteen(words: U64, absent: Bool, hi: U64, lo: U64, state: U8) -> None:
    for i in range(len(hi)):
        hi[i] = _swap(words[2 * i])
        lo[i] = _swap(words[2 * i + 1])
        state[i] = _state(hi[i], lo[i])
    for i in range(len(absent)):
        if absent[i]:
            hi[i], lo[i], state[i] = 0, 0, ABSENT


@compiled
def _read_integers(values: I64, absent: Bool, hi: U64, lo: U64, state: U8) -> None:
    for i in range(len(hi)):
        hi[i], lo[i], state[i] = 0, 0, ABSENT
        if len(absent) and absent[i]:
            continue
        if values[i] < 0 or values[i] > 0xFFFFFFFF:
            state[i] = MALFORMED
        else:
            lo[i], state[i] = _MAPPED | np.uint64(values[i]), IPV4


@compiled
def _read_bytes(data: Bytes, offsets: I64, absent: Bool, hi: U64, lo: U64, state: U8) -> None:
    for i in range(len(hi)):
        hi[i], lo[i], state[i] = 0, 0, ABSENT
        start, end = offsets[i], offsets[i + 1]
        if (len(absent) and absent[i]) or start == end:
            continue
        state[i] = MALFORMED
        if start < 0 or end > len(data):
            continue
        if end - start == 4:
            lo[i], state[i] = _MAPPED | _big_endian(data, start, 4), IPV4
        elif end - start == 16:
            hi[i] = _big_endian(data, start, 8)
            lo[i] = _big_endian(data, start + 8, 8)
            state[i] = _state(hi[i], lo[i])


@compiled
def _big_endian(data: Bytes, start: int, width: int) -> np.uint64:
    word = np.uint64(0)
    for i in range(start, start + width):
        word = (word << np.uint64(8)) | np.uint64(data[i])
    return word


@compiled
def _parse_prefixes(
    data: Bytes, offsets: I64, absent: Bool, hi: U64, lo: U64, length: U8, ok: Bool
) -> None:
    for i in range(len(hi)):
        hi[i], lo[i], length[i], ok[i] = 0, 0, 0, False
        start, end = offsets[i], offsets[i + 1]
        if (len(absent) and absent[i]) or start < 0 or end > len(data) or end <= start:
            continue
        slash = end
        for j in range(max(start, end - 4), end):
            if data[j] == 47:
                slash = j
        high, low, state = _parse_one(data, start, slash)
        if state == MALFORMED:
            continue
        # A mapped IPv6 text counts its own 128 bits; only a dotted quad counts 32.
        shown = 32
        for j in range(start, slash):
            if data[j] == 58:
                shown = 128
        bits = _parse_length(data, slash + 1, end, shown) if slash < end else shown
        if bits < 0:
            continue
        bits += 128 - shown
        if _host_bits(high, low, bits):
            continue
        hi[i], lo[i], length[i], ok[i] = high, low, bits, True


@compiled
def _parse_length(data: Bytes, start: int, end: int, limit: int) -> int:
    """A decimal from 0 to limit without leading zeros, or -1."""
    if start == end or (data[start] == 48 and end - start > 1):
        return -1
    value: Any = 0
    for i in range(start, end):
        digit = np.int64(data[i]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return int(value) if value <= limit else -1


@compiled
def _host_bits(hi: np.uint64, lo: np.uint64, bits: int) -> bool:
    """Whether a bit to the right of the first ``bits`` is set."""
    if bits >= 128:
        return False
    if bits >= 64:
        return bool((lo << np.uint64(bits - 64)) != 0)
    return bool(lo != 0 or (hi << np.uint64(bits)) != 0)


def code_i32(codes: pa.Array) -> I32:
    """Dictionary indices as int32, null as -1."""
    whole = codes.fill_null(-1) if codes.null_count else codes
    values: I32 = whole.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return values
