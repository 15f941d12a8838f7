"""The catalog as arrays, once per run: every address range knows all that is asked of it.

Three layers are cut into one table of disjoint intervals: the operator's prefixes (longest wins:
region and network), the apps' prefixes (of every match that covers an address, the first in catalog
order that *fits* wins, not the longest) and the special ranges of the protocols.

Each match stands in one list, and an address knows the innermost list of a prefix around it, that
knows the next one outside of it. Decided against a list of all candidates for each prefix: matches
of a wide prefix, or of none, would stand in each of them, so 50,000 apps with a prefix and a name
each took more than 11 GiB.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa

from v6share.pipelines.kernels.classify import decide as c
from v6share.pipelines.kernels.classify.intervals import (
    MAPPED,
    Index,
    Intervals,
    build_index,
    flatten_prefixes,
    overlay,
)
from v6share.pipelines.kernels.flow_batch import I32, I64, U8, U32, U64, Bool
from v6share.pipelines.kernels.normalise.addresses import parse_prefixes
from v6share.schemas.aggregates import UNCLASSIFIED, UNKNOWN
from v6share.schemas.catalog.models import Catalog, Match, Transition
from v6share.schemas.catalog.references import wrong_prefixes
from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text.csv_files import row_line

Network = IPv4Network | IPv6Network

_V4_START: Final = int(MAPPED) << 32
_V4_END: Final = _V4_START + 2**32
_ALL_PROTOCOLS: Final = 2**64 - 1

_NAMES: Final = ("server_name", "app_name", "app_id")

# (prefix, flag, prefix length of an embedded IPv4 address)
_WELL_KNOWN: Final = (
    ("224.0.0.0/4", c.MULTICAST, 0),
    ("ff00::/8", c.MULTICAST, 0),
    ("169.254.0.0/16", c.LINK_LOCAL, 0),
    ("fe80::/10", c.LINK_LOCAL, 0),
    ("127.0.0.0/8", c.LOOPBACK, 0),
    ("::1/128", c.LOOPBACK, 0),
    ("0.0.0.0/32", c.UNSPECIFIED, 0),
    ("::/128", c.UNSPECIFIED, 0),
    ("64:ff9b::/96", c.NAT64, 96),
    ("64:ff9b:1::/48", c.NAT64, 0),
    ("::ffff:0:0:0/96", c.TRANSLATED, 0),
    ("2002::/16", c.SIX_TO_FOUR, 16),
    ("2001::/32", c.TEREDO, 0),
    ("192.88.99.0/24", c.SIX_TO_FOUR_RELAY, 0),
    ("5f00::/16", c.SRV6_LOCATOR, 0),
    ("192.0.2.0/24", c.DOCUMENTATION, 0),
    ("198.51.100.0/24", c.DOCUMENTATION, 0),
    ("203.0.113.0/24", c.DOCUMENTATION, 0),
    ("2001:db8::/32", c.DOCUMENTATION, 0),
    ("3fff::/20", c.DOCUMENTATION, 0),
)


@dataclass(frozen=True)
class Rules:
    """A compiled catalog.

    Codes of the arrays are positions in the vocabularies. ``pairs`` are (app, product);
    ``clients`` are (region, network). client_length_*: prefix length of one client by client
    number; client_is_user: false for relays.
    """

    index: Index
    arrays: c.RuleArrays
    apps: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    regions: tuple[str, ...]
    clients: tuple[tuple[str, str], ...]
    client_length_v4: U8
    client_length_v6: U8
    client_is_user: Bool
    server_names: tuple[str, ...]
    app_names: tuple[str, ...]
    app_ids: tuple[str, ...]
    matches: tuple[Match, ...]


def compile_rules(catalog: Catalog) -> Rules:
    """Compile a catalog.

    Raises CatalogError for prefixes that cannot be read or contradict, and for more names than
    a key has room for.
    """
    matches = [(a, m) for a, app in enumerate(catalog.apps) for m in app.matches]
    regions = _vocabulary(
        UNKNOWN, (*catalog.prefixes["region"].unique().to_pylist(), *(m.region for _, m in matches))
    )
    homes, clients = _home_layer(catalog.prefixes)
    conditions = {
        key: tuple(sorted({v.lower() for _, m in matches if (v := getattr(m, key)) is not None}))
        for key in _NAMES
    }
    lists = _lists([m for _, m in matches], conditions)
    candidates, rules, outer = _rule_layer(lists, catalog.transition)
    cut, rule_of = overlay(homes, candidates)
    places, home_of_place, rule_of_place = _intern_pairs(cut.value, rule_of)
    pairs, pair_of = _pairs(catalog, matches)
    region_number = {text: i for i, text in enumerate(regions)}
    if len(pairs) * len(regions) >= 2**31:
        raise CatalogError(
            "apps.toml",
            None,
            "",
            f"found {len(pairs):,} pairs of app and product and {len(regions):,} regions, expected "
            "fewer than 2^31 combinations; join regions or products",
        )
    vantages = len({exporter.vantage for exporter in catalog.exporters})
    if vantages >= 2**16 - 1:  # their numbers, with that of unlisted, have 16 bits in a key
        raise CatalogError(
            "exporters.csv",
            None,
            "vantage",
            f"found {vantages:,} names, expected fewer than 65,535",
        )
    arrays = c.RuleArrays(
        place_list=np.array([r.innermost for r in rules], np.uint32)[rule_of_place],
        place_client=home_of_place.astype(np.uint32),
        place_flags=np.array([r.flags for r in rules], np.int32)[rule_of_place],
        place_embedded=np.array([r.embedded for r in rules], np.uint8)[rule_of_place],
        place_special=np.array([r.flags != 0 for r in rules], np.bool_)[rule_of_place],
        client_region=_codes([r for r, _ in clients], regions),
        list_offsets=np.cumsum([0, *map(len, lists.items)]).astype(np.uint32),
        list_items=np.array([m for items in lists.items for m in items], np.uint32),
        list_outer=outer,
        server_lists=lists.first_of_names["server_name"],
        app_name_lists=lists.first_of_names["app_name"],
        app_id_lists=lists.first_of_names["app_id"],
        match_app=np.array([*(a for a, _ in matches), len(catalog.apps)], np.uint32),
        match_pair=pair_of,
        match_region=np.array(
            [*(-1 if m.region is None else region_number[m.region] for _, m in matches), -1],
            np.int32,
        ),
        match_protocols=_protocol_sets([m for _, m in matches]),
        port_offsets=np.cumsum([0, *(len(m.ports) for _, m in matches)]).astype(np.uint32),
        port_low=np.array([p[0] for _, m in matches for p in m.ports], np.int32),
        port_high=np.array([p[1] for _, m in matches for p in m.ports], np.int32),
        match_plain=np.array(
            [
                all(v is None for v in (m.asn, m.server_name, m.app_name, m.app_id))
                for _, m in matches
            ],
            np.bool_,
        ),
        match_asn=np.array([-1 if m.asn is None else m.asn for _, m in matches], np.int64),
        match_server_name=_conditions(matches, "server_name", conditions),
        match_app_name=_conditions(matches, "app_name", conditions),
        match_app_id=_conditions(matches, "app_id", conditions),
        regions=len(regions),
    )
    lengths = {n.network: n for n in catalog.networks}
    return Rules(
        index=build_index(Intervals(cut.hi, cut.lo, places)),
        arrays=arrays,
        apps=(*(a.id for a in catalog.apps), UNCLASSIFIED),
        pairs=pairs,
        regions=regions,
        clients=clients,
        client_length_v4=np.array(
            [lengths[n].client_prefix_v4 if n in lengths else 32 for _, n in clients], np.uint8
        ),
        client_length_v6=np.array(
            [lengths[n].client_prefix_v6 if n in lengths else 56 for _, n in clients], np.uint8
        ),
        client_is_user=np.array(
            [n not in lengths or lengths[n].kind != "relay" for _, n in clients], np.bool_
        ),
        server_names=conditions["server_name"],
        app_names=conditions["app_name"],
        app_ids=conditions["app_id"],
        matches=tuple(m for _, m in matches),
    )


def name_hits(codes: I32, values: Sequence[str], conditions: Sequence[str], below: bool) -> c.Hits:
    """Which value meets which (lower-case) conditions.

    below: a condition holds for a DNS name and for every name below it (``*.`` before it: only
    below); else only for the same text.
    """
    number = {text: i for i, text in enumerate(conditions)}
    longest = max(map(len, conditions), default=0)
    met = [_met(value.lower(), number, longest, below) for value in values]
    offsets = np.cumsum([0, *map(len, met)]).astype(np.uint32)
    return c.Hits(codes, offsets, np.array([n for numbers in met for n in numbers], np.uint32))


def _met(text: str, number: dict[str, int], longest: int, below: bool) -> list[int]:
    """The conditions that a text meets; the longest one has ``longest`` characters."""
    if not below:
        return [number[text]] if text in number else []
    name = text.rstrip(".")
    met = [number[name]] if name in number else []
    # Where the name above begins; what is longer than every condition is passed over, since a
    # file may hold names of any length.
    at = name.find(".", max(0, len(name) - longest - 1)) + 1
    while at:
        above = name[at:]
        met += [number[known] for known in (above, f"*.{above}") if known in number]
        at = name.find(".", at) + 1
    return sorted(met)


@dataclass(frozen=True)
class _Lists:
    """The matches in lists, each match in one; see ``RuleArrays``.

    items: ascending match numbers of each list. of_prefix: the list of each prefix.
    first_of_names: by key, the list of the first condition.
    """

    items: list[list[int]]
    of_prefix: dict[Network, int]
    first_of_names: dict[str, int]


class _Rule(NamedTuple):
    """What the prefixes around an address say: innermost list, flags, embedded length."""

    innermost: int
    flags: int
    embedded: int


def _lists(matches: Sequence[Match], conditions: dict[str, tuple[str, ...]]) -> _Lists:
    """Put each match into one list: so they take no more room than there are matches."""
    prefixes = dict.fromkeys(m.prefix for m in matches if m.prefix is not None)
    of_prefix = {prefix: number for number, prefix in enumerate(prefixes, start=1)}
    first_of_names, count = {}, 1 + len(of_prefix)
    of_name: dict[tuple[str, str], int] = {}
    for key, texts in conditions.items():
        first_of_names[key] = count
        of_name |= {(key, text): number for number, text in enumerate(texts, start=count)}
        count += len(texts)
    items: list[list[int]] = [[] for _ in range(count)]
    for number, match in enumerate(matches):
        named = next(((key, v.lower()) for key in _NAMES if (v := getattr(match, key))), None)
        if match.prefix is not None:
            items[of_prefix[match.prefix]].append(number)
        else:
            items[0 if named is None else of_name[named]].append(number)
    return _Lists(items, of_prefix, first_of_names)


def _vocabulary(first: str, texts: Iterable[str | None]) -> tuple[str, ...]:
    return (first, *sorted({t for t in texts if t} - {first}))


def _codes(texts: Sequence[str], vocabulary: Sequence[str]) -> U32:
    number = {text: i for i, text in enumerate(vocabulary)}
    return np.array([number[t] for t in texts], np.uint32)


def _home_layer(prefixes: pa.Table) -> tuple[Intervals, tuple[tuple[str, str], ...]]:
    """Flatten the operator's prefixes: intervals of client numbers; client 0 is unknown."""
    region = prefixes["region"].combine_chunks().dictionary_encode()
    network = prefixes["network"].combine_chunks().dictionary_encode()
    region_names, network_names = region.dictionary.to_pylist(), network.dictionary.to_pylist()
    pair = region.indices.to_numpy().astype(np.int64) * max(1, len(network_names))
    pair += network.indices.to_numpy()
    distinct, client = _distinct(pair)
    clients = (
        (UNKNOWN, UNKNOWN),
        *(
            (region_names[p // len(network_names)], network_names[p % len(network_names)])
            for p in distinct.tolist()
        ),
    )
    hi, lo, length = parsed_prefixes(prefixes)
    value = client.astype(np.int32) + 1
    _refuse_contradictions(prefixes, hi, lo, length, value)
    # ::/0 speaks for IPv6 only: IPv4's part of the space starts unknown again.
    hi = np.append(np.uint64(0), hi)
    lo = np.append(np.uint64(_V4_START), lo)
    length = np.append(np.uint8(96), length)
    value = np.append(np.int32(0), value)
    return flatten_prefixes(hi, lo, length, value, 0), clients


def _distinct(numbers: I64) -> tuple[I64, I64]:
    """Give the distinct numbers, ascending, and the place of each number among them.

    Of many numbers and few distinct ones: to hash takes a quarter of the time of sorting.
    """
    encoded = pa.array(numbers).dictionary_encode()
    met = encoded.dictionary.to_numpy()
    order = np.argsort(met)
    place = np.empty(len(met), np.int64)
    place[order] = np.arange(len(met))
    return met[order], place[encoded.indices.to_numpy()]


def parsed_prefixes(prefixes: pa.Table) -> tuple[U64, U64, U8]:
    """Parse the operator's prefixes: (hi, lo, length). Raises CatalogError with the line."""
    texts = prefixes["prefix"].combine_chunks()
    hi, lo, length, ok = parse_prefixes(texts)
    if not ok.all():
        _refuse_prefixes(prefixes, int(np.argmin(ok)))
    return hi, lo, length


def _refuse_contradictions(prefixes: pa.Table, hi: U64, lo: U64, length: U8, value: I32) -> None:
    """Refuse the same prefix with two homes; the same line twice is harmless."""
    order = np.lexsort((length, lo, hi))
    first, second = order[:-1], order[1:]
    same = (hi[first] == hi[second]) & (lo[first] == lo[second]) & (length[first] == length[second])
    wrong = np.flatnonzero(same & (value[first] != value[second]))
    if len(wrong):
        _refuse_prefixes(prefixes, int(second[wrong[0]]))


def _refuse_prefixes(prefixes: pa.Table, row: int) -> NoReturn:
    """Raise CatalogError for all prefixes that are wrong; of this row it is known."""
    text, line = prefixes["prefix"][row].as_py(), row_line(prefixes, row)
    problem = f'found "{text}", expected a prefix like 192.0.2.0/24 or 2001:db8::/32'
    mistakes = Mistakes()
    mistakes.add(*wrong_prefixes(prefixes))
    mistakes.refuse()
    raise CatalogError("prefixes.csv", line, "prefix", problem)


def _span(network: Network) -> tuple[int, int]:
    start = int(network.network_address)
    end = int(network.broadcast_address) + 1
    return (start + _V4_START, end + _V4_START) if network.version == 4 else (start, end)


def _rule_layer(lists: _Lists, transition: Transition) -> tuple[Intervals, list[_Rule], U32]:
    """Sweep the apps' prefixes and the special ranges.

    Gives intervals of rule numbers, the rules, and of each list the one outside of it.
    """
    spans = [(prefix, ("match", number, 0)) for prefix, number in lists.of_prefix.items()]
    spans += [(n, ("flag", f, e)) for n, f, e in special_ranges(transition)]
    swept = {
        version: _sweep([(n, tag) for n, tag in spans if n.version == version])
        for version in (4, 6)
    }
    starts = _joined(swept[4], swept[6])
    outermost = 0 if lists.items[0] else int(c.NO_LIST)
    outer = np.full(len(lists.items), c.NO_LIST, np.uint32)
    rules: dict[_Rule, int] = {}
    values = []
    for _, active in starts:
        innermost = outermost
        for kind, number, _ in active:  # the shortest prefix first
            if kind == "match":
                outer[number], innermost = innermost, number
        values.append(rules.setdefault(_Rule(innermost, *_special(active)), len(rules)))
    return (
        Intervals(
            np.array([s >> 64 for s, _ in starts], np.uint64),
            np.array([s & (2**64 - 1) for s, _ in starts], np.uint64),
            np.array(values, np.int32),
        ),
        list(rules),
        outer,
    )


Tag = tuple[str, int, int]


def _sweep(spans: list[tuple[Network, Tag]]) -> list[tuple[int, tuple[Tag, ...]]]:
    """Give the starts of elementary ranges, each with the tags of all prefixes that cover it.

    Tags stand in the order of their prefixes, shortest first.
    """
    events: dict[int, list[tuple[bool, int, Tag]]] = {}
    for network, tag in spans:
        start, end = _span(network)
        events.setdefault(start, []).append((True, network.prefixlen, tag))
        events.setdefault(end, []).append((False, network.prefixlen, tag))
    active: list[tuple[int, Tag]] = []
    found = []
    for at in sorted(events):
        for starts, length, tag in events[at]:
            if not starts:
                active.remove((length, tag))
        active.extend((length, tag) for starts, length, tag in events[at] if starts)
        active.sort()
        found.append((at, tuple(tag for _, tag in active)))
    return found


def _joined(
    v4: list[tuple[int, tuple[Tag, ...]]], v6: list[tuple[int, tuple[Tag, ...]]]
) -> list[tuple[int, tuple[Tag, ...]]]:
    """Lay IPv4's ranges into their place; IPv6 prefixes around it do not speak for IPv4."""
    below = [(at, tags) for at, tags in v6 if at < _V4_START]
    above = [(at, tags) for at, tags in v6 if at >= _V4_END]
    behind = next((tags for at, tags in reversed(v6) if at <= _V4_END), ())
    starts = dict(below)
    starts.setdefault(0, ())
    starts[_V4_START] = ()
    starts.update((at, tags) for at, tags in v4 if at < _V4_END)
    starts[_V4_END] = behind
    starts.update(above)
    starts.pop(2**128, None)
    return sorted(starts.items())


def _special(active: tuple[Tag, ...]) -> tuple[int, int]:
    """(flags, embedded length of the longest prefix)."""
    flags, embedded = 0, 0
    for kind, flag, length in active:
        if kind == "flag":
            flags |= flag
            embedded = length if flag in (c.NAT64, c.SIX_TO_FOUR) else embedded
    return flags, embedded


def special_ranges(transition: Transition) -> list[tuple[Network, int, int]]:
    """Give the ranges that make a class: (prefix, flag, length of an embedding prefix or 0)."""
    found = [(ip_network(text), flag, embedded) for text, flag, embedded in _WELL_KNOWN]
    embeds: Callable[[Network], int] = lambda n: n.prefixlen  # noqa: E731
    for prefixes, flag, embedded in (
        (transition.nat64, c.NAT64, embeds),
        (transition.nat64_pool_v4, c.NAT64_POOL, None),
        (transition.map_t, c.TRANSLATED, None),
        (transition.clat, c.TRANSLATED, None),
        (transition.sixrd_relays, c.SIXRD_RELAY, None),
        (transition.teredo_relays, c.TEREDO_RELAY, None),
        (transition.srv6_locators, c.SRV6_LOCATOR, None),
    ):
        found += [(n, flag, embedded(n) if embedded else 0) for n in prefixes]
    return found


def _intern_pairs(a: I32, b: I32) -> tuple[I32, I32, I32]:
    """Number the distinct (a, b): (number of each, a of each number, b of each number)."""
    width = int(b.max()) + 1
    distinct, number = _distinct(a.astype(np.int64) * width + b)
    return (
        number.astype(np.int32),
        (distinct // width).astype(np.int32),
        (distinct % width).astype(np.int32),
    )


def _pairs(
    catalog: Catalog, matches: Sequence[tuple[int, Match]]
) -> tuple[tuple[tuple[str, str], ...], U32]:
    """The pairs of app and product, and that of each match; the last one is that of no match."""
    of_match = [
        (catalog.apps[a].id, m.product or catalog.apps[a].product or UNCLASSIFIED)
        for a, m in matches
    ]
    of_match.append((UNCLASSIFIED, UNCLASSIFIED))
    pairs = tuple(sorted(set(of_match)))
    number = {pair: i for i, pair in enumerate(pairs)}
    return pairs, np.array([number[p] for p in of_match], np.uint32)


def _protocol_sets(matches: Sequence[Match]) -> U64:
    words = np.zeros((len(matches), 4), np.uint64)
    for row, m in enumerate(matches):
        if not m.protocols:
            words[row, :] = _ALL_PROTOCOLS
        for protocol in m.protocols:
            words[row, protocol >> 6] |= np.uint64(1 << (protocol & 63))
    return words


def _conditions(
    matches: Sequence[tuple[int, Match]], key: str, conditions: dict[str, tuple[str, ...]]
) -> I32:
    number = {text: i for i, text in enumerate(conditions[key])}
    return np.array(
        [-1 if (v := getattr(m, key)) is None else number[v.lower()] for _, m in matches],
        np.int32,
    )
