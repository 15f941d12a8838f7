"""The planted rollout, as data: who serves what, where, to whom, and when IPv6 arrives.

Moments are thousandths of the span, so that a short sample tells the same story faster.
Everything here is fictional; the addresses are documentation, benchmark and shared space
(RFC 3849, RFC 9637, RFC 5737, RFC 2544, RFC 6598).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

DEFAULT_FLOWS: Final = 300_000
DEFAULT_SEED: Final = 6
DEFAULT_START: Final = date(2025, 9, 1)
DEFAULT_DAYS: Final = 210

Form = Literal["binary", "text"]
Interval = Literal["record", "catalog", "override", "selector"]
NEVER: Final = 10_000


@dataclass(frozen=True)
class Leg:
    """One kind of service of an app: the product behind it, its ports, its part of the flows.

    udp_share: part of the flows that is UDP (QUIC, media); the rest is TCP.
    """

    product: str
    port: int
    udp_share: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class App:
    """One app of the story.

    weight: part of all flows; size: factor on the packets of a flow; mix: packet sizes.
    planned: when its first region is planned; preference: ceiling of its IPv6 share.
    regions: service regions it is served from; rules: which families its catalog rules cover.
    """

    id: str
    name: str
    owner: str
    planned: int
    weight: float
    size: float
    mix: str
    legs: tuple[Leg, ...]
    preference: float = 0.968
    regions: tuple[str, ...] = ()
    rules: Literal["both", "v4_only", "shared_cdn"] = "both"


@dataclass(frozen=True)
class Network:
    """One client network.

    ipv6_since: when the operator declares it capable; -1000 and less is long before the span.
    ceiling: part of the flows that would use IPv6 once everything is enabled.
    pool: clients per region at the default number of flows; rotation_days: how long a client
    keeps its IPv6 prefix.
    """

    id: str
    kind: Literal["mobile", "fixed", "datacenter", "partner"]
    regions: tuple[tuple[str, float], ...]
    ipv6_since: int
    ceiling: float
    pool: int
    rotation_days: int
    carrier: str = ""
    subscribers: int = 0
    nat64_since: int = NEVER


@dataclass(frozen=True)
class Exporter:
    """One exporter: what it sees, how it samples, and where its interval is declared.

    interval: the truth, 1 in N. declared: ``record`` - element 34; ``catalog`` - the record is
    silent; ``override`` - the record says 1, which is wrong; ``selector`` - elements 304 to 306.
    share: part of the exported records. reach: median packets of a flow, in intervals.
    """

    address: str
    group: str
    network: str
    interval: int
    share: float
    reach: float
    declared: Interval = "record"
    role: str = "provider-edge"
    site: str = ""
    white_box: bool = False
    latency: bool = False
    core_sees: bool = False


REGIONS: Final = (
    "north-america",
    "south-america",
    "europe",
    "middle-east",
    "south-asia",
    "east-asia",
    "oceania",
)
SERVICE_REGIONS: Final = REGIONS[:6]

# Of the clients of a region, where else they are served (weights, in SERVICE_REGIONS order).
AFFINITY: Final = {
    "north-america": (86, 4, 6, 1, 1, 2),
    "south-america": (12, 80, 4, 1, 1, 2),
    "europe": (6, 2, 80, 6, 3, 3),
    "middle-east": (2, 1, 10, 78, 6, 3),
    "south-asia": (2, 1, 4, 7, 78, 8),
    "east-asia": (4, 1, 2, 1, 7, 85),
    "oceania": (14, 2, 2, 2, 15, 65),
}

PRODUCTS: Final = (
    ("cdn", "Content delivery", True),
    ("load-balancer", "Load balancer", True),
    ("api-gateway", "API gateway", True),
    ("object-store", "Object store", True),
    ("message-queue", "Message queue", False),
    ("video-live", "Live video", False),
    ("compute", "Virtual machines", True),
    ("sql-database", "SQL database", True),
    ("identity", "Identity", True),
    ("dns", "Name service", True),
    ("media-transcode", "Media transcoding", False),
    ("file-store", "File store", False),
    ("mail", "Mail", False),
    ("realtime-media", "Real-time media", False),
    ("search", "Search", False),
    ("cache", "Cache", False),
    ("edge-cache", "Edge cache on shared addresses", False),
    ("ml-inference", "Model inference", False),
    ("functions", "Functions", False),
    ("containers", "Containers", False),
    ("event-bus", "Event bus", False),
    ("data-warehouse", "Data warehouse", False),
    ("stream-analytics", "Stream analytics", False),
    ("archive", "Archive", False),
    ("document-store", "Document store", False),
    ("vpn-gateway", "VPN gateway", False),
    ("gpu-training", "GPU training", False),
)

APPS: Final = (
    App(
        "video",
        "Lumen Video",
        "media",
        10,
        9.0,
        1.6,
        "bulk",
        (Leg("cdn", 443, 0.7, 0.7), Leg("video-live", 1935, 0.0, 0.3)),
    ),
    App("social", "Ripple", "social", 30, 8.5, 1.2, "web", (Leg("api-gateway", 443, 0.5),)),
    App("market", "Bazaar", "commerce", 50, 7.5, 1.0, "web", (Leg("load-balancer", 443, 0.3),)),
    App("messenger", "Chime", "social", 70, 6.5, 1.6, "chat", (Leg("message-queue", 5222),)),
    App("maps", "Wayfinder", "mobility", 90, 6.0, 1.1, "web", (Leg("object-store", 443, 0.4),)),
    App("music", "Tempo", "media", 200, 5.0, 1.2, "bulk", (Leg("media-transcode", 443, 0.3),)),
    App("drive", "Attic Drive", "storage", 220, 4.6, 1.3, "bulk", (Leg("file-store", 443),)),
    App("mail", "Carrier Mail", "office", 300, 4.0, 0.8, "web", (Leg("mail", 993),)),
    App("meet", "Huddle", "office", 260, 4.4, 1.2, "realtime", (Leg("realtime-media", 3478, 1.0),)),
    App("search", "Seek", "search", 280, 4.2, 0.7, "web", (Leg("search", 443, 0.5),)),
    App("news", "Morning", "media", 300, 3.8, 0.8, "web", (Leg("cache", 443, 0.4),)),
    App(
        "pay",
        "Tally Pay",
        "commerce",
        320,
        3.6,
        1.2,
        "chat",
        (Leg("sql-database", 443),),
        preference=0.915,
    ),
    App("games", "Arcade", "games", 340, 3.8, 1.0, "realtime", (Leg("compute", 7777, 0.9),)),
    App(
        "shop",
        "Cartwheel",
        "commerce",
        360,
        3.2,
        1.0,
        "web",
        (Leg("edge-cache", 443, 0.4),),
        rules="shared_cdn",
    ),
    App("assist", "Sage Assistant", "ai", 380, 3.6, 0.9, "web", (Leg("ml-inference", 443),)),
    App("console", "Cloud Console", "cloud", 440, 3.0, 0.7, "web", (Leg("identity", 443),)),
    App("photos", "Darkroom", "media", 460, 3.4, 1.1, "bulk", (Leg("functions", 443, 0.2),)),
    App("registry", "Crate Registry", "cloud", 480, 3.0, 1.1, "bulk", (Leg("containers", 5000),)),
    App("events", "Relay Events", "cloud", 500, 2.8, 1.2, "chat", (Leg("event-bus", 9092),)),
    App(
        "analytics",
        "Prism Analytics",
        "cloud",
        520,
        3.0,
        0.9,
        "web",
        (Leg("data-warehouse", 443, 0.0, 0.6), Leg("stream-analytics", 9440, 0.0, 0.4)),
    ),
    App("backup", "Vault Backup", "storage", 560, 1.6, 0.25, "bulk", (Leg("archive", 8443),)),
    App(
        "wiki",
        "Common Wiki",
        "office",
        540,
        1.4,
        0.5,
        "web",
        (Leg("document-store", 443),),
        regions=("north-america", "europe", "south-asia", "east-asia"),
    ),
    App(
        "notes",
        "Margin Notes",
        "office",
        540,
        0.5,
        0.25,
        "chat",
        (Leg("document-store", 443),),
        regions=("europe", "east-asia"),
        rules="v4_only",
    ),
    App("resolver", "Safe Resolver", "network", 400, 1.4, 0.3, "chat", (Leg("dns", 443),)),
    App(
        "vpn",
        "Gatehouse VPN",
        "network",
        580,
        1.2,
        0.6,
        "realtime",
        (Leg("vpn-gateway", 51820, 1.0),),
        regions=("north-america", "europe", "south-asia", "east-asia"),
    ),
    App(
        "train",
        "Foundry Training",
        "ai",
        600,
        1.2,
        0.2,
        "bulk",
        (Leg("gpu-training", 8470),),
        regions=("north-america", "europe", "east-asia"),
    ),
)
PILOT_APPS: Final = ("video", "social", "market", "messenger", "maps")

NETWORKS: Final = (
    Network(
        "mobile-a",
        "mobile",
        (("east-asia", 0.6), ("south-asia", 0.4)),
        -2000,
        0.985,
        900,
        3,
        "Carrier A",
        2_400_000,
    ),
    Network(
        "mobile-b",
        "mobile",
        (("europe", 0.55), ("middle-east", 0.25), ("south-america", 0.2)),
        120,
        0.975,
        700,
        3,
        "Carrier B",
        1_500_000,
        nat64_since=350,
    ),
    Network(
        "fixed-a",
        "fixed",
        (("north-america", 0.6), ("europe", 0.4)),
        -2000,
        0.975,
        700,
        30,
        "Carrier C",
        900_000,
    ),
    Network(
        "fixed-b",
        "fixed",
        (("east-asia", 0.5), ("oceania", 0.25), ("south-america", 0.25)),
        300,
        0.97,
        600,
        7,
        "Carrier D",
        700_000,
    ),
    Network(
        "fixed-old",
        "fixed",
        (("south-america", 0.5), ("middle-east", 0.5)),
        NEVER,
        0.0,
        300,
        30,
        "Carrier E",
        60_000,
    ),
    Network(
        "fixed-c",
        "fixed",
        (("europe", 0.6), ("north-america", 0.4)),
        -2000,
        0.97,
        400,
        30,
        "Carrier F",
        40_000,
    ),
    Network(
        "hosting",
        "datacenter",
        (("north-america", 0.4), ("europe", 0.3), ("east-asia", 0.3)),
        -2000,
        0.96,
        60,
        365,
    ),
    Network("partner", "partner", (("south-asia", 0.5), ("europe", 0.5)), 400, 0.95, 40, 365),
)

EXPORTERS: Final = (
    Exporter("192.0.2.1", "mobile", "mobile-a", 1000, 0.22, 2.0, site="hkg1", core_sees=True),
    Exporter("192.0.2.2", "mobile", "mobile-b", 1000, 0.19, 2.0, site="fra1", core_sees=True),
    Exporter("192.0.2.3", "fixed", "fixed-a", 1000, 0.17, 1.6, site="iad1", white_box=True),
    Exporter("192.0.2.4", "fixed", "fixed-b", 4000, 0.06, 0.8, site="nrt1"),
    Exporter("192.0.2.5", "fixed", "fixed-old", 100, 0.05, 4.0, "catalog", site="gru1"),
    Exporter(
        "192.0.2.6", "probe", "fixed-c", 1, 0.09, 40.0, role="probe", site="ams1", latency=True
    ),
    Exporter("192.0.2.7", "datacenter", "hosting", 100, 0.06, 6.0, role="border", site="iad2"),
    Exporter(
        "192.0.2.8",
        "datacenter",
        "partner",
        256,
        0.04,
        3.0,
        "override",
        role="peering",
        site="bom1",
    ),
)
TRANSIT: Final = Exporter(
    "192.0.2.9", "datacenter", "", 100, 0.04, 8.0, role="border", site="fra2", white_box=True
)
CORE: Final = Exporter(
    "2001:db8::c0de:1", "core", "", 4000, 0.08, 0.0, "selector", role="core", site="fra1"
)
UNKNOWN_EXPORTER: Final = "192.0.2.66"
GROUPS: Final[dict[str, Form]] = {
    "mobile": "binary",
    "fixed": "text",
    "probe": "binary",
    "datacenter": "text",
    "core": "binary",
}

# Layer-3 packet sizes without the IPv6 surplus, and their parts, towards client and service.
MIXES: Final = {
    "bulk": (((1500, 0.90), (600, 0.04), (52, 0.06)), ((1500, 0.02), (300, 0.08), (52, 0.90))),
    "web": (((1500, 0.60), (700, 0.15), (60, 0.25)), ((1400, 0.05), (420, 0.20), (52, 0.75))),
    "chat": (((600, 0.30), (220, 0.40), (60, 0.30)), ((500, 0.20), (180, 0.45), (60, 0.35))),
    "realtime": (((1100, 0.70), (300, 0.18), (80, 0.12)), ((900, 0.55), (260, 0.25), (80, 0.20))),
}
MIX_NAMES: Final = tuple(MIXES)


@dataclass(frozen=True)
class Regression:
    """An app whose IPv6 path breaks for a while and recovers only partly."""

    app: str
    since: int
    until: int
    during: float
    afterwards: float


REGRESSION: Final = Regression("drive", 700, 767, 0.45, 0.93)
SILENT: Final = ("console", "identity", "middle-east")
LATE: Final = ("mail", "mail", "europe")
NOT_ENABLED: Final = ("backup", "archive", "south-america")
NOT_DUE: Final = ("train", "gpu-training", "europe")
# At the shared edge cache: flows whose name is hidden, and flows of somebody else's site.
CDN_NAME: Final = "static.cartwheel.example"
CDN_HIDDEN: Final = 0.012
CDN_FOREIGN: Final = 0.012
FOREIGN_NAME: Final = "www.elsewhere.example"


@dataclass(frozen=True)
class Endpoint:
    """What is to be dual-stacked and since when it is; moments in thousandths of the span."""

    app: str
    product: str
    region: str
    planned: int
    enabled: int


def app_regions(app: App) -> tuple[str, ...]:
    """The service regions of an app."""
    return app.regions or SERVICE_REGIONS


def endpoints() -> tuple[Endpoint, ...]:
    """Every planned endpoint: region after region, enabled a few thousandths after the plan."""
    return tuple(
        _endpoint(app, leg, place, region)
        for app in APPS
        for leg in app.legs
        for place, region in enumerate(app_regions(app))
    )


def _endpoint(app: App, leg: Leg, place: int, region: str) -> Endpoint:
    planned = app.planned + 14 * place
    key = (app.id, leg.product, region)
    enabled = planned + (len(app.id) * 7 + place * 3) % 9 - 4
    if key == LATE:
        enabled = planned + 120
    if key == NOT_ENABLED:
        enabled = NEVER
    if key == NOT_DUE:
        planned, enabled = 1150, NEVER
    return Endpoint(*key, planned, enabled)


def moment_day(moment: int, days: int) -> int:
    """The day of the span, from 0, of a moment in thousandths."""
    return moment * days // 1000


def moment_date(moment: int, start: date, days: int) -> date:
    """The date of a moment in thousandths of the span."""
    return start + timedelta(days=moment_day(moment, days))
