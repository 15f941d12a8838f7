"""Which match decides, against an oracle that asks every match of the catalog in turn."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import numpy as np
from flow_maker import flows

from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.compile_catalog import Rules, compile_rules
from v6share.pipelines.kernels.classify.decide import NO_LIST
from v6share.pipelines.kernels.classify.locate import locate
from v6share.schemas.catalog.models import Match
from v6share.schemas.catalog.parse import parse_catalog

PREFIXES = (
    *("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.64.0.0/10", "0.0.0.0/0"),
    *("2a00::/16", "2a00:100::/32", "2a00:100:1::/48", "2a00:100:1::7/128", "::/0"),
    *("64:ff9b::/96", "64:ff9b::a01:203/128", "2002:a01::/32"),
)
ADDRESSES = (
    *("10.0.0.1", "10.1.9.9", "10.1.2.9", "10.1.2.3", "10.70.1.1", "192.0.2.1"),
    *("2a00::1", "2a00:100::1", "2a00:100:1::1", "2a00:100:1::7", "2400::1"),
    # NAT64 and 6to4: an IPv4 address stands in them.
    *("64:ff9b::a01:203", "64:ff9b::a01:909", "2002:a01:203::1", "2002:a46:101::1"),
)
CONDITIONS = ("example", "a.example", "*.a.example", "b.a.example", "*.example", "c.test")
NAMES = (None, "example", "A.example", "b.a.example.", "x.b.a.example", "c.test", "c.test.", "test")
PORTS = (80, 443, 8080)
PROTOCOLS = (6, 17, 1, 47, -1)
AS_NUMBERS = (64500, 64501, -1)
WORDS = ("web", "mail")
HAS_NO_PORTS = (1, 4, 41, 47, 58)


def random_match(rng: random.Random) -> str:
    conditions = {
        "prefix": lambda: f'"{rng.choice(PREFIXES)}"',
        "port": lambda: rng.choice(('"0-100"', "443", "[80, 8080]")),
        "protocol": lambda: rng.choice(("6", "17", "[1, 6]")),
        "server_name": lambda: f'"{rng.choice(CONDITIONS)}"',
        "app_name": lambda: f'"{rng.choice(WORDS)}"',
        "app_id": lambda: f'"{rng.choice(WORDS)}"',
        "asn": lambda: str(rng.choice(AS_NUMBERS[:2])),
    }
    keys = rng.sample(list(conditions), rng.choice((1, 1, 1, 2, 2, 3)))
    return "{ " + ", ".join(f"{key} = {conditions[key]()}" for key in keys) + " }"


def random_rules(rng: random.Random) -> Rules:
    apps = "".join(
        f'[[app]]\nid = "app{i}"\nname = "App {i}"\nmatch = ['
        + ", ".join(random_match(rng) for _ in range(rng.choice((1, 2, 3))))
        + "]\n"
        for i in range(rng.randrange(1, 25))
    )
    return compile_rules(parse_catalog({"apps.toml": apps.encode()}))


def random_flow(rng: random.Random) -> dict:
    return {
        "src": rng.choice(ADDRESSES),
        "dst": rng.choice(ADDRESSES),
        "protocol": rng.choice(PROTOCOLS),
        "src_port": rng.choice(PORTS),
        "dst_port": rng.choice(PORTS),
        "src_as": rng.choice(AS_NUMBERS),
        "dst_as": rng.choice(AS_NUMBERS),
        "server_name": rng.choice(NAMES),
        "app_name": rng.choice((None, "Web", "mail", "other")),
        "app_id": rng.choice((None, "web", "other")),
    }


def holds_name(condition: str, name: str | None) -> bool:
    """docs/concepts.md: the name and every name below it; behind ``*.`` only the names below."""
    if name is None:
        return False
    name = name.lower().rstrip(".")
    if condition.startswith("*."):
        return name.endswith(condition[1:])
    return name == condition or name.endswith(f".{condition}")


def holds(match: Match, flow: dict, side: str, address: IPv4Address | IPv6Address) -> bool:
    prefix, port = match.prefix, flow[f"{side}_port"]
    with_ports = flow["protocol"] not in HAS_NO_PORTS
    return (
        (prefix is None or (prefix.version == address.version and address in prefix))
        and (not match.ports or (with_ports and any(a <= port <= b for a, b in match.ports)))
        and (not match.protocols or flow["protocol"] in match.protocols)
        and (match.asn is None or match.asn == flow[f"{side}_as"])
        and (match.server_name is None or holds_name(match.server_name, flow["server_name"]))
        and all(
            wanted is None or wanted.lower() == (flow[key] or "").lower()
            for key, wanted in (("app_name", match.app_name), ("app_id", match.app_id))
        )
    )


def addresses_to_try(text: str) -> list[IPv4Address | IPv6Address]:
    """An address, and behind it the IPv4 address that stands in it (RFC 6052, 3056)."""
    address = ip_address(text)
    if address in ip_network("64:ff9b::/96"):
        return [address, IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in ip_network("2002::/16"):
        return [address, IPv4Address(int(address) >> 80 & 0xFFFFFFFF)]
    return [address]


def first_match(rules: Rules, flow: dict, side: str) -> int:
    for address in addresses_to_try(flow[side]):
        for number, match in enumerate(rules.matches):
            if holds(match, flow, side, address):
                return number
    return -1


def deciding_match(rules: Rules, flow: dict) -> int:
    """Of both sides: the earlier app's, else that of the lower port, else the destination's."""
    src, dst = first_match(rules, flow, "src"), first_match(rules, flow, "dst")
    apps = [rules.arrays.match_app[m] for m in (src, dst)]
    if apps[0] != apps[1]:
        return src if apps[0] < apps[1] else dst
    with_ports = flow["protocol"] not in HAS_NO_PORTS
    return src if with_ports and flow["src_port"] < flow["dst_port"] else dst


def test_the_first_match_in_catalog_order_decides() -> None:
    rng = random.Random(7)
    decided = 0
    for _ in range(150):
        rules = random_rules(rng)
        rows = [random_flow(rng) for _ in range(60)]
        batch = flows(rows)
        found = classify(batch, rules, locate(batch, rules)).match.tolist()
        expected = [deciding_match(rules, row) for row in rows]
        assert found == expected, [m.model_dump(exclude_defaults=True) for m in rules.matches]
        decided += sum(m >= 0 for m in expected)
    assert 2000 < decided < 8900


def test_each_match_stands_in_one_list_however_many_prefixes_there_are() -> None:
    """As many entries as matches: 4,000 wide matches in each of 4,000 lists would be 16 million."""
    many = 4000
    apps = "".join(
        f'[[app]]\nid = "a{i}"\nname = "A"\nmatch = [\n'
        f'  {{ prefix = "11.{i >> 8}.{i & 255}.0/24" }}, {{ server_name = "a{i}.example" }},\n'
        f'  {{ prefix = "0.0.0.0/0", port = {i + 1} }}, {{ asn = {i + 1} }},\n]\n'
        for i in range(many)
    )
    rules = compile_rules(parse_catalog({"apps.toml": apps.encode()}))
    assert sorted(rules.arrays.list_items.tolist()) == list(range(4 * many))
    assert sum(a.nbytes for a in rules.arrays if isinstance(a, np.ndarray)) < 200 * 4 * many
    assert (rules.arrays.place_list != NO_LIST).all()

    batch = flows(
        [
            {"src": "20.0.0.1", "dst": "11.1.2.3", "dst_port": 9999, "server_name": "a9.example"},
            {"src": "20.0.0.1", "dst": "20.0.0.2", "dst_port": 9999, "server_name": "a9.example"},
            {"src": "20.0.0.1", "dst": "11.1.2.3", "dst_port": 70, "server_name": "a90.example"},
        ]
    )
    # The app of 11.1.2.0/24 is 258; that of a port is one below it.
    assert classify(batch, rules, locate(batch, rules)).app.tolist() == [9, 9, 69]
