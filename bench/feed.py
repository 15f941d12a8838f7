"""Flow files for a stream: each of one minute, made from one template by shifting times and hosts.

A template is drawn once from a workspace's catalog: its exporters with their sampling intervals,
its apps' prefixes and ports as services, its own prefixes as clients. A file is the template at
another minute, with other clients of the same prefixes. So all files have the same sums, no two
have the same bytes, and one takes a few milliseconds to make.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.generate import SCHEMA as GENERATED
from bench.prefixes import MAPPED, U64, binary_addresses
from v6share.schemas.catalog.models import Catalog

SEED: Final = 20_260_601
MINUTE_MS: Final = 60_000
HOSTS: Final = 1 << 16
# Odd, so that the hosts of up to so many files differ.
HOSTS_APART: Final = 4_099
USUAL_INTERVAL: Final = 1_000  # of exporters for which the catalog states none
# The columns of bench.generate, with round-trip times, and exporters of both families.
SCHEMA: Final = pa.schema(
    [
        *(field for field in GENERATED if field.name != "exporterIPv4Address"),
        pa.field("rttClientMicroseconds", pa.uint32()),
        pa.field("exporterIPAddress", pa.string()),
    ]
)


@dataclass(frozen=True)
class Sums:
    """What flows add to traffic_5m. packets, bytes: scaled by the sampling interval."""

    records: int = 0
    packets: int = 0
    bytes: int = 0
    sampled_packets: int = 0
    sampled_bytes: int = 0

    def __mul__(self, files: int) -> "Sums":
        return Sums(*(files * value for value in vars(self).values()))

    def __sub__(self, other: "Sums") -> "Sums":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Sums(*(one - less for one, less in pairs))


@dataclass(frozen=True)
class Template:
    """Flows of one minute, a row each.

    columns: those that are the same in every file, as in SCHEMA. start_ms, end_ms: since the minute
    began. client_hi, client_lo: the client's prefix, as 128 bits; hosts: its number in the prefix
    and below HOSTS; host_bits: how many bits the number may have. up: the client is the source.
    """

    columns: pa.Table
    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    client_hi: U64
    client_lo: U64
    hosts: NDArray[np.int64]
    host_bits: NDArray[np.int64]
    is_v6: NDArray[np.bool_]
    service: pa.Array
    up: NDArray[np.bool_]
    sums: Sums


@dataclass(frozen=True)
class _Prefixes:
    """Networks as numbers: the address in two halves, and the bits that a host may have there.

    Of IPv6 these are the bits above the /56 that stands for one client.
    """

    hi: U64
    lo: U64
    host_bits: NDArray[np.int64]
    is_v6: NDArray[np.bool_]


def draw_template(catalog: Catalog, rows: int) -> Template:
    """A template of so many rows; the same one for the same catalog.

    Raises ValueError where the catalog has no exporter, no own prefix or no app with a prefix.
    """
    rng = np.random.Generator(np.random.SFC64(SEED))
    services, ports, protocols = _services(catalog)
    clients = _as_numbers([ip_network(text) for text in catalog.prefixes["prefix"].to_pylist()])
    service = rng.integers(0, len(ports), rows)
    client = _clients_of_family(rng, clients, services.is_v6[service])
    # A service stands at one of the first addresses of its prefix.
    service_lo = services.lo[service] + rng.integers(0, 8, rows, dtype=np.uint64)
    up = rng.random(rows) < 0.4
    start = np.arange(rows) * (MINUTE_MS // 2) // rows
    end = start + np.minimum(rng.exponential(5_000, rows), MINUTE_MS // 2 - 1).astype(np.int64)
    columns, sums = _draw_columns(rng, catalog, up, ports[service], protocols[service])
    return Template(
        columns=columns,
        start_ms=start,
        end_ms=end,
        client_hi=clients.hi[client],
        client_lo=clients.lo[client],
        hosts=rng.integers(0, HOSTS, rows),
        host_bits=clients.host_bits[client],
        is_v6=clients.is_v6[client],
        service=binary_addresses(services.hi[service], service_lo),
        up=up,
        sums=sums,
    )


def flows_of(template: Template, minute: datetime, number: int) -> pa.Table:
    """The flow file of a number, at a minute (UTC, without zone): a table as SCHEMA says."""
    begin = np.datetime64(minute, "ms").astype(np.int64)
    hosts = ((template.hosts + number * HOSTS_APART) % HOSTS) & ((1 << template.host_bits) - 1)
    v6 = template.is_v6
    # A host of IPv6 has a /56 of its own, the longest prefix that stands for one client.
    hi = template.client_hi | (np.where(v6, hosts, 0).astype(np.uint64) << np.uint64(8))
    lo = template.client_lo | np.where(v6, 1, hosts).astype(np.uint64)
    client = binary_addresses(hi, lo)
    added = {
        "flowStartMilliseconds": (begin + template.start_ms).view("datetime64[ms]"),
        "flowEndMilliseconds": (begin + template.end_ms).view("datetime64[ms]"),
        "sourceIPAddress": _choose(template.up, client, template.service),
        "destinationIPAddress": _choose(template.up, template.service, client),
    }
    arrays = {**added, **dict(zip(template.columns.column_names, template.columns, strict=True))}
    return pa.table([arrays[name] for name in SCHEMA.names], schema=SCHEMA)


def write_flows(template: Template, path: Path, minute: datetime, number: int) -> None:
    """Write ``flows_of`` as Parquet."""
    pq.write_table(flows_of(template, minute, number), path)


def _choose(which: NDArray[np.bool_], one: pa.Array, other: pa.Array) -> pa.Array:
    """Addresses of one array where ``which`` says so, else of the other."""
    both = [np.frombuffer(array.buffers()[1], dtype="V16") for array in (one, other)]
    chosen = np.where(which, *both)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(which), [None, pa.py_buffer(chosen)]
    )


def _services(catalog: Catalog) -> tuple[_Prefixes, NDArray[np.uint16], NDArray[np.uint8]]:
    """Prefix, port and protocol of every match that a prefix decides."""
    matches = [one for app in catalog.apps for one in app.matches if one.prefix and not one.shared]
    if not matches:
        raise ValueError("apps.toml: found no app with a prefix, expected one")
    ports = [match.ports[0][0] if match.ports else 443 for match in matches]
    protocols = [match.protocols[0] if match.protocols else 6 for match in matches]
    networks = [match.prefix for match in matches if match.prefix]
    return _as_numbers(networks), np.array(ports, np.uint16), np.array(protocols, np.uint8)


def _as_numbers(networks: Sequence[IPv4Network | IPv6Network]) -> _Prefixes:
    def halves() -> Iterator[tuple[int, int, int, bool]]:
        for network in networks:
            number = int(network.network_address)
            if network.version == 4:
                yield 0, int(MAPPED) | number, min(16, 32 - network.prefixlen), False
            else:
                hi, lo = number >> 64, number & (2**64 - 1)
                yield hi, lo, min(16, max(0, 56 - network.prefixlen)), True

    columns = list(zip(*halves(), strict=True)) or [(), (), (), ()]
    return _Prefixes(
        np.array(columns[0], np.uint64),
        np.array(columns[1], np.uint64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.bool_),
    )


def _clients_of_family(
    rng: np.random.Generator, clients: _Prefixes, is_v6: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The index of a client prefix for each flow, of the family of its service."""
    chosen = np.empty(len(is_v6), np.int64)
    for family, rows in ((True, is_v6), (False, ~is_v6)):
        possible = np.flatnonzero(clients.is_v6 == family)
        if not len(possible):
            raise ValueError(
                f"prefixes.csv: found no prefix of {'IPv6' if family else 'IPv4'}, expected one"
            )
        chosen[rows] = rng.choice(possible, np.count_nonzero(rows))
    return chosen


def _draw_columns(
    rng: np.random.Generator,
    catalog: Catalog,
    up: NDArray[np.bool_],
    service_port: NDArray[np.uint16],
    protocol: NDArray[np.uint8],
) -> tuple[pa.Table, Sums]:
    """What does not change from file to file, and the sums of it."""
    if not catalog.exporters:
        raise ValueError("exporters.csv: found no exporter, expected one")
    rows = len(up)
    exporter = rng.integers(0, len(catalog.exporters), rows)
    stated = [one.sampling_interval or USUAL_INTERVAL for one in catalog.exporters]
    interval = np.array(stated, np.int64)[exporter]
    packets = rng.geometric(0.4, rows)
    octets = packets * np.where(up, rng.integers(60, 600, rows), rng.integers(200, 1_460, rows))
    client_port = rng.integers(32_768, 61_000, rows, dtype=np.uint16)
    is_tcp = protocol == 6
    flags = np.where(is_tcp, rng.choice(np.array([2, 16, 24, 27]), rows), 0)
    is_timed = is_tcp & (rng.random(rows) < 0.3)
    names = np.array([one.exporter for one in catalog.exporters])[exporter]
    columns = {
        "protocolIdentifier": protocol,
        "sourceTransportPort": np.where(up, client_port, service_port),
        "destinationTransportPort": np.where(up, service_port, client_port),
        "octetDeltaCount": octets.astype(np.uint64),
        "packetDeltaCount": packets.astype(np.uint64),
        "samplingInterval": interval.astype(np.uint32),
        "tcpControlBits": flags.astype(np.uint16),
        "rttClientMicroseconds": pa.array(
            rng.integers(1_000, 200_000, rows, dtype=np.uint32), mask=~is_timed
        ),
        "exporterIPAddress": pa.array(names.tolist(), pa.string()),
    }
    sums = Sums(
        records=rows,
        packets=int((packets * interval).sum()),
        bytes=int((octets * interval).sum()),
        sampled_packets=int(packets.sum()),
        sampled_bytes=int(octets.sum()),
    )
    return pa.table(columns), sums
