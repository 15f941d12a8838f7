"""The small odd traffic beside the apps: tunnels, overlays, RDMA, SRv6, DNS, ICMP.

Small amounts, all from one border exporter; each kind is one line of ``EXTRAS``.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from v6share.pipelines.sample import addresses as plan
from v6share.pipelines.sample import flows as true
from v6share.pipelines.sample import story
from v6share.pipelines.sample.addresses import V4, V6
from v6share.pipelines.sample.flows import Flows, Span
from v6share.schemas.aggregates import DAY_MS, IP_CLASSES

TEREDO_RELAY: Final = "192.0.2.200"
SRV6_LOCATOR: Final = "2001:db8:f600::/48"
NAT64_POOL: Final = "203.0.113.128/25"
CLASSES_WITH_CLIENTS: Final = (
    "native_v4",
    "native_v6",
    "translated",
    "6in4",
    "6to4",
    "teredo",
    "4in6",
)


@dataclass(frozen=True)
class Extra:
    """One kind: what crosses, between whom, and how much.

    client: (network, region) of the plan, or an address as text that varies in its last bits
    (IPv4) or in its /56 (IPv6). service_port: -1 for none. size: factor on the packets.
    rises: the kind replaces its IPv4 neighbour as the span goes on (RDMA moving to IPv6).
    """

    ip_class: str
    family: int
    protocol: int
    client: tuple[str, str] | str
    service: str
    service_port: int
    weight: float
    size: float
    mix: str = "web"
    app: str = ""
    product: str = ""
    service_region: str = ""
    seen_as: tuple[str, str] | None = None
    rises: int = 0


_NA: Final = ("hosting", "north-america")
_EU: Final = ("hosting", "europe")
EXTRAS: Final = (
    Extra("rocev2", V4, 17, _NA, "198.51.100.91", 4791, 42, 0.8, "bulk", rises=-1),
    Extra("rocev2", V6, 17, _NA, "2001:db8:f800::91", 4791, 42, 0.8, "bulk", rises=1),
    Extra("overlay", V4, 17, _EU, "198.51.100.89", 4789, 30, 0.5),
    Extra("overlay", V6, 17, _EU, "2001:db8:f700::89", 4789, 24, 0.5),
    Extra("gre", V4, 47, _EU, "198.51.100.47", -1, 24, 0.5),
    Extra("srv6", V6, 41, _NA, "2001:db8:f600::e1", -1, 18, 0.5),
    Extra("srv6", V6, 4, _NA, "2001:db8:f600::e2", -1, 9, 0.5),
    Extra("control", V4, 1, ("fixed-a", "europe"), "198.51.100.1", -1, 5, 0.12, "chat"),
    Extra("control", V6, 58, ("fixed-a", "europe"), "2001:db8:f001::1", -1, 5, 0.12, "chat"),
    Extra("native_v4", V4, 17, ("fixed-a", "europe"), "203.0.113.53", 53, 8, 0.05, "chat"),
    Extra("native_v6", V6, 17, ("fixed-a", "europe"), "2001:db8:f053::53", 53, 8, 0.05, "chat"),
    Extra("6in4", V4, 41, ("fixed-a", "north-america"), "198.51.100.41", -1, 6, 0.05),
    Extra("6to4", V4, 41, ("fixed-a", "north-america"), "192.88.99.1", -1, 3, 0.05),
    Extra(
        "6to4",
        V6,
        6,
        "2002:c633:6401::1",
        "2001:db8:102::1",
        443,
        3,
        0.05,
        app="video",
        product="cdn",
        service_region="europe",
        seen_as=("", ""),
    ),
    Extra("teredo", V4, 17, ("fixed-a", "north-america"), TEREDO_RELAY, 3544, 3, 0.05),
    Extra("native_v4", V4, 17, ("fixed-a", "north-america"), "198.51.100.35", 3544, 2, 0.05),
    Extra("4in6", V6, 4, ("fixed-b", "east-asia"), "2001:db8:f000::af", -1, 6, 0.06),
    Extra(
        "translated",
        V4,
        6,
        "203.0.113.128",
        "198.18.18.11",
        443,
        4,
        0.05,
        app="social",
        product="api-gateway",
        service_region="europe",
        seen_as=("mobile-b", "europe"),
    ),
)


def extra_flows(span: Span, days: tuple[int, int], n: int, rng: np.random.Generator) -> Flows:
    """The n true flows of the odd kinds in the half-open range of days, client to service."""
    start, end = true.times(span, days, n, rng)
    moment = (start - span.start_ms) / (span.end_ms - span.start_ms)
    kind = true.pick(np.array([e.weight for e in EXTRAS]), true.sequence(n, 0.754877, rng))
    kind = _risen(kind, moment, rng)
    exporter = story.TRANSIT
    sizes = np.array([e.size for e in EXTRAS])[kind] * exporter.reach * exporter.interval
    drawn = 1 + np.exp(true.SPREAD * rng.standard_normal(n)) * sizes
    packets = drawn.astype(np.int64)
    client = _clients(kind, (start - span.start_ms) // DAY_MS, rng)
    return _flows_of(kind, start, np.where(packets == 1, start, end), packets, client, rng)


def _risen(kind: plan.I64, moment: true.F64, rng: np.random.Generator) -> plan.I64:
    """RDMA by time: IPv4 and IPv6 of it trade places as the fabric moves."""
    rises = np.array([e.rises for e in EXTRAS])
    old, new = int(np.argmin(rises)), int(np.argmax(rises))
    six = rng.random(len(kind)) < 0.25 + 0.55 * moment
    return np.where(rises[kind] != 0, np.where(six, new, old), kind)


def _clients(kind: plan.I64, day: plan.I64, rng: np.random.Generator) -> plan.Halves:
    """Client addresses: by the plan, from a reserved corner, or around a literal."""
    high, low = np.zeros(len(kind), np.uint64), np.zeros(len(kind), np.uint64)
    host = rng.integers(0, 12, len(kind))
    for number, extra in enumerate(EXTRAS):
        rows = np.flatnonzero(kind == number)
        if isinstance(extra.client, str):
            base = plan.halves(extra.client)
            step = (1 << 8, 0) if extra.family == V6 else (0, 1)
            high[rows] = np.uint64(base[0]) + (host[rows] * step[0]).astype(np.uint64)
            low[rows] = np.uint64(base[1]) + (host[rows] * step[1]).astype(np.uint64)
            continue
        network, region = (np.full(len(rows), i, np.int64) for i in _place(extra.client))
        sid = 0xFE000 + host[rows]
        pair = (
            plan.client_v4(network, region, sid)
            if extra.family == V4
            else plan.client_v6(network, region, sid, 0 * day[rows], np.zeros(len(rows), np.bool_))
        )
        high[rows], low[rows] = pair
    return high, low


def _place(names: tuple[str, str]) -> tuple[int, int]:
    networks = [network.id for network in story.NETWORKS]
    network = networks.index(names[0]) if names[0] else true.UNKNOWN_NETWORK
    region = story.REGIONS.index(names[1]) if names[1] else true.UNKNOWN_REGION
    return network, region


def _number(names: tuple[str, ...], name: str, unknown: int) -> int:
    return names.index(name) if name else unknown


_APP_NAMES: Final = tuple(app.id for app in story.APPS)
_PRODUCT_NAMES: Final = tuple(name for name, _, _ in story.PRODUCTS)


def _flows_of(
    kind: plan.I64,
    start: plan.I64,
    end: plan.I64,
    packets: plan.I64,
    client: plan.Halves,
    rng: np.random.Generator,
) -> Flows:
    n = len(kind)

    def of(values: list[int]) -> plan.I64:
        return np.array(values, np.int64)[kind]

    places = [
        _place(e.seen_as or (e.client if isinstance(e.client, tuple) else ("", ""))) for e in EXTRAS
    ]
    services = [plan.halves(e.service) for e in EXTRAS]
    mix = of([story.MIX_NAMES.index(e.mix) for e in EXTRAS])
    family, port = of([e.family for e in EXTRAS]), of([e.service_port for e in EXTRAS])
    counts, sizes = true.size_classes(
        mix, np.ones(n, np.int64), packets, family == V6, np.zeros(n, np.bool_)
    )
    absent = np.full(n, -1, np.int64)
    return Flows(
        exporter=np.zeros(n, np.int64),
        start_ms=start,
        end_ms=end,
        counts=counts,
        sizes=sizes,
        app=of([_number(_APP_NAMES, e.app, true.UNKNOWN_APP) for e in EXTRAS]),
        product=of([_number(_PRODUCT_NAMES, e.product, true.UNKNOWN_PRODUCT) for e in EXTRAS]),
        network=of([p[0] for p in places]),
        client_region=of([p[1] for p in places]),
        service_region=of(
            [_number(story.REGIONS, e.service_region, true.UNKNOWN_REGION) for e in EXTRAS]
        ),
        family=family,
        ip_class=of([IP_CLASSES.index(e.ip_class) for e in EXTRAS]),
        protocol=of([e.protocol for e in EXTRAS]),
        to_service=np.ones(n, np.bool_),
        client_hi=client[0],
        client_lo=client[1],
        service_hi=np.array([s[0] for s in services], np.uint64)[kind],
        service_lo=np.array([s[1] for s in services], np.uint64)[kind],
        client_port=np.where(port < 0, -1, rng.integers(49_152, 65_536, n) & ~np.int64(0x0F)),
        service_port=port,
        has_syn=np.zeros(n, np.bool_),
        unanswered=np.zeros(n, np.bool_),
        subscriber=absent,
        client_key=true.client_key(*client, np.full(n, 56, np.int64)),
        qualifies=of([_qualifies(e) for e in EXTRAS]) > 0,
        server_name=np.zeros(n, np.int64),
        rtt_client_us=absent,
        rtt_service_us=absent,
        lost=absent,
    )


def _qualifies(extra: Extra) -> int:
    return int(extra.ip_class in CLASSES_WITH_CLIENTS and extra.service_port != 53)
