"""True flows: what really crossed an exporter, before anybody sampled a packet.

Vectorised; one call makes the flows of one exporter in one period. App, place and time follow
low-discrepancy sequences, so that weeks differ by the story and by sampling, not by dice.
"""

from dataclasses import dataclass, fields, replace
from functools import cache
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.sample import addresses as plan
from v6share.pipelines.sample import story
from v6share.pipelines.sample.addresses import I64, U64, V4, V6, Bool
from v6share.schemas.aggregates import DAY_MS, HOUR_MS, IP_CLASSES

F64: TypeAlias = NDArray[np.float64]

UNKNOWN_APP: Final = 31
UNKNOWN_REGION: Final = 7
UNKNOWN_NETWORK: Final = 15
UNKNOWN_PRODUCT: Final = 31
NATIVE: Final = (0, IP_CLASSES.index("native_v4"), IP_CLASSES.index("native_v6"))
TRANSLATED: Final = IP_CLASSES.index("translated")
TCP: Final = 6
UDP: Final = 17
NAMELESS: Final = 0
SERVER_NAMES: Final = (None, story.CDN_NAME, story.FOREIGN_NAME)
LONGEST_MS: Final = 3 * HOUR_MS
SPREAD: Final = 0.9


@dataclass(frozen=True)
class Span:
    """The whole sample in time: first millisecond, days, and how much bigger than default."""

    start_ms: int
    days: int
    scale: float

    @property
    def end_ms(self) -> int:
        """The first millisecond after the sample."""
        return self.start_ms + self.days * DAY_MS


@dataclass(frozen=True)
class Flows:
    """True flows, one entry each, all arrays of equal length.

    app, product, network, client_region, service_region: numbers in story order, or UNKNOWN_*;
    service_region counts in SERVICE_REGIONS. family: 1 or 2; ip_class: index in IP_CLASSES.
    counts, sizes: packets and bytes a packet of three size classes, shape (n, 3); the smallest
    last. has_syn: one packet of the smallest class carries SYN. subscriber: -1 where the
    exporter knows none. client_key: what one client is, within family and network.
    server_name: number in SERVER_NAMES. rtt_*_us: -1 unknown. lost: retransmissions, -1 unknown.
    """

    exporter: I64
    start_ms: I64
    end_ms: I64
    counts: I64
    sizes: I64
    app: I64
    product: I64
    network: I64
    client_region: I64
    service_region: I64
    family: I64
    ip_class: I64
    protocol: I64
    to_service: Bool
    client_hi: U64
    client_lo: U64
    service_hi: U64
    service_lo: U64
    client_port: I64
    service_port: I64
    has_syn: Bool
    unanswered: Bool
    subscriber: I64
    client_key: U64
    qualifies: Bool
    server_name: I64
    rtt_client_us: I64
    rtt_service_us: I64
    lost: I64

    @property
    def rows(self) -> int:
        """How many flows."""
        return len(self.start_ms)

    @property
    def packets(self) -> I64:
        """True packets."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def octets(self) -> I64:
        """True layer-3 bytes."""
        return np.asarray((self.counts * self.sizes).sum(axis=1))

    def take(self, which: I64 | Bool) -> "Flows":
        """The chosen flows, by mask or by number."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def of_exporter(self, number: int) -> "Flows":
        """The same flows as those of the exporter of this number in its group."""
        return replace(self, exporter=np.full(self.rows, number, np.int64))


def join_flows(parts: list[Flows]) -> Flows:
    """Flows after one another."""
    return Flows(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Flows)}
    )


# The legs of all apps in one row: what a flow draws.
_LEGS: Final = [(number, app, leg) for number, app in enumerate(story.APPS) for leg in app.legs]
_PRODUCT: Final = {name: number for number, (name, _, _) in enumerate(story.PRODUCTS)}
_REGION: Final = {name: number for number, name in enumerate(story.REGIONS)}
_LEG_APP: Final = np.array([number for number, _, _ in _LEGS])
_LEG_PRODUCT: Final = np.array([_PRODUCT[leg.product] for _, _, leg in _LEGS])
_LEG_PORT: Final = np.array([leg.port for _, _, leg in _LEGS])
_LEG_UDP: Final = np.array([leg.udp_share for _, _, leg in _LEGS])
_LEG_SIZE: Final = np.array([app.size for _, app, _ in _LEGS])
_LEG_MIX: Final = np.array([story.MIX_NAMES.index(app.mix) for _, app, _ in _LEGS])
_LEG_WEIGHT: Final = np.array([app.weight * leg.share for _, app, leg in _LEGS])
_LEG_PREFERENCE: Final = np.array([app.preference for _, app, _ in _LEGS])
_LEG_SHARED: Final = np.array([app.rules == "shared_cdn" for _, app, _ in _LEGS])
_SIZES: Final = np.array([[[s for s, _ in way] for way in mix] for mix in story.MIXES.values()])
_PARTS: Final = np.array([[[p for _, p in way] for way in mix] for mix in story.MIXES.values()])
TO_SERVICE_SHARE: Final = 0.35
# Busier evenings, calmer nights, by hour of the day in UTC (the world is round: mildly so).
_DAY_CURVE: Final = np.array(
    [9, 8, 8, 8, 8, 8, 9, 9, 10, 10, 11, 11, 11, 11, 11, 11, 12, 12, 12, 13, 13, 12, 11, 10.0]
)


@cache
def _service_table() -> F64:
    """Cumulated weights of service regions, shape (legs, client regions, service regions)."""
    table = np.zeros((len(_LEGS), len(story.REGIONS), len(story.SERVICE_REGIONS)))
    for leg, (_, app, _) in enumerate(_LEGS):
        served = np.array([r in story.app_regions(app) for r in story.SERVICE_REGIONS])
        for region, weights in story.AFFINITY.items():
            table[leg, _REGION[region]] = np.array(weights) * served
    return np.asarray(np.cumsum(table, axis=2) / table.sum(axis=2, keepdims=True))


@cache
def _enabled_table() -> I64:
    """The moment since which a leg serves IPv6 in a region, shape (legs, service regions)."""
    enabled = {(e.app, e.product, e.region): e.enabled for e in story.endpoints()}
    enabled[story.SILENT] = story.NEVER
    return np.array(
        [
            [enabled.get((app.id, leg.product, r), story.NEVER) for r in story.SERVICE_REGIONS]
            for _, app, leg in _LEGS
        ]
    )


@cache
def exported_part(reach: float, interval: int) -> float:
    """The expected part of an exporter's true flows of which at least one packet is sampled."""
    if interval == 1:
        return 1.0
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((i + 0.5) / 200) for i in range(200)])
    packets = 1 + np.outer(_LEG_SIZE, np.exp(SPREAD * quantiles)) * reach * interval
    seen = 1 - np.exp(packets * np.log1p(-1 / interval))
    return float((seen.mean(axis=1) * _LEG_WEIGHT).sum() / _LEG_WEIGHT.sum())


def exporter_flows(
    exporter: story.Exporter, span: Span, days: tuple[int, int], n: int, rng: np.random.Generator
) -> Flows:
    """The n true flows that an exporter carries in the half-open range of days."""
    start, end = times(span, days, n, rng)
    place = _places(exporter, n, rng)
    leg = pick(_LEG_WEIGHT, sequence(n, 0.7548776662466927, rng))
    region = _service_regions(leg, place.client_region, rng)
    to_service = rng.random(n) < TO_SERVICE_SHARE
    packets = _packets(exporter, leg, rng)
    moment = (start - span.start_ms) / (span.end_ms - span.start_ms) * 1000
    wish = _ipv6_part(leg, region, place, moment)
    family = _families(wish, (start - span.start_ms) // DAY_MS, packets, rng)
    foreign, name = _server_names(leg, rng)
    udp = rng.random(n) < _LEG_UDP[leg]
    protocol = np.where(udp, UDP, TCP)
    unanswered = _unanswered(exporter, leg, moment, family, to_service & ~udp, rng)
    packets = np.where(unanswered, 1 + (packets & 1), packets)
    client = _clients(place, span, start, wish, family, rng)
    translated, clat = _translations(place, moment, family, rng)
    nobody = foreign | ((name == NAMELESS) & _LEG_SHARED[leg]) | _hidden_by_rules(leg, family)
    counts, sizes = size_classes(
        _LEG_MIX[leg], to_service.astype(np.int64), packets, (family == V6) | translated, unanswered
    )
    service = _services(leg, region, family, translated, rng)
    client_hi, client_lo = _client_addresses(place, client, family, translated, clat)
    rtt_client, rtt_service = _round_trips(exporter, leg, place, region, moment, family, udp, rng)
    mobile = _MOBILE[place.network]
    return Flows(
        exporter=np.zeros(n, np.int64),
        start_ms=start,
        end_ms=np.where(packets == 1, start, end),
        counts=counts,
        sizes=sizes,
        app=np.where(nobody, UNKNOWN_APP, _LEG_APP[leg]),
        product=np.where(nobody, UNKNOWN_PRODUCT, _LEG_PRODUCT[leg]),
        network=place.network,
        client_region=place.client_region,
        # Behind a NAT64 only a rule that names its region tells where the service stands.
        service_region=np.where(translated & (nobody | ~_LEG_SHARED[leg]), UNKNOWN_REGION, region),
        family=np.where(translated, V6, family),
        ip_class=np.where(translated, TRANSLATED, np.where(family == V6, NATIVE[V6], NATIVE[V4])),
        protocol=protocol,
        to_service=to_service,
        client_hi=client_hi,
        client_lo=client_lo,
        service_hi=service[0],
        service_lo=service[1],
        client_port=rng.integers(20_000, 65_536, n) & ~np.int64(0x0F),
        service_port=_LEG_PORT[leg],
        has_syn=(~udp & (counts[:, 2] > 0) & (rng.random(n) < 0.85)) | unanswered,
        unanswered=unanswered,
        subscriber=np.where(
            mobile, (place.network << 24) | (place.client_region << 20) | client.sid, -1
        ),
        client_key=client_key(client_hi, client_lo, np.where(mobile, 64, 56)),
        qualifies=np.ones(n, np.bool_),
        server_name=name,
        rtt_client_us=rtt_client,
        rtt_service_us=rtt_service,
        lost=_retransmissions(exporter, leg, moment, family, udp | unanswered, packets, rng),
    )


_MOBILE: Final = np.array([n.kind == "mobile" for n in story.NETWORKS])
_ROTATION: Final = np.array([n.rotation_days for n in story.NETWORKS])
_POOL: Final = np.array([n.pool for n in story.NETWORKS])
_SINCE: Final = np.array([n.ipv6_since for n in story.NETWORKS])
_CEILING: Final = np.array([n.ceiling for n in story.NETWORKS])
_NAT64: Final = np.array([n.nat64_since for n in story.NETWORKS])


@dataclass(frozen=True)
class _Places:
    network: I64
    client_region: I64


@dataclass(frozen=True)
class _Clients:
    sid: I64
    rotation: I64


def client_key(high: U64, low: U64, length: I64) -> U64:
    """What one client is: the IPv4 address, or the IPv6 prefix of that length, host bits zero."""
    mask = ~((np.uint64(1) << (64 - length).astype(np.uint64)) - np.uint64(1))
    return np.where(high == 0, low, high & mask)


def sequence(n: int, step: float, rng: np.random.Generator) -> F64:
    """n numbers in [0, 1) that fill it evenly in any stretch (a Kronecker sequence)."""
    return np.asarray((rng.random() + np.arange(n) * step) % 1.0)


def pick(weights: F64, draws: F64) -> I64:
    """Numbers of entries, drawn by weight."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges / edges[-1], draws, "right"), len(weights) - 1)


def times(span: Span, days: tuple[int, int], n: int, rng: np.random.Generator) -> tuple[I64, I64]:
    """Starts, evenly along the growing daily curve, and ends; a flow ends within the span."""
    hours = np.arange(days[0] * 24, days[1] * 24)
    weight = _DAY_CURVE[hours % 24] * (1 + 0.35 * hours / (span.days * 24))
    edges = np.concatenate([[0.0], np.cumsum(weight)])
    place = (np.arange(n) + rng.random(n)) / max(n, 1) * edges[-1]
    at = np.interp(place, edges, np.arange(len(edges)) * float(HOUR_MS))
    start = span.start_ms + days[0] * DAY_MS + at.astype(np.int64)
    length = np.exp(rng.standard_normal(n) * 1.1 + np.log(45_000))
    end = np.minimum(start + np.minimum(length, LONGEST_MS).astype(np.int64), span.end_ms - 1)
    return start, np.maximum(start, end)


def _places(exporter: story.Exporter, n: int, rng: np.random.Generator) -> _Places:
    number = [network.id for network in story.NETWORKS].index(exporter.network)
    regions = story.NETWORKS[number].regions
    weights = np.array([weight for _, weight in regions])
    drawn = pick(weights, sequence(n, 0.5698402909980532, rng))
    return _Places(
        np.full(n, number, np.int64), np.array([_REGION[name] for name, _ in regions])[drawn]
    )


def _service_regions(leg: I64, client_region: I64, rng: np.random.Generator) -> I64:
    edges = _service_table()[leg, client_region]
    drawn = (edges <= rng.random(len(leg))[:, None]).sum(axis=1)
    return np.asarray(np.minimum(drawn, edges.shape[1] - 1))


def _packets(exporter: story.Exporter, leg: I64, rng: np.random.Generator) -> I64:
    median = exporter.reach * exporter.interval * _LEG_SIZE[leg]
    drawn = 1 + np.exp(SPREAD * rng.standard_normal(len(leg))) * median
    return np.minimum(drawn, 2**24).astype(np.int64)


def _ramp(moment: F64, since: F64 | I64, slowness: float) -> F64:
    """0 before, then towards 1: devices and software follow within weeks."""
    return np.asarray(1 - np.exp(-np.maximum(moment - since, 0) / slowness))


def _ipv6_part(leg: I64, region: I64, place: _Places, moment: F64) -> F64:
    """The probability that a flow uses IPv6: service enabled, network capable, client willing."""
    regression = story.REGRESSION
    enabled = _enabled_table()[leg, region]
    network = _CEILING[place.network] * _ramp(moment, _SINCE[place.network], 45)
    wish = network * _ramp(moment, enabled, 22) * _LEG_PREFERENCE[leg]
    hit = np.array([app.id == regression.app for _, app, _ in _LEGS])[leg]
    broken = hit & (moment >= regression.since) & (moment < regression.until)
    after = hit & (moment >= regression.until)
    factor = np.where(broken, regression.during, np.where(after, regression.afterwards, 1.0))
    return np.asarray(wish * factor)


def _families(wish: F64, day: I64, packets: I64, rng: np.random.Generator) -> I64:
    """4 or 6 by systematic sampling along day and size: any stretch has the planted share."""
    order = np.lexsort((packets, day))
    steps = np.floor(np.cumsum(wish[order]) + rng.random())
    six = np.empty(len(wish), np.bool_)
    six[order] = np.diff(steps, prepend=0.0) > 0
    return np.where(six, V6, V4)


def _server_names(leg: I64, rng: np.random.Generator) -> tuple[Bool, I64]:
    """Flows of somebody else's site on the shared addresses, and the name that is seen."""
    drawn = rng.random(len(leg))
    shared = _LEG_SHARED[leg]
    foreign = shared & (drawn < story.CDN_FOREIGN)
    hidden = shared & ~foreign & (drawn < story.CDN_FOREIGN + story.CDN_HIDDEN)
    return foreign, np.where(foreign, 2, np.where(shared & ~hidden, 1, NAMELESS))


def _hidden_by_rules(leg: I64, family: I64) -> Bool:
    """IPv6 of an app whose catalog rules know only IPv4: it shows as unclassified."""
    v4_only = np.array([app.rules == "v4_only" for _, app, _ in _LEGS])
    return np.asarray(v4_only[leg] & (family == V6))


def _in_regression(leg: I64, moment: F64, family: I64) -> Bool:
    regression = story.REGRESSION
    hit = np.array([app.id == regression.app for _, app, _ in _LEGS])[leg]
    inside = (moment >= regression.since) & (moment < regression.until)
    return np.asarray(hit & inside & (family == V6))


def _unanswered(
    exporter: story.Exporter,
    leg: I64,
    moment: F64,
    family: I64,
    opens: Bool,
    rng: np.random.Generator,
) -> Bool:
    """Opens that nobody answers: seen where nothing is sampled."""
    if not exporter.latency:
        return np.zeros(len(leg), np.bool_)
    odds = np.where(family == V6, 0.006, 0.008)
    odds = np.where(_in_regression(leg, moment, family), 0.12, odds)
    return np.asarray(opens & (rng.random(len(leg)) < odds))


def _clients(
    place: _Places, span: Span, start: I64, wish: F64, family: I64, rng: np.random.Generator
) -> _Clients:
    """Who it was: some clients are busier, and IPv6 comes from the part that has it by then."""
    pool = np.minimum(_POOL[place.network] * max(1.0, span.scale), 2**plan.SID_BITS - 2**12)
    part = np.where(family == V6, np.maximum(wish, 0.05), 1.0)
    busy = rng.random(len(start)) ** 1.4
    sid = plan.scramble((busy * part * pool).astype(np.int64))
    day = (start - span.start_ms) // DAY_MS
    return _Clients(sid, (day + sid % 7) // _ROTATION[place.network] % 0xC0)


def _translations(
    place: _Places, moment: F64, family: I64, rng: np.random.Generator
) -> tuple[Bool, Bool]:
    """IPv4 that leaves the client as IPv6: through NAT64, of these some from a CLAT."""
    ready = (moment >= _NAT64[place.network]) & (family == V4)
    drawn = rng.random(len(moment))
    return np.asarray(ready & (drawn < 0.45)), np.asarray(ready & (drawn < 0.2))


def size_classes(mix: I64, way: I64, packets: I64, six: Bool, unanswered: Bool) -> tuple[I64, I64]:
    """Packets in three size classes, and the sizes: IPv6 adds 20 bytes where the MTU allows.

    mix: number in MIX_NAMES; way: 0 to the client, 1 to the service. Shapes (n, 3).
    """
    large = (packets * _PARTS[mix, way, 0] + 0.5).astype(np.int64)
    large = np.where(unanswered, 0, np.minimum(large, packets))
    middle = (packets * _PARTS[mix, way, 1] + 0.5).astype(np.int64)
    middle = np.where(unanswered, 0, np.minimum(middle, packets - large))
    counts = np.stack([large, middle, packets - large - middle], axis=1)
    sizes = np.minimum(_SIZES[mix, way] + 20 * six[:, None], 1500)
    return counts, sizes


def _services(
    leg: I64, region: I64, family: I64, translated: Bool, rng: np.random.Generator
) -> plan.Halves:
    place = np.where(_LEG_SHARED[leg], plan.SHARED_PLACE, _LEG_APP[leg] + 1)
    host = rng.integers(0, 4, len(leg))
    four, six = plan.service_v4(place, region, host), plan.service_v6(place, region, host)
    through = plan.behind_nat64(four, region == 0)
    return (
        np.where(translated, through[0], np.where(family == V6, six[0], four[0])),
        np.where(translated, through[1], np.where(family == V6, six[1], four[1])),
    )


def _client_addresses(
    place: _Places, client: _Clients, family: I64, translated: Bool, clat: Bool
) -> plan.Halves:
    mobile = _MOBILE[place.network]
    four = plan.client_v4(place.network, place.client_region, client.sid)
    six = plan.client_v6(place.network, place.client_region, client.sid, client.rotation, mobile)
    high = six[0] | np.where(clat, np.uint64(plan.CLAT_BIT), np.uint64(0))
    use_six = (family == V6) | translated
    return np.where(use_six, high, four[0]), np.where(use_six, six[1], four[1])


_BASE_RTT_US: Final = np.array([18_000, 34_000, 16_000, 30_000, 28_000, 20_000, 40_000])


def _round_trips(
    exporter: story.Exporter,
    leg: I64,
    place: _Places,
    region: I64,
    moment: F64,
    family: I64,
    udp: Bool,
    rng: np.random.Generator,
) -> tuple[I64, I64]:
    """Round-trip times of both halves of the path in microseconds; -1 where none is taken."""
    n = len(leg)
    if not exporter.latency:
        return np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    noise = np.exp(rng.standard_normal((2, n)) * 0.35)
    six = np.where(family == V6, 0.95, 1.0)
    client = 6_000 * noise[0] * six
    far = np.where(place.client_region == region, 1.0, 4.0)
    slow = np.where(_in_regression(leg, moment, family), 2.6, 1.0)
    service = _BASE_RTT_US[region] * far * noise[1] * six * slow
    return (
        np.where(udp, -1, client.astype(np.int64)),
        np.where(udp, -1, service.astype(np.int64)),
    )


def _retransmissions(
    exporter: story.Exporter,
    leg: I64,
    moment: F64,
    family: I64,
    none: Bool,
    packets: I64,
    rng: np.random.Generator,
) -> I64:
    if not exporter.latency:
        return np.full(len(leg), -1, np.int64)
    odds = np.where(_in_regression(leg, moment, family), 0.06, np.where(family == V6, 0.006, 0.007))
    return np.where(none, -1, rng.binomial(packets, odds))
