"""Integers of 128 bits as two uint64 halves, for products that 64 bits cannot hold."""

import numpy as np

from v6share.pipelines.kernels.jit import compiled

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


@compiled
def multiply(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Give a * b exactly, as (high, low)."""
    a0, a1 = a & _LOW, a >> _32
    b0, b1 = b & _LOW, b >> _32
    low = a0 * b0
    mid = a1 * b0 + (low >> _32)
    mid2 = a0 * b1 + (mid & _LOW)
    return a1 * b1 + (mid >> _32) + (mid2 >> _32), (mid2 << _32) | (low & _LOW)


@compiled
def add(
    a_hi: np.uint64, a_lo: np.uint64, b_hi: np.uint64, b_lo: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Give a + b modulo 2^128."""
    low = a_lo + b_lo
    carry = np.uint64(1) if low < a_lo else np.uint64(0)
    return a_hi + b_hi + carry, low


@compiled
def divide(hi: np.uint64, lo: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Divide by 0 < d < 2^32: (quotient high, quotient low, remainder)."""
    quotient_hi = hi // d
    rest = hi % d
    upper = (rest << _32) | (lo >> _32)
    digit1 = upper // d
    rest = upper % d
    lower = (rest << _32) | (lo & _LOW)
    digit0 = lower // d
    return quotient_hi, (digit1 << _32) | digit0, lower % d
