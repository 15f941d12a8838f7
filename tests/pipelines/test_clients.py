"""Sketches of clients as sets: whatever they hold, their unions are the smallest hashes of all."""

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.clients import Held, joined, unite
from v6share.schemas.aggregates import THETA_MAX, THETA_SIZE

Hashes = NDArray[np.uint64]


def held(parts: list[tuple[int, Hashes]]) -> Held:
    """Sketches with these limits and hashes, one after the other in the pool."""
    lengths = np.array([len(hashes) for _, hashes in parts], np.int64)
    cells = np.arange(len(parts), dtype=np.int64)
    return Held(
        cells,
        cells,
        np.array([limit for limit, _ in parts], np.uint64),
        np.cumsum(lengths) - lengths,
        lengths,
        np.concatenate([hashes for _, hashes in parts]),
    )


def a_sketch(chance: np.random.Generator, crowd: Hashes) -> tuple[int, Hashes]:
    """Some of a crowd as a lane leaves them: cut where there are too many, repeats among them."""
    met = chance.choice(crowd, int(chance.integers(1, 20_000)))
    distinct = np.unique(met)
    limit = THETA_MAX
    if len(distinct) > THETA_SIZE + 500:
        limit = int(distinct[THETA_SIZE + 300])
        met = met[met <= np.uint64(limit)]
    return limit, met


def test_unions_are_the_smallest_hashes_of_all() -> None:
    chance = np.random.default_rng(3)
    crowds = [
        chance.integers(1, 2**64 - 1, size, np.uint64, endpoint=True)
        for size in (1, 3, 900, 90_000)
    ]
    parts = [a_sketch(chance, crowds[i % 4]) for i in range(40)]
    order = chance.permutation(np.repeat(np.arange(40), 3))
    bounds = np.array([0, 1, 2, 5, 40, 41, 120])
    thetas, offsets, hashes = unite(held(parts), order, bounds)
    cut = 0
    for number in range(len(bounds) - 1):
        members = [parts[m] for m in order[bounds[number] : bounds[number + 1]]]
        limit = min(limit for limit, _ in members)
        distinct = sorted({h for _, part in members for h in part.tolist() if h <= limit})
        theta = distinct[THETA_SIZE] if len(distinct) > THETA_SIZE else THETA_MAX
        assert thetas[number] == theta
        found = hashes[offsets[number] : offsets[number + 1]].tolist()
        assert found == distinct[:THETA_SIZE]
        cut += theta < THETA_MAX
    assert 0 < cut < len(thetas)


def test_hashes_that_crowd_one_place_are_ordered_as_well() -> None:
    """Nothing but speed rests on hashes being spread."""
    near = np.array([5, 3, 2**64 - 1, 3, 4, 5, 2**64 - 1, 1], np.uint64)
    thetas, _, hashes = unite(held([(THETA_MAX, near)]), np.array([0]), np.array([0, 1]))
    assert (thetas.tolist(), hashes.tolist()) == ([THETA_MAX], [1, 3, 4, 5, 2**64 - 1])


def test_lanes_side_by_side_hold_what_each_held() -> None:
    chance = np.random.default_rng(4)
    crowd = chance.integers(1, 2**63, 5_000, np.uint64)
    parts = [a_sketch(chance, crowd) for _ in range(5)]
    together = joined([held(parts[:2]), held(parts[2:])])
    for place, (limit, hashes) in enumerate(parts):
        begin, length = together.begin[place], together.length[place]
        assert together.limit[place] == limit
        assert together.pool[begin : begin + length].tolist() == hashes.tolist()
