"""Distinct clients as theta sketches of keyed hashes: per day, vantage, family, unit and cell.

A sketch keeps the smallest distinct hashes; with at most 4,096 it is exact. Kept here are at
least the 4,097 smallest, so that any merge of any parts gives the same sketch (Dasgupta et al.,
2016). That is why a flow goes into two cells only, its (app, product) pair's and its (region,
network) client's: the sketches of all scopes are unions of these.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.classify import QUALIFYING, TO_CLIENT, V6, Decisions
from v6share.pipelines.kernels.compiled import compiled
from v6share.pipelines.kernels.flows import I32, I64, U8, U64, Bool
from v6share.pipelines.kernels.intervals import MAPPED
from v6share.pipelines.kernels.measure import COUNTED
from v6share.pipelines.kernels.siphash import hash_prefix
from v6share.schemas.aggregates import DAY_MS, IP_CLASSES, THETA_MAX, THETA_SIZE
from v6share.schemas.errors import InputRefused

_TRANSLATED: Final = IP_CLASSES.index("translated")
_KEPT: Final = THETA_SIZE + 1
_SMALLEST: Final = 128
_LARGEST: Final = 8192
_FIRST_POOL: Final = 16
# Days times vantages, families and units of one input; a file of absurd times has more.
_MOST_GROUPS: Final = 8192
_LIMIT, _COUNT, _ROOM, _BASE = 0, 1, 2, 3


class ClientInputs(NamedTuple):
    """Columns of n flows. ``vantage``: number of the vantage; ``subscriber``: hash or 0."""

    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    family: U8
    src_port: I32
    dst_port: I32
    start_ms: I64
    end_ms: I64
    vantage: I32
    subscriber: U64


class ClientRules(NamedTuple):
    """Per client number: prefix lengths, and whether it is a user or a relay.

    regions: how many there are, as a service number holds pair * regions + region; pairs,
    clients: how many cells of either kind a group has, the pairs' first.
    """

    length_v4: U8
    length_v6: U8
    is_user: Bool
    regions: int
    pairs: int
    clients: int
    key_0: np.uint64
    key_1: np.uint64
    offset_ms: int


class SketchArrays(NamedTuple):
    """Sketches of one lane. A group is a (day, vantage, family, unit) with one sketch a cell.

    groups (g,): packed group keys. sketches (g * cells, 4): largest hash admitted, how many are
    held, room for how many, where in the pool. pool: hashes as they came, repeats among them.
    scratch: a set for finding repeats. used: groups made, pool filled.
    """

    groups: I64
    sketches: U64
    pool: U64
    scratch: U64
    used: I64


@compiled
def _client_hashes(
    flows: ClientInputs, rules: ClientRules, verdicts: U8, decisions: Decisions
) -> U64:
    """Give the hash of each flow's client; 0 where the flow shows no active client."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    classes, directions, clients = decisions.ip_class, decisions.direction, decisions.client
    src_hi, src_lo, dst_hi, dst_lo = flows.src_hi, flows.src_lo, flows.dst_hi, flows.dst_lo
    src_ports, dst_ports, subscribers = flows.src_port, flows.dst_port, flows.subscriber
    length_v4, length_v6, is_user = rules.length_v4, rules.length_v6, rules.is_user
    with_subscribers = len(subscribers) > 0
    out = np.zeros(len(verdicts), np.uint64)
    for i in range(len(verdicts)):
        if verdicts[i] != COUNTED or (QUALIFYING >> int(classes[i])) & 1 == 0:
            continue
        to_client = directions[i] == TO_CLIENT
        port = src_ports[i] if to_client else dst_ports[i]
        client = clients[i]
        if port in (53, 853, 5353) or not is_user[client]:
            continue
        if with_subscribers and subscribers[i] != 0:
            out[i] = subscribers[i]
            continue
        hi = dst_hi[i] if to_client else src_hi[i]
        lo = dst_lo[i] if to_client else src_lo[i]
        if hi == 0 and lo == 0:
            continue
        is_v4 = hi == 0 and (lo >> np.uint64(32)) == MAPPED
        length = int(length_v4[client]) if is_v4 else int(length_v6[client])
        out[i] = max(hash_prefix(rules.key_0, rules.key_1, hi, lo, is_v4, length), np.uint64(1))
    return out


@compiled
def _group_number(groups: I64, used: I64, key: int) -> int:
    """Find or make a group; -1 where there is no room. Groups are few: days times vantages."""
    count = used[0]
    for g in range(count):
        if groups[g] == key:
            return g
    if count == len(groups):
        return -1
    groups[count] = key
    used[0] = count + 1
    return int(count)


@compiled
def _make_room(s: int, sketches: U64, pool: U64, scratch: U64, used: I64) -> bool:
    """Drop repeats; then enlarge a sketch, or cut a full one to the smallest hashes.

    Gives False where the pool has no room: nothing is lost, the hash is tried again.
    """
    count, room = np.int64(sketches[s, _COUNT]), np.int64(sketches[s, _ROOM])
    base = np.int64(sketches[s, _BASE])
    kept = _drop_repeats(pool[base : base + count], scratch[: 2 * room])
    if room == _LARGEST and kept > _KEPT:
        smallest = np.partition(pool[base : base + kept], _KEPT - 1)[:_KEPT]
        pool[base : base + _KEPT] = smallest
        kept = _KEPT
        sketches[s, _LIMIT] = smallest[_KEPT - 1]
    sketches[s, _COUNT] = kept
    if room == _LARGEST or 2 * kept < room:
        return True
    wider = _SMALLEST if room == 0 else room * 8
    if used[1] + wider > len(pool):
        return False
    pool[used[1] : used[1] + kept] = pool[base : base + kept]
    sketches[s, _BASE], sketches[s, _ROOM] = used[1], wider
    used[1] += wider
    return True


@compiled
def _drop_repeats(hashes: U64, scratch: U64) -> int:
    """Move the distinct hashes to the front, in order of their first coming; give their number.

    scratch: twice as long, a power of two. One scratch serves all sketches, so it stays cached.
    """
    scratch[:] = 0
    mask = np.uint64(len(scratch) - 1)
    kept = 0
    for h in hashes:
        slot = h & mask
        while scratch[slot] != 0 and scratch[slot] != h:
            slot = (slot + np.uint64(1)) & mask
        if scratch[slot] == 0:
            scratch[slot] = h
            hashes[kept] = h
            kept += 1
    return kept


@compiled
def _add_clients(
    arrays: SketchArrays,
    flows: ClientInputs,
    rules: ClientRules,
    hashes: U64,
    decisions: Decisions,
    first: int,
) -> int:
    """Add clients from flow ``first`` on; give the flow for which room must be made, or n."""
    groups, sketches, pool = arrays.groups, arrays.sketches, arrays.pool
    scratch, used = arrays.scratch, arrays.used
    starts_ms, ends_ms, families = flows.start_ms, flows.end_ms, flows.family
    vantages, subscribers = flows.vantage, flows.subscriber
    classes, services, clients = decisions.ip_class, decisions.service, decisions.client
    width = rules.pairs + rules.clients
    group = 0
    for i in range(first, len(hashes)):
        h = hashes[i]
        if h == 0:
            continue
        pair = services[i] // rules.regions
        cell = rules.pairs + clients[i]
        family = V6 if classes[i] == _TRANSLATED else int(families[i])
        unit = 1 if len(subscribers) > 0 and subscribers[i] != 0 else 0
        starts = starts_ms[i] + rules.offset_ms
        ends = max(ends_ms[i] - 1, starts_ms[i]) + rules.offset_ms
        for day in range(starts // DAY_MS, ends // DAY_MS + 1):
            key = int(((day << 16 | np.int64(vantages[i])) << 2 | family) << 1 | unit)
            if group >= used[0] or groups[group] != key:
                group = _group_number(groups, used, key)
            if group < 0:
                return i
            for s in (group * width + pair, group * width + cell):
                if h > sketches[s, _LIMIT]:
                    continue
                if sketches[s, _COUNT] == sketches[s, _ROOM]:
                    if not _make_room(s, sketches, pool, scratch, used):
                        return i
                    if h > sketches[s, _LIMIT]:
                        continue
                pool[sketches[s, _BASE] + sketches[s, _COUNT]] = h
                sketches[s, _COUNT] += np.uint64(1)
    return len(hashes)


def unpack_group(key: int) -> tuple[int, int, int, int]:
    """Give (day, vantage, family, unit) of a group key; unit 1 is the subscriber."""
    return key >> 19, (key >> 3) & 0xFFFF, (key >> 1) & 3, key & 1


class Part(NamedTuple):
    """One sketch as it is kept: it lacks no hash up to ``limit``; repeats may be among them."""

    limit: int
    hashes: U64


class Sketches:
    """Owns the sketches of one lane. Bounded by groups x cells x 73 KiB."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.arrays = SketchArrays(
            np.zeros(0, np.int64),
            np.zeros((0, 4), np.uint64),
            np.empty(_LARGEST * _FIRST_POOL, np.uint64),
            np.empty(2 * _LARGEST, np.uint64),
            np.zeros(2, np.int64),
        )

    def add(
        self, flows: ClientInputs, rules: ClientRules, verdict: U8, decisions: Decisions
    ) -> None:
        """Add the clients of a batch. A flow that found no room is done again: sets allow it."""
        hashes = _client_hashes(flows, rules, verdict, decisions)
        at = 0
        while (at := _add_clients(self.arrays, flows, rules, hashes, decisions, at)) < len(hashes):
            self._grow()

    def _grow(self) -> None:
        a = self.arrays
        groups = len(a.groups)
        if a.used[0] == groups:
            more = max(4, groups)
            if groups >= _MOST_GROUPS:
                raise InputRefused(
                    "too_large",
                    f"its records lie on more than {_MOST_GROUPS // 8:,} days; expected the flows "
                    "of some days in a file. Are its clocks right? Else split it by day",
                )
            fresh = np.zeros((more * self._width, 4), np.uint64)
            fresh[:, _LIMIT] = THETA_MAX
            a = a._replace(
                groups=np.append(a.groups, np.zeros(more, np.int64)),
                sketches=np.concatenate((a.sketches, fresh)),
            )
        if len(a.pool) - a.used[1] < _LARGEST:
            pool = np.empty(2 * len(a.pool), np.uint64)
            pool[: a.used[1]] = a.pool[: a.used[1]]
            a = a._replace(pool=pool)
        self.arrays = a

    def kept(self) -> dict[tuple[int, int], Part]:
        """Give what each non-empty sketch holds, by (group key, cell)."""
        a = self.arrays
        found = {}
        for s in np.flatnonzero(a.sketches[: a.used[0] * self._width, _COUNT]).tolist():
            base, count = int(a.sketches[s, _BASE]), int(a.sketches[s, _COUNT])
            key = int(a.groups[s // self._width])
            found[key, s % self._width] = Part(
                int(a.sketches[s, _LIMIT]), a.pool[base : base + count]
            )
        return found


def unite(parts: Sequence[Part]) -> tuple[int, U64]:
    """Unite parts into the canonical sketch: (theta, the kept hashes ascending)."""
    # A part that was cut holds 4,097 distinct hashes up to its limit, so the union needs none
    # above the smallest limit.
    limit = min(part.limit for part in parts)
    hashes = np.sort(np.concatenate([p.hashes[p.hashes <= np.uint64(limit)] for p in parts]))
    distinct = hashes[np.append(True, hashes[1:] != hashes[:-1])]
    if len(distinct) <= THETA_SIZE:
        return THETA_MAX, distinct
    return int(distinct[THETA_SIZE]), distinct[:THETA_SIZE]
