"""A prefix table of full size: nested prefixes of both families, and the flat intervals of it.

Addresses are 128 bits in two uint64 halves; IPv4 stands in ``::ffff:0:0/96``, so a length of an
IPv4 prefix is held as 96 + length. Everything is drawn from one seeded generator.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
MAPPED: Final = np.uint64(0xFFFF_0000_0000)

V4_COARSE, V4_FINE = 60_000, 390_000
V6_COARSE, V6_FINE = 30_000, 190_000
NESTED, INHERITED = 0.75, 0.5  # shares: inside a coarse prefix; of these, same value as it

# Shares of prefix lengths, after the shape of public routing tables: half of IPv4 is /24, half
# of IPv6 is /48.
_V4_COARSE_LENGTHS: Final = {8: 1, 10: 1, 12: 4, 14: 12, 15: 18, 16: 130, 17: 80, 18: 140, 19: 250}
_V4_FINE_LENGTHS: Final = {20: 45, 21: 50, 22: 110, 23: 100, 24: 640}
_V6_COARSE_LENGTHS: Final = {20: 1, 24: 3, 28: 20, 29: 160, 30: 20, 31: 10, 32: 600}
_V6_FINE_LENGTHS: Final = {
    33: 30,
    34: 30,
    36: 80,
    38: 30,
    40: 120,
    42: 30,
    44: 130,
    46: 50,
    48: 600,
}
_V6_BLOCKS: Final = (0x2400, 0x2600, 0x2800, 0x2A00, 0x2C00)  # a /12 each

# Kept free of clients, so that no client stands on a service's address.
SERVICE_V4_OCTET: Final = 23
SERVICE_V6_BLOCK: Final = 0x2620
# Not global unicast, so that every flow's class is plain.
_SPECIAL_V4_OCTETS: Final = (0, 10, 100, 127, 169, 172, 192, 198, 203)
_TAKEN_V4_OCTETS: Final = (*_SPECIAL_V4_OCTETS, SERVICE_V4_OCTET)


@dataclass(frozen=True)
class PrefixTable:
    """Distinct prefixes, ascending by (hi, lo, length); ``value`` is whatever they stand for."""

    hi: U64
    lo: U64
    length: NDArray[np.int64]
    value: NDArray[np.int64]

    @property
    def is_v4(self) -> NDArray[np.bool_]:
        """Which prefixes are IPv4."""
        mapped: NDArray[np.bool_] = (self.hi == 0) & (self.lo >> np.uint64(32) == 0xFFFF)
        return mapped


@dataclass(frozen=True)
class Intervals:
    """Disjoint ascending ranges that cover all of 128 bits; ``value`` -1 is covered by nothing."""

    hi: U64
    lo: U64
    value: NDArray[np.int64]


def draw_lengths(rng: np.random.Generator, shares: dict[int, int], count: int) -> NDArray[np.int64]:
    """``count`` lengths in these proportions."""
    weights = np.array(list(shares.values()), dtype=np.float64)
    return rng.choice(np.array(list(shares), dtype=np.int64), count, p=weights / weights.sum())


def skewed(rng: np.random.Generator, size: int, count: int) -> NDArray[np.int64]:
    """``count`` indices below ``size``, few of them very frequent, as allocations are."""
    return (size * rng.random(count) ** 4).astype(np.int64)


def client_octets() -> NDArray[np.uint64]:
    """The first octets in which IPv4 clients live."""
    return np.setdiff1d(np.arange(1, 224), _TAKEN_V4_OCTETS).astype(np.uint64)


def _mask(width: int, length: NDArray[np.int64]) -> U64:
    """The network bits of prefixes of these lengths in a field of ``width`` bits."""
    ones = np.uint64(2**width - 1)
    return ones ^ (ones >> length.astype(np.uint64))


def draw_v4(rng: np.random.Generator, count: int) -> U64:
    """Random IPv4 addresses that a client may have, 32 bits."""
    octet = rng.choice(client_octets(), count) << np.uint64(24)
    return octet | rng.integers(0, 2**24, count, dtype=np.uint64)


def draw_v6(rng: np.random.Generator, count: int) -> U64:
    """Upper halves of random IPv6 addresses that a client may have."""
    block = np.array(_V6_BLOCKS, dtype=np.uint64)[rng.integers(0, len(_V6_BLOCKS), count)]
    within = skewed(rng, 2**12, count).astype(np.uint64) << np.uint64(8)
    low = rng.integers(0, 2**8, count, dtype=np.uint64)
    top = (block << np.uint64(16)) + (within | low)
    top = np.where(top >> np.uint64(16) == SERVICE_V6_BLOCK, top + np.uint64(2**16), top)
    return (top << np.uint64(32)) | rng.integers(0, 2**32, count, dtype=np.uint64)


@dataclass(frozen=True)
class _Drawn:
    """Prefixes of one family: addresses of ``width`` bits, host bits still set, and lengths."""

    address: U64
    length: NDArray[np.int64]


def _family(
    rng: np.random.Generator, width: int, values: int, coarse: _Drawn, fine: _Drawn
) -> tuple[U64, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct (network, length), ascending, and values: fine ones mostly inside coarse ones."""
    networks = coarse.address & _mask(width, coarse.length)
    coarse_value = rng.integers(0, values, len(networks))
    count = len(fine.address)
    parent = skewed(rng, len(networks), count)
    nested = rng.random(count) < NESTED
    host = rng.integers(0, 2**width - 1, count, dtype=np.uint64)
    inside = networks[parent] | (host & ~_mask(width, coarse.length[parent]))
    fine_network = np.where(nested, inside, fine.address) & _mask(width, fine.length)
    inherits = nested & (rng.random(count) < INHERITED)
    fine_value = np.where(inherits, coarse_value[parent], rng.integers(0, values, count))
    network = np.concatenate([networks, fine_network])
    length = np.concatenate([coarse.length, fine.length])
    keys = np.empty(len(network), dtype=[("network", np.uint64), ("length", np.int64)])
    keys["network"], keys["length"] = network, length
    first = np.unique(keys, return_index=True)[1]
    return network[first], length[first], np.concatenate([coarse_value, fine_value])[first]


def draw_prefixes(rng: np.random.Generator, values: int) -> PrefixTable:
    """About 600,000 distinct nested prefixes, each standing for one of ``values`` values."""
    v4, v4_length, v4_value = _family(
        rng,
        32,
        values,
        _Drawn(draw_v4(rng, V4_COARSE), draw_lengths(rng, _V4_COARSE_LENGTHS, V4_COARSE)),
        _Drawn(draw_v4(rng, V4_FINE), draw_lengths(rng, _V4_FINE_LENGTHS, V4_FINE)),
    )
    v6, v6_length, v6_value = _family(
        rng,
        64,
        values,
        _Drawn(draw_v6(rng, V6_COARSE), draw_lengths(rng, _V6_COARSE_LENGTHS, V6_COARSE)),
        _Drawn(draw_v6(rng, V6_FINE), draw_lengths(rng, _V6_FINE_LENGTHS, V6_FINE)),
    )
    return PrefixTable(
        np.concatenate([np.zeros(len(v4), np.uint64), v6]),
        np.concatenate([MAPPED | v4, np.zeros(len(v6), np.uint64)]),
        np.concatenate([v4_length + 96, v6_length]),
        np.concatenate([v4_value, v6_value]),
    )


def flatten(table: PrefixTable) -> Intervals:
    """The disjoint ranges of nested prefixes, each with the value of the longest that covers it.

    Neighbours of equal value are joined. A plain loop over Python integers: it runs once, when
    the data are made, and is an oracle for nobody's speed.
    """
    starts: list[int] = [0]
    values: list[int] = [-1]
    open_ends: list[tuple[int, int]] = []  # (first address after, value), innermost last

    def mark(start: int, value: int) -> None:
        if starts[-1] == start:
            values[-1] = value
        else:
            starts.append(start)
            values.append(value)

    def close(before: int) -> None:
        while open_ends and open_ends[-1][0] <= before:
            end, _ = open_ends.pop()
            mark(end, open_ends[-1][1] if open_ends else -1)

    order = np.lexsort((table.length, table.lo, table.hi))
    columns = (table.hi[order], table.lo[order], table.length[order], table.value[order])
    for hi, lo, length, value in zip(*(c.tolist() for c in columns), strict=True):
        start = hi << 64 | lo
        close(start)
        mark(start, value)
        open_ends.append((start + (1 << (128 - length)), value))
    close(1 << 128)
    return _joined(starts, values)


def _joined(starts: list[int], values: list[int]) -> Intervals:
    if starts[-1] >= 1 << 128:
        starts, values = starts[:-1], values[:-1]
    value = np.array(values, dtype=np.int64)
    keep = np.concatenate([[True], value[1:] != value[:-1]])
    hi = np.array([s >> 64 for s in starts], dtype=np.uint64)
    lo = np.array([s & (2**64 - 1) for s in starts], dtype=np.uint64)
    return Intervals(hi[keep], lo[keep], value[keep])


def binary_addresses(hi: U64, lo: U64) -> pa.Array:
    """16-byte addresses in network order."""
    both = np.empty((len(hi), 2), dtype=">u8")
    both[:, 0] = hi
    both[:, 1] = lo
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(hi), [None, pa.py_buffer(both)])
