"""Sampling intervals as fractions."""

from fractions import Fraction
from math import gcd
from typing import Any, Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.kernels.flow_batch import I64
from v6share.pipelines.kernels.jit import compiled

# Larger parts of a sampling interval are garbage, and their sums could wrap.
LARGEST_PART: Final = 2**40


def of_probability(array: pa.Array) -> tuple[I64, I64]:
    """1 / p as a fraction for every distinct p in (0, 1]; 0 / 1 elsewhere."""
    table: dict[Any, tuple[int, int]] = {}
    pairs = []
    for value in array.to_pylist():
        if value not in table:
            table[value] = _inverted(value)
        pairs.append(table[value])
    num = np.array([n for n, _ in pairs], np.int64)
    den = np.array([d for _, d in pairs], np.int64)
    return num, den


def _inverted(probability: Any) -> tuple[int, int]:
    try:
        fraction = Fraction(probability).limit_denominator(10**6)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return 0, 1
    if not 0 < fraction <= 1:
        return 0, 1
    return fraction.denominator, fraction.numerator


@compiled
def reduce_fractions(num: I64, den: I64, num_out: I64, den_out: I64) -> None:
    """Lowest terms; 0 / 1 where unknown, which an interval under 1 is too."""
    for i in range(len(num)):
        n, d = num[i], den[i]
        if n < 1 or d < 1 or n < d:
            num_out[i], den_out[i] = 0, 1
        elif d == 1:
            num_out[i], den_out[i] = n, 1
        else:
            g = gcd(n, d)
            num_out[i], den_out[i] = n // g, d // g
