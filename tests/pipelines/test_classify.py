"""Golden cases of the rule set, one line a rule, decided by hand from docs/concepts.md."""

import random
import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import numpy as np
import pytest
from flow_maker import catalog, flows

from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.pipelines.kernels.classify.decide import has_ports
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.classify.places import embedded_v4
from v6share.schemas.aggregates import DIRECTIONS, IP_CLASSES, UNDERLAYS
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.errors import CatalogError
from v6share.schemas.protocols import MAX_PROTOCOL, WITHOUT_PORTS

V4C, V6C = "10.0.0.1", "2a00:100::1"
SHOP4, SHOP6, VIDEO4, VIDEO6 = "198.18.9.9", "2001:db8:2::9", "198.18.1.9", "2001:db8:1::9"


@pytest.fixture(scope="module")
def rules():
    return compile_rules(catalog())


def decide_one(rules, **row):
    batch = flows([row])
    decisions = classify(batch, rules, locate(batch, rules))
    pair, region = divmod(int(decisions.service[0]), len(rules.regions))
    app, product = rules.pairs[pair]
    client_region, network = rules.clients[int(decisions.client[0])]
    return {
        "class": IP_CLASSES[decisions.ip_class[0]],
        "underlay": UNDERLAYS[decisions.underlay[0]],
        "direction": DIRECTIONS[decisions.direction[0]],
        "app": app,
        "product": product,
        "service_region": rules.regions[region],
        "client_region": client_region,
        "network": network,
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"src": V4C, "dst": SHOP4}, "native_v4"),
        ({"src": V6C, "dst": SHOP6}, "native_v6"),
        # 1: control
        ({"src": V4C, "dst": "224.0.0.5"}, "control"),
        ({"src": "fe80::1", "dst": "ff02::1"}, "control"),
        ({"src": "169.254.1.1", "dst": SHOP4}, "control"),
        ({"src": "127.0.0.1", "dst": SHOP4}, "control"),
        ({"src": "::1", "dst": SHOP6}, "control"),
        ({"src": "0.0.0.0", "dst": SHOP4}, "control"),
        ({"src": V4C, "dst": "0.0.0.0"}, "control"),
        ({"src": V4C, "dst": SHOP4, "protocol": 1}, "control"),
        ({"src": V6C, "dst": SHOP6, "protocol": 58}, "control"),
        ({"src": V4C, "dst": SHOP4, "consumed": True}, "control"),
        # 2: tunnels whose inner header shows
        ({"src": V6C, "dst": SHOP6, "underlay": 1, "outer_protocol": 41}, "6in4"),
        ({"src": "2002:a00:1::1", "dst": SHOP6, "underlay": 1, "outer_protocol": 41}, "6to4"),
        ({"src": "2001:0:a::1", "dst": SHOP6, "underlay": 1, "outer_protocol": 17}, "teredo"),
        ({"src": V4C, "dst": SHOP4, "underlay": 2, "outer_protocol": 4}, "4in6"),
        ({"src": V4C, "dst": SHOP4, "underlay": 2, "outer_protocol": 43}, "native_v4"),
        ({"src": V6C, "dst": SHOP6, "underlay": 2, "outer_protocol": 41}, "native_v6"),
        # ... of which infrastructure takes the class of the packet inside, whatever that is
        (
            {"src": V4C, "dst": SHOP4, "underlay": 2, "protocol": 17, "dst_port": 4791},
            "rocev2",
        ),
        ({"src": V4C, "dst": SHOP4, "underlay": 2, "protocol": 41}, "6in4"),
        ({"src": V6C, "dst": SHOP6, "underlay": 1, "protocol": 47}, "gre"),
        ({"src": V6C, "dst": SHOP6, "underlay": 2, "segment_routing": True}, "native_v6"),
        # 3: outer IPv4
        ({"src": V4C, "dst": SHOP4, "protocol": 41}, "6in4"),
        ({"src": V4C, "dst": "192.88.99.1", "protocol": 41}, "6to4"),
        ({"src": V4C, "dst": "10.66.0.1", "protocol": 41}, "6rd"),
        ({"src": V4C, "dst": "10.67.0.1", "protocol": 17, "dst_port": 3544}, "teredo"),
        ({"src": "10.67.0.1", "dst": V4C, "protocol": 17, "src_port": 3544}, "teredo"),
        ({"src": V4C, "dst": "10.0.0.7", "protocol": 17, "dst_port": 3544}, "native_v4"),
        ({"src": V4C, "dst": SHOP4, "protocol": 47}, "gre"),
        ({"src": V4C, "dst": SHOP4, "protocol": 4}, "ipip"),
        ({"src": V4C, "dst": SHOP4, "protocol": 17, "dst_port": 4789}, "overlay"),
        ({"src": V4C, "dst": SHOP4, "protocol": 17, "dst_port": 8472}, "overlay"),
        *(
            ({"src": V4C, "dst": SHOP4, "protocol": 17, "dst_port": port}, "overlay")
            for port in (2152, 6081, 6635, 1701)
        ),
        ({"src": V6C, "dst": SHOP6, "protocol": 17, "dst_port": 6081}, "overlay"),
        ({"src": V4C, "dst": SHOP4, "protocol": 17, "dst_port": 4791}, "rocev2"),
        (
            {"src": V4C, "dst": SHOP4, "protocol": 17, "src_port": 4791, "dst_port": 443},
            "native_v4",
        ),
        ({"src": V4C, "dst": SHOP4, "protocol": 6, "dst_port": 4789}, "native_v4"),
        # 4: outer IPv6
        ({"src": V6C, "dst": SHOP6, "segment_routing": True}, "srv6"),
        # ... whatever it carries
        *(
            ({"src": V6C, "dst": SHOP6, "protocol": p, "segment_routing": True}, "srv6")
            for p in (4, 41, 47)
        ),
        ({"src": V6C, "dst": "2a00:5600::1", "protocol": 41}, "srv6"),
        ({"src": V6C, "dst": "2a00:5600::1"}, "srv6"),
        ({"src": "2a00:5600::1", "dst": SHOP6}, "native_v6"),
        ({"src": V6C, "dst": "5f00::1"}, "srv6"),
        ({"src": V6C, "dst": SHOP6, "protocol": 43}, "native_v6"),
        ({"src": V6C, "dst": SHOP6, "protocol": 4}, "4in6"),
        ({"src": V6C, "dst": SHOP6, "protocol": 41}, "6in6"),
        ({"src": V6C, "dst": SHOP6, "protocol": 47}, "gre"),
        ({"src": V6C, "dst": SHOP6, "protocol": 17, "dst_port": 4791}, "rocev2"),
        # 5: by address
        ({"src": V6C, "dst": "64:ff9b::c612:909"}, "translated"),
        ({"src": V6C, "dst": "64:ff9b:1::1"}, "translated"),
        ({"src": V6C, "dst": "2a00:64::c612:909"}, "translated"),
        ({"src": "2a00:77::1", "dst": SHOP6}, "translated"),
        ({"src": "2a00:78::1", "dst": SHOP6}, "translated"),
        ({"src": V6C, "dst": "::ffff:0:a00:1"}, "translated"),
        ({"src": "10.200.1.1", "dst": SHOP4}, "translated"),
        # the pool speaks for clients, of a known service too; as a service it is plain IPv4
        ({"src": SHOP4, "dst": "10.200.1.1", "src_port": 40000, "dst_port": 443}, "translated"),
        ({"src": V4C, "dst": "10.200.1.1", "src_port": 40000, "dst_port": 443}, "native_v4"),
        ({"src": "2002:a00:1::1", "dst": SHOP6}, "6to4"),
        ({"src": "2001:0:a::1", "dst": SHOP6}, "teredo"),
        # of two that fit the earlier in this order
        ({"src": "2002:a00:1::1", "dst": "64:ff9b::c612:909"}, "translated"),
        ({"src": "2001:0:a::1", "dst": "2002:a00:1::1"}, "6to4"),
        ({"src": "2002:a00:1::5efe:a00:1", "dst": SHOP6}, "6to4"),
        ({"src": "2a00:100::5efe:a00:1", "dst": "2001:0:a::1"}, "teredo"),
        ({"src": "2a00:100::5efe:a00:1", "dst": SHOP6}, "isatap"),
        ({"src": "2a00:100::200:5efe:a00:1", "dst": SHOP6}, "isatap"),
        # documentation prefixes are ordinary addresses
        ({"src": "192.0.2.1", "dst": "203.0.113.5"}, "native_v4"),
        # 6: no addresses
        ({"src": "", "dst": ""}, "unknown"),
        ({"src": "", "dst": "", "family": 1}, "unknown"),
        ({"src": "0.0.0.0", "dst": "0.0.0.0", "family": 1}, "unknown"),
    ],
)
def test_class(rules, row, expected) -> None:
    assert decide_one(rules, **row)["class"] == expected, row


@pytest.mark.parametrize("sid", ["5f00:1::1", "2a00:5600:0:1::"])
def test_ipv4_carried_to_a_segment_is_no_ds_lite(rules, sid: str) -> None:
    """Protocol 4 alone cannot tell SRv6 from DS-Lite: the outer destination does."""
    inner = {"src": V4C, "dst": SHOP4, "underlay": 2, "outer_protocol": 4}
    carried = decide_one(rules, **inner, outer_dst=sid)
    assert (carried["class"], carried["underlay"]) == ("native_v4", "v6")
    headed = decide_one(rules, **inner, outer_dst=V6C, segment_routing=True)
    assert (headed["class"], headed["underlay"]) == ("native_v4", "v6")
    for other in ({"outer_dst": V6C}, {"outer_dst": ""}, {}):
        plain = decide_one(rules, **inner, **other)
        assert (plain["class"], plain["underlay"]) == ("4in6", "none")


def test_more_vantages_than_a_key_has_room_for_are_a_mistake() -> None:
    header = "exporter,vantage,role,sampling_interval,white_box\n"
    rows = "".join(f"e{i},v{i},border,1,false\n" for i in range(65_535))
    many = parse_catalog({"exporters.csv": (header + rows).encode()})
    with pytest.raises(CatalogError, match=r"exporters\.csv: vantage: found 65,535 names"):
        compile_rules(many)


def test_underlay_is_kept_for_infrastructure_only(rules) -> None:
    tunnel = {"src": V6C, "dst": SHOP6, "underlay": 1, "outer_protocol": 41}
    assert decide_one(rules, **tunnel)["underlay"] == "none"
    inner = {"src": V4C, "dst": SHOP4, "underlay": 2}
    assert decide_one(rules, **inner)["underlay"] == "v6"


@pytest.mark.parametrize(
    ("row", "app", "direction"),
    [
        ({"src": V4C, "dst": VIDEO4}, "video", "to_service"),
        ({"src": VIDEO4, "dst": V4C, "src_port": 443, "dst_port": 40000}, "video", "to_client"),
        # the catalog's order decides, not the longest prefix: port 80 is no video
        ({"src": V4C, "dst": VIDEO4, "dst_port": 80}, "shop", "to_service"),
        ({"src": V6C, "dst": VIDEO6, "dst_port": 8010, "protocol": 17}, "video", "to_service"),
        ({"src": V6C, "dst": VIDEO6, "dst_port": 8011}, "unclassified", "to_service"),
        ({"src": V6C, "dst": VIDEO6, "protocol": 132}, "unclassified", "to_service"),
        (
            {"src": V6C, "dst": "2a00:100::2", "server_name": "cdn.Video.example."},
            "video",
            "to_service",
        ),
        (
            {"src": V6C, "dst": "2a00:100::2", "server_name": "notvideo.example"},
            "unclassified",
            "to_service",
        ),
        ({"src": V4C, "dst": "10.5.5.5", "dst_port": 80, "dst_as": 64500}, "shop", "to_service"),
        (
            {"src": V4C, "dst": "10.5.5.5", "dst_port": 81, "dst_as": 64500},
            "unclassified",
            "to_service",
        ),
        # what ICMP and GRE carry in the place of ports is no port
        *(
            (
                {"src": V4C, "dst": "10.5.5.5", "dst_port": 80, "dst_as": 64500, "protocol": p},
                "unclassified",
                "unknown",
            )
            for p in (1, 4, 41, 47, 58)
        ),
        ({"src": V4C, "dst": "10.5.5.5", "app_name": "Shopping"}, "shop", "to_service"),
        # both sides match: the earlier app is the service
        ({"src": VIDEO4, "dst": SHOP4, "src_port": 443, "dst_port": 80}, "video", "to_client"),
        # the same app on both sides: the lower port; equal ports: unknown
        ({"src": SHOP4, "dst": "198.18.7.7", "src_port": 80, "dst_port": 90}, "shop", "to_client"),
        ({"src": SHOP4, "dst": "198.18.7.7", "src_port": 90, "dst_port": 90}, "shop", "unknown"),
        # no match: the lower port; no ports: unknown
        (
            {"src": V4C, "dst": "10.5.5.5", "src_port": 22, "dst_port": 9999, "flags": 24},
            "unclassified",
            "to_client",
        ),
        # but who sends a SYN and no ACK is the client
        (
            {"src": V4C, "dst": "10.5.5.5", "src_port": 22, "dst_port": 9999, "flags": 2},
            "unclassified",
            "to_service",
        ),
        (
            {"src": V4C, "dst": "10.5.5.5", "protocol": 47, "src_port": 1, "dst_port": 2},
            "unclassified",
            "unknown",
        ),
        (
            {"src": V4C, "dst": "10.5.5.5", "src_port": -1, "dst_port": -1, "flags": 24},
            "unclassified",
            "unknown",
        ),
        # a fragment without ports: by prefix only
        ({"src": V4C, "dst": SHOP4, "src_port": -1, "dst_port": -1}, "shop", "to_service"),
        # NAT64 and 6to4: the embedded address names the app
        ({"src": V6C, "dst": "64:ff9b::c612:109"}, "video", "to_service"),
        ({"src": V6C, "dst": "2002:c612:909::1"}, "shop", "to_service"),
        ({"src": V6C, "dst": "64:ff9b:1::c612:109"}, "unclassified", "to_service"),
    ],
)
def test_app_and_direction(rules, row, app, direction) -> None:
    got = decide_one(rules, **row)
    assert (got["app"], got["direction"]) == (app, direction), row


def test_regions_networks_products(rules) -> None:
    got = decide_one(rules, src="10.1.2.3", dst=VIDEO4)
    assert (got["client_region"], got["network"]) == ("south", "fix")
    assert (got["product"], got["service_region"]) == ("edge", "west")
    got = decide_one(rules, src="2a00:100:8000::1", dst=VIDEO6)
    assert (got["client_region"], got["network"]) == ("south", "fix")
    assert got["service_region"] == "east", "no region in the match: by address"
    got = decide_one(rules, src="172.16.0.1", dst=SHOP4)
    assert (got["client_region"], got["network"], got["product"]) == (
        "unknown",
        "unknown",
        "unclassified",
    )
    got = decide_one(rules, src=V6C, dst="64:ff9b::c612:109")
    assert got["service_region"] == "west", "the rule names it"
    got = decide_one(rules, src=V6C, dst="2002:c612:909::1")
    assert got["service_region"] == "unknown", "the embedded address never names a region"


def rfc6052(network: IPv6Network, v4: IPv4Address) -> IPv6Address:
    """Embed by the table of RFC 6052, 2.2, octet by octet: octet 8 is skipped and zero."""
    octets = list(network.network_address.packed)
    places = [i for i in range(network.prefixlen // 8, 16) if i != 8][:4]
    for place, octet in zip(places, v4.packed, strict=True):
        octets[place] = octet
    return IPv6Address(bytes(octets))


@pytest.mark.parametrize("length", [32, 40, 48, 56, 64, 96])
def test_embedded_addresses(length: int) -> None:
    rng = random.Random(length)
    for _ in range(50):
        network = IPv6Network((rng.getrandbits(128) >> (128 - length) << (128 - length), length))
        if length == 96:
            network = IPv6Network((int(network.network_address) & ~(0xFF << 56), 96))
        v4 = IPv4Address(rng.getrandbits(32))
        a = int(rfc6052(network, v4))
        got = embedded_v4(np.uint64(a >> 64), np.uint64(a & (2**64 - 1)), length)
        assert IPv4Address(int(got)) == v4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("100.72.0.1/13", 'found "100.72.0.1/13", which has host bits set; the prefix is "100.72'),
        ("2001:db8::1/32", 'the prefix is "2001:db8::/32"'),
        ("10.0.0.0/33", 'found "10.0.0.0/33", expected a prefix, such as'),
        ("10.0.0.0/255.0.0.0", 'found "10.0.0.0/255.0.0.0", expected a prefix like'),
    ],
)
def test_a_prefix_that_is_none_is_named_with_its_line(text: str, problem: str) -> None:
    files = {
        "networks.csv": b"network,kind,client_prefix_v4,client_prefix_v6\nhome,fixed,32,56\n",
        "prefixes.csv": f"prefix,region,network\n10.0.0.0/8,eu,home\n{text},eu,home\n".encode(),
    }
    with pytest.raises(CatalogError, match=re.escape(problem)) as refused:
        compile_rules(parse_catalog(files))
    assert str(refused.value).startswith("prefixes.csv:3: prefix: ")


def test_protocols_have_no_ports_here_where_the_catalog_says_so() -> None:
    without = {number for number in range(MAX_PROTOCOL + 1) if not has_ports(number)}
    assert without == WITHOUT_PORTS
