"""The catalog as arrays, once per run: every address range knows all that is asked of it.

Three layers are cut into one table of disjoint intervals: the operator's prefixes (longest wins:
region and network), the apps' prefixes (every match that covers an address, in catalog order:
the first that *fits* wins, not the longest) and the special ranges of the protocols.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

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
from v6share.schemas.catalog.models import Catalog, Match, Transition, network_problem
from v6share.schemas.catalog.parse import prefix_error
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.csv_files import row_line

Network = IPv4Network | IPv6Network

_V4_START: Final = int(MAPPED) << 32
_V4_END: Final = _V4_START + 2**32
_ALL_PROTOCOLS: Final = 2**64 - 1

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
    candidates, lists, flags, embedded = _rule_layer([m for _, m in matches], catalog.transition)
    cut, rule_of = overlay(homes, candidates)
    places, home_of_place, rule_of_place = _intern_pairs(cut.value, rule_of)
    pairs, pair_of = _pairs(catalog, matches)
    conditions = {
        key: tuple(sorted({v.lower() for _, m in matches if (v := getattr(m, key)) is not None}))
        for key in ("server_name", "app_name", "app_id")
    }
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
        place_list=lists.of_rule[rule_of_place],
        place_matched=(np.diff(lists.offsets) > 0)[lists.of_rule[rule_of_place]],
        place_client=home_of_place.astype(np.uint32),
        place_flags=flags[rule_of_place],
        place_embedded=embedded[rule_of_place],
        place_special=((flags != 0) | (embedded != 0))[rule_of_place],
        client_region=_codes([r for r, _ in clients], regions),
        list_offsets=lists.offsets,
        list_items=lists.items,
        match_app=np.array([*(a for a, _ in matches), len(catalog.apps)], np.uint32),
        match_pair=np.append(pair_of, np.uint32(pairs.index((UNCLASSIFIED, UNCLASSIFIED)))),
        match_region=np.array(
            [*(-1 if m.region is None else regions.index(m.region) for _, m in matches), -1],
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


def name_hits(values: Sequence[str], conditions: Sequence[str], below: bool) -> Bool:
    """Which value meets which (lower-case) condition: shape (values, conditions).

    below: a condition holds for a DNS name and for every name below it (``*.`` before it: only
    below); else only for the same text.
    """
    hits = np.zeros((len(values), len(conditions)), np.bool_)
    number = {text: i for i, text in enumerate(conditions)}
    for row, value in enumerate(values):
        name = value.lower().rstrip(".") if below else value.lower()
        if name in number:
            hits[row, number[name]] = True
        while below and "." in name:
            name = name.split(".", 1)[1]
            for known in (name, f"*.{name}"):
                if known in number:
                    hits[row, number[known]] = True
    return hits


@dataclass(frozen=True)
class _Lists:
    """Interned lists of match numbers; ``of_rule``: the list of each value of the rule layer."""

    of_rule: U32
    offsets: U32
    items: U32


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
        row = int(np.argmin(ok))
        text = texts[row].as_py()
        plain = f'found "{text}", expected a prefix like 192.0.2.0/24 or 2001:db8::/32'
        raise prefix_error(prefixes, row, network_problem(text) or plain)
    return hi, lo, length


def _refuse_contradictions(prefixes: pa.Table, hi: U64, lo: U64, length: U8, value: I32) -> None:
    """Refuse the same prefix with two homes; the same line twice is harmless."""
    order = np.lexsort((length, lo, hi))
    first, second = order[:-1], order[1:]
    same = (hi[first] == hi[second]) & (lo[first] == lo[second]) & (length[first] == length[second])
    wrong = np.flatnonzero(same & (value[first] != value[second]))
    if len(wrong):
        a, b = sorted((int(first[wrong[0]]), int(second[wrong[0]])))
        raise prefix_error(
            prefixes,
            b,
            f"{prefixes['prefix'][b].as_py()} stands in line {row_line(prefixes, a)} already, with "
            "another region or network; keep one of the two",
        )


def _span(network: Network) -> tuple[int, int]:
    start = int(network.network_address)
    end = int(network.broadcast_address) + 1
    return (start + _V4_START, end + _V4_START) if network.version == 4 else (start, end)


def _rule_layer(
    matches: Sequence[Match], transition: Transition
) -> tuple[Intervals, _Lists, I32, U8]:
    """Sweep the apps' prefixes and the special ranges: intervals of interned rules."""
    everywhere = [i for i, m in enumerate(matches) if m.prefix is None]
    spans = [(m.prefix, ("match", i, 0)) for i, m in enumerate(matches) if m.prefix is not None]
    spans += [(n, ("flag", f, e)) for n, f, e in special_ranges(transition)]
    swept = {
        version: _sweep([(n, tag) for n, tag in spans if n.version == version])
        for version in (4, 6)
    }
    starts = _joined(swept[4], swept[6])
    rules: dict[tuple[tuple[int, ...], int, int], int] = {}
    values = [rules.setdefault(_rule(active, everywhere), len(rules)) for _, active in starts]
    lists: dict[tuple[int, ...], int] = {}
    of_rule = [lists.setdefault(numbers, len(lists)) for numbers, _, _ in rules]
    return (
        Intervals(
            np.array([s >> 64 for s, _ in starts], np.uint64),
            np.array([s & (2**64 - 1) for s, _ in starts], np.uint64),
            np.array(values, np.int32),
        ),
        _Lists(
            np.array(of_rule, np.uint32),
            np.cumsum([0, *(len(numbers) for numbers in lists)]).astype(np.uint32),
            np.array([i for numbers in lists for i in numbers], np.uint32),
        ),
        np.array([f for _, f, _ in rules], np.int32),
        np.array([e for _, _, e in rules], np.uint8),
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


def _rule(active: tuple[Tag, ...], everywhere: list[int]) -> tuple[tuple[int, ...], int, int]:
    """(match numbers in catalog order, flags, embedded length of the longest prefix)."""
    numbers = sorted({*everywhere, *(n for kind, n, _ in active if kind == "match")})
    flags, embedded = 0, 0
    for kind, flag, length in active:
        if kind == "flag":
            flags |= flag
            embedded = length if flag in (c.NAT64, c.SIX_TO_FOUR) else embedded
    return tuple(numbers), flags, embedded


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
    code = a.astype(np.int64) * width + b
    # Few distinct codes among many: a table of marks is cheaper than sorting.
    seen = np.zeros((int(a.max()) + 1) * width, np.bool_)
    seen[code] = True
    distinct = np.flatnonzero(seen)
    number = np.zeros(len(seen), np.int32)
    number[distinct] = np.arange(len(distinct), dtype=np.int32)
    return (
        number[code],
        (distinct // width).astype(np.int32),
        (distinct % width).astype(np.int32),
    )


def _pairs(
    catalog: Catalog, matches: Sequence[tuple[int, Match]]
) -> tuple[tuple[tuple[str, str], ...], U32]:
    of_match = [
        (catalog.apps[a].id, m.product or catalog.apps[a].product or UNCLASSIFIED)
        for a, m in matches
    ]
    pairs = tuple(sorted({*of_match, (UNCLASSIFIED, UNCLASSIFIED)}))
    return pairs, np.array([pairs.index(p) for p in of_match], np.uint32)


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
