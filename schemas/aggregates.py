"""The aggregate tables: what flows become. Integers only; a ratio exists only in a view.

Each table is a monoid: rows with equal keys merge column by column (``Column.merge``), in any
order and any partition, to the same table. Times are UTC window starts, without zone.
"""

from typing import Final

from v6share.schemas.columns import Column, Kind, Merge, Table

IP_CLASSES: Final = (
    "unknown",
    "native_v4",
    "native_v6",
    "6in4",
    "6to4",
    "6rd",
    "isatap",
    "teredo",
    "4in6",
    "translated",
    "6in6",
    "gre",
    "ipip",
    "overlay",
    "rocev2",
    "srv6",
    "control",
)
FAMILIES: Final = ("unknown", "v4", "v6")
UNDERLAYS: Final = ("none", "v4", "v6")
DIRECTIONS: Final = ("unknown", "to_client", "to_service")
SCOPES: Final = ("all", "app", "product", "client_region", "network")
SIDES: Final = ("client", "service")
UNCLASSIFIED: Final = "unclassified"
UNKNOWN: Final = "unknown"
UNLISTED: Final = "unlisted"

WINDOW_MS: Final = 300_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

THETA_SIZE: Final = 4096
THETA_MAX: Final = 2**64 - 1


def _key(name: str, meaning: str, kind: Kind = Kind.TEXT) -> Column:
    return Column(name, kind, meaning)


def _sum(name: str, meaning: str, unit: str, kind: Kind = Kind.BIGINT) -> Column:
    return Column(name, kind, meaning, unit, Merge.SUM)


_VANTAGE = _key("vantage", "where the exporter stands, from exporters.csv; else unlisted")
_APP = _key("app", "app id from apps.toml; else unclassified")
_CLIENT_REGION = _key("client_region", "region of the client's address; else unknown")
_NETWORK = _key("network", "network of the client's address; else unknown")
_FAMILY = _key("family", "v4, v6 or unknown: the outermost IP header")
_HOUR = _key("window_start", "start of the hour, UTC", Kind.TIMESTAMP)

_TRAFFIC_KEY = (
    _VANTAGE,
    _APP,
    _key("product", "product id that the app or its match names; else unclassified"),
    _CLIENT_REGION,
    _key("service_region", "region that the match names, else of the service's address"),
    _NETWORK,
    _FAMILY,
    _key("ip_class", "native, which transition technology, or which encapsulation"),
    _key(
        "underlay", "outer family of an infrastructure tunnel whose inner header shows; else none"
    ),
    _key("direction", "to_client, to_service or unknown"),
)
_TRAFFIC_MEASURES = (
    _sum("records", "flow records that start in the window, never scaled", "records"),
    _sum("tcp_opens", "records with SYN times the sampling interval", "opens"),
    _sum("packets", "packets, scaled by the sampling interval", "packets"),
    _sum("bytes", "layer-3 bytes, scaled by the sampling interval", "bytes"),
    _sum("sampled_packets", "packets as exported", "packets"),
    _sum("sampled_bytes", "bytes as exported", "bytes"),
    _sum("bytes_variance", "variance of bytes that sampling causes", "bytes^2", Kind.HUGEINT),
    _sum("bytes_error_unknown", "scaled bytes whose sampling error is not known", "bytes"),
)


# Of a table that ``v6share prune`` may shorten.
_MAY_BE_PRUNED: Final = "Days before kept_from in ledger_pruned are not kept."


def _traffic(name: str, grain: str, *notes: str) -> Table:
    start = _key("window_start", f"start of the {grain}, UTC", Kind.TIMESTAMP)
    return Table(
        name,
        " ".join(
            [f"Traffic per {grain} and app, product, regions, network, family and class.", *notes]
        ),
        (start, *_TRAFFIC_KEY, *_TRAFFIC_MEASURES),
        day="CAST(window_start AS DATE)",
    )


TRAFFIC_5M: Final = _traffic("traffic_5m", "5 minutes", _MAY_BE_PRUNED)
TRAFFIC_1H: Final = _traffic("traffic_1h", "hour", _MAY_BE_PRUNED)
TRAFFIC_1D: Final = _traffic("traffic_1d", "day")

CLIENTS_1D: Final = Table(
    "clients_1d",
    "Distinct active clients per UTC day: theta sketches of keyed hashes of client prefixes. "
    f"{_MAY_BE_PRUNED} client_counts_1d has how many they were.",
    (
        _key("day", "UTC day (or the fixed reporting offset)", Kind.DATE),
        _VANTAGE,
        _key("scope", "all, app, product, client_region or network"),
        _key("id", "the app, product, region or network; empty for all"),
        _key("family", "v4 or v6: the outermost IP header; v6 for translated clients"),
        _key("unit", "subscriber or prefix"),
        Column(
            "theta",
            Kind.UBIGINT,
            "threshold: hashes below it are kept; 2^64 - 1 while all of them are",
            "hash",
            Merge.THETA,
        ),
        Column(
            "client_hashes",
            Kind.UBIGINT_LIST,
            "the kept distinct hashes, ascending, at most 4,096",
            "hashes",
            Merge.THETA,
        ),
        _key(
            "client_key",
            "number of the key of the hashes, as in ledger_keys: only sketches of one key unite",
            Kind.SMALLINT,
        ),
    ),
    day="day",
)

RTT_1H: Final = Table(
    "rtt_1h",
    f"Round-trip times as counts in logarithmic buckets of 1 % relative accuracy. {_MAY_BE_PRUNED}",
    (
        _HOUR,
        _VANTAGE,
        _APP,
        _CLIENT_REGION,
        _NETWORK,
        _FAMILY,
        _key("side", "client or service: which half of the path was timed"),
        _key("bucket", "bucket number; bounds in dim_rtt_buckets", Kind.SMALLINT),
        _sum("samples", "records that carried this round-trip time", "records"),
    ),
    day="CAST(window_start AS DATE)",
)

HEALTH_1H: Final = Table(
    "health_1h",
    f"TCP health from unsampled exporters; sampled ones cannot show it. {_MAY_BE_PRUNED}",
    (
        _HOUR,
        _VANTAGE,
        _APP,
        _CLIENT_REGION,
        _NETWORK,
        _FAMILY,
        _sum("tcp_flows", "TCP records to the service with SYN", "records"),
        _sum("unanswered_flows", "of these, SYN without ACK", "records"),
        _sum("retransmitted_packets", "retransmitted packets, where exported", "packets"),
        _sum("packets", "packets of the TCP records that carry a retransmission count", "packets"),
    ),
    day="CAST(window_start AS DATE)",
)

EXPORTERS_1H: Final = Table(
    "exporters_1h",
    "What each exporter delivered, for completeness and for sampling surprises.",
    (
        _HOUR,
        _key("exporter", "address or name of the exporter; empty where no column says it"),
        _FAMILY,
        _sum("records", "counted records that start in the hour", "records"),
        _sum("packets", "scaled packets of the hour", "packets"),
        _sum("bytes", "scaled bytes of the hour", "bytes"),
        Column(
            "sampling_min",
            Kind.BIGINT,
            "smallest sampling interval, rounded up; 0 = pre-scaled, interval unknown",
            "1 in N",
            Merge.MIN,
        ),
        Column("sampling_max", Kind.BIGINT, "largest sampling interval", "1 in N", Merge.MAX),
        Column("first_seen", Kind.TIMESTAMP, "earliest start of a record", "UTC", Merge.MIN),
        Column("last_seen", Kind.TIMESTAMP, "latest end of a record", "UTC", Merge.MAX),
    ),
    day="CAST(window_start AS DATE)",
)

CLIENT_COUNTS_1D: Final = Table(
    "client_counts_1d",
    "Distinct clients of the days whose sketches were pruned, as they were then (ledger_pruned).",
    (
        _key("day", "as in clients_1d", Kind.DATE),
        _key("scope", "as in clients_1d"),
        _key("id", "as in clients_1d"),
        _key("unit", "as in clients_1d"),
        _key("family", "v4, v6, or any: subscribers of both families, each once"),
        Column(
            "hashes",
            Kind.BIGINT,
            "distinct hashes below theta, of all vantages that fed the KPIs; NULL where they were "
            "made with several client keys",
            "hashes",
            nullable=True,
        ),
        Column("theta", Kind.UBIGINT, "as in clients_1d, the lowest of the vantages", "hash"),
        Column("client_keys", Kind.BIGINT, "with how many client keys they were made", "keys"),
    ),
    day="day",
)

FRAGMENT_TABLES: Final = (TRAFFIC_5M, CLIENTS_1D, RTT_1H, HEALTH_1H, EXPORTERS_1H)
ROLL_UPS: Final = (TRAFFIC_1H, TRAFFIC_1D)
# What is published of flows.
AGGREGATES: Final = (*FRAGMENT_TABLES, *ROLL_UPS)


def rtt_boundaries() -> tuple[int, ...]:
    """Upper bounds of the round-trip buckets in microseconds, ascending; bucket i ends at [i].

    Bucket i holds values v with bound[i-1] < v <= bound[i]. The recurrence
    ``b + max(1, (2 * b) // 99)`` is the integer form of gamma = (1 + a) / (1 - a), a = 1 %
    (DDSketch, Masson et al. 2019), so every engine has the same table. The last bound is over
    one hour; longer times fall into the last bucket.
    """
    bounds = [0]
    while bounds[-1] < 3_600_000_000:
        bounds.append(bounds[-1] + max(1, 2 * bounds[-1] // 99))
    return tuple(bounds)
