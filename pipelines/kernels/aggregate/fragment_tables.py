"""The accumulators of one input merged into the tables of its fragment.

They merge by sums, minima, maxima and unions, and every table is sorted by its key as text, so
neither batches, nor threads, nor their order show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa

from v6share.pipelines.kernels.aggregate import account as accounts
from v6share.pipelines.kernels.aggregate import clients as sketches
from v6share.pipelines.kernels.aggregate import findings, health
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.exporters import check_together
from v6share.pipelines.kernels.aggregate.groups import GroupArrays, Groups
from v6share.pipelines.kernels.aggregate.row_sample import whole_sample
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.aggregate.subscribers import with_many_prefixes
from v6share.pipelines.kernels.flow_batch import I64, U32
from v6share.pipelines.kernels.names import Names
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
from v6share.schemas.columns import Kind, Table
from v6share.schemas.errors import InputRefused
from v6share.schemas.findings import MANY_PREFIXES
from v6share.schemas.fragment import in_fragment
from v6share.schemas.ledger import FINDINGS, LEDGER_FAMILIES, REJECT_REASONS, REJECTS
from v6share.schemas.merge_rows import combine, group_rows, lay_out, wide_integers
from v6share.schemas.row_sample import SAMPLED_ROWS

_LARGEST_SUM: Final = 2**62
_EXACT: Final = Context(prec=40)
K = TypeVar("K", str, tuple[str, str])
_FAMILIES: Final = Names(FAMILIES)
_IP_CLASSES: Final = Names(IP_CLASSES)
_UNDERLAYS: Final = Names(UNDERLAYS)
_DIRECTIONS: Final = Names(DIRECTIONS)
_SIDES: Final = Names(SIDES)
_UNITS: Final = Names(("prefix", "subscriber"))


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


def _times(ms: I64) -> pa.Array:
    return pa.array(ms * 1000).view(Kind.TIMESTAMP.arrow)


def _table(table: Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Lay out a ledger table."""
    fields = [f for f in table.arrow_schema if f.name in columns]
    return pa.table([columns[f.name] for f in fields], schema=pa.schema(fields))


def merge_accumulators(plan: Plan, parts: Sequence[Accumulator]) -> Sums:
    """Merge all accumulators of one input into its tables, each sorted by its key.

    The first part takes in the groups of the others: afterwards none can count any more. Raises
    InputRefused where a sum passes 2^62, or there are too many exporters.
    """
    if not parts:
        parts = [Accumulator(plan)]
    tally = sum((part.tally for part in parts), accounts.new_tally())
    rows = [accounts.total(limbs) for limbs in tally[:, :, accounts.ROWS].sum(axis=0)]
    counted = tally[:, COUNTED].sum(axis=0)
    largest_sum = max(accounts.total(c) for c in counted)
    refuse_beyond_range(largest_sum)
    check_together([part.exporters for part in parts])
    firsts = [part.first_ms for part in parts if part.first_ms is not None]
    lasts = [part.last_ms for part in parts if part.last_ms is not None]
    tables = {
        TRAFFIC_5M.name: _traffic_table(plan, parts),
        CLIENTS_1D.name: _clients_table(plan, parts),
        RTT_1H.name: _rtt_table(plan, parts),
        HEALTH_1H.name: _health_table(plan, parts),
        EXPORTERS_1H.name: _exporters_table(parts),
        LEDGER_FAMILIES.name: _families_table(tally),
        REJECTS.name: _rejects_table(tally),
        FINDINGS.name: _findings_table(parts),
        SAMPLED_ROWS.name: _sampled_rows_table(parts),
    }
    return Sums(
        tables,
        sum(rows),
        rows[COUNTED],
        sum(rows) - rows[COUNTED],
        largest_sum,
        min(firsts, default=None),
        max(lasts, default=None),
        _summed([part.without_interval for part in parts]),
    )


def refuse_beyond_range(largest_sum: int) -> None:
    """Refuse an input that is damaged, and whose sums of 64 bits, or later ones, could wrap."""
    if largest_sum > _LARGEST_SUM:
        raise InputRefused(
            "sum_overflow",
            f"the input's packets or bytes sum to {largest_sum}, over the limit of 2^62; its "
            "counters or sampling intervals cannot be right",
        )


def _traffic_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    return combine(TRAFFIC_5M, _traffic_of_parts(plan, parts))


def _traffic_of_parts(plan: Plan, parts: Sequence[Accumulator]) -> Iterator[pa.Table]:
    """Traffic, and the bytes whose error is unknown, which are counted apart under equal keys."""
    a, b, sums = _merged([part.traffic for part in parts], t.add_sums)
    yield _traffic_rows(plan, a, b, sums, np.zeros(len(a), np.int64))
    a, b, errors = _merged([part.error_unknown for part in parts], t.add_rows)
    if len(a):
        yield _traffic_rows(plan, a, b, np.zeros((len(a), t.MEASURES), np.int64), errors[:, 0])


def _traffic_rows(plan: Plan, a: I64, b: I64, sums: I64, error_unknown: I64) -> pa.Table:
    """Rows of traffic; a, b: their keys, packed."""
    names = plan.names
    window, vantage, ip_class, underlay, direction, family = t.unpack_a(a)
    pair, service_region = np.divmod(b >> 32, len(plan.rules.regions))
    client = b & 0xFFFFFFFF
    return pa.table(
        {
            "window_start": _times(window * WINDOW_MS),
            "vantage": names.vantage.of(vantage),
            "app": names.app_of_pair.of(pair),
            "product": names.product_of_pair.of(pair),
            "client_region": names.client_region.of(client),
            "service_region": names.service_region.of(service_region),
            "network": names.network.of(client),
            "family": _FAMILIES.of(family),
            "ip_class": _IP_CLASSES.of(ip_class),
            "underlay": _UNDERLAYS.of(underlay),
            "direction": _DIRECTIONS.of(direction),
            "records": sums[:, t.RECORDS],
            "tcp_opens": sums[:, t.TCP_OPENS],
            "packets": sums[:, t.PACKETS],
            "bytes": sums[:, t.BYTES],
            "sampled_packets": sums[:, t.SAMPLED_PACKETS],
            "sampled_bytes": sums[:, t.SAMPLED_BYTES],
            "bytes_variance": wide_integers(sums[:, t.VARIANCE_HI], sums[:, t.VARIANCE_LO]),
            "bytes_error_unknown": error_unknown,
        }
    )


def _exporters_table(parts: Sequence[Accumulator]) -> pa.Table:
    return combine(EXPORTERS_1H, map(_exporters_rows, parts))


def _exporters_rows(part: Accumulator) -> pa.Table:
    """What one part noted of its exporters, which it numbers for itself."""
    hour, who, noted = part.presence.filled()
    return pa.table(
        {
            "window_start": _times(hour.astype(np.int64) * HOUR_MS),
            "exporter": Names(list(part.exporters.numbers)).of(who >> np.uint64(8)),
            "family": _FAMILIES.of(who & np.uint64(0xFF)),
            "records": noted[:, t.HOUR_RECORDS],
            "packets": noted[:, t.HOUR_PACKETS],
            "bytes": noted[:, t.HOUR_BYTES],
            "sampling_min": noted[:, t.SAMPLING_MIN],
            "sampling_max": noted[:, t.SAMPLING_MAX],
            "first_seen": _times(noted[:, t.FIRST_SEEN]),
            "last_seen": _times(noted[:, t.LAST_SEEN]),
        }
    )


def _merged(
    groups: Sequence[Groups], add: Callable[[GroupArrays, U32, I64], None]
) -> tuple[I64, I64, I64]:
    """Merge the groups of all parts into the first one's, and give keys and measures."""
    first, *others = groups
    for other in others:
        first.absorb(other, add)
    a, b, measures = first.filled()
    return a.astype(np.int64), b.astype(np.int64), measures


def _cell_keys(plan: Plan, hour: I64, vantage: I64, cell: I64) -> dict[str, pa.Array]:
    client = (cell >> 2) & 0xFFFFFFFF
    return {
        "window_start": _times(hour * HOUR_MS),
        "vantage": plan.names.vantage.of(vantage),
        "app": plan.names.app.of(cell >> 34),
        "client_region": plan.names.client_region.of(client),
        "network": plan.names.network.of(client),
        "family": _FAMILIES.of(cell & 3),
    }


def _rtt_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    a, b, values = _merged([part.rtt for part in parts], t.add_rows)
    if not len(a):
        return combine(RTT_1H, [])
    rows = _cell_keys(plan, a >> 32, a & 0xFFFF, b >> 1) | {
        "side": _SIDES.of(b & 1),
        "bucket": ((a >> 16) & 0xFFFF).astype(np.int16),
        "samples": values[:, 0],
    }
    return combine(RTT_1H, [pa.table(rows)])


def _health_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    a, b, values = _merged([part.health for part in parts], t.add_rows)
    if not len(a):
        return combine(HEALTH_1H, [])
    rows = _cell_keys(plan, a >> 32, a & 0xFFFF, b) | {
        "tcp_flows": values[:, health.TCP_FLOWS],
        "unanswered_flows": values[:, health.UNANSWERED],
        "retransmitted_packets": values[:, health.RETRANSMITTED],
        "packets": values[:, health.PACKETS],
    }
    return combine(HEALTH_1H, [pa.table(rows)])


def _clients_table(plan: Plan, parts: Sequence[Accumulator]) -> pa.Table:
    """Unite the sketches of all parts in the scopes that their cells are part of.

    Only grouped like other rows: a sketch is in several scopes, and as a row of each of them it
    would be copied before it is united.
    """
    first, *others = [part.clients for part in parts]
    for other in others:
        first.absorb(other)
    held = first.held()
    _, of_cell = plan.client_scopes
    sketch, place = np.nonzero(of_cell[held.cell] >= 0)
    scope = of_cell[held.cell[sketch], place]
    day, vantage, family, unit = sketches.unpack_groups(held.group[sketch])
    groups = group_rows(
        [
            pa.array(day.astype(np.int32)).view(Kind.DATE.arrow),
            plan.names.vantage.of(vantage),
            plan.names.scope.of(scope),
            plan.names.scope_id.of(scope),
            _FAMILIES.of(family),
            _UNITS.of(unit),
        ]
    )
    bounds = np.append(groups.starts, len(groups.order))
    thetas, offsets, hashes = sketches.unite(held, sketch[groups.order], bounds)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(hashes))
    return lay_out(in_fragment(CLIENTS_1D), [*groups.keys, pa.array(thetas), lists])


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
    merged = findings.merge(part.findings for part in parts)
    many = with_many_prefixes(part.subscribers for part in parts)
    if many is not None:
        merged = findings.merge([merged, {("", MANY_PREFIXES): many}])
    found = list(merged.values())
    return _table(
        FINDINGS,
        {
            "exporter": pa.array([e for e, _ in merged], pa.string()),
            "finding": pa.array([f for _, f in merged], pa.string()),
            "rows": pa.array([one.rows for one in found], pa.int64()),
            "bytes": _huge([one.octets for one in found]),
            "example": pa.array([one.example for one in found], pa.string()),
        },
    )


def _sampled_rows_table(parts: Sequence[Accumulator]) -> pa.Table:
    samples = [part.row_sample for part in parts]
    rows = whole_sample(samples)
    return _table(
        SAMPLED_ROWS,
        {
            "digest": pa.array(rows["digest"]),
            "file_row": pa.array(rows["row"]),
            "times": pa.array(rows["times"]),
            "bytes_before": pa.array(rows["before"]),
            "is_reverse": pa.array(rows["is_reverse"]),
            "file_rows": pa.array(np.full(len(rows), samples[0].file_rows)),
            "file_bytes": pa.array(rows["total"]),
        },
    )
