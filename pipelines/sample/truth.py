"""The planted truth: what really crossed the edge, and what exactly was exported.

True flows give the cells against which sampled estimates are judged; exported records give sums
that must be met to the byte. Nothing here reads a flow file back.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from v6share.pipelines.sample import story
from v6share.pipelines.sample.addresses import I64, U64, Bool
from v6share.pipelines.sample.flows import Flows
from v6share.pipelines.sample.rejects import Rejected
from v6share.pipelines.sample.sampling import Records
from v6share.schemas.aggregates import DAY_MS, FAMILIES, IP_CLASSES

APPS: Final = [app.id for app in story.APPS]
PRODUCTS: Final = [name for name, _, _ in story.PRODUCTS]
NETWORKS: Final = [network.id for network in story.NETWORKS]
_NAMES: Final = {
    "app": (APPS, "unclassified"),
    "product": (PRODUCTS, "unclassified"),
    "network": (NETWORKS, "unknown"),
    "client_region": (list(story.REGIONS), "unknown"),
    "service_region": (list(story.SERVICE_REGIONS), "unknown"),
    "family": (list(FAMILIES), "unknown"),
    "ip_class": (list(IP_CLASSES), "unknown"),
    "unit": (["prefix", "subscriber"], ""),
}
# Beyond this many records the truth about distinct clients is left out: it would not be bounded.
MOST_CLIENT_RECORDS: Final = 2_000_000
_KEY_BITS: Final = 5
_SUMS: Final = ("flows", "tcp_opens", "packets", "bytes")


@dataclass
class Truth:
    """Gathers partial sums, period by period; ``tables`` names and sorts them."""

    traffic: list[pa.Table] = field(default_factory=list)
    endpoints: list[pa.Table] = field(default_factory=list)
    clients: list[pa.Table] = field(default_factory=list)
    newest_end_ms: int = 0

    def add_true_flows(self, flows: Flows) -> None:
        """Flows that an edge exporter carried, before sampling."""
        parts = _split_at_midnight(flows)
        self.traffic.append(
            _sums(parts, ("day", "app", "client_region", "network", "family", "ip_class"))
        )
        of_months = parts.set_column(0, "month", _months(parts["day"]))
        self.endpoints.append(
            _sums(of_months, ("month", "app", "product", "service_region", "family", "ip_class"))
        )

    def add_records(self, records: Records, *, with_clients: bool) -> None:
        """Counted records of an edge exporter."""
        if records.rows:
            self.newest_end_ms = max(self.newest_end_ms, int(records.end_ms.max()))
        if with_clients:
            self.clients.append(_client_days(records))

    def traffic_cells(self) -> pa.Table:
        """True sums per day, app, client region, network, family and class; as numbers."""
        return _merged(self.traffic)

    def endpoint_cells(self) -> pa.Table:
        """True sums per month (its first day), app, product, service region, family and class."""
        return _merged(self.endpoints)

    def client_keys(self) -> pa.Table:
        """Distinct (day, network, family, unit, client) of the exported, qualifying records."""
        if not self.clients:
            none = np.zeros(0, np.int64)
            return _client_table(none, none, none, none, np.zeros(0, np.uint64))
        together = pa.concat_tables(self.clients)
        return together.group_by(together.column_names).aggregate([])


def named(cells: pa.Table) -> pa.Table:
    """Numbers turned into names and dates, rows sorted by all keys."""
    columns = {name: _named_column(name, cells[name]) for name in cells.column_names}
    keys = [name for name in cells.column_names if name not in (*_SUMS, "clients")]
    return pa.table(columns).sort_by([(name, "ascending") for name in keys])


def count_clients(keys: pa.Table, by_day: bool) -> pa.Table:
    """Distinct clients per unit, family and network ('' for all together), and per day."""
    day = ["day"] if by_day else []
    distinct = keys.group_by([*day, "network", "family", "unit", "client"]).aggregate([])
    each = distinct.group_by([*day, "network", "family", "unit"]).aggregate([([], "count_all")])
    each = named(each.rename_columns([*day, "network", "family", "unit", "clients"]))
    distinct = keys.group_by([*day, "family", "unit", "client"]).aggregate([])
    every = distinct.group_by([*day, "family", "unit"]).aggregate([([], "count_all")])
    every = named(every.rename_columns([*day, "family", "unit", "clients"]))
    blank = pa.array([""] * every.num_rows, pa.string())
    every = every.add_column(len(day), "network", blank)
    return pa.concat_tables([every, each])


def file_sums(records: Records, rejected: list[Rejected]) -> dict[str, object]:
    """The exact content of one file, as the ledger must show it."""
    families = {}
    for number, name in enumerate(FAMILIES):
        rows = records.flows.family == number
        if rows.any():
            families[name] = _counted(records, rows)
    reasons: dict[str, dict[str, int]] = {}
    for row in rejected:
        _add_rejected(reasons.setdefault(row.reason, {}), row)
    by_family: dict[str, dict[str, int]] = {}
    for row in rejected:
        _add_rejected(by_family.setdefault(row.family, {}), row)
    return {
        "rows": records.rows + len(rejected),
        "counted": families,
        "rejected": dict(sorted(by_family.items())),
        "reasons": dict(sorted(reasons.items())),
    }


def last_final_day(newest_end_ms: int) -> date:
    """The last day whose end plus an hour is not after the newest record end."""
    newest = datetime.fromtimestamp(newest_end_ms // 1000, UTC) - timedelta(hours=1)
    return newest.date() - timedelta(days=1)


def _counted(records: Records, rows: Bool) -> dict[str, int]:
    packets, octets, interval = records.packets[rows], records.octets[rows], records.interval[rows]
    return {
        "rows": int(rows.sum()),
        "sampled_packets": int(packets.sum()),
        "sampled_bytes": int(octets.sum()),
        "packets": int((packets * interval).sum()),
        "bytes": int((octets * interval).sum()),
    }


def _add_rejected(sums: dict[str, int], row: Rejected) -> None:
    added = {"rows": 1, "sampled_packets": row.packets, "sampled_bytes": row.octets}
    for name, value in added.items():
        sums[name] = sums.get(name, 0) + value


def _split_at_midnight(flows: Flows) -> pa.Table:
    """One row a flow and day; packets and bytes in proportion to time, nothing lost."""
    first = flows.start_ms // DAY_MS
    last = np.maximum(flows.start_ms, flows.end_ms - 1) // DAY_MS
    over = np.flatnonzero(last > first)
    # A flow is shorter than a day, so it meets at most one midnight.
    before = last[over] * DAY_MS - flows.start_ms[over]
    length = flows.end_ms[over] - flows.start_ms[over]
    counters = {"packets": flows.packets, "bytes": flows.octets}
    rows = np.concatenate([np.arange(flows.rows), over])
    columns: dict[str, I64] = {"day": np.concatenate([first, last[over]])}
    for name in ("app", "product", "client_region", "service_region", "network", "family"):
        columns[name] = getattr(flows, name)[rows]
    columns["ip_class"] = flows.ip_class[rows]
    one = np.ones(flows.rows, np.int64)
    for name, once in (("flows", one), ("tcp_opens", flows.has_syn.astype(np.int64))):
        columns[name] = np.concatenate([once, np.zeros(len(over), np.int64)])
    for name, whole in counters.items():
        early = whole[over] * before // length
        kept = whole.copy()
        kept[over] = early
        columns[name] = np.concatenate([kept, whole[over] - early])
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


def _months(days: pa.ChunkedArray) -> pa.ChunkedArray:
    dates = days.cast(pa.int32()).cast(pa.date32())
    first = pc.floor_temporal(dates, unit="month").cast(pa.date32())
    return first.cast(pa.int32()).cast(pa.int64())


def _sums(table: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    """Sums per distinct keys; the keys, each below 2^5 after the first, travel as one number."""
    packed = np.zeros(table.num_rows, np.int64)
    for name in keys:
        packed = packed << _KEY_BITS | table[name].to_numpy()
    together = table.select(list(_SUMS)).append_column("key", pa.array(packed))
    summed = together.group_by(["key"]).aggregate([(name, "sum") for name in _SUMS])
    key = summed["key"].to_numpy()
    columns: dict[str, I64] = {}
    for place, name in enumerate(keys):
        column = key >> _KEY_BITS * (len(keys) - 1 - place)
        columns[name] = column if place == 0 else column & ((1 << _KEY_BITS) - 1)
    sums = {name: summed[f"{name}_sum"] for name in _SUMS}
    return pa.table(columns | sums)


def _merged(parts: list[pa.Table]) -> pa.Table:
    together = pa.concat_tables(parts)
    keys = tuple(name for name in together.column_names if name not in _SUMS)
    return _sums(together, keys)


def _client_days(records: Records) -> pa.Table:
    """Who was seen on which day, once each."""
    flows = records.flows
    first = records.start_ms // DAY_MS
    last = np.maximum(records.start_ms, records.end_ms - 1) // DAY_MS
    rows = np.concatenate([np.arange(records.rows), np.flatnonzero(last > first)])
    day = np.concatenate([first, last[last > first]])
    keep = flows.qualifies[rows]
    rows, day = rows[keep], day[keep]
    named_client = flows.subscriber[rows] >= 0
    key = np.where(named_client, flows.subscriber[rows].astype(np.uint64), flows.client_key[rows])
    # A translated client speaks IPv6, also where only its NAT64's IPv4 pool is seen.
    translated = flows.ip_class[rows] == IP_CLASSES.index("translated")
    family = np.where(translated, FAMILIES.index("v6"), flows.family[rows])
    seen = _client_table(day, flows.network[rows], family, named_client.astype(np.int64), key)
    return seen.group_by(seen.column_names).aggregate([])


def _client_table(day: I64, network: I64, family: I64, unit: I64, client: U64) -> pa.Table:
    return pa.table(
        {
            "day": pa.array(day, pa.int32()),
            "network": pa.array(network, pa.int16()),
            "family": pa.array(family, pa.int8()),
            "unit": pa.array(unit, pa.int8()),
            "client": pa.array(client, pa.uint64()),
        }
    )


def _named_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if name in ("day", "month"):
        return column.cast(pa.int32()).cast(pa.date32())
    if name not in _NAMES:
        return column
    names, unknown = _NAMES[name]
    numbers = column.to_numpy()
    numbers = np.where((numbers >= 0) & (numbers < len(names)), numbers, len(names))
    return pa.array([*names, unknown], pa.string()).take(pa.array(numbers))
