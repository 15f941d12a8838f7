"""Codes and offsets that point outside, against Arrow's own full validation."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.pipelines.kernels.classify.decide import Hits, NameArrays, find_matches
from v6share.pipelines.kernels.normalise.bounds import check_batch, check_bounds
from v6share.schemas.catalog.parse import parse_catalog

Wrapping = Callable[[pa.Array], pa.Array]
CODES = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64())


def refuses(check: Any) -> bool:
    try:
        check()
    except ValueError:
        return True
    return False


def unchecked(codes: list[int | None], kind: pa.DataType, values: pa.Array) -> pa.DictionaryArray:
    """A dictionary array as a file may give it. Where a row is null, its code is any."""
    present = np.array([code is not None for code in codes], np.bool_)
    width = np.dtype(str(kind))
    stored = np.array([77 if code is None else code for code in codes], np.int64).astype(width)
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    indices = pa.Array.from_buffers(kind, len(codes), [valid, pa.py_buffer(stored)])
    return pa.DictionaryArray.from_arrays(indices, values, safe=False)


def of_text(
    offsets: list[int], data: bytes, kind: pa.DataType, wrapped: Wrapping = lambda text: text
) -> pa.Array:
    """Text with any offsets. Arrow looks at those that it is made with, so they are set later."""
    width = np.int64 if kind in (pa.large_string(), pa.large_binary()) else np.int32
    stored = np.zeros(len(offsets), width)
    buffers = [None, pa.py_buffer(stored), pa.py_buffer(data)]
    array = wrapped(pa.Array.from_buffers(kind, len(offsets) - 1, buffers))
    stored[:] = offsets
    return array


def listed(array: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array)


def test_codes_are_refused_exactly_where_arrow_refuses_them() -> None:
    rng = random.Random(1)
    refused = 0
    for _ in range(2000):
        values = pa.array(["a", "b", "c", "d"][: rng.randrange(5)], pa.string())
        odd = [-1, 4, 5, 100, -128] if rng.random() < 0.3 else []
        fine = list(range(len(values)))
        choices = [*fine, *fine, *odd, None] if rng.random() < 0.7 else [*fine, None]
        codes = [rng.choice(choices) for _ in range(rng.randrange(12))]
        array: pa.Array = unchecked(codes, rng.choice(CODES), values)
        if rng.random() < 0.3:
            array = array.slice(rng.randrange(len(array) + 1), rng.randrange(12))
        if rng.random() < 0.3:
            array = listed(array)
        elif rng.random() < 0.2:
            array = pa.StructArray.from_arrays([array], ["of"])
        arrow_refuses = refuses(lambda array=array: array.validate(full=True))
        assert refuses(lambda array=array: check_bounds(array)) is arrow_refuses, array.type
        refused += arrow_refuses
    assert 300 < refused < 1700


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
@pytest.mark.parametrize(
    "wrapped",
    [lambda text: text, listed, lambda text: unchecked([0, None], pa.int32(), text)],
    ids=["plain", "in a list", "in a dictionary"],
)
def test_offsets_are_refused_exactly_where_arrow_refuses_them(
    kind: pa.DataType, wrapped: Wrapping
) -> None:
    found = []
    for offsets in ([0, 1, 4], [0, 3, 1], [0, 9, 4], [-1, 0, 4], [0, 4, 5], [2, 2, 4]):
        array = of_text(offsets, b"abcd", kind, wrapped)
        arrow_refuses = refuses(lambda array=array: array.validate(full=True))
        assert refuses(lambda array=array: check_bounds(array)) is arrow_refuses, offsets
        found.append(arrow_refuses)
    assert found == [False, True, True, True, True, False]


def test_text_need_not_be_utf8() -> None:
    latin = of_text([0, 2, 4], b"a\xffa\xfe", pa.string())
    check_bounds(latin)
    check_bounds(unchecked([1, 0, None], pa.int32(), latin))
    check_bounds(listed(latin))


def test_the_column_and_the_code_are_named() -> None:
    values = pa.array(["a", "b", "c"])
    for code, kind, shown in (
        (3, pa.int32(), "3"),
        (-2, pa.int32(), "-2"),
        (250, pa.uint8(), "250"),
    ):
        batch = pa.record_batch({"one": pa.array([1]), "name": unchecked([code], kind, values)})
        with pytest.raises(ValueError, match=rf'"name" .* code {shown}, expected 0 to 2$'):
            check_batch(batch)
    empty = pa.record_batch({"name": unchecked([0], pa.int32(), values[:0])})
    with pytest.raises(ValueError, match="code 0, expected none"):
        check_batch(empty)


def test_an_extension_type_is_checked_by_what_it_stores() -> None:
    check_bounds(pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16))))
    stray = unchecked([5], pa.int8(), pa.array(["a"]))
    with pytest.raises(ValueError, match="code 5, expected 0 to 0"):
        check_bounds(pa.ExtensionArray.from_storage(pa.opaque(stray.type, "a", "b"), stray))


def test_a_code_without_a_value_meets_no_condition() -> None:
    """Whoever calls the kernel: behind the three values stands another array's memory.

    Of these three the second one meets the condition.
    """
    rules = compile_rules(
        parse_catalog(
            {"apps.toml": b'[[app]]\nid="a"\nname="A"\nmatch=[{server_name="x.example"}]'}
        )
    )
    codes, none = np.array([1, 3, -1, 2**31 - 1, 0], np.int32), np.empty(0, np.int32)
    codes.flags.writeable = none.flags.writeable = False
    memory, condition = np.array([0, 0, 1, 1, 9, 9], np.uint32), np.zeros(9, np.uint32)
    absent = Hits(none, np.zeros(1, np.uint32), np.empty(0, np.uint32))
    no_asn = np.empty(0, np.int64)
    names = NameArrays(Hits(codes, memory[:4], condition[:1]), absent, absent, no_asn, no_asn)
    places = np.zeros(5, np.uint32)
    found = find_matches(
        rules.arrays, names, places, np.full(5, 6, np.int16), np.full(5, 443, np.int32), no_asn
    )
    assert found.tolist() == [0, -1, -1, -1, -1]
