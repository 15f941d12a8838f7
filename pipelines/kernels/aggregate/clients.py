"""Distinct clients as theta sketches of keyed hashes: per day, vantage, family, unit and cell.

A sketch keeps the smallest distinct hashes; with at most 4,096 it is exact. Kept here are at
least the 4,097 smallest, so that any merge of any parts gives the same sketch (Dasgupta et al.,
2016). That is why a flow goes into two cells only, its (app, product) pair's and its (region,
network) client's: the sketches of all scopes are unions of these.
"""

from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.aggregate.siphash import hash_prefixes
from v6share.pipelines.kernels.classify.decide import QUALIFYING, TO_CLIENT, V6, Decisions
from v6share.pipelines.kernels.classify.intervals import MAPPED
from v6share.pipelines.kernels.flow_batch import I32, I64, U8, U32, U64, Bool
from v6share.pipelines.kernels.jit import compiled
from v6share.schemas.aggregates import DAY_MS, IP_CLASSES, THETA_MAX, THETA_SIZE
from v6share.schemas.errors import InputRefused

_TRANSLATED: Final = IP_CLASSES.index("translated")
_KEPT: Final = THETA_SIZE + 1
_SMALLEST: Final = 128
_LARGEST: Final = 8192
# A little above what is kept, as some hashes may be repeats.
_AIMED_AT: Final = _KEPT + 128
# In largest sketches, 32 MiB: what is not written to takes no memory, and a copy takes time.
_FIRST_POOL: Final = 512
# Days times vantages, families and units of one input; a file of absurd times has more.
_MOST_GROUPS: Final = 8192
_LIMIT, _COUNT, _ROOM, _BASE = 0, 1, 2, 3
_KINDS: Final = 8
_BLOCK: Final = 2048
# Hashes that are united at once: what was cut before, and the largest sketch, have room in it.
_GATHERED: Final = 4 * _LARGEST


class ClientInputs(NamedTuple):
    """Columns of n flows. vantage_of: of each exporter; ``subscriber``: hash or 0."""

    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    family: U8
    src_port: I32
    dst_port: I32
    start_ms: I64
    end_ms: I64
    exporter: U32
    vantage_of: I32
    subscriber: U64


class ClientRules(NamedTuple):
    """Per client number: prefix lengths, and whether it is a user or a relay.

    pairs, clients: how many cells of either kind a group has, the pairs' first.
    """

    length_v4: U8
    length_v6: U8
    is_user: Bool
    pairs: int
    clients: int
    key_0: np.uint64
    key_1: np.uint64
    offset_ms: int


class SketchArrays(NamedTuple):
    """The sketches of an accumulator.

    A group is a (day, vantage, family, unit) with one sketch a cell.

    groups (g,): packed group keys. sketches (g * cells, 4): largest hash admitted, how many are
    held, room for how many, where in the pool. pool: hashes as they came, repeats among them.
    scratch: one sketch's hashes, and a set for finding repeats; one for all, so it stays cached.
    used: groups made, pool filled.
    """

    groups: I64
    sketches: U64
    pool: U64
    scratch: U64
    used: I64


@compiled
def _active(flows: ClientInputs, rules: ClientRules, verdicts: U8, decisions: Decisions) -> U32:
    """Give the flows that show an active client."""
    # Held in local names: to read an array from a tuple counts references, at every row.
    classes, directions, clients = decisions.ip_class, decisions.direction, decisions.client
    src_ports, dst_ports, is_user = flows.src_port, flows.dst_port, rules.is_user
    rows, count = np.empty(len(verdicts), np.uint32), 0
    for i in range(len(verdicts)):
        src_port, dst_port = src_ports[i], dst_ports[i]
        port = src_port if directions[i] == TO_CLIENT else dst_port
        is_look_up = (port == 53) | (port == 853) | (port == 5353)
        qualifies = (QUALIFYING >> int(classes[i])) & 1 != 0
        rows[count] = i
        count += (verdicts[i] == COUNTED) & qualifies & (not is_look_up) & is_user[clients[i]]
    return rows[:count]


@compiled
def prefix_hashes(flows: ClientInputs, rules: ClientRules, decisions: Decisions, rows: U32) -> U64:
    """Give the hash of the client's prefix of some flows; 0 where an address is absent."""
    directions, clients = decisions.direction, decisions.client
    src_hi, src_lo, dst_hi, dst_lo = flows.src_hi, flows.src_lo, flows.dst_hi, flows.dst_lo
    length_v4, length_v6 = rules.length_v4, rules.length_v6
    n = len(rows)
    hi, lo = np.empty(n, np.uint64), np.empty(n, np.uint64)
    is_v4, lengths = np.empty(n, np.bool_), np.empty(n, np.uint8)
    for k in range(n):
        i = rows[k]
        # All is read before it is chosen from: a branch would be guessed wrong too often.
        to_client = directions[i] == TO_CLIENT
        hi_of, lo_of = (src_hi[i], dst_hi[i]), (src_lo[i], dst_lo[i])
        of_v4, of_v6 = length_v4[clients[i]], length_v6[clients[i]]
        hi[k] = hi_of[1] if to_client else hi_of[0]
        lo[k] = lo_of[1] if to_client else lo_of[0]
        is_v4[k] = (hi[k] == 0) & (lo[k] >> np.uint64(32) == MAPPED)
        lengths[k] = of_v4 if is_v4[k] else of_v6
    hashes = hash_prefixes(rules.key_0, rules.key_1, hi, lo, is_v4, lengths)
    for k in range(n):
        hashes[k] = max(hashes[k], np.uint64(1)) * np.uint64((hi[k] | lo[k]) != 0)
    return hashes


@compiled
def _client_hashes(flows: ClientInputs, rules: ClientRules, decisions: Decisions, rows: U32) -> U64:
    """Give the hash of the client of some flows; 0 where it is absent."""
    hashes = prefix_hashes(flows, rules, decisions, rows)
    subscribers = flows.subscriber
    if len(subscribers) > 0:
        for k in range(len(rows)):
            if subscribers[rows[k]] != 0:
                hashes[k] = subscribers[rows[k]]
    return hashes


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
    """Cut a full sketch to its smallest hashes, or drop its repeats and enlarge it.

    Gives False where the pool has no room: nothing is lost, the hash is tried again.
    """
    room, base = np.int64(sketches[s, _ROOM]), np.int64(sketches[s, _BASE])
    held = pool[base : base + np.int64(sketches[s, _COUNT])]
    if room == _LARGEST:
        limit = _lower_limit(held, sketches[s, _LIMIT])
        distinct = _distinct(held, limit, scratch)
        if distinct >= _KEPT:
            held[:distinct] = scratch[:distinct]
            sketches[s, _COUNT], sketches[s, _LIMIT] = distinct, limit
            return True
    kept = _distinct(held, np.uint64(THETA_MAX), scratch)
    held[:kept] = scratch[:kept]
    sketches[s, _COUNT] = kept
    if room == _LARGEST and kept > _KEPT:
        smallest = np.partition(held[:kept], _KEPT - 1)[:_KEPT]
        held[:_KEPT] = smallest
        sketches[s, _COUNT], sketches[s, _LIMIT] = _KEPT, smallest[_KEPT - 1]
    if room == _LARGEST or 2 * kept < room:
        return True
    wider = _SMALLEST if room == 0 else room * 8
    if used[1] + wider > len(pool):
        return False
    pool[used[1] : used[1] + kept] = held[:kept]
    sketches[s, _BASE], sketches[s, _ROOM] = used[1], wider
    used[1] += wider
    return True


@compiled
def _lower_limit(hashes: U64, limit: np.uint64) -> np.uint64:
    """Guess a limit, not above the one there is, that leaves a few more than are kept.

    By counting the hashes in up to 256 equal parts of their range, which are as good as sorted:
    a limit may be anything under which enough distinct hashes lie.
    """
    shift = np.uint64(0)
    while limit >> shift > np.uint64(255):
        shift += np.uint64(1)
    counts = np.zeros(256, np.int64)
    for h in hashes:
        counts[h >> shift] += 1
    part, below = 0, counts[0]
    while below < _AIMED_AT and part < 255:
        part += 1
        below += counts[part]
    upper = (np.uint64(part + 1) << shift) - np.uint64(1)
    return limit if part == 255 else min(limit, upper)


@compiled
def _distinct(hashes: U64, limit: np.uint64, scratch: U64) -> int:
    """Put the distinct hashes up to a limit into the front of scratch; give their number.

    In the order of their first coming. Behind them scratch has room for a set of all. hashes: all
    that a sketch has room for, so their number is a power of two, or 0.
    """
    if len(hashes) == 0:
        return 0
    found, seen = scratch[:_LARGEST], scratch[_LARGEST : _LARGEST + 2 * len(hashes)]
    count = 0
    for h in hashes:
        found[count] = h
        count += h <= limit
    seen[:] = 0
    mask = np.uint64(len(seen) - 1)
    kept = 0
    for k in range(count):
        h = found[k]
        slot = h & mask
        while seen[slot] != 0 and seen[slot] != h:
            slot = (slot + np.uint64(1)) & mask
        found[kept] = h
        kept += seen[slot] == 0
        seen[slot] = h
    return kept


@compiled
def _add_clients(
    arrays: SketchArrays,
    flows: ClientInputs,
    rules: ClientRules,
    rows: U32,
    hashes: U64,
    decisions: Decisions,
    first: int,
) -> int:
    """Add clients from place ``first`` in rows on; give the place that needs room made, or n.

    In two passes a block: first which hashes their sketches may want, without a branch, for one
    would be guessed wrong too often; then these are taken in.
    """
    groups, sketches, used = arrays.groups, arrays.sketches, arrays.used
    starts_ms, ends_ms, families = flows.start_ms, flows.end_ms, flows.family
    exporters, vantages, subscribers = flows.exporter, flows.vantage_of, flows.subscriber
    classes, pairs, clients = decisions.ip_class, decisions.pair, decisions.client
    offset_ms = rules.offset_ms
    width, behind_pairs = rules.pairs + rules.clients, np.uint32(rules.pairs)
    wanted, wanted_hash = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint64)
    # The group that was last met, by family and unit, and its first sketch.
    met_key, met_first = np.full(_KINDS, -1, np.int64), np.zeros(_KINDS, np.uint32)
    begin, count = first, 0
    for k in range(first, len(rows)):
        i, h = rows[k], hashes[k]
        family = V6 if classes[i] == _TRANSLATED else int(families[i])
        unit = 1 if len(subscribers) > 0 and subscribers[i] != 0 else 0
        kind = np.uint32(family << 1 | unit)
        starts = starts_ms[i] + offset_ms
        ends = max(ends_ms[i] - 1, starts_ms[i]) + offset_ms
        for day in range(starts // DAY_MS, ends // DAY_MS + 1):
            if count + 2 > _BLOCK:
                if not _take_in(arrays, wanted, wanted_hash, count):
                    return begin
                begin, count = k, 0
            key = int((day << 16 | np.int64(vantages[exporters[i]])) << 3 | kind)
            if met_key[kind] != key:
                group = _group_number(groups, used, key)
                if group < 0:
                    return begin
                met_key[kind], met_first[kind] = key, group * width
            of_pair = met_first[kind] + pairs[i]
            of_client = met_first[kind] + behind_pairs + clients[i]
            wanted[count], wanted_hash[count] = of_pair, h
            count += (h <= sketches[of_pair, _LIMIT]) & (h != 0)
            wanted[count], wanted_hash[count] = of_client, h
            count += (h <= sketches[of_client, _LIMIT]) & (h != 0)
    return len(rows) if _take_in(arrays, wanted, wanted_hash, count) else begin


@compiled
def _take_in(arrays: SketchArrays, wanted: U32, hashes: U64, count: int) -> bool:
    """Take hashes into sketches; False where the pool has no room, and then all are to come again.

    To take a hash twice alters nothing.
    """
    sketches, pool = arrays.sketches, arrays.pool
    for k in range(count):
        s, h = wanted[k], hashes[k]
        if h > sketches[s, _LIMIT]:
            continue
        if sketches[s, _COUNT] == sketches[s, _ROOM]:
            if not _make_room(s, sketches, pool, arrays.scratch, arrays.used):
                return False
            if h > sketches[s, _LIMIT]:
                continue
        pool[sketches[s, _BASE] + sketches[s, _COUNT]] = h
        sketches[s, _COUNT] += np.uint64(1)
    return True


@compiled
def _absorb(arrays: SketchArrays, other: SketchArrays, width: int, first: int) -> int:
    """Take in another's sketches from place ``first`` on; give the place that needs room made.

    Where none does, give the number of places. To take a sketch in twice alters nothing.
    """
    others, pool, groups = other.sketches, other.pool, other.groups
    wanted = np.empty(_BLOCK, np.uint32)
    for s in range(first, other.used[0] * width):
        if others[s, _COUNT] == 0:
            continue
        group = _group_number(arrays.groups, arrays.used, groups[s // width])
        if group < 0:
            return s
        wanted[:] = group * width + s % width
        begin = np.int64(others[s, _BASE])
        hashes = pool[begin : begin + np.int64(others[s, _COUNT])]
        for at in range(0, len(hashes), _BLOCK):
            some = hashes[at : at + _BLOCK]
            if not _take_in(arrays, wanted, some, len(some)):
                return s
    return int(other.used[0] * width)


def unpack_groups(keys: I64) -> tuple[I64, I64, I64, I64]:
    """Give (day, vantage, family, unit) of group keys; unit 1 is the subscriber."""
    return keys >> 19, (keys >> 3) & 0xFFFF, (keys >> 1) & 3, keys & 1


class Held(NamedTuple):
    """The n sketches that hold something: their group keys and cells, and what they hold.

    A sketch lacks none of its 4,097 smallest hashes, and these are up to its limit. Its hashes are
    pool[begin : begin + length], in the order of their coming and repeats among them.
    """

    group: I64
    cell: I64
    limit: U64
    begin: I64
    length: I64
    pool: U64


class Sketches:
    """Owns the sketches of one accumulator. Bounded by groups x cells x 73 KiB."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.arrays = SketchArrays(
            np.zeros(0, np.int64),
            np.zeros((0, 4), np.uint64),
            np.empty(_LARGEST * _FIRST_POOL, np.uint64),
            np.empty(3 * _LARGEST, np.uint64),
            np.zeros(2, np.int64),
        )

    def add(
        self, flows: ClientInputs, rules: ClientRules, verdict: U8, decisions: Decisions
    ) -> None:
        """Add the clients of a batch. A flow that found no room is done again: sets allow it."""
        rows, at = _active(flows, rules, verdict, decisions), 0
        hashes = _client_hashes(flows, rules, decisions, rows)
        while (at := _add_clients(self.arrays, flows, rules, rows, hashes, decisions, at)) < len(
            rows
        ):
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

    def absorb(self, other: "Sketches") -> None:
        """Take in what another accumulator holds."""
        sketches, at = other.arrays.used[0] * self._width, 0
        while (at := _absorb(self.arrays, other.arrays, self._width, at)) < sketches:
            self._grow()

    def held(self) -> Held:
        """Give what the sketches hold; the hashes are not copied."""
        a = self.arrays
        s = np.flatnonzero(a.sketches[: a.used[0] * self._width, _COUNT])
        # Without gaps, for else the kernel would be compiled again.
        limit, length, _, base = np.ascontiguousarray(a.sketches[s].T)
        return Held(
            a.groups[s // self._width],
            s % self._width,
            limit,
            base.astype(np.int64),
            length.astype(np.int64),
            a.pool[: a.used[1]],
        )


@compiled
def unite(held: Held, order: I64, bounds: I64) -> tuple[U64, I64, U64]:
    """Unite sketches set by set: set i is order[bounds[i] : bounds[i + 1]], places in ``held``.

    Gives each set's theta, where its hashes begin and, as the last entry, where all end, and the
    hashes, ascending in each set: what the sketch of all their clients would be.
    """
    limits, begins, lengths, pool = held.limit, held.begin, held.length, held.pool
    sets, room = len(bounds) - 1, 0
    thetas, offsets = np.full(sets, THETA_MAX, np.uint64), np.zeros(sets + 1, np.int64)
    for i in range(sets):
        room += min(lengths[order[bounds[i] : bounds[i + 1]]].sum(), THETA_SIZE)
    gathered, placed = np.empty(_GATHERED, np.uint64), np.empty(_GATHERED, np.uint64)
    distinct, hashes = np.empty(_GATHERED, np.uint64), np.empty(room, np.uint64)
    for i in range(sets):
        members = order[bounds[i] : bounds[i + 1]]
        # A sketch that was cut holds 4,097 distinct hashes up to its limit, so the union needs
        # none above the smallest limit: to leave those out saves time.
        limit, size = limits[members].min(), 0
        for m in members:
            if size + lengths[m] > _GATHERED:
                size = min(_smallest(gathered[:size], limit, placed, distinct), _KEPT)
                gathered[:size] = distinct[:size]
                if size == _KEPT:
                    limit = distinct[THETA_SIZE]
            for h in pool[begins[m] : begins[m] + lengths[m]]:
                gathered[size] = h
                size += h <= limit
        kept = _smallest(gathered[:size], limit, placed, distinct)
        if kept > THETA_SIZE:
            thetas[i], kept = distinct[THETA_SIZE], THETA_SIZE
        hashes[offsets[i] : offsets[i] + kept] = distinct[:kept]
        offsets[i + 1] = offsets[i] + kept
    return thetas, offsets, hashes[: offsets[sets]]


@compiled
def _smallest(hashes: U64, limit: np.uint64, placed: U64, distinct: U64) -> int:
    """Put the smallest distinct hashes in order into the front of ``distinct``; give their number.

    These are at least 4,097, if there are so many. Hashes up to a limit are spread evenly, so a
    part of the range for each holds one or two: parted so, they are as good as sorted. No hash
    may be above the limit; placed, distinct: room for as many hashes.
    """
    parts, shift = 2, np.uint64(0)
    while parts < len(hashes):
        parts *= 2
    while limit >> shift >= np.uint64(parts):
        shift += np.uint64(1)
    sizes = np.zeros(parts, np.int64)
    for h in hashes:
        sizes[h >> shift] += 1
    # Where the next hash of a part stands, and at last where the part ends.
    ends = np.cumsum(sizes) - sizes
    for h in hashes:
        placed[ends[h >> shift]] = h
        ends[h >> shift] += 1
    begin, kept = 0, 0
    for end in ends:
        first = kept
        for h in placed[begin:end]:
            at = kept
            while at > first and distinct[at - 1] > h:
                at -= 1
            if at > first and distinct[at - 1] == h:
                continue
            for k in range(kept, at, -1):
                distinct[k] = distinct[k - 1]
            distinct[at] = h
            kept += 1
        if kept >= _KEPT:
            break
        begin = end
    return kept
