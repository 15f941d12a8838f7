"""SipHash-2-4 (Aumasson and Bernstein, 2012), the keyed hash that stands for a client.

The message is one tag byte ('4', '6' or 's'), then the prefix's bytes in network order, as many
as its length needs, or the subscriber id's bytes. Client addresses leave the worker only so.
"""

from typing import Final

import numpy as np

from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I64, U8, U64

TAG_V4: Final = ord("4")
TAG_V6: Final = ord("6")
TAG_SUBSCRIBER: Final = ord("s")


@compiled
def _rotated(x: np.uint64, bits: int) -> np.uint64:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@compiled
def _round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0 += v1
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 += v3
    v3 = _rotated(v3, 16) ^ v2
    v0 += v3
    v3 = _rotated(v3, 21) ^ v0
    v2 += v1
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


@compiled
def _start(k0: np.uint64, k1: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    return (
        k0 ^ np.uint64(0x736F6D6570736575),
        k1 ^ np.uint64(0x646F72616E646F6D),
        k0 ^ np.uint64(0x6C7967656E657261),
        k1 ^ np.uint64(0x7465646279746573),
    )


@compiled
def _absorb(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64, word: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ word, v1, v2, v3


@compiled
def _finish(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> np.uint64:
    v2 ^= np.uint64(0xFF)
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@compiled
def _swapped(x: np.uint64) -> np.uint64:
    m8, m16 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    x = ((x >> np.uint64(8)) & m8) | ((x & m8) << np.uint64(8))
    x = ((x >> np.uint64(16)) & m16) | ((x & m16) << np.uint64(16))
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@compiled
def hash_prefix(
    k0: np.uint64, k1: np.uint64, hi: np.uint64, lo: np.uint64, is_v4: bool, length: int
) -> np.uint64:
    """Hash the client prefix of an address: length bits of the IPv4 or the IPv6 address."""
    one = np.uint64(1)
    if is_v4:
        address = (lo & np.uint64(0xFFFFFFFF)) << np.uint64(32)
        rest = np.uint64(0)
        tag = np.uint64(TAG_V4)
    else:
        address, rest = hi, lo
        tag = np.uint64(TAG_V6)
    if length < 64:
        rest = np.uint64(0)
        keep = ~((one << np.uint64(64 - length)) - one) if length > 0 else np.uint64(0)
        address &= keep
    elif length < 128:
        rest &= ~((one << np.uint64(128 - length)) - one) if length > 64 else np.uint64(0)
    size = 1 + (length + 7) // 8
    first, second = _swapped(address), _swapped(rest)
    words = (
        tag | (first << np.uint64(8)),
        (first >> np.uint64(56)) | (second << np.uint64(8)),
        second >> np.uint64(56),
    )
    v0, v1, v2, v3 = _start(k0, k1)
    for i in range(size // 8):
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, words[i])
    last = words[size // 8] | (np.uint64(size & 255) << np.uint64(56))
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, last)
    return _finish(v0, v1, v2, v3)


@compiled
def hash_texts(k0: np.uint64, k1: np.uint64, tag: int, offsets: I64, data: U8) -> U64:
    """Hash texts as their UTF-8 bytes behind the tag; text i is data[offsets[i]:offsets[i+1]]."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for i in range(len(out)):
        v0, v1, v2, v3 = _start(k0, k1)
        word = np.uint64(tag)
        filled = 1
        for at in range(offsets[i], offsets[i + 1]):
            word |= np.uint64(data[at]) << np.uint64(8 * filled)
            filled += 1
            if filled == 8:
                v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, word)
                word = np.uint64(0)
                filled = 0
        size = 1 + offsets[i + 1] - offsets[i]
        word |= np.uint64(size & 255) << np.uint64(56)
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, word)
        out[i] = _finish(v0, v1, v2, v3)
    return out
