"""One row, step by step: what was decided, and which rule, prefix or setting decided it.

The same kernels decide as in a run; here they are only asked why. A biflow's row is two flows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.flow_file import FlowFile
from v6share.pipelines.kernels.aggregate import traffic as t
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.groups import Groups
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED, Measures
from v6share.pipelines.kernels.classify import decide as c
from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.compile_catalog import parsed_prefixes, special_ranges
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.classify.places import Places
from v6share.pipelines.kernels.flow_batch import U8, U64, Bool, FlowBatch
from v6share.pipelines.kernels.normalise.faults import fault_bit
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.plan import Plan
from v6share.pipelines.reject_example import in_words, values_about, what_helps
from v6share.schemas.aggregates import (
    DIRECTIONS,
    FAMILIES,
    IP_CLASSES,
    UNDERLAYS,
    WINDOW_MS,
)
from v6share.schemas.catalog.models import Catalog, Match
from v6share.schemas.dialects import Dialect
from v6share.schemas.errors import UserError
from v6share.schemas.findings import OTHER_FAMILY
from v6share.schemas.ledger import REJECT_REASONS
from v6share.schemas.source_kinds import Source

Address = IPv4Address | IPv6Address

_BAD_ADDRESS: Final = fault_bit("bad_address")
_NO_TIME: Final = fault_bit("no_time")

_FLAG_NAMES = {
    c.MULTICAST: "multicast",
    c.LINK_LOCAL: "link-local",
    c.LOOPBACK: "loopback",
    c.UNSPECIFIED: "unspecified",
    c.NAT64: "NAT64",
    c.TRANSLATED: "stateless translation",
    c.NAT64_POOL: "NAT64 IPv4 pool",
    c.SIX_TO_FOUR: "6to4",
    c.TEREDO: "Teredo",
    c.SIX_TO_FOUR_RELAY: "6to4 relay",
    c.SIXRD_RELAY: "6rd border relay",
    c.TEREDO_RELAY: "Teredo relay",
    c.SRV6_LOCATOR: "SRv6 locator",
    c.DOCUMENTATION: "documentation",
}


@dataclass(frozen=True)
class Step:
    """One decision: what about, what was decided, and because of what."""

    step: str
    decision: str
    because: str


@dataclass(frozen=True)
class Window:
    """The part of a counted flow that falls into one 5-minute window; start in Unix ms."""

    start_ms: int
    packets: int
    bytes: int


@dataclass(frozen=True)
class _End:
    """One end of a flow. unread: what stands in the place of its address and is none."""

    address: Address | None
    unread: str = ""

    def __str__(self) -> str:
        return self.unread or "absent" if self.address is None else str(self.address)


@dataclass(frozen=True)
class ExplainedFlow:
    """One flow of the row: its steps, and the windows that it is split over."""

    steps: tuple[Step, ...]
    windows: tuple[Window, ...]


def explain_row(
    file: FlowFile, row: int, catalog: Catalog, plan: Plan, read_at_ms: int
) -> tuple[ExplainedFlow, ...]:
    """Explain a row, counted from 0. Raises UserError where the file has no such row.

    read_at_ms: when the file is read, as a run would.
    """
    raw, definition = _raw_row(file, row), file.definition
    columns = definition.columns
    ends = (_unread(raw, columns.src), _unread(raw, columns.dst))
    return tuple(
        _explain(batch, raw, definition, ends, catalog, Accumulator(plan, read_at_ms))
        for batch, ends in zip(normalise(raw, definition), (ends, ends[::-1]), strict=False)
        if batch.rows
    )


def _raw_row(file: FlowFile, row: int) -> pa.RecordBatch:
    first = 0
    for group in range(file.row_groups):
        for batch in file.raw_batches([group], 65_536) if _holds(file, group, row, first) else ():
            if row < first + batch.num_rows:
                return batch.slice(row - first, 1)
            first += batch.num_rows
        if not _holds(file, group, row, first):
            first += file.metadata.row_group(group).num_rows
    if not file.rows:
        raise UserError(f"{file.path}: found no row at all; there is none to explain")
    raise UserError(
        f"{file.path}: found {file.rows:,} rows, expected row {row:,} to be one of 0 to "
        f"{file.rows - 1:,}"
    )


def _holds(file: FlowFile, group: int, row: int, first: int) -> bool:
    return first <= row < first + int(file.metadata.row_group(group).num_rows)


def _unread(raw: pa.RecordBatch, sources: Sequence[Source]) -> str:
    """What stands where an address should, in words; empty where nothing does."""
    for source in sources:
        value = _value(raw[source.column]) if source.column in raw.schema.names else None
        if value is not None and value not in source.missing:
            return f"{value.hex() if isinstance(value, bytes) else value!r}, no address"
    return ""


def _explain(
    batch: FlowBatch,
    raw: pa.RecordBatch,
    dialect: Dialect,
    ends: Sequence[str],
    catalog: Catalog,
    accumulator: Accumulator,
) -> ExplainedFlow:
    """Explain a flow. ends: what the file has of its source and destination, in words."""
    plan = accumulator.plan
    places = locate(batch, plan.rules)
    decisions = classify(batch, plan.rules, places)
    exporter = accumulator.exporters.numbers_of(batch.exporter)
    batch = accumulator.settled(batch, exporter)
    measures = accumulator.scale(batch, exporter, places)
    unreadable = batch.faults[0] & _BAD_ADDRESS
    src, dst = (
        _End(address, end if unreadable else "")
        for address, end in (
            (address_of(batch.src_hi[0], batch.src_lo[0]), ends[0]),
            (address_of(batch.dst_hi[0], batch.dst_lo[0]), ends[1]),
        )
    )
    to_client = decisions.direction[0] == c.TO_CLIENT
    client, service = (dst, src) if to_client else (src, dst)
    direction = DIRECTIONS[decisions.direction[0]]
    steps = (
        Step("row", _shown(raw), "the columns that the dialect knows"),
        _addresses(batch, src, dst),
        _times(batch, raw, dialect),
        *_layer2(batch),
        _sampling(batch, measures, plan),
        _verdict(measures, raw, dialect),
        _class_step(batch, decisions, places, plan, catalog),
        _app(int(decisions.match[0]), int(decisions.app[0]), plan, service),
        Step(
            "direction",
            direction,
            f"client {client}, service {service}: "
            + _why_direction(batch, int(decisions.match[0]), direction),
        ),
        _home("client", client, int(decisions.client[0]), plan, catalog),
        _service_region(int(decisions.service[0]), int(decisions.match[0]), service, plan, catalog),
        _client(batch, decisions, measures, accumulator),
    )
    return ExplainedFlow(steps, tuple(_windows(batch, measures, decisions)))


def address_of(hi: np.uint64, lo: np.uint64) -> Address | None:
    """Give the address that two words hold; None where it is absent."""
    value = int(hi) << 64 | int(lo)
    if value == 0:
        return None
    return IPv4Address(value & 0xFFFFFFFF) if value >> 32 == 0xFFFF else IPv6Address(value)


def _shown(raw: pa.RecordBatch) -> str:
    values = {name: _value(raw.column(name)) for name in raw.schema.names}
    return ", ".join(
        f"{k}={v.hex() if isinstance(v, bytes) else v}" for k, v in values.items() if v is not None
    )


def _value(column: pa.Array) -> object:
    """The one value of a column. Text that is not UTF-8 shows with what could be read of it."""
    try:
        return column[0].as_py()
    except UnicodeDecodeError:
        whole: bytes = column[0].as_buffer().to_pybytes()
        return whole.decode(errors="replace")


def _addresses(batch: FlowBatch, src: _End, dst: _End) -> Step:
    known = src.address or dst.address
    why = "the family of the addresses" if known else "no address: by version or ethertype"
    if OTHER_FAMILY in _marks(batch) and not known:
        why = "the version or ethertype says IPv6, and the addresses were cut to 4 bytes"
    if batch.underlay is not None and UNDERLAYS[batch.underlay[0]] != "none":
        why = "the outer header; the addresses are the inner ones"
    return Step("family", FAMILIES[batch.family[0]], f"{src} to {dst}: {why}")


def _marks(batch: FlowBatch) -> list[str]:
    """The findings about the row."""
    return [name for name, mask in batch.findings if mask[0]]


def _times(batch: FlowBatch, raw: pa.RecordBatch, dialect: Dialect) -> Step:
    start, end = int(batch.start_ms[0]), int(batch.end_ms[0])
    marks = ", ".join(_marks(batch))
    if batch.faults[0] & _NO_TIME:
        found = _found(raw, dialect, "no_time")
        why = f"{found}: no time from 1990 on, as of a clock that was set" if found else "absent"
        return Step("time", "none", why)
    return Step(
        "time",
        f"{_utc(start)} to {_utc(end)}",
        f"{end - start:,} ms" + (f"; {marks}" if marks else ""),
    )


def _utc(ms: int) -> str:
    return str(np.datetime64(ms, "ms")) + "Z"


def _layer2(batch: FlowBatch) -> Iterator[Step]:
    """What layer 2 has of the bytes, where the collector counts frames."""
    octets = 0 if batch.layer2_octets is None else int(batch.layer2_octets[0])
    if octets:
        yield Step(
            "layer 2",
            f"{octets} bytes a packet, taken off",
            "the collector counts frames; by their headers where they are shown, else as its "
            "dialect says",
        )


def _sampling(batch: FlowBatch, measures: Measures, plan: Plan) -> Step:
    name = batch.exporter.values[batch.exporter.codes[0]] if batch.exporter.codes[0] >= 0 else ""
    vantage, declared, override = plan.exporters.get(name, ("unlisted", 0, False))
    num = int(batch.sampling_num[0]) if batch.sampling_num is not None else 0
    den = int(batch.sampling_den[0]) if batch.sampling_den is not None else 1
    shown = f"{num}/{den}" if den != 1 else str(num)
    if batch.pre_scaled is not None and batch.pre_scaled[0]:
        interval, why = str(declared or "unknown"), "whoever wrote the file has scaled the counters"
    elif declared and override:
        interval, why = str(declared), "exporters.csv, which overrides the record"
    elif num >= den > 0:
        interval, why = shown, "the record"
    elif declared:
        interval, why = str(declared), "exporters.csv, because the record says none"
    else:
        interval = str(plan.unknown_interval or "unknown")
        why = (
            "neither the record nor exporters.csv says one that can be; sampling.unknown decides, "
            "or the --unknown-sampling of a run"
        )
    scaled = f": {int(measures.packets[0]):,} packets, {int(measures.octets[0]):,} bytes"
    return Step(
        "sampling",
        f"1 in {interval}" + (scaled if measures.verdict[0] == COUNTED else ""),
        f"{why} (exporter {name or 'not named'}, vantage {vantage})",
    )


def _verdict(measures: Measures, raw: pa.RecordBatch, dialect: Dialect) -> Step:
    verdict = int(measures.verdict[0])
    if verdict == COUNTED:
        return Step("verdict", "counted", "no reason to reject it applies")
    reason = REJECT_REASONS[verdict]
    found = _found(raw, dialect, reason)
    return Step("verdict", "rejected", f"{reason}: {found}" if found else reason)


def _found(raw: pa.RecordBatch, dialect: Dialect, reason: str) -> str:
    """What the row has in the columns that a reason is about, and what helps; empty: nothing."""
    values = values_about(raw, dialect, reason)
    there = {name: value for name, value in values.items() if value is not None}
    return "; ".join(filter(None, (in_words(there), what_helps(there))))


def _class_step(
    batch: FlowBatch, decisions: c.Decisions, places: Places, plan: Plan, catalog: Catalog
) -> Step:
    place_flags = plan.rules.arrays.place_flags
    flags = place_flags[places.src[0]] | place_flags[places.dst[0]]
    src = address_of(batch.src_hi[0], batch.src_lo[0])
    dst = address_of(batch.dst_hi[0], batch.dst_lo[0])
    # A tunnel's own class says what carries it, and has no underlay besides: it is shown as well.
    outer = decisions.underlay if batch.underlay is None else batch.underlay
    ranges = [
        f"{side} {address} in {network} ({_FLAG_NAMES[flag]})"
        for side, address in (("source", src), ("destination", dst))
        for network, flag, _ in special_ranges(catalog.transition)
        if address is not None
        and flags & flag
        and address.version == network.version
        and address in network
    ]
    protocol, port = _number(batch.protocol[0]), _number(batch.dst_port[0])
    why = [*ranges, f"protocol {protocol}, destination port {port}"]
    if batch.consumed is not None and batch.consumed[0]:
        why.insert(0, "the router consumed it itself (forwarding status 11)")
    if UNDERLAYS[outer[0]] != "none":
        why.append(_carried(batch, UNDERLAYS[outer[0]]))
    return Step("class", IP_CLASSES[decisions.ip_class[0]], "; ".join(why))


def _carried(batch: FlowBatch, underlay: str) -> str:
    """What the header outside the flow's own says, as far as the record shows it."""
    parts = [f"carried in IP{underlay}"]
    if batch.outer_protocol is not None and batch.outer_protocol[0] >= 0:
        parts.append(f"outer protocol {int(batch.outer_protocol[0])}")
    if batch.outer_dst_hi is not None and batch.outer_dst_lo is not None:
        outer = address_of(batch.outer_dst_hi[0], batch.outer_dst_lo[0])
        parts.append(f"outer destination {_End(outer)}")
    return ", ".join(parts)


def _number(value: int) -> str:
    return "absent" if value < 0 else str(int(value))


def _app(match: int, app: int, plan: Plan, service: _End) -> Step:
    name = plan.rules.apps[app]
    if match < 0:
        return Step("app", name, "no match of apps.toml fits either side")
    first = int(np.searchsorted(plan.rules.arrays.match_app, app))
    return Step(
        "app",
        name,
        f"match {match - first + 1} of app {app + 1} in apps.toml "
        f"({_conditions(plan.rules.matches[match])}) is the first that fits, "
        f"on the side of {service}",
    )


def _conditions(match: Match) -> str:
    parts = [
        f"{key}={value}"
        for key, value in (
            ("prefix", match.prefix),
            ("port", ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in match.ports)),
            ("protocol", ",".join(map(str, match.protocols))),
            ("server_name", match.server_name),
            ("asn", match.asn),
            ("app_name", match.app_name),
            ("app_id", match.app_id),
        )
        if value not in (None, "")
    ]
    return ", ".join(parts)


def _why_direction(batch: FlowBatch, match: int, direction: str) -> str:
    ports = f"ports {_number(batch.src_port[0])} and {_number(batch.dst_port[0])}"
    if not c.has_ports(int(batch.protocol[0])):
        ports = f"protocol {int(batch.protocol[0])} has no ports"
    if match >= 0:
        return (
            "the side that the app's match fits is the service (of two, the earlier app's; of one "
            f"app's two, that of the lower port: {ports})"
        )
    if c.opens_connection(int(batch.protocol[0]), int(batch.tcp_flags[0])):
        return "no match, and a SYN without an ACK, so the source opens a connection: the client"
    if direction == "unknown":
        return f"no match and no lower port, so the source is taken for the client; {ports}"
    return f"no match, so the lower port is the service; {ports}"


def _longest_prefix(catalog: Catalog, address: Address | None) -> str | None:
    """Give the longest of the operator's prefixes that holds an address, by plain search."""
    if address is None or catalog.prefixes.num_rows == 0:
        return None
    hi, lo, length = parsed_prefixes(catalog.prefixes)
    value = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
    best = None
    for row in np.flatnonzero(_masked(hi, lo, length, value)).tolist():
        if best is None or length[row] > length[best]:
            best = row
    return None if best is None else str(catalog.prefixes["prefix"][best].as_py())


def _masked(hi: U64, lo: U64, length: U8, value: int) -> Bool:
    bits = length.astype(np.int64)
    high = np.array([value >> 64 & ~((1 << 64 - min(n, 64)) - 1) for n in range(129)], np.uint64)
    low = np.array(
        [value & (2**64 - 1) & ~((1 << 128 - max(n, 64)) - 1) for n in range(129)], np.uint64
    )
    # A short IPv6 prefix does not speak for IPv4.
    family = (bits >= 96) & (hi == 0) & (lo >> np.uint64(32) == 0xFFFF)
    held: Bool = (hi == high[bits]) & (lo == low[bits]) & (family == (value >> 32 == 0xFFFF))
    return held


def _home(side: str, end: _End, client: int, plan: Plan, catalog: Catalog) -> Step:
    region, network = plan.rules.clients[client]
    prefix = _longest_prefix(catalog, end.address)
    why = (
        f"{prefix} of prefixes.csv is the longest that holds {end}"
        if prefix
        else (f"no prefix of prefixes.csv holds {end}")
    )
    return Step(side, f"region {region}, network {network}", why)


def _service_region(service: int, match: int, end: _End, plan: Plan, catalog: Catalog) -> Step:
    pair, region = divmod(service, len(plan.rules.regions))
    product = plan.rules.pairs[pair][1]
    if match >= 0 and plan.rules.matches[match].region is not None:
        why = "the match names the region"
    else:
        prefix = _longest_prefix(catalog, end.address)
        why = f"by address: {prefix or 'no prefix'} of prefixes.csv"
    return Step("service", f"product {product}, region {plan.rules.regions[region]}", why)


def _client(
    batch: FlowBatch, decisions: c.Decisions, measures: Measures, accumulator: Accumulator
) -> Step:
    accumulator.add(batch)
    counted = len(accumulator.clients.held().cell) > 0
    number = int(decisions.client[0])
    rules = accumulator.plan.rules
    v4, v6 = rules.client_length_v4[number], rules.client_length_v6[number]
    if counted:
        why = f"one client is a subscriber id, else a /{v4} of IPv4 or a /{v6} of IPv6"
        return Step("active client", "counted", why)
    why = (
        "rejected"
        if measures.verdict[0] != COUNTED
        else (
            f"class {IP_CLASSES[decisions.ip_class[0]]}, port or kind of network: name look-ups, "
            "ICMP, infrastructure and relays show no user"
        )
    )
    return Step("active client", "not counted", why)


def _windows(batch: FlowBatch, measures: Measures, decisions: c.Decisions) -> Iterator[Window]:
    if measures.verdict[0] != COUNTED:
        return
    groups = Groups(t.MEASURES)
    # Of one exporter and one vantage, whichever these are: windows do not depend on them.
    flows = t.TrafficInputs(
        batch.start_ms,
        batch.end_ms,
        batch.packets,
        batch.octets,
        batch.family,
        np.zeros(1, np.uint32),
        np.zeros(1, np.int32),
    )
    t.add_flows(groups, flows, measures, decisions)
    keys, _, sums = groups.filled()
    for window, row in sorted(zip(t.unpack_a(keys)[0].tolist(), sums.tolist(), strict=True)):
        yield Window(window * WINDOW_MS, row[t.PACKETS], row[t.BYTES])
