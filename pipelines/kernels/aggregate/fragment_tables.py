"""The accumulators of one input merged into the tables of its fragment.

They merge by sums, minima, maxima and unions, and every table is sorted by its key as text, so
neither batches, nor threads, nor their order show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate import account as accounts
from v6share.pipelines.kernels.aggregate import clients as sketches
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.groups import GroupArrays, Groups
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.flow_batch import I64, U32, U64
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import (
    CLIENTS_1D,
    DIRECTIONS,
    EXPORTERS_1H,
    FAMILIES,
    HEALTH_1H,
    HOUR_MS,
    IP_CLASSES,
    RTT_1H,
    SIDES,
    TRAFFIC_5M,
    UNDERLAYS,
    WINDOW_MS,
)
from v6share.schemas.columns import Table
from v6share.schemas.ledger import FINDINGS, LEDGER_FAMILIES, REJECT_REASONS, REJECTS

_EXACT: Final = Context(prec=40)
K = TypeVar("K", str, tuple[str, str])
_UNITS: Final = ("prefix", "subscriber")


@dataclass(frozen=True)
class Sums:
    """What one input adds: its tables by name, and its totals."""

    tables: dict[str, pa.Table]
    rows_in: int
    rows_counted: int
    rows_rejected: int
    largest_sum: int
    first_ms: int | None
    last_ms: int | None
    without_interval: dict[str, int]


class _Codes(NamedTuple):
    """A key column as numbers into texts that ascend, so that number order is text order."""

    numbers: I64
    texts: tuple[str, ...] | None = None


def _ranked(codes: NDArray[np.integer], texts: Sequence[str]) -> _Codes:
    ascending = tuple(sorted(set(texts)))
    position = {text: i for i, text in enumerate(ascending)}
    rank = np.array([position[text] for text in texts], np.int64)
    return _Codes(rank[codes], ascending)


def _sorted_groups(keys: Sequence[_Codes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort rows by their keys: the order, and where each distinct key begins in it."""
    words = _packed([k.numbers for k in keys])
    order = np.lexsort(words[::-1])
    changed = np.zeros(len(order), np.bool_)
    changed[:1] = True
    for word in words:
        ordered = word[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(changed)


def _packed(columns: Sequence[I64]) -> list[I64]:
    """Pack columns of small non-negative numbers into few 63-bit words, order kept."""
    words = [np.zeros(len(columns[0]), np.int64)]
    free = 63
    for column in columns:
        bits = int(column.max()).bit_length() if len(column) else 0
        if bits > free:
            words.append(column)
            free = 63 - bits
        else:
            words[-1] = words[-1] << bits | column
            free -= bits
    return words


def _key_columns(keys: Sequence[_Codes], at: NDArray[np.intp], table: Table) -> dict[str, pa.Array]:
    found = {}
    for name, key in zip(table.key, keys, strict=True):
        kind = table.arrow_schema.field(name).type
        numbers = key.numbers[at]
        if key.texts is None:
            scaled = numbers * 1000 if pa.types.is_timestamp(kind) else numbers
            array = pa.array(scaled.astype(np.int32) if pa.types.is_date(kind) else scaled)
            found[name] = array.cast(kind)
        else:
            found[name] = _dictionary(numbers, key.texts)
    return found


def _dictionary(numbers: I64, texts: Sequence[str]) -> pa.DictionaryArray:
    """Give texts by their numbers; no text is in the dictionary that is in no row."""
    used = np.zeros(len(texts), np.bool_)
    used[numbers] = True
    position = np.cumsum(used, dtype=np.int32) - 1
    kept = [texts[i] for i in np.flatnonzero(used).tolist()]
    return pa.DictionaryArray.from_arrays(position[numbers], pa.array(kept, pa.string()))


def wide_array(hi: U64, lo: U64) -> pa.Array:
    """Give 128-bit integers as decimal128(38, 0); shapes (n,), (n,)."""
    both = np.stack([lo, hi], axis=1)
    buffer = pa.py_buffer(np.ascontiguousarray(both))
    return pa.Array.from_buffers(pa.decimal128(38, 0), len(hi), [None, buffer])


def _wide_sums(hi: U64, lo: U64, starts: NDArray[np.intp]) -> tuple[U64, U64]:
    """Sum 128-bit integers group by group, in limbs of 32 bits."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    limbs = [
        np.add.reduceat(limb, starts) for limb in (lo & low, lo >> shift, hi & low, hi >> shift)
    ]
    for i in range(3):
        limbs[i + 1] += limbs[i] >> shift
        limbs[i] &= low
    return limbs[3] << shift | limbs[2], limbs[1] << shift | limbs[0]


def _table(table: Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Lay out a table; text may be dictionary-encoded."""
    fields = [f for f in table.arrow_schema if f.name in columns]
    encoded = [
        f.with_type(columns[f.name].type) if pa.types.is_string(f.type) else f for f in fields
    ]
    return pa.table([columns[f.name] for f in fields], schema=pa.schema(encoded))


def merge_accumulators(plan: Plan, parts: Sequence[Accumulator]) -> Sums:
    """Merge all accumulators of one input into its tables, each sorted by its key.

    The first part takes in the groups of the others: afterwards none can count any more.
    """
    if not parts:
        parts = [Accumulator(plan)]
    tally = sum((part.tally for part in parts), accounts.new_tally())
    traffic = _traffic_rows(parts)
    tables = {
        TRAFFIC_5M.name: _traffic_table(plan, traffic),
        CLIENTS_1D.name: _clients_table(plan, parts),
        RTT_1H.name: _rtt_table(plan, parts),
        HEALTH_1H.name: _health_table(plan, parts),
        EXPORTERS_1H.name: _exporters_table(parts),
        LEDGER_FAMILIES.name: _families_table(tally),
        REJECTS.name: _rejects_table(tally),
        FINDINGS.name: _findings_table(parts),
    }
    rows = [accounts.total(limbs) for limbs in tally[:, :, accounts.ROWS].sum(axis=0)]
    counted = tally[:, COUNTED].sum(axis=0)
    firsts = [part.first_ms for part in parts if part.first_ms is not None]
    lasts = [part.last_ms for part in parts if part.last_ms is not None]
    return Sums(
        tables,
        sum(rows),
        rows[COUNTED],
        sum(rows) - rows[COUNTED],
        max(accounts.total(c) for c in counted),
        min(firsts, default=None),
        max(lasts, default=None),
        _summed([part.without_interval for part in parts]),
    )


class _Traffic(NamedTuple):
    """Traffic groups of all parts: keys and measures, one row each."""

    window: I64
    vantage: I64
    ip_class: I64
    underlay: I64
    direction: I64
    family: I64
    service: I64
    client: I64
    measures: I64
    error_unknown: I64


def _traffic_rows(parts: Sequence[Accumulator]) -> _Traffic:
    """Merge the parts' traffic; the bytes whose error is unknown have groups of their own."""
    a, b, measures = _merged([part.traffic for part in parts], t.add_sums)
    error_a, error_b, errors = _merged([part.errors for part in parts], t.add_rows)
    unknown = np.zeros(len(a), np.int64)
    if len(errors):
        a, b = np.concatenate((a, error_a)), np.concatenate((b, error_b))
        unknown = np.append(unknown, errors[:, 0])
        measures = np.pad(measures, ((0, len(errors)), (0, 0)))
    window, vantage, ip_class, underlay, direction, family = t.unpack_a(a)
    return _Traffic(
        window,
        vantage,
        ip_class,
        underlay,
        direction,
        family,
        b >> 32,
        b & 0xFFFFFFFF,
        measures,
        unknown,
    )


def _traffic_table(plan: Plan, rows: _Traffic) -> pa.Table:
    rules = plan.rules
    pair, region = np.divmod(rows.service, len(rules.regions))
    keys = [
        _Codes(rows.window * WINDOW_MS),
        _ranked(rows.vantage, plan.vantages),
        _ranked(pair, [app for app, _ in rules.pairs]),
        _ranked(pair, [product for _, product in rules.pairs]),
        _ranked(rows.client, [region for region, _ in rules.clients]),
        _ranked(region, rules.regions),
        _ranked(rows.client, [network for _, network in rules.clients]),
        _ranked(rows.family, FAMILIES),
        _ranked(rows.ip_class, IP_CLASSES),
        _ranked(rows.underlay, UNDERLAYS),
        _ranked(rows.direction, DIRECTIONS),
    ]
    order, starts = _sorted_groups(keys)
    columns = _key_columns(keys, order[starts], TRAFFIC_5M)
    measures = rows.measures[order]
    for name, m in (
        ("records", t.RECORDS),
        ("tcp_opens", t.TCP_OPENS),
        ("packets", t.PACKETS),
        ("bytes", t.BYTES),
        ("sampled_packets", t.SAMPLED_PACKETS),
        ("sampled_bytes", t.SAMPLED_BYTES),
    ):
        columns[name] = pa.array(_summed_groups(measures[:, m], starts))
    columns["bytes_error_unknown"] = pa.array(_summed_groups(rows.error_unknown[order], starts))
    hi = measures[:, t.VARIANCE_HI].view(np.uint64)
    lo = measures[:, t.VARIANCE_LO].view(np.uint64)
    columns["bytes_variance"] = wide_array(
        *(_wide_sums(hi, lo, starts) if len(starts) else (hi, lo))
    )
    return _table(TRAFFIC_5M, columns)


def _summed_groups(values: I64, starts: NDArray[np.intp]) -> I64:
    if len(starts) == len(values):
        return values
    return np.add.reduceat(values, starts)


def _exporters_table(parts: Sequence[Accumulator]) -> pa.Table:
    """Each part numbers its exporters for itself; here they get common numbers."""
    names = tuple(sorted({name for part in parts for name in part.exporters.numbers}))
    position = {name: i for i, name in enumerate(names)}
    hours, exporters, families, notes = [], [], [], []
    for part in parts:
        a, b, measures = part.presence.filled()
        of_lane = np.array([position[n] for n in part.exporters.numbers], np.int64)
        number = (b >> np.uint64(8)).astype(np.int64)
        hours.append(a.astype(np.int64) * HOUR_MS)
        exporters.append(of_lane[number] if len(number) else number)
        families.append((b & np.uint64(0xFF)).astype(np.int64))
        notes.append(measures)
    keys = [
        _Codes(np.concatenate(hours)),
        _Codes(np.concatenate(exporters), names),
        _ranked(np.concatenate(families), FAMILIES),
    ]
    order, starts = _sorted_groups(keys)
    columns = _key_columns(keys, order[starts], EXPORTERS_1H)
    noted = np.concatenate(notes)[order]
    for name, m, merged in (
        ("records", t.HOUR_RECORDS, np.add),
        ("packets", t.HOUR_PACKETS, np.add),
        ("bytes", t.HOUR_BYTES, np.add),
        ("sampling_min", t.SAMPLING_MIN, np.minimum),
        ("sampling_max", t.SAMPLING_MAX, np.maximum),
        ("first_seen", t.FIRST_SEEN, np.minimum),
        ("last_seen", t.LAST_SEEN, np.maximum),
    ):
        values = merged.reduceat(noted[:, m], starts) if len(starts) else noted[:, m]
        kind = EXPORTERS_1H.arrow_schema.field(name).type
        columns[name] = pa.array(values * 1000 if pa.types.is_timestamp(kind) else values).cast(
            kind
        )
    return _table(EXPORTERS_1H, columns)


def _merged(
    groups: Sequence[Groups], add: Callable[[GroupArrays, U32, I64], None]
) -> tuple[I64, I64, I64]:
    """Merge the groups of all parts into the first one's, and give keys and measures."""
    first, *others = groups
    for other in others:
        first.absorb(other, add)
    a, b, measures = first.filled()
    return a.astype(np.int64), b.astype(np.int64), measures


def _cell_keys(plan: Plan, hour: I64, vantage: I64, cell: I64) -> list[_Codes]:
    client = (cell >> 2) & 0xFFFFFFFF
    return [
        _Codes(hour * HOUR_MS),
        _ranked(vantage, plan.vantages),
        _ranked(cell >> 34, plan.rules.apps),
        _ranked(client, [region for region, _ in plan.rules.clients]),
        _ranked(client, [network for _, network in plan.rules.clients]),
        _ranked(cell & 3, FAMILIES),
    ]


def _counts_table(table: Table, keys: Sequence[_Codes], values: I64) -> pa.Table:
    order, starts = _sorted_groups(keys)
    columns = _key_columns(keys, order[starts], table)
    for m, column in enumerate(table.measures):
        columns[column.name] = pa.array(_summed_groups(values[order, m], starts))
    return _table(table, columns)


def _rtt_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    a, b, values = _merged([part.rtt for part in parts], t.add_rows)
    keys = [
        *_cell_keys(plan, a >> 32, a & 0xFFFF, b >> 1),
        _ranked(b & 1, SIDES),
        _Codes((a >> 16) & 0xFFFF),
    ]
    return _counts_table(RTT_1H, keys, values)


def _health_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    a, b, values = _merged([part.health for part in parts], t.add_rows)
    return _counts_table(HEALTH_1H, _cell_keys(plan, a >> 32, a & 0xFFFF, b), values)


def _clients_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    """Unite the sketches of all parts in the scopes that their cells are part of."""
    first, *others = [part.clients for part in parts]
    for other in others:
        first.absorb(other)
    held = first.held()
    scopes, of_cell = plan.client_scopes
    sketch, place = np.nonzero(of_cell[held.cell] >= 0)
    scope = of_cell[held.cell[sketch], place]
    day, vantage, family, unit = sketches.unpack_groups(held.group[sketch])
    keys = [
        _Codes(day),
        _ranked(vantage, plan.vantages),
        _ranked(scope, [kind for kind, _ in scopes]),
        _ranked(scope, [name for _, name in scopes]),
        _ranked(family, FAMILIES),
        _ranked(unit, _UNITS),
    ]
    order, starts = _sorted_groups(keys)
    columns = _key_columns(keys, order[starts], CLIENTS_1D)
    bounds = np.append(starts, len(order))
    thetas, offsets, hashes = sketches.unite(held, sketch[order], bounds)
    columns["theta"] = pa.array(thetas)
    columns["client_hashes"] = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(hashes)
    )
    return _table(CLIENTS_1D, columns)


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _huge(values: Sequence[int]) -> pa.Array:
    return pa.array([_EXACT.create_decimal(Decimal(v)) for v in values], pa.decimal128(38, 0))


def _families_table(tally: I64) -> pa.Table:
    rows = []
    for number, family in enumerate(FAMILIES):
        counted = tally[number, COUNTED]
        rejected = tally[number, :COUNTED].sum(axis=0)
        for disposition, limbs in (("counted", counted), ("rejected", rejected)):
            totals = [accounts.total(c) for c in limbs]
            if totals[accounts.ROWS]:
                rows.append((family, disposition, *totals))
    rows.sort()
    columns = _transposed(rows, 7)
    return _table(
        LEDGER_FAMILIES,
        {
            "family": pa.array(columns[0], pa.string()),
            "disposition": pa.array(columns[1], pa.string()),
            "rows": pa.array(columns[2], pa.int64()),
            "sampled_packets": _huge(columns[3]),
            "sampled_bytes": _huge(columns[4]),
            "packets": _huge(columns[5]),
            "bytes": _huge(columns[6]),
        },
    )


def _rejects_table(tally: I64) -> pa.Table:
    rows = []
    for number, reason in enumerate(REJECT_REASONS):
        totals = [accounts.total(c) for c in tally[:, number].sum(axis=0)]
        if totals[accounts.ROWS]:
            rows.append((reason, *totals[:3]))
    rows.sort()
    columns = _transposed(rows, 4)
    return _table(
        REJECTS,
        {
            "reason": pa.array(columns[0], pa.string()),
            "rows": pa.array(columns[1], pa.int64()),
            "sampled_packets": _huge(columns[2]),
            "sampled_bytes": _huge(columns[3]),
        },
    )


def _summed(counts: Sequence[Mapping[K, int]]) -> dict[K, int]:
    found: dict[K, int] = {}
    for part in counts:
        for key, rows in part.items():
            found[key] = found.get(key, 0) + rows
    return {key: found[key] for key in sorted(found)}


def _findings_table(parts: Sequence[Accumulator]) -> pa.Table:
    rows = _summed([part.findings for part in parts])
    return _table(
        FINDINGS,
        {
            "exporter": pa.array([e for e, _ in rows], pa.string()),
            "finding": pa.array([f for _, f in rows], pa.string()),
            "rows": pa.array(list(rows.values()), pa.int64()),
        },
    )
