"""Parquet's metadata in Thrift's compact protocol, read without making anything of it.

A footer or the head of a page says how much memory its reader will take. Here it is walked through
byte by byte, so that this is known before anything is allocated.
"""

from typing import Final

import numpy as np

from v6share.pipelines.kernels.flow_batch import I64, U8
from v6share.pipelines.kernels.jit import compiled

# What ``walk_struct`` gives in place of an end.
CUT: Final = -1
MALFORMED: Final = -2

NUMBERS: Final = 9
_DEEPEST: Final = 32
_STRUCT: Final = 12
_LISTS: Final = (9, 10)


@compiled
def walk_struct(data: U8, numbers: I64) -> tuple[int, int]:
    """Walk through the struct at the beginning of some bytes: (where it ends, what it holds).

    The end is CUT where the bytes end before, MALFORMED where they are no such struct. What it
    holds are the structs and the entries of lists in it, at any depth.

    numbers: shape (NUMBERS, NUMBERS), written: ``[0, f]`` is field f of the struct, ``[p, f]`` is
    field f of the struct in its field p: an integer's value, or a list's length. Fields from
    NUMBERS on, and those further down, are passed over.
    """
    # Of each struct and list that is open: entries left of a list, or -1; type of a list's
    # entries; last field of a struct.
    left, kinds = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST, np.int64)
    last = np.zeros(_DEEPEST, np.int64)
    depth, held, at, size = 0, 0, 0, len(data)
    left[0] = -1
    while depth >= 0:
        field = -1
        if left[depth] >= 0:
            if left[depth] == 0:
                depth -= 1
                continue
            left[depth] -= 1
            kind = int(kinds[depth])
            if kind in (1, 2):  # a truth value is a byte in a list, and in the type elsewhere
                kind = 3
        else:
            if at >= size:
                return CUT, held
            head = int(data[at])
            at += 1
            if head == 0:
                depth -= 1
                continue
            kind, step = head & 15, head >> 4
            if step:
                last[depth] += step
            else:
                plain, at = _varint(data, at)
                if at < 0:
                    return at, held
                last[depth] = _signed(plain)
            field = int(last[depth])
        number = 0
        if kind == 3:
            at += 1
        elif kind in (4, 5, 6):
            plain, at = _varint(data, at)
            number = _signed(plain)
        elif kind == 7:
            at += 8
        elif kind == 13:
            at += 16
        elif kind == 8:
            length, at = _varint(data, at)
            if at >= 0:
                if length > size:
                    return CUT, held
                at += int(length)
        elif kind in _LISTS:
            if at >= size:
                return CUT, held
            entries, entry_kind = int(data[at]) >> 4, int(data[at]) & 15
            at += 1
            if entries == 15:
                plain, at = _varint(data, at)
                if at >= 0 and plain > size:  # an entry has a byte at least
                    return CUT, held
                entries = int(plain)
            number = entries
            held += entries
        elif kind == _STRUCT:
            held += 1
        elif kind not in (1, 2):
            return MALFORMED, held
        if at < 0:
            return at, held
        if at > size:
            return CUT, held
        if field >= 0 and field < NUMBERS:
            if depth == 0:
                numbers[0, field] = number
            elif depth == 1 and left[0] < 0 and last[0] < NUMBERS:
                numbers[last[0], field] = number
        if kind in _LISTS or kind == _STRUCT:
            depth += 1
            if depth == _DEEPEST:
                return MALFORMED, held
            left[depth], kinds[depth], last[depth] = -1, 0, 0
            if kind != _STRUCT:
                left[depth], kinds[depth] = entries, entry_kind
    return at, held


@compiled
def _varint(data: U8, at: int) -> tuple[np.uint64, int]:
    """Read a number of 7 bits a byte, the low ones first, and give what is behind it."""
    number = np.uint64(0)
    for place in range(10):
        if at >= len(data):
            return number, CUT
        byte = np.uint64(data[at])
        at += 1
        number |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
        if byte < 128:
            return number, at
    return number, MALFORMED


@compiled
def _signed(number: np.uint64) -> int:
    """Undo the zigzag of a signed number: 0, -1, 1, -2 are written as 0, 1, 2, 3."""
    return int(number >> np.uint64(1)) ^ -int(number & np.uint64(1))
