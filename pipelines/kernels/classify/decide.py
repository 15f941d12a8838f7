"""One decision a flow: which app and product, which side is the service, which class.

The order of every test is the order of the rule set (docs/concepts.md); ``RULES_VERSION`` is
raised whenever a row could be decided differently. Addresses were looked up before: a *place* is
what an address's interval says of it (home network, candidate matches, special ranges).
"""

from typing import Final, NamedTuple

import numpy as np

from v6share.pipelines.kernels.classify.intervals import MAPPED
from v6share.pipelines.kernels.classify.places import Embedded, Places
from v6share.pipelines.kernels.flow_batch import I16, I32, I64, U8, U32, U64, Bool
from v6share.pipelines.kernels.jit import compiled
from v6share.schemas.aggregates import DIRECTIONS, FAMILIES, IP_CLASSES, UNDERLAYS

# Special ranges an address may lie in; a place carries any number of them.
MULTICAST: Final = 1
LINK_LOCAL: Final = 2
LOOPBACK: Final = 4
UNSPECIFIED: Final = 8
NAT64: Final = 16
TRANSLATED: Final = 32
NAT64_POOL: Final = 64
SIX_TO_FOUR: Final = 128
TEREDO: Final = 256
SIX_TO_FOUR_RELAY: Final = 512
SIXRD_RELAY: Final = 1024
TEREDO_RELAY: Final = 2048
SRV6_LOCATOR: Final = 4096
DOCUMENTATION: Final = 8192
_CONTROL: Final = MULTICAST | LINK_LOCAL | LOOPBACK

V4: Final = FAMILIES.index("v4")
V6: Final = FAMILIES.index("v6")
_NO_FAMILY: Final = FAMILIES.index("unknown")
_NO_UNDERLAY: Final = UNDERLAYS.index("none")
_UNDERLAY_V4: Final = UNDERLAYS.index("v4")
_UNDERLAY_V6: Final = UNDERLAYS.index("v6")
TO_CLIENT: Final = DIRECTIONS.index("to_client")
TO_SERVICE: Final = DIRECTIONS.index("to_service")
_EITHER: Final = DIRECTIONS.index("unknown")

_UNKNOWN: Final = IP_CLASSES.index("unknown")
_NATIVE_V4: Final = IP_CLASSES.index("native_v4")
_NATIVE_V6: Final = IP_CLASSES.index("native_v6")
_6IN4: Final = IP_CLASSES.index("6in4")
_6TO4: Final = IP_CLASSES.index("6to4")
_6RD: Final = IP_CLASSES.index("6rd")
_ISATAP: Final = IP_CLASSES.index("isatap")
_TEREDO: Final = IP_CLASSES.index("teredo")
_4IN6: Final = IP_CLASSES.index("4in6")
_TRANSLATED: Final = IP_CLASSES.index("translated")
_6IN6: Final = IP_CLASSES.index("6in6")
_GRE: Final = IP_CLASSES.index("gre")
_IPIP: Final = IP_CLASSES.index("ipip")
_OVERLAY: Final = IP_CLASSES.index("overlay")
_ROCEV2: Final = IP_CLASSES.index("rocev2")
_SRV6: Final = IP_CLASSES.index("srv6")
CONTROL: Final = IP_CLASSES.index("control")
# The classes whose clients are users: IPv6 or IPv4 that reaches an app, carried or translated.
QUALIFYING: Final = (
    (1 << _NATIVE_V4)
    | (1 << _NATIVE_V6)
    | (1 << _TRANSLATED)
    | ((1 << _6IN4) | (1 << _6TO4) | (1 << _6RD) | (1 << _ISATAP) | (1 << _TEREDO) | (1 << _4IN6))
)

_ICMP: Final = 1
_IPIP_PROTOCOL: Final = 4
_TCP: Final = 6
_SYN: Final = 2
_SYN_AND_ACK: Final = 18
_UDP: Final = 17
_IPV6_PROTOCOL: Final = 41
_GRE_PROTOCOL: Final = 47
_ICMP6: Final = 58
_TEREDO_PORT: Final = 3544
_ANY_PROTOCOL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_ROCE_PORT: Final = 4791
_ONE: Final = np.uint32(1)
NO_LIST: Final = np.uint32(2**32 - 1)


class RuleArrays(NamedTuple):
    """The catalog's matches as arrays; m matches, in catalog order.

    place_*: per place: innermost list of candidate matches (NO_LIST where there is none), client
        (region, network), special ranges, RFC 6052 prefix length of an embedded IPv4 address (0 =
        not readable), whether either says anything, address region.
    list_*: match numbers of list i are ``items[offsets[i]:offsets[i + 1]]``, ascending; outer is
        the list to look through next, NO_LIST behind the last. Each match stands in one list: that
        of its prefix; without one, in that of its first name; else in the outermost, list 0.
        Lists of prefixes are followed by those of names: server_lists, app_name_lists and
        app_id_lists are the numbers of the first list of each kind, in the order of its conditions.
    match_*: app, (app, product) pair, service region (-1 = by address), each with what holds
        where nothing matches as its last entry; protocols as a bit set
        of shape (m, 4), port ranges, whether that is all, AS number (-1 = any), condition numbers
        (-1 = any).
    """

    place_list: U32
    place_client: U32
    place_flags: I32
    place_embedded: U8
    place_special: Bool
    client_region: U32
    list_offsets: U32
    list_items: U32
    list_outer: U32
    server_lists: int
    app_name_lists: int
    app_id_lists: int
    match_app: U32
    match_pair: U32
    match_region: I32
    match_protocols: U64
    port_offsets: U32
    port_low: I32
    port_high: I32
    match_plain: Bool
    match_asn: I64
    match_server_name: I32
    match_app_name: I32
    match_app_id: I32
    regions: int


class Hits(NamedTuple):
    """A column of names against the conditions on it; codes (n,), -1 null.

    Value v meets the conditions ``items[offsets[v]:offsets[v + 1]]``, ascending. An absent column
    has no codes: shape (0,).
    """

    codes: I32
    offsets: U32
    items: U32


class NameArrays(NamedTuple):
    """The names and AS numbers of one batch."""

    server: Hits
    app_name: Hits
    app_id: Hits
    src_as: I64
    dst_as: I64


class FlowArrays(NamedTuple):
    """The columns of a batch that the decision needs; optional ones have shape (0,) if absent."""

    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    family: U8
    underlay: U8
    outer_protocol: I16
    protocol: I16
    src_port: I32
    dst_port: I32
    tcp_flags: I16
    consumed: Bool
    segment_routing: Bool


class Decisions(NamedTuple):
    """What was decided, one entry a flow.

    pair: (app, product) number; service: pair * regions + service region; client: (region,
    network) number; app: app number; match: deciding match or -1; others are indices into the
    value lists of ``schemas.aggregates``.
    """

    pair: U32
    service: U32
    client: U32
    app: U32
    match: I32
    ip_class: U8
    underlay: U8
    direction: U8


@compiled
def has_ports(protocol: int) -> bool:
    """Tell whether ports are ports here: ICMP carries type and code in them, GRE nothing."""
    without = (protocol == _ICMP) | (protocol == _ICMP6) | (protocol == _GRE_PROTOCOL)
    without |= (protocol == _IPIP_PROTOCOL) | (protocol == _IPV6_PROTOCOL)
    return bool(not without)


@compiled
def opens_connection(protocol: int, tcp_flags: int) -> bool:
    """Tell whether a flow's TCP flags have a SYN and no ACK; flags below 0 are absent."""
    return bool((protocol == _TCP) & (tcp_flags > 0) & (tcp_flags & _SYN_AND_ACK == _SYN))


@compiled
def _ports_decide(protocol: int, src_port: int, dst_port: int) -> bool:
    return bool(has_ports(protocol) & (src_port >= 0) & (dst_port >= 0))


@compiled
def _hits_of(hits: Hits, row: int) -> tuple[np.uint32, np.uint32]:
    """Give where the conditions that a row's name meets begin and end in ``hits.items``."""
    # Files are checked for codes that are too large when they are read. This costs nothing and
    # holds for every caller.
    if len(hits.codes) == 0 or not 0 <= hits.codes[row] < len(hits.offsets) - 1:
        return np.uint32(0), np.uint32(0)
    value = np.uint32(hits.codes[row])
    return hits.offsets[value], hits.offsets[value + _ONE]


@compiled
def _name_fits(condition: int, hits: Hits, row: int) -> bool:
    if condition < 0:
        return True
    at, end = _hits_of(hits, row)
    while at < end:
        if hits.items[at] == condition:
            return True
        at += _ONE
    return False


@compiled
def find_matches(
    rules: RuleArrays, names: NameArrays, places: U32, protocols: I16, ports: I32, as_numbers: I64
) -> I32:
    """Give the first match in catalog order that fits one side of each flow; -1 where none does.

    places: of this side's addresses; as_numbers may have shape (0,).
    """
    found = np.full(len(places), -1, np.int32)
    place_list = rules.place_list
    rows, lists, count = np.empty(len(places), np.uint32), np.empty(len(places), np.uint32), 0
    for i in range(len(places)):
        innermost = place_list[places[i]]
        rows[count], lists[count] = i, innermost
        count += innermost != NO_LIST
    _match_rows(rules, names, rows[:count], lists[:count], protocols, ports, as_numbers, found)
    for hits, first in (
        (names.server, rules.server_lists),
        (names.app_name, rules.app_name_lists),
        (names.app_id, rules.app_id_lists),
    ):
        if len(hits.items) > 0:
            rows, lists = _lists_of_names(rules.list_offsets, hits, first)
            _match_rows(rules, names, rows, lists, protocols, ports, as_numbers, found)
    return found


@compiled
def _lists_of_names(offsets: U32, hits: Hits, first: int) -> tuple[U32, U32]:
    """Give the rows whose name has a list of matches, and the list; a row once for each list.

    first: the list of the first condition on names of this kind.
    """
    size = 0
    for i in range(len(hits.codes)):
        at, end = _hits_of(hits, i)
        size += int(end - at)
    rows, lists, count = np.empty(size, np.uint32), np.empty(size, np.uint32), 0
    for i in range(len(hits.codes)):
        at, end = _hits_of(hits, i)
        while at < end:
            of_name = np.uint32(first) + hits.items[at]
            at += _ONE
            rows[count], lists[count] = i, of_name
            count += offsets[of_name] < offsets[of_name + _ONE]
    return rows[:count], lists[:count]


@compiled
def _match_rows(
    rules: RuleArrays,
    names: NameArrays,
    rows: U32,
    lists: U32,
    protocols: I16,
    ports: I32,
    as_numbers: I64,
    found: I32,
) -> None:
    """Look for the first match of some flows in a list each, and in those outside of it.

    found: what each flow was given so far, -1 for nothing; written where an earlier match fits.
    """
    # Held in local names: to read an array from a tuple counts references, at every row.
    offsets, items, outer = rules.list_offsets, rules.list_items, rules.list_outer
    port_offsets, port_low, port_high = rules.port_offsets, rules.port_low, rules.port_high
    protocol_sets, asns, plain = rules.match_protocols, rules.match_asn, rules.match_plain
    server_names, app_names, app_ids = (
        rules.match_server_name,
        rules.match_app_name,
        rules.match_app_id,
    )
    of_server, of_app_name, of_app_id = names.server, names.app_name, names.app_id
    with_as = len(as_numbers) > 0
    for k in range(len(rows)):
        i = rows[k]
        at, end = offsets[lists[k]], offsets[lists[k] + _ONE]
        after = outer[lists[k]]
        protocol = protocols[i]
        port = ports[i] if has_ports(protocol) else -1
        best = np.uint32(found[i])  # -1 becomes the largest number, which no match has
        while True:
            if at == end:
                if after == NO_LIST:
                    break
                at, end, after = offsets[after], offsets[after + _ONE], outer[after]
                continue
            m = items[at]
            at += _ONE
            if m >= best:
                at = end
                continue
            p, last = port_offsets[m], port_offsets[m + _ONE]
            fits = p == last
            while p < last:
                fits |= (port_low[p] <= port) & (port <= port_high[p])
                p += _ONE
            word = protocol_sets[m, np.uint32((protocol & 255) >> 6)]
            listed = (word >> np.uint64(protocol & 63)) & np.uint64(1) != 0
            fits &= (word == _ANY_PROTOCOL) | ((protocol >= 0) & listed)
            if plain[m] and at == end and after == NO_LIST:
                # Most often there is one candidate: a branch on it would be guessed wrong.
                best = m if fits else best
                break
            if not fits:
                continue
            if not plain[m]:
                if asns[m] >= 0 and (not with_as or asns[m] != as_numbers[i]):
                    continue
                if not (
                    _name_fits(server_names[m], of_server, i)
                    and _name_fits(app_names[m], of_app_name, i)
                    and _name_fits(app_ids[m], of_app_id, i)
                ):
                    continue
            best = m
            at = end
        found[i] = np.int32(best)


@compiled
def _is_isatap(hi: np.uint64, lo: np.uint64) -> bool:
    """Tell an ISATAP interface id (RFC 5214, 6.1): 0:5efe or 200:5efe before the IPv4 address."""
    return bool((hi != 0) & ((lo >> np.uint64(32)) & ~np.uint64(0x02000000) == np.uint64(0x5EFE)))


@compiled
def _class_by_address(flags: int, isatap: bool, client_flags: int, inner_v4: bool) -> int:
    """Steps 5 and 6: what the addresses of either side show."""
    if flags & (NAT64 | TRANSLATED) or (inner_v4 and client_flags & NAT64_POOL):
        return _TRANSLATED
    if flags & SIX_TO_FOUR:
        return _6TO4
    if flags & TEREDO:
        return _TEREDO
    if isatap:
        return _ISATAP
    return _NATIVE_V4 if inner_v4 else _NATIVE_V6


@compiled
def _class_of_v4(protocol: int, src_port: int, dst_port: int, flags: int) -> int:
    """Step 3: what an IPv4 header says of the packet inside; -1 where nothing."""
    if protocol == _IPV6_PROTOCOL:
        if flags & SIX_TO_FOUR_RELAY:
            return _6TO4
        return _6RD if flags & SIXRD_RELAY else _6IN4
    # Without an inner address or a known relay Teredo's port proves nothing.
    teredo_port = protocol == _UDP and (src_port == _TEREDO_PORT or dst_port == _TEREDO_PORT)
    if teredo_port and flags & TEREDO_RELAY:
        return _TEREDO
    if protocol == _IPIP_PROTOCOL:
        return _IPIP
    return _class_of_encapsulation(protocol, dst_port)


@compiled
def _class_of_v6(protocol: int, dst_port: int, dst_flags: int, segment_routing: bool) -> int:
    """Step 4: what an IPv6 header says of the packet inside; -1 where nothing."""
    if segment_routing or dst_flags & SRV6_LOCATOR:
        return _SRV6
    if protocol == _IPIP_PROTOCOL:
        return _4IN6
    if protocol == _IPV6_PROTOCOL:
        return _6IN6
    return _class_of_encapsulation(protocol, dst_port)


@compiled
def _class_of_encapsulation(protocol: int, dst_port: int) -> int:
    if protocol == _GRE_PROTOCOL:
        return _GRE
    if protocol == _UDP:
        if dst_port == _ROCE_PORT:
            return _ROCEV2
        if _is_tunnel_port(dst_port):
            return _OVERLAY
    return -1


@compiled
def _is_tunnel_port(port: int) -> bool:
    """Tell a UDP destination port that makes a class by itself.

    VXLAN, Linux VXLAN, Geneve, GTP-U, MPLS in UDP, L2TP; RoCEv2.
    """
    overlay = (port == 4789) | (port == 8472) | (port == 6081) | (port == 2152)
    return bool(overlay | (port == 6635) | (port == 1701) | (port == _ROCE_PORT))


@compiled
def _class_of_tunnel(
    underlay: int, outer_protocol: int, flags: int, isatap: bool, segment_routing: bool
) -> int:
    """Step 2: a transition tunnel whose inner header shows; -1 for infrastructure."""
    if underlay == _UNDERLAY_V4 and outer_protocol == _IPV6_PROTOCOL:
        if flags & SIX_TO_FOUR:
            return _6TO4
        if flags & TEREDO:
            return _TEREDO
        return _ISATAP if isatap else _6IN4
    if underlay == _UNDERLAY_V4 and outer_protocol == _UDP and flags & TEREDO:
        return _TEREDO
    if underlay == _UNDERLAY_V6 and outer_protocol == _IPIP_PROTOCOL and not segment_routing:
        return _4IN6
    return -1


@compiled
def _match_side(
    rules: RuleArrays,
    names: NameArrays,
    protocols: I16,
    ports: I32,
    as_numbers: I64,
    places: U32,
    embedded: Embedded,
) -> I32:
    """Match one side: by its own address, else by an embedded one."""
    found = find_matches(rules, names, places, protocols, ports, as_numbers)
    if len(embedded.rows) > 0:
        lists = rules.place_list[embedded.places[embedded.rows]]
        left = (found[embedded.rows] < 0) & (lists != NO_LIST)
        _match_rows(
            rules, names, embedded.rows[left], lists[left], protocols, ports, as_numbers, found
        )
    return found


def decide(flows: FlowArrays, rules: RuleArrays, names: NameArrays, places: Places) -> Decisions:
    """Decide every flow of a batch."""
    protocols = flows.protocol
    src_match = _match_side(
        rules, names, protocols, flows.src_port, names.src_as, places.src, places.src_embedded
    )
    dst_match = _match_side(
        rules, names, protocols, flows.dst_port, names.dst_as, places.dst, places.dst_embedded
    )
    return _decide(flows, rules, src_match, dst_match, places.src, places.dst, places.special)


@compiled
def _decide(
    flows: FlowArrays,
    rules: RuleArrays,
    src_matches: I32,
    dst_matches: I32,
    src_places: U32,
    dst_places: U32,
    special: U32,
) -> Decisions:
    n = len(flows.family)
    pair = np.empty(n, np.uint32)
    service = np.empty(n, np.uint32)
    client = np.empty(n, np.uint32)
    app = np.empty(n, np.uint32)
    match = np.empty(n, np.int32)
    direction = np.empty(n, np.uint8)
    # Held in local names: to read an array from a tuple counts references, at every row.
    match_app, match_pair, match_region = rules.match_app, rules.match_pair, rules.match_region
    place_client, client_region = rules.place_client, rules.client_region
    protocols, src_ports, dst_ports = flows.protocol, flows.src_port, flows.dst_port
    tcp_flags = flows.tcp_flags
    regions, nothing = rules.regions, len(match_app) - 1
    for i in range(n):
        src_match, dst_match = src_matches[i], dst_matches[i]
        of_src = np.uint32(src_match if src_match >= 0 else nothing)
        of_dst = np.uint32(dst_match if dst_match >= 0 else nothing)
        # Choices, not branches: which side is the service changes from row to row.
        by_app = _compared(match_app[of_src], match_app[of_dst])
        by_port = _compared(src_ports[i], dst_ports[i])
        by_port *= _ports_decide(protocols[i], src_ports[i], dst_ports[i])
        # Who sent a SYN and never an ACK has opened the connection, and was not answered.
        opens = opens_connection(protocols[i], tcp_flags[i]) & (src_match < 0) & (dst_match < 0)
        by_port = 1 if opens else by_port
        order = by_app if by_app != 0 else by_port
        to_client = order < 0
        decided = of_src if to_client else of_dst
        src_client, dst_client = place_client[src_places[i]], place_client[dst_places[i]]
        region = match_region[decided]
        of_address = client_region[src_client if to_client else dst_client]
        pair[i] = match_pair[decided]
        service[i] = match_pair[decided] * regions + (region if region >= 0 else of_address)
        client[i] = dst_client if to_client else src_client
        app[i] = match_app[decided]
        match[i] = src_match if to_client else dst_match
        direction[i] = TO_CLIENT if to_client else (TO_SERVICE if order > 0 else _EITHER)
    ip_class, underlay = _classes(
        flows, rules.place_flags, src_places, dst_places, special, direction
    )
    return Decisions(pair, service, client, app, match, ip_class, underlay, direction)


@compiled
def _compared(a: int, b: int) -> int:
    """Tell whose number is lower, -1 for the source's: the earlier app, the lower port."""
    return int(a > b) - int(a < b)


@compiled
def _classes(
    flows: FlowArrays,
    place_flags: I32,
    src_places: U32,
    dst_places: U32,
    special: U32,
    directions: U8,
) -> tuple[U8, U8]:
    """Give the class and the underlay of each flow."""
    n = len(flows.family)
    ip_class = np.empty(n, np.uint8)
    underlay = np.full(n, _NO_UNDERLAY, np.uint8)
    src_hi, src_lo, dst_hi, dst_lo = flows.src_hi, flows.src_lo, flows.dst_hi, flows.dst_lo
    protocols, src_ports, dst_ports = flows.protocol, flows.src_port, flows.dst_port
    families, underlays, outer_protocols = flows.family, flows.underlay, flows.outer_protocol
    all_consumed, all_routed = flows.consumed, flows.segment_routing
    for i in _unusual(flows, special, ip_class):
        src_flags, dst_flags = place_flags[src_places[i]], place_flags[dst_places[i]]
        outer = int(underlays[i]) if len(underlays) > 0 else _NO_UNDERLAY
        outer_protocol = int(outer_protocols[i]) if len(outer_protocols) > 0 else -1
        routed = len(all_routed) > 0 and all_routed[i]
        ip_class[i] = _class_of(
            int(families[i]),
            outer,
            outer_protocol,
            int(protocols[i]),
            int(src_ports[i]),
            int(dst_ports[i]),
            src_flags,
            dst_flags,
            dst_flags if directions[i] == TO_CLIENT else src_flags,
            _is_isatap(src_hi[i], src_lo[i]) or _is_isatap(dst_hi[i], dst_lo[i]),
            _is_v4(src_hi[i], src_lo[i]) or _is_v4(dst_hi[i], dst_lo[i]),
            len(all_consumed) > 0 and all_consumed[i],
            routed,
        )
        flags = src_flags | dst_flags
        tunnel = _class_of_tunnel(outer, outer_protocol, flags, False, routed) >= 0
        underlay[i] = _NO_UNDERLAY if tunnel else outer
    return ip_class, underlay


@compiled
def _unusual(flows: FlowArrays, special: U32, ip_class: U8) -> U32:
    """Write the class that a row like most has, and give the rows to which ``_class_of`` may give
    another.
    """
    src_hi, src_lo, dst_hi, dst_lo = flows.src_hi, flows.src_lo, flows.dst_hi, flows.dst_lo
    protocols, dst_ports, families = flows.protocol, flows.dst_port, flows.family
    n = len(families)
    bare = len(flows.underlay) == 0 and len(flows.consumed) == 0 and len(flows.segment_routing) == 0
    unusual = np.empty(n, np.bool_)
    for i in range(n):
        isatap = _is_isatap(src_hi[i], src_lo[i]) | _is_isatap(dst_hi[i], dst_lo[i])
        tcp, udp = protocols[i] == _TCP, protocols[i] == _UDP
        plain = tcp | (udp & (not _is_tunnel_port(dst_ports[i])))
        unusual[i] = (not plain) | isatap | (families[i] == _NO_FAMILY) | (not bare)
        ip_class[i] = _NATIVE_V4 if families[i] == V4 else _NATIVE_V6
    for i in special:
        unusual[i] = True
    rows, count = np.empty(n, np.uint32), 0
    for i in range(n):
        rows[count] = i
        count += unusual[i]
    return rows[:count].copy()


@compiled
def _is_v4(hi: np.uint64, lo: np.uint64) -> bool:
    return bool(hi == 0 and (lo >> np.uint64(32)) == MAPPED)


@compiled
def _class_of(
    family: int,
    underlay: int,
    outer_protocol: int,
    protocol: int,
    src_port: int,
    dst_port: int,
    src_flags: int,
    dst_flags: int,
    client_flags: int,
    isatap: bool,
    inner_v4: bool,
    consumed: bool,
    segment_routing: bool,
) -> int:
    """Decide the class, steps 1 to 6 in order."""
    flags = src_flags | dst_flags
    one_unspecified = (src_flags & UNSPECIFIED) != (dst_flags & UNSPECIFIED)
    if flags & _CONTROL or one_unspecified or consumed or protocol in (_ICMP, _ICMP6):
        return CONTROL
    if src_flags & UNSPECIFIED or family not in (V4, V6):
        return _UNKNOWN
    if underlay != _NO_UNDERLAY:
        tunnel = _class_of_tunnel(underlay, outer_protocol, flags, isatap, segment_routing)
        if tunnel >= 0:
            return tunnel
        # Infrastructure: the class is that of the packet inside.
        family = V4 if inner_v4 else V6
        segment_routing = False
    if family == V4:
        kind = _class_of_v4(protocol, src_port, dst_port, flags)
    else:
        kind = _class_of_v6(protocol, dst_port, dst_flags, segment_routing)
    if kind >= 0:
        return kind
    return _class_by_address(flags, isatap, client_flags, inner_v4)
