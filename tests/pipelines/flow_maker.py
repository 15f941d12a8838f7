"""Flow batches from plain tuples, for tests."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import numpy as np

from v6share.pipelines.kernels.flow_batch import Coded, FlowBatch
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.flow import PLAIN_COLUMNS, Plain
from v6share.schemas.source_kinds import Form

START_MS = 1_750_000_000_000

CATALOG_TEXTS = {
    "products.toml": b"""
[[product]]
id = "edge"
name = "Edge"
core = true
""",
    "apps.toml": b"""
[[app]]
id = "video"
name = "Video"
product = "edge"
match = [
  { prefix = "198.18.1.0/24", port = 443, region = "west" },
  { prefix = "2001:db8:1::/48", port = [443, "8000-8010"], protocol = ["tcp", "udp"] },
  { server_name = "video.example" },
]
[[app]]
id = "shop"
name = "Shop"
match = [
  { prefix = "198.18.0.0/16" },
  { prefix = "2001:db8:2::/48" },
  { asn = 64500, port = 80 },
  { app_name = "shopping" },
]
""",
    "networks.csv": (
        b"network,kind,client_prefix_v4,client_prefix_v6\n"
        b"mob,mobile,,\nfix,fixed,,\nvpn,relay,,\ndc,datacenter,,\n"
    ),
    "prefixes.csv": (
        b"prefix,region,network\n"
        b"10.0.0.0/8,north,mob\n10.1.0.0/16,south,fix\n10.9.0.0/16,south,vpn\n"
        b"2a00:100::/32,north,mob\n2a00:100:8000::/33,south,fix\n2a00:900::/32,south,vpn\n"
        b"198.18.0.0/16,east,dc\n2001:db8::/32,east,dc\n"
    ),
    "exporters.csv": (
        b"exporter,vantage,role,sampling_interval,white_box,override\n"
        b"192.0.2.1,edge,border,,false,false\n"
        b"192.0.2.2,core,spine,500,false,true\n"
        b"192.0.2.3,edge,border,100,false,false\n"
    ),
    "transition.toml": b"""
nat64 = ["2a00:64::/96", "2a00:65::/48"]
nat64_pool_v4 = ["10.200.0.0/16"]
map_t = ["2a00:77::/48"]
clat = ["2a00:78::/96"]
sixrd_relays = ["10.66.0.1/32"]
teredo_relays = ["10.67.0.1/32"]
srv6_locators = ["2a00:5600::/32"]
""",
}


def catalog(**replaced: bytes) -> Catalog:
    return parse_catalog({**CATALOG_TEXTS, **replaced})


def halves(address: str) -> tuple[int, int]:
    """The two words of an address; '' is absent."""
    if not address:
        return 0, 0
    parsed = ip_address(address)
    value = int(parsed) | (0xFFFF << 32) if isinstance(parsed, IPv4Address) else int(parsed)
    return value >> 64, value & (2**64 - 1)


def family_of(src: str, dst: str) -> int:
    shown = {ip_address(a).version for a in (src, dst) if a}
    return {frozenset({4}): 1, frozenset({6}): 2}.get(frozenset(shown), 0)


def coded(texts: list[str | None]) -> Coded:
    values = tuple(sorted({t for t in texts if t is not None}))
    return Coded(np.array([-1 if t is None else values.index(t) for t in texts], np.int32), values)


def plain(column: Plain, rows: list[dict]) -> Coded | np.ndarray | None:
    """A plain column of these rows; None where none has it."""
    if not any(column.name in row for row in rows):
        return None
    if column.form in (Form.NUMBER, Form.FLAGS):
        return np.array([r.get(column.name, -1) for r in rows], f"int{column.bits}")
    return coded([r.get(column.name) for r in rows])


def flows(rows: list[dict]) -> FlowBatch:
    """One batch; every row names what differs from a plain 10-packet TCP flow of 2 seconds."""
    filled = [
        {
            "src": "10.0.0.1",
            "dst": "198.18.1.1",
            "protocol": 6,
            "src_port": 40000,
            "dst_port": 443,
            "start": 0,
            "duration": 2000,
            "packets": 10,
            "octets": 5000,
            "flags": 2,
            "exporter": "192.0.2.1",
            "num": 1,
            "den": 1,
            **row,
        }
        for row in rows
    ]

    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([r[name] for r in filled], dtype)

    src = np.array([halves(r["src"]) for r in filled], np.uint64).reshape(-1, 2)
    dst = np.array([halves(r["dst"]) for r in filled], np.uint64).reshape(-1, 2)
    start = START_MS + column("start", np.int64)
    batch = FlowBatch(
        src_hi=src[:, 0].copy(),
        src_lo=src[:, 1].copy(),
        dst_hi=dst[:, 0].copy(),
        dst_lo=dst[:, 1].copy(),
        family=np.array([family_of(r["src"], r["dst"]) for r in filled], np.uint8),
        start_ms=start,
        end_ms=start + column("duration", np.int64),
        faults=np.array([r.get("faults", 0) for r in filled], np.uint16),
        packets=column("packets", np.int64),
        octets=column("octets", np.int64),
        protocol=column("protocol", np.int16),
        **{c.name: plain(c, filled) for c in PLAIN_COLUMNS if c.name != "tcp_flags"},
        tcp_flags=column("flags", np.int16),
        sampling_num=column("num", np.int64),
        # As in a batch of a file: none where every interval is whole.
        sampling_den=None if all(r["den"] == 1 for r in filled) else column("den", np.int64),
    )
    extra: dict = {}
    for name, dtype, absent in (
        ("layer2_octets", np.int64, 0),
        ("pre_scaled", np.bool_, False),
        ("consumed", np.bool_, False),
        ("segment_routing", np.bool_, False),
        ("egress", np.bool_, False),
        ("underlay", np.uint8, 0),
        ("outer_protocol", np.int16, -1),
    ):
        if any(name in r for r in filled):
            extra[name] = np.array([r.get(name, absent) for r in filled], dtype)
    if any("outer_dst" in r for r in filled):
        outer = np.array([halves(r.get("outer_dst", "")) for r in filled], np.uint64)
        extra |= {"outer_dst_hi": outer[:, 0].copy(), "outer_dst_lo": outer[:, 1].copy()}
    if any("family" in r for r in filled):
        extra["family"] = np.array(
            [r.get("family", family_of(r["src"], r["dst"])) for r in filled], np.uint8
        )
    if any("row" in r for r in filled):
        extra["source_rows"] = column("row", np.int64)
    return replace(batch, **extra)
