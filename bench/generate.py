"""Flow files, catalog and prefix table of the benchmark. The same seed makes the same bytes.

    python -m bench.generate --flows 8 --out bench/out

makes ``bench/out/8/``: ``flows/*.parquet`` (dialect ipfix), ``slice/`` (a small file of the same
kind), ``catalog/`` (what v6share reads), ``peers/`` (the same prefixes and apps for the others).

The files are what a collector writes that uses Arrow's Parquet writer with its defaults: snappy,
dictionary pages where they stay small, a row group a million rows, 8 million flows a file; rows
in the order of export, so that ends are nearly ascending and starts lag behind by the duration.
"""

import argparse
import ipaddress
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.prefixes import (
    MAPPED,
    SERVICE_V4_OCTET,
    SERVICE_V6_BLOCK,
    U64,
    Intervals,
    PrefixTable,
    binary_addresses,
    draw_prefixes,
    draw_v4,
    draw_v6,
    flatten,
)

VERSION: Final = 3  # raise it when the same options make other data
SEED: Final = 20_260_601
MILLION: Final = 1_000_000
FILE_ROWS: Final = 8 * MILLION
GROUP_ROWS: Final = MILLION
SLICE_ROWS: Final = 200_000
RATE: Final = 10_000  # flow records a second, of all exporters together
FIRST_MS: Final = 1_780_272_000_000  # 2026-06-01 00:00 UTC

APPS: Final = 20
REGIONS: Final = 40
NETWORKS: Final = 30
PAIRS: Final = 100  # (region, network) pairs that exist: a network is in a few regions
SERVERS: Final = 256  # addresses in use per app and family
APP_PORTS: Final = (80, 443)
OTHER_PORTS: Final = (22, 25, 993, 5222, 8080)
INTERVALS: Final = (1000, 1000, 1000, 2000, 2000, 512, 100, 1)  # sampling, one an exporter

SCHEMA: Final = pa.schema(
    [
        ("flowStartMilliseconds", pa.timestamp("ms")),
        ("flowEndMilliseconds", pa.timestamp("ms")),
        ("sourceIPAddress", pa.binary(16)),
        ("destinationIPAddress", pa.binary(16)),
        ("protocolIdentifier", pa.uint8()),
        ("sourceTransportPort", pa.uint16()),
        ("destinationTransportPort", pa.uint16()),
        ("octetDeltaCount", pa.uint64()),
        ("packetDeltaCount", pa.uint64()),
        ("samplingInterval", pa.uint32()),
        ("tcpControlBits", pa.uint16()),
        ("exporterIPv4Address", pa.string()),
    ]
)


@dataclass(frozen=True)
class World:
    """What all flow files share. ``pairs`` are (region, network) of the table's values."""

    table: PrefixTable
    pairs: NDArray[np.int64]
    service_hi: U64  # one service prefix a row: IPv4 of every app, then IPv6 of every app
    service_lo: U64
    service_length: NDArray[np.int64]
    service_pair: NDArray[np.int64]


def draw_world() -> World:
    """Prefix table, regions, networks and service prefixes, from the seed alone."""
    rng = np.random.Generator(np.random.SFC64(SEED))
    pairs = np.stack([rng.integers(0, REGIONS, PAIRS), np.arange(PAIRS) % (NETWORKS - 1)], axis=1)
    number = np.arange(APPS, dtype=np.uint64)
    v4 = MAPPED | np.uint64(SERVICE_V4_OCTET << 24) | (number << np.uint64(16))
    v6 = np.uint64(SERVICE_V6_BLOCK << 48) | (number << np.uint64(32))
    none = np.zeros(APPS, dtype=np.uint64)
    # The services' network is the last one, and no client's.
    sites = np.stack([rng.integers(0, REGIONS, APPS), np.full(APPS, NETWORKS - 1)], axis=1)
    return World(
        draw_prefixes(rng, PAIRS),
        np.concatenate([pairs, sites]),
        np.concatenate([none, v6]),
        np.concatenate([v4, none]),
        np.repeat([96 + 20, 40], APPS),
        np.tile(PAIRS + np.arange(APPS), 2),
    )


def draw_flows(
    world: World, rng: np.random.Generator, first_ms: float, rows: int, rate: int
) -> pa.Table:
    """``rows`` flows that are exported evenly, ``rate`` a second, from ``first_ms`` on."""
    app = (APPS * rng.random(rows) ** 2).astype(np.int64)
    is_v6 = rng.random(rows) < 0.5
    client_hi, client_lo = _draw_clients(world, rng, is_v6)
    service = app + APPS * is_v6
    service_hi = world.service_hi[service]
    service_lo = world.service_lo[service] + rng.integers(1, SERVERS, rows, dtype=np.uint64)
    client_port = rng.integers(32_768, 61_000, rows, dtype=np.uint16)
    service_port = rng.choice(
        np.array([443, 443, 443, 443, 443, 443, 443, 80, 80, *OTHER_PORTS], dtype=np.uint16), rows
    )
    up = rng.random(rows) < 0.4
    start, end = _draw_times(rng, first_ms, rows, rate)
    packets = rng.geometric(0.5, rows).astype(np.uint64)
    size = np.where(rng.random(rows) < 0.5, 1460, rng.integers(52, 1460, rows))
    size = np.where(up, rng.integers(40, 600, rows), size).astype(np.uint64)
    udp = (rng.random(rows) < 0.3) & (service_port == 443)
    exporter = rng.integers(0, len(INTERVALS), rows)
    return pa.table(
        [
            pa.array(start.view("datetime64[ms]")),
            pa.array(end.view("datetime64[ms]")),
            binary_addresses(
                np.where(up, client_hi, service_hi), np.where(up, client_lo, service_lo)
            ),
            binary_addresses(
                np.where(up, service_hi, client_hi), np.where(up, service_lo, client_lo)
            ),
            np.where(udp, 17, 6).astype(np.uint8),
            np.where(up, client_port, service_port),
            np.where(up, service_port, client_port),
            packets * size,
            packets,
            np.array(INTERVALS, dtype=np.uint32)[exporter],
            np.where(udp, 0, rng.choice(np.array([16, 24, 2, 18, 27], np.uint16), rows)).astype(
                np.uint16
            ),
            pa.DictionaryArray.from_arrays(exporter.astype(np.int8), exporter_names()).cast(
                pa.string()
            ),
        ],
        schema=SCHEMA,
    )


def exporter_names() -> list[str]:
    """Addresses of the exporters."""
    return [f"10.255.0.{i + 1}" for i in range(len(INTERVALS))]


def _draw_clients(
    world: World, rng: np.random.Generator, is_v6: NDArray[np.bool_]
) -> tuple[U64, U64]:
    """A prefix at random, a host in it at random; 2 % anywhere, in the table or not."""
    rows = len(is_v6)
    table = world.table
    first_v6 = int(np.count_nonzero(table.is_v4))
    pick = np.where(
        is_v6,
        rng.integers(first_v6, len(table.hi), rows),
        rng.integers(0, first_v6, rows),
    )
    length = table.length[pick]
    ones = np.uint64(2**64 - 1)
    low_bits = ones >> np.maximum(length - 64, 0).astype(np.uint64)
    high_bits = np.where(is_v6, ones >> np.minimum(length, 63).astype(np.uint64), np.uint64(0))
    hi = table.hi[pick] | (rng.integers(0, 2**64 - 1, rows, dtype=np.uint64) & high_bits)
    lo = table.lo[pick] | (rng.integers(0, 2**64 - 1, rows, dtype=np.uint64) & low_bits)
    stray = np.flatnonzero(rng.random(rows) < 0.02)
    hi[stray] = np.where(is_v6[stray], draw_v6(rng, len(stray)), np.uint64(0))
    lo[stray] = np.where(is_v6[stray], lo[stray], MAPPED | draw_v4(rng, len(stray)))
    return hi, lo


def _draw_times(
    rng: np.random.Generator, first_ms: float, rows: int, rate: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends: a third are moments, most last seconds, 1 % up to half an hour."""
    exported = first_ms + np.arange(rows) * (1000 / rate)
    kind = rng.random(rows)
    lasting = np.minimum(rng.exponential(10_000, rows), 60_000)
    duration = np.where(
        kind < 0.35, 0, np.where(kind < 0.99, lasting, 1_800_000 * rng.random(rows))
    )
    end = exported.astype(np.int64) - rng.integers(0, 5_000, rows)
    return end - duration.astype(np.int64), end


def write_flows(world: World, path: Path, index: int, rows: int, rate: int) -> None:
    """File ``index``: ``rows`` flows of its time. A row group has a generator of its own."""
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for group, at in enumerate(range(0, rows, GROUP_ROWS)):
            rng = np.random.Generator(np.random.SFC64((SEED, index, group)))
            first = FIRST_MS + (index * FILE_ROWS + at) * (1000 / rate)
            count = min(GROUP_ROWS, rows - at)
            flows = draw_flows(world, rng, first, count, rate)
            writer.write_table(flows, row_group_size=GROUP_ROWS)


def prefix_texts(hi: U64, lo: U64, length: NDArray[np.int64]) -> list[str]:
    """CIDR texts."""
    texts = []
    for h, l, n in zip(hi.tolist(), lo.tolist(), length.tolist(), strict=True):  # noqa: E741
        if h == 0 and l >> 32 == 0xFFFF:
            texts.append(f"{l >> 24 & 255}.{l >> 16 & 255}.{l >> 8 & 255}.{l & 255}/{n - 96}")
        else:
            texts.append(f"{ipaddress.IPv6Address(h << 64 | l)}/{n}")
    return texts


def interval_cidrs(intervals: Intervals) -> tuple[list[str], list[int]]:
    """The disjoint ranges that have a value, as CIDR texts, and the value of each."""
    both = zip(intervals.hi.tolist(), intervals.lo.tolist(), strict=True)
    starts = [hi << 64 | lo for hi, lo in both]
    texts, values = [], []
    bounds = zip(starts, [*starts[1:], 1 << 128], intervals.value.tolist(), strict=True)
    for start, end, value in bounds:
        if value >= 0:
            cidrs = ipaddress.summarize_address_range(_address(start), _address(end - 1))
            texts += map(str, cidrs)
            values += [value] * (len(texts) - len(values))
    return texts, values


def _address(number: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(number)
    return address.ipv4_mapped or address


def write_catalog(world: World, intervals: Intervals, catalog: Path, peers: Path) -> None:
    """The catalog for v6share, and the same content as code tables for the peers."""
    catalog.mkdir(parents=True)
    peers.mkdir(parents=True)
    apps = [f"app-{i:02d}" for i in range(APPS)]
    service = prefix_texts(world.service_hi, world.service_lo, world.service_length)
    names = _pair_names(world)
    texts = prefix_texts(world.table.hi, world.table.lo, world.table.length) + service
    value = np.concatenate([world.table.value, world.service_pair])
    _write_csv(
        catalog / "prefixes.csv",
        {
            "prefix": texts,
            "region": [names[v][0] for v in value.tolist()],
            "network": [names[v][1] for v in value.tolist()],
        },
    )
    kinds = ["mobile" if i % 2 else "fixed" for i in range(NETWORKS - 1)] + ["datacenter"]
    _write_csv(
        catalog / "networks.csv",
        {
            "network": [_network(i) for i in range(NETWORKS)],
            "kind": kinds,
            "client_prefix_v4": ["32"] * NETWORKS,
            "client_prefix_v6": ["64" if k == "mobile" else "56" for k in kinds],
        },
    )
    count = len(INTERVALS)
    _write_csv(
        catalog / "exporters.csv",
        {
            "exporter": exporter_names(),
            "vantage": ["edge"] * count,
            "role": ["border"] * count,
            "sampling_interval": [str(n) for n in INTERVALS],
            "white_box": ["false"] * count,
        },
    )
    (catalog / "apps.toml").write_text(
        "".join(
            f'[[app]]\nid = "{app}"\nname = "App {i:02d}"\nmatch = [\n'
            f'  {{ prefix = "{service[i]}", port = {list(APP_PORTS)} }},\n'
            f'  {{ prefix = "{service[APPS + i]}", port = {list(APP_PORTS)} }},\n]\n\n'
            for i, app in enumerate(apps)
        )
    )
    (catalog / "transition.toml").write_text("")
    _write_peer_tables(world, intervals, texts, value, peers)


def _region(number: int) -> str:
    return f"region-{number:02d}"


def _network(number: int) -> str:
    return f"network-{number:02d}"


def _pair_names(world: World) -> list[tuple[str, str]]:
    return [(_region(r), _network(n)) for r, n in world.pairs.tolist()]


def _write_csv(path: Path, columns: dict[str, list[str]]) -> None:
    csv.write_csv(
        pa.table(columns), path, csv.WriteOptions(quoting_style="none", quoting_header="none")
    )


def _write_peer_tables(
    world: World, intervals: Intervals, texts: list[str], value: NDArray[np.int64], peers: Path
) -> None:
    """Prefixes, flat intervals and these as CIDRs with one small code each, and what it stands for.

    code 0 is "no prefix"; 1 .. PAIRS are clients' (region, network); the rest are apps, one code
    an app. The peers get this ready made; v6share parses and flattens the text in its own time.
    """
    names = _pair_names(world)
    codes = {
        "code": [0, *range(1, len(names) + 1)],
        "region": ["unknown", *(r for r, _ in names)],
        "network": ["unknown", *(n for _, n in names)],
        "app": ["", *([""] * PAIRS), *(f"app-{i:02d}" for i in range(APPS))],
    }
    pq.write_table(pa.table(codes).cast(_code_schema()), peers / "codes.parquet")
    pq.write_table(
        pa.table({"prefix": texts, "code": (value + 1).astype(np.uint32)}),
        peers / "prefixes.parquet",
    )
    cidrs, cidr_values = interval_cidrs(intervals)
    pq.write_table(
        pa.table({"prefix": cidrs, "code": (np.array(cidr_values) + 1).astype(np.uint32)}),
        peers / "cidrs.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "start": binary_addresses(intervals.hi, intervals.lo),
                "code": (intervals.value + 1).astype(np.uint32),
            }
        ),
        peers / "intervals.parquet",
    )


def _code_schema() -> pa.Schema:
    text = pa.string()
    return pa.schema([("code", pa.uint32()), ("region", text), ("network", text), ("app", text)])


def _with_services(world: World) -> PrefixTable:
    table = world.table
    return PrefixTable(
        np.concatenate([table.hi, world.service_hi]),
        np.concatenate([table.lo, world.service_lo]),
        np.concatenate([table.length, world.service_length]),
        np.concatenate([table.value, world.service_pair]),
    )


def folder_of(out: Path, millions: int, rate: int) -> Path:
    """Where a set stands."""
    return out / (str(millions) if rate == RATE else f"{millions}-at-{rate}")


def generate(millions: int, out: Path, rate: int = RATE, threads: int = 2) -> Path:
    """Make the set of so many million flows below ``out`` unless it is there; return its folder."""
    target = folder_of(out, millions, rate)
    stamp = {"version": VERSION, "seed": SEED, "flows": millions * MILLION, "rate": rate}
    if _stamped(target) == stamp:
        return target
    shutil.rmtree(target, ignore_errors=True)
    world = draw_world()
    intervals = flatten(_with_services(world))
    write_catalog(world, intervals, target / "catalog", target / "peers")
    (target / "flows").mkdir()
    (target / "slice").mkdir()
    jobs = [(target / "slice" / "flows-slice.parquet", 0, SLICE_ROWS)]
    for index, at in enumerate(range(0, millions * MILLION, FILE_ROWS)):
        rows = min(FILE_ROWS, millions * MILLION - at)
        jobs.append((target / "flows" / f"flows-{index:03d}.parquet", index, rows))
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda job: write_flows(world, *job, rate), jobs):
            pass
    # Last, so that an interrupted run is made again.
    stamp_now = {**stamp, "prefixes": len(world.table.hi), "intervals": len(intervals.hi)}
    (target / "made.json").write_text(json.dumps(stamp_now))
    return target


def _stamped(target: Path) -> dict[str, int] | None:
    path = target / "made.json"
    if not path.exists():
        return None
    made = json.loads(path.read_text())
    return {key: made.get(key) for key in ("version", "seed", "flows", "rate")}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--flows", type=int, default=8, help="million flows (default 8)")
    parser.add_argument("--rate", type=int, default=RATE, help="flow records a second")
    parser.add_argument("--out", type=Path, default=Path("bench/out"))
    options = parser.parse_args()
    began = time.perf_counter()
    target = generate(options.flows, options.out, options.rate)
    made = json.loads((target / "made.json").read_text())
    size = sum(p.stat().st_size for p in (target / "flows").iterdir())
    seconds = time.perf_counter() - began
    print(
        f"{target}: {made['flows']:,} flows, {size / made['flows']:.1f} bytes a flow,"
        f" {made['prefixes']:,} prefixes, {made['intervals']:,} intervals, {seconds:.1f} s",
        file=sys.stderr,
    )
    print(target)


if __name__ == "__main__":
    main()
