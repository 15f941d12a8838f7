"""The dimension tables: what the operator declared, as of the last run. They alter no row."""

from typing import Final

from v6share.schemas.columns import Column, Kind, Table


def _text(name: str, meaning: str) -> Column:
    return Column(name, Kind.TEXT, meaning)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, Kind.BOOLEAN, meaning)


def _maybe(name: str, kind: Kind, meaning: str, unit: str = "") -> Column:
    return Column(name, kind, meaning, unit, nullable=True)


DIM_APPS: Final = Table(
    "dim_apps",
    "Apps in catalog order.",
    (
        Column("position", Kind.BIGINT, "place in apps.toml, from 0"),
        _text("app", "app id"),
        _text("name", "name for people"),
        _text("product", "product of the app where it names one; else unclassified"),
        _maybe("owner", Kind.TEXT, "team that owns the app"),
    ),
)
DIM_PRODUCTS: Final = Table(
    "dim_products",
    "Products; core ones count for parity.",
    (
        _text("product", "product id"),
        _text("name", "name for people"),
        _flag("core", "counts for global parity"),
    ),
)
DIM_ENDPOINTS: Final = Table(
    "dim_endpoints",
    "What is to be dual-stacked, and since when it is.",
    (
        _text("app", "app id; empty where the endpoint is a product's alone"),
        _text("product", "product id"),
        _text("region", "service region"),
        _maybe("planned_on", Kind.DATE, "day it is planned for"),
        _maybe("enabled_on", Kind.DATE, "day since which it serves IPv6"),
        _flag(
            "serves_dns",
            "whether a match for it in apps.toml names a port of DNS (53, 853, 5353), whose "
            "clients are not counted",
        ),
    ),
)
DIM_NETWORKS: Final = Table(
    "dim_networks",
    "Client networks.",
    (
        _text("network", "network id"),
        _text("kind", "mobile, fixed, datacenter, partner or relay"),
        Column("client_prefix_v4", Kind.BIGINT, "prefix length of one IPv4 client", "bits"),
        Column("client_prefix_v6", Kind.BIGINT, "prefix length of one IPv6 client", "bits"),
        _maybe("ipv6_since", Kind.DATE, "day since which the network offers IPv6"),
        _maybe("subscribers", Kind.BIGINT, "subscribers of the network", "subscribers"),
        _maybe("carrier", Kind.TEXT, "carrier that runs it"),
    ),
)
DIM_EXPORTERS: Final = Table(
    "dim_exporters",
    "Exporters that the operator listed.",
    (
        _text("exporter", "address or name"),
        _text("vantage", "where it stands"),
        _text("role", "its role in the network"),
        _maybe("sampling_interval", Kind.BIGINT, "declared sampling interval", "1 in N"),
        _flag("white_box", "a white-box router"),
        _maybe("site", Kind.TEXT, "site"),
        _flag("override", "the declared interval wins over the record's"),
        _text(
            "directions", "one; or both, where it reports a flow on its way in and on its way out"
        ),
        _maybe(
            "active_timeout",
            Kind.BIGINT,
            "after how long it reports a connection that goes on",
            "seconds",
        ),
    ),
)
DIM_VANTAGES: Final = Table(
    "dim_vantages",
    "Vantages, and whether they feed the KPIs.",
    (_text("vantage", "vantage"), _flag("feeds_kpis", "counts in the KPI views")),
)
DIM_TARGETS: Final = Table(
    "dim_targets",
    "One row per headline metric.",
    (
        Column("stage", Kind.SMALLINT, "1 pilot, 2 expansion, 3 concentration"),
        _text("metric", "metric of kpi_headline"),
        Column("target", Kind.DECIMAL, "the value to reach"),
        _maybe("by_date", Kind.DATE, "day to reach it by"),
        _maybe("top_n", Kind.BIGINT, "stage 3: how many top apps", "apps"),
        _maybe("weeks", Kind.BIGINT, "stage 3: consecutive weeks at target", "weeks"),
        _maybe("denominator", Kind.TEXT, "stage 3: all, enabled or capable"),
        _maybe("ranking", Kind.TEXT, "stage 3: previous_quarter, live or pinned"),
        _maybe("ranking_apps", Kind.TEXT_LIST, "stage 3: the pinned app ids, in order"),
    ),
)
DIM_RTT_BUCKETS: Final = Table(
    "dim_rtt_buckets",
    "Bounds of the round-trip buckets.",
    (
        Column("bucket", Kind.SMALLINT, "bucket number"),
        Column("over_us", Kind.BIGINT, "lower bound, exclusive", "us"),
        Column("to_us", Kind.BIGINT, "upper bound, inclusive", "us"),
    ),
)
DIM_IP_CLASS: Final = Table(
    "dim_ip_class",
    "How each (ip_class, family) counts in the shares.",
    (
        _text("ip_class", "class"),
        _text("family", "outermost family"),
        _flag("in_denominator", "counts in the app denominator"),
        _flag("in_strict", "numerator of the strict share: native IPv6"),
        _flag("in_wire", "numerator of the wire share: outermost header is IPv6"),
        _flag("in_service", "numerator of the service share: inner or true family is IPv6"),
        _flag("is_transition", "tunnelled or translated"),
    ),
)

CATALOG_DIMENSIONS: Final = (
    DIM_APPS,
    DIM_PRODUCTS,
    DIM_ENDPOINTS,
    DIM_NETWORKS,
    DIM_EXPORTERS,
    DIM_VANTAGES,
    DIM_TARGETS,
)
DIMENSIONS: Final = (*CATALOG_DIMENSIONS, DIM_RTT_BUCKETS, DIM_IP_CLASS)
