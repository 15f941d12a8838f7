"""SipHash-2-4 (Aumasson and Bernstein, 2012), the keyed hash that stands for a client.

The message is one tag byte ('4', '6' or 's'), then the prefix's bytes in network order, as many
as its length needs, or the subscriber id's bytes. Client addresses leave the worker only so. Rows
are hashed as words, the first of which is a tag as well.
"""

from typing import Final

import numpy as np

from v6share.pipelines.kernels.flow_batch import I64, U8, U64, Bool
from v6share.pipelines.kernels.jit import compiled

TAG_V4: Final = ord("4")
TAG_V6: Final = ord("6")
TAG_SUBSCRIBER: Final = ord("s")
TAG_ROW: Final = ord("r")
_BLOCK: Final = 1024


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
    # No loop: with one inside, the compiler does not take several messages at once.
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@compiled
def _swapped(x: np.uint64) -> np.uint64:
    m8, m16 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    x = ((x >> np.uint64(8)) & m8) | ((x & m8) << np.uint64(8))
    x = ((x >> np.uint64(16)) & m16) | ((x & m16) << np.uint64(16))
    return (x >> np.uint64(32)) | (x << np.uint64(32))


@compiled
def _prefix_words(
    hi: np.uint64, lo: np.uint64, is_v4: bool, length: int
) -> tuple[np.uint64, np.uint64, np.uint64, int]:
    """Lay out the message of a prefix: three words without its size, and its size in bytes."""
    # Families alternate: masks instead of branches.
    of_v4 = np.uint64(0) - np.uint64(is_v4)
    address = (lo << np.uint64(32) & of_v4) | (hi & ~of_v4)
    rest = lo & ~of_v4
    # A shift by 64 bits is none for the processor: so in two steps.
    ones = ~np.uint64(0)
    address &= ~((ones >> np.uint64(min(length, 63))) >> np.uint64(length >= 64))
    low = max(length, 64) - 64
    rest &= ~((ones >> np.uint64(min(low, 63))) >> np.uint64(low >= 64))
    first, second = _swapped(address), _swapped(rest)
    return (
        np.uint64(TAG_V6) - np.uint64(TAG_V6 - TAG_V4) * np.uint64(is_v4) | (first << np.uint64(8)),
        (first >> np.uint64(56)) | (second << np.uint64(8)),
        second >> np.uint64(56),
        1 + (length + 7) // 8,
    )


@compiled
def hash_prefixes(k0: np.uint64, k1: np.uint64, hi: U64, lo: U64, is_v4: Bool, lengths: U8) -> U64:
    """Hash the client prefixes of addresses: so many bits of the IPv4 or the IPv6 address.

    All are hashed as messages of up to two words, in loops without branches, so that the compiler
    works on several at once. Longer ones, prefixes of over 120 bits, are hashed again one by one.
    """
    n = len(hi)
    out = np.empty(n, np.uint64)
    first, second = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    for begin in range(0, n, _BLOCK):
        end = min(begin + _BLOCK, n)
        longest = 0
        for i in range(begin, end):
            one, two, _, size = _prefix_words(hi[i], lo[i], is_v4[i], int(lengths[i]))
            size_byte = np.uint64(size) << np.uint64(56)
            first[i - begin] = one | (size_byte if size < 8 else np.uint64(0))
            second[i - begin] = two | (np.uint64(0) if size < 8 else size_byte)
            longest = max(longest, size)
        _hash_pairs(k0, k1, first[: end - begin], second[: end - begin], out[begin:end])
        if longest >= 16:
            for i in range(begin, end):
                one, two, three, size = _prefix_words(hi[i], lo[i], is_v4[i], int(lengths[i]))
                if size >= 16:
                    size_byte = np.uint64(size) << np.uint64(56)
                    out[i] = _hash_words(k0, k1, one, two, three | size_byte)
    return out


@compiled
def _hash_pairs(k0: np.uint64, k1: np.uint64, first: U64, second: U64, out: U64) -> None:
    """Hash messages of two words, or of one where the second is 0: a last word is never."""
    for k in range(len(first)):
        v0, v1, v2, v3 = _start(k0, k1)
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, first[k])
        w0, w1, w2, w3 = _absorb(v0, v1, v2, v3, second[k])
        alone = second[k] == 0
        out[k] = _finish(
            v0 if alone else w0, v1 if alone else w1, v2 if alone else w2, v3 if alone else w3
        )


@compiled
def _hash_words(
    k0: np.uint64, k1: np.uint64, first: np.uint64, second: np.uint64, third: np.uint64
) -> np.uint64:
    v0, v1, v2, v3 = _start(k0, k1)
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, first)
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, second)
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, third)
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


@compiled
def hash_rows(k0: np.uint64, k1: np.uint64, words: U64) -> U64:
    """Hash rows of as many words each. words: shape (rows, words of a row)."""
    rows, width = words.shape
    out = np.empty(rows, np.uint64)
    for i in range(rows):
        v0, v1, v2, v3 = _start(k0, k1)
        for j in range(width):
            v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, words[i, j])
        size = np.uint64(8 * width & 255) << np.uint64(56)
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, size)
        out[i] = _finish(v0, v1, v2, v3)
    return out
