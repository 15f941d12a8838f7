"""Sketches of clients as sets: whatever they hold, their unions are the smallest hashes of all."""

import numpy as np
import pytest
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate.clients import (
    ClientInputs,
    ClientRules,
    Held,
    Sketches,
    unite,
    unpack_groups,
)
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.aggregate.siphash import hash_prefixes
from v6share.pipelines.kernels.classify.decide import TO_SERVICE, V4, Decisions
from v6share.schemas.aggregates import DAY_MS, IP_CLASSES, THETA_MAX, THETA_SIZE

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


PAIRS = 5
RULES = ClientRules(
    np.array([32], np.uint8),
    np.array([56], np.uint8),
    np.array([True]),
    PAIRS,
    1,
    np.uint64(1),
    np.uint64(2),
    0,
)


def add_clients(lane: Sketches, addresses: Hashes, pairs: Hashes, day: int) -> None:
    """Flows from IPv4 clients to the services of (app, product) pairs."""
    n = len(addresses)
    zeros = np.zeros(n, np.uint64)
    ports = np.full(n, 443, np.int32)
    moments = np.full(n, day * DAY_MS, np.int64)
    flows = ClientInputs(
        zeros,
        addresses | np.uint64(0xFFFF << 32),
        zeros,
        zeros,
        np.full(n, V4, np.uint8),
        ports,
        ports,
        moments,
        moments,
        np.zeros(n, np.uint32),
        np.zeros(1, np.int32),
        np.empty(0, np.uint64),
    )
    nothing = np.zeros(n, np.uint32)
    decisions = Decisions(
        pairs.astype(np.uint32),
        nothing,
        nothing,
        nothing,
        np.full(n, -1, np.int32),
        np.full(n, IP_CLASSES.index("native_v4"), np.uint8),
        np.zeros(n, np.uint8),
        np.full(n, TO_SERVICE, np.uint8),
    )
    lane.add(flows, RULES, np.full(n, COUNTED, np.uint8), decisions)


def hashes_of(addresses: Hashes) -> Hashes:
    n = len(addresses)
    low = addresses | np.uint64(0xFFFF << 32)
    lengths, v4 = np.full(n, 32, np.uint8), np.ones(n, np.bool_)
    return hash_prefixes(np.uint64(1), np.uint64(2), np.zeros(n, np.uint64), low, v4, lengths)


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_lanes_that_take_in_each_other_hold_what_one_would(lanes: int) -> None:
    """Cells of few clients and of many, met by some lanes or by all, on more days than one."""
    chance = np.random.default_rng(lanes)
    made = [Sketches(PAIRS + 1) for _ in range(lanes)]
    met: dict[tuple[int, int], set[int]] = {}
    for number, lane in enumerate(made):
        for day in range(20_000 + number, 20_002 + number):
            addresses = chance.integers(0, 30_000, 60_000, np.uint64)
            pairs = np.minimum(chance.geometric(0.6, 60_000) - 1, PAIRS - 1).astype(np.uint64)
            add_clients(lane, addresses, pairs, day)
            for pair in range(PAIRS):
                hashes = hashes_of(addresses[pairs == pair])
                met.setdefault((day, pair), set()).update(hashes.tolist())
    first, *others = made
    for other in others:
        first.absorb(other)
    found = first.held()
    alone = np.arange(len(found.cell) + 1)
    thetas, offsets, hashes = unite(found, alone[:-1], alone)
    days, _, _, _ = unpack_groups(found.group)
    of_pairs = [k for k in range(len(found.cell)) if found.cell[k] < PAIRS]
    assert len(of_pairs) == len(met)
    for k in of_pairs:
        every = sorted(met[int(days[k]), int(found.cell[k])])
        theta = every[THETA_SIZE] if len(every) > THETA_SIZE else THETA_MAX
        assert thetas[k] == theta
        assert hashes[offsets[k] : offsets[k + 1]].tolist() == every[:THETA_SIZE]
    assert found.length.max() <= 2 * THETA_SIZE
