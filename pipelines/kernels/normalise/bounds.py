"""Codes and offsets of source columns, checked before anything is looked up by them.

Arrow's Parquet reader takes the codes of dictionary-encoded text as the file has them. Compiled
kernels, and some functions of Arrow, look up what they are given without a check: by a code that
points outside of its dictionary they would read other memory, or end the process, and every good
file of the run with it.

Decided against Arrow's full validation of the columns as they are. It asks code by code, in 1.2
instead of 0.15 ns each, and it takes 8 ns for a text to see that it is UTF-8. No reader here needs
that, and no file is refused for it: text is read as bytes.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from v6share.pipelines.kernels.normalise.addresses import is_bytes_or_text
from v6share.pipelines.kernels.normalise.column_values import integer_view


def check_batch(batch: pa.RecordBatch) -> None:
    """Raise ValueError, with the column's name, where one of the columns fails ``check_bounds``.

    Also where a buffer is shorter than its array, or the columns differ in length.
    """
    batch.validate()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            check_bounds(column)
        except ValueError as error:
            raise ValueError(f'the column "{name}" is damaged: {error}') from error


def check_bounds(array: pa.Array) -> None:
    """Raise ValueError where a code or an offset points outside, at any depth of the array.

    The buffers must be as long as the array needs them, which ``validate()`` of Arrow checks.
    """
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        check_bounds(array.storage)
    elif pt.is_dictionary(kind):
        _check_codes(array)
        check_bounds(array.dictionary)
    elif is_bytes_or_text(kind) or kind.num_fields:
        array.view(_as_bytes(kind)).validate(full=True)


def longest_text(array: pa.Array) -> int:
    """Bytes of the longest text, at any depth of the array; 0 without. Of a dictionary all values
    count, whether or not a row has them. The array must have passed ``check_bounds``.
    """
    lengths = (pc.max(pc.binary_length(text)).as_py() or 0 for text in _texts(array))
    return max(lengths, default=0)


def text_bytes(array: pa.Array) -> int:
    """Bytes of the text of all rows, at any depth, and of bytes of a fixed length.

    0 for codes: however many rows there are, the dictionary is no more.
    """
    if pt.is_dictionary(array.type):
        return 0
    if pt.is_fixed_size_binary(array.type):
        return int(array.type.byte_width) * len(array)
    return sum(pc.sum(pc.binary_length(text)).as_py() or 0 for text in _texts(array))


def _texts(array: pa.Array) -> Iterator[pa.Array]:
    """Every text in an array, as bytes."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _texts(array.storage)
    elif pt.is_dictionary(kind):
        yield from _texts(array.dictionary)
    elif is_bytes_or_text(kind):
        text = array.view(_as_bytes(kind))
        yield text.cast(pa.large_binary()) if pt.is_binary_view(text.type) else text
    elif pt.is_struct(kind):
        for field in range(kind.num_fields):
            yield from _texts(array.field(field))
    elif pt.is_map(kind):
        yield from _texts(array.keys)
        yield from _texts(array.items)
    elif kind.num_fields:
        yield from _texts(array.flatten())


def _check_codes(array: pa.DictionaryArray) -> None:
    """Codes of null rows may be anything: nothing reads them."""
    stored, size = integer_view(array.indices), len(array.dictionary)
    # Without their sign, negative codes are the largest: so one comparison finds both.
    codes = stored.view(f"u{stored.itemsize}")
    if not len(codes) or codes.max() < size:
        return
    present = array.is_valid().to_numpy(zero_copy_only=False)
    outside = np.flatnonzero(present & (codes >= size))
    if len(outside):
        expected = f"0 to {size - 1}" if size else "none, as the dictionary is empty"
        raise ValueError(f"found the dictionary code {stored[outside[0]]}, expected {expected}")


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """The type with bytes in place of text, which need not be UTF-8."""
    if pt.is_list(kind):
        return pa.list_(_as_bytes(kind.value_type))
    if pt.is_large_list(kind):
        return pa.large_list(_as_bytes(kind.value_type))
    if pt.is_string(kind):
        return pa.binary()
    if pt.is_large_string(kind):
        return pa.large_binary()
    if pt.is_string_view(kind):
        return pa.binary_view()
    return kind
