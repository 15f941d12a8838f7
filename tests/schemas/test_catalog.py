"""The catalog: what parses, what is refused and in which words, what its version depends on."""

import re
from datetime import date
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.catalog.models import (
    App,
    Catalog,
    Endpoint,
    Exporter,
    Match,
    Network,
    Product,
    Stage1,
    Stage2,
    Stage3,
    Targets,
    Transition,
)
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.catalog.references import wrong_prefixes
from v6share.schemas.catalog.version import catalog_version
from v6share.schemas.dimensions import CATALOG_DIMENSIONS
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Kpi, Run, Sampling, Settings, Time, parse_settings
from v6share.schemas.text.host_names import host_of

APPS = """\
# apps
[[app]]
id = "shop"
name = "Shop"
product = "lb"
match = [
  { prefix = "198.51.100.0/24", port = [443, "8000-8010"], protocol = "TCP" },
  { prefix = "2001:db8:1::/48", region = "eu" },
]

[[app]]
id = "video"
name = "Video"
owner = "team-v"
match = [
  { prefix = "203.0.113.0/24", shared = true, server_name = "Video.Example.COM." },
  { asn = 64500, product = "store" },
]
"""
PRODUCTS = """\
[[product]]
id = "lb"
name = "Load balancer"
core = true

[[product]]
id = "store"
name = "Store"
"""
PREFIXES = "prefix,region,network\n10.0.0.0/8,eu,mob\n2001:db8::/32,us,fix\n"
NETWORKS = """\
network,kind,client_prefix_v4,client_prefix_v6,ipv6_since,subscribers
mob,mobile,,,2024-05-06,100
fix,fixed,30,48,,
"""
EXPORTERS = """\
exporter,vantage,role,sampling_interval,white_box,override,directions
2001:DB8::0001,edge,border,1000,yes,true,both
r2,core,,,,,
"""
ENDPOINTS = """\
app,product,region,planned_on,enabled_on
shop,lb,eu,2026-01-01,2026-02-03
,store,us,,
"""
TRANSITION = 'nat64 = ["2001:db8:64::/96"]\nnat64_pool_v4 = ["192.0.2.0/24"]\n'
TARGETS = """\
[stage1]
by = 2026-12-31
[stage3]
share = 0.9
ranking = ["video", "shop"]
"""
TEXTS = {
    "apps.toml": APPS,
    "products.toml": PRODUCTS,
    "prefixes.csv": PREFIXES,
    "networks.csv": NETWORKS,
    "exporters.csv": EXPORTERS,
    "endpoints.csv": ENDPOINTS,
    "transition.toml": TRANSITION,
    "targets.toml": TARGETS,
}


def catalog(**changed: str) -> Catalog:
    """The catalog above, with some files replaced: ``apps_toml="..."``."""
    texts = TEXTS | {name.replace("_", "."): text for name, text in changed.items()}
    return parse_catalog({name: text.encode() for name, text in texts.items()})


def changed(file: str, old: str, new: str) -> dict[str, str]:
    assert old in TEXTS[file]
    return {file.replace(".", "_"): TEXTS[file].replace(old, new, 1)}


def mistake(file: str, old: str, new: str) -> str:
    with pytest.raises(CatalogError) as raised:
        catalog(**changed(file, old, new))
    return str(raised.value)


def version(of: Catalog, settings: Settings | None = None, key: str = "k", dia: str = "d") -> str:
    return catalog_version(of, settings or Settings(), key, dia)


def test_every_part_is_parsed() -> None:
    c = catalog()
    shop, video = c.apps
    assert shop.matches[0] == Match(
        prefix=ip_network("198.51.100.0/24"), ports=((443, 443), (8000, 8010)), protocols=(6,)
    )
    assert (shop.product, shop.owner, shop.matches[1].region) == ("lb", None, "eu")
    assert video.matches[0].server_name == "video.example.com"
    assert video.matches[1].asn == 64500
    assert [(p.id, p.core) for p in c.products] == [("lb", True), ("store", False)]
    assert c.prefixes.to_pydict()["prefix"] == ["10.0.0.0/8", "2001:db8::/32"]
    mob, fix = c.networks
    assert (mob.client_prefix_v4, mob.client_prefix_v6) == (32, 64)
    assert (mob.ipv6_since, mob.subscribers, mob.carrier) == (date(2024, 5, 6), 100, None)
    assert (fix.client_prefix_v4, fix.client_prefix_v6) == (30, 48)
    edge, core = c.exporters
    assert (edge.exporter, edge.sampling_interval) == ("2001:db8::1", 1000)
    assert (edge.white_box, edge.override) == (True, True)
    assert (core.role, core.sampling_interval, core.white_box) == ("", None, False)
    assert c.endpoints[0].enabled_on == date(2026, 2, 3)
    assert (c.endpoints[1].app, c.endpoints[1].planned_on) == ("", None)
    assert c.transition.nat64 == (ip_network("2001:db8:64::/96"),)
    assert c.targets.stage1.by == date(2026, 12, 31)
    assert c.targets.stage3.share == Decimal("0.9")
    assert c.targets.stage3.ranking == ("video", "shop")


def test_a_pinned_ranking_may_fill_top_n() -> None:
    c = catalog(**changed("targets.toml", "ranking", "top_n = 2\nranking"))
    assert len(c.targets.stage3.ranking) == c.targets.stage3.top_n == 2


@pytest.mark.parametrize("kind", ["fixed", "datacenter", "partner", "relay"])
def test_a_client_is_a_56_except_in_mobile_networks(kind: str) -> None:
    c = catalog(networks_csv=NETWORKS.replace("mob,mobile", f"mob,{kind}"))
    assert c.networks[0].client_prefix_v6 == 56


def test_missing_files_are_empty_parts() -> None:
    c = parse_catalog({})
    assert c == Catalog()
    assert c.targets == Targets()
    assert c.prefixes.column_names == ["prefix", "region", "network"]
    assert (c.targets.stage1.apps, c.targets.stage1.products) == (5, 27)
    assert c.targets.stage2.active_users == 500_000_000
    assert c.targets.stage3.model_dump() == {
        "top_n": 20,
        "share": Decimal("0.90"),
        "weeks": 4,
        "denominator": "all",
        "ranking": "previous_quarter",
        "by": None,
    }
    assert len(version(c)) == 64


@pytest.mark.parametrize(
    ("port", "ranges"),
    [
        ("443", ((443, 443),)),
        ('"443"', ((443, 443),)),
        ('"80 - 90"', ((80, 90),)),
        ('[90, "80-89", 5, "85-95"]', ((5, 5), (80, 95))),
        ("0", ((0, 0),)),
        ('"0-65535"', ((0, 65535),)),
    ],
)
def test_ports(port: str, ranges: tuple[tuple[int, int], ...]) -> None:
    c = catalog(**changed("apps.toml", '[443, "8000-8010"]', port))
    assert c.apps[0].matches[0].ports == ranges


@pytest.mark.parametrize("port", ["65536", "-1", '"9-8"', '"http"', "true", "[]", "[[1]]", "1.5"])
def test_what_is_no_port(port: str) -> None:
    said = mistake("apps.toml", '[443, "8000-8010"]', port)
    assert said.startswith("apps.toml:7: app[0].match[0].port: found ")
    assert "expected a port" in said


@pytest.mark.parametrize(
    ("protocol", "numbers"),
    [('["udp", "tcp", 6]', (6, 17)), ('"IPv6-ICMP"', (58,)), ("0", (0,)), ('"ipip"', (4,))],
)
def test_protocols(protocol: str, numbers: tuple[int, ...]) -> None:
    plain = 'port = [443, "8000-8010"], protocol = "TCP"'
    c = catalog(**changed("apps.toml", plain, f"protocol = {protocol}"))
    assert c.apps[0].matches[0].protocols == numbers


NAMES = [
    ("*.bücher.example", "*.xn--bcher-kva.example"),
    ("straße.example", "xn--strae-oqa.example"),
    ("Café.Example.", "xn--caf-dma.example"),
    ("xn--caf-dma.example", "xn--caf-dma.example"),
    ("_http.shop---1.example", "_http.shop---1.example"),
    ("intranet", "intranet"),
    ("2001:db8::1", "2001:db8::1"),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_server_names_are_written_as_those_of_flows(written: str, name: str) -> None:
    match = catalog(**changed("apps.toml", "Video.Example.COM.", written)).apps[1].matches[0]
    assert match.server_name == name
    assert host_of(written) == name


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("https://shop.example.com/", 'write "shop.example.com"'),
        ("shop.example.com/cart", 'write "shop.example.com"'),
        ("shop.example.com:443", 'write "shop.example.com" and port = 443'),
        ("https://*.Bücher.example:8443/", 'write "*.xn--bcher-kva.example" and port = 8443'),
        (".example.com", 'write "*.example.com"'),
        ("shop.*.com", 'a * stands at the beginning alone, as in "*.example.com"'),
        ("*", 'a * stands at the beginning alone, as in "*.example.com"'),
        ("shop example.com", 'expected the name of a host, such as "www.example.com"'),
        ("shop..example", 'expected the name of a host, such as "www.example.com"'),
        ("é" * 70, 'expected the name of a host, such as "www.example.com"'),
    ],
)
def test_what_no_host_is_called_is_no_server_name(written: str, said: str) -> None:
    with pytest.raises(CatalogError) as caught:
        catalog(**changed("apps.toml", "Video.Example.COM.", written))
    assert str(caught.value) == (
        f'apps.toml:16: app[1].match[0].server_name: found "{written}", which is no host name; '
        f"{said}"
    )


def test_a_port_beside_protocols_of_which_one_has_ports_is_right() -> None:
    assert catalog(**changed("apps.toml", '"TCP"', '["icmp", "tcp"]'))


MISTAKES = [
    # keys, ids and types of TOML files
    ("apps.toml", "asn", "ans", 'apps.toml:17: app[1].match[1].ans: unknown key; did you mean "'),
    ("apps.toml", "port =", "prefx =", ':7: app[0].match[0].prefx: unknown key; did you mean "pre'),
    ("apps.toml", "port =", "ports =", ':7: app[0].match[0].ports: unknown key; did you mean "por'),
    ("apps.toml", "[[app]]", "[[apps]]", 'apps.toml:2: apps: unknown key; did you mean "app"?'),
    ("apps.toml", 'name = "Video"\n', "", "apps.toml:11: app[1].name: missing key"),
    ("apps.toml", '"Video"', "3", "apps.toml:13: app[1].name: found 3, expected text"),
    ("apps.toml", '"Video"', '" "', 'apps.toml:13: app[1].name: found " ", expected text'),
    ("apps.toml", 'id = "video"', 'id = "shop"', 'apps.toml:12: app[1].id: "shop" is the id of'),
    ("apps.toml", '"video"', '"unclassified"', "apps.toml:12: app[1].id: found "),
    ("apps.toml", '"lb"', '"lbb"', 'apps.toml:5: app[0].product: found "lbb", which is no produ'),
    ("apps.toml", '"store"', '"stroe"', ':17: app[1].match[1].product: found "stroe", which is'),
    ("apps.toml", "shared = true", 'shared = "yes"', ':16: app[1].match[0].shared: found "yes", e'),
    ("apps.toml", "64500", "0", "apps.toml:17: app[1].match[1].asn: found 0, expected at least 1"),
    ("apps.toml", "64500", '"AS64500"', 'match[1].asn: found "AS64500"; write 64500'),
    ("apps.toml", "64500", '"64500"', 'match[1].asn: found "64500"; write 64500'),
    ("apps.toml", "64500", '"Carrier"', 'asn: found "Carrier"; expected a whole number, such as'),
    ("apps.toml", '"TCP"', '"tpc"', 'number (0 to 255); did you mean "tcp"?'),
    ("apps.toml", '"TCP"', "256", "apps.toml:7: app[0].match[0].protocol: found 256, expected a"),
    # matches
    ("apps.toml", "{ asn = 64500, ", "{ ", "apps.toml:17: app[1].match[1]: a match without a cond"),
    (
        "apps.toml",
        "server_name",
        "asn = 1 }, { app_name",
        "a shared prefix serves many apps, so it",
    ),
    ("apps.toml", 'prefix = "203.0.113.0/24", ', "", ":16: app[1].match[0]: shared = true says so"),
    ("apps.toml", ".100.0/24", ".100.7/24", 'which has host bits set; the prefix is "198.51.100.0'),
    ("apps.toml", "2001:db8:1::/48", "2001:db8:1::/47", 'the prefix is "2001:db8::/47"'),
    ("apps.toml", "198.51.100.0/24", "::ffff:198.51.100.0/120", 'write it as "198.51.100.0/24"'),
    (
        "apps.toml",
        "198.51.100.0/24",
        "198.51.100/24",
        ':7: app[0].match[0].prefix: found "198.51.1',
    ),
    ("apps.toml", '"TCP"', '["icmp", "gre"]', ":7: app[0].match[0]: found a port, and no protocol"),
    # broken TOML
    (
        "apps.toml",
        'name = "Video"',
        "name = Video",
        'apps.toml:13: not TOML: found Video, expected a text in quotes: "Video"',
    ),
    (
        "apps.toml",
        "]\n\n",
        "\n\n",
        "apps.toml:6: not TOML: the list that begins here is not closed",
    ),
    ("products.toml", "core = true", "core = 1", "products.toml:4: product[0].core: found 1, exp"),
    ("products.toml", '"store"', '"lb"', 'products.toml:7: product[1].id: "lb" is the id of produ'),
    # transition and targets
    (
        "transition.toml",
        "/96",
        "/95",
        'transition.toml:1: nat64[0]: found "2001:db8:64::/95", expe',
    ),
    ("transition.toml", "2001:db8:64::/96", "192.0.2.0/32", "expected an IPv6 prefix"),
    (
        "transition.toml",
        "db8:64::",
        "db8:64:0:100::",
        "whose bits 64 to 71 are not zero (RFC 6052)",
    ),
    ("transition.toml", "_pool_v4", "_pool", "transition.toml:2: nat64_pool: unknown key; did you"),
    ("transition.toml", '["2001:db8:64::/96"]', '"2001:db8:64::/96"', "expected a list"),
    ("targets.toml", "[stage3]", "[stage4]", "targets.toml:3: stage4: unknown key; did you mean"),
    ("targets.toml", "share", "shares", "targets.toml:4: stage3.shares: unknown key; did you mea"),
    ("targets.toml", "0.9", "90", "targets.toml:4: stage3.share: found 90, expected a share over"),
    (
        "targets.toml",
        "0.9",
        "nan",
        "targets.toml:4: stage3.share: found NaN, expected a share",
    ),
    ("targets.toml", "0.9", "inf", "targets.toml:4: stage3.share: found Infinity, expected a sha"),
    ("targets.toml", "0.9", f"0.9\nweeks = {2**63}", "targets.toml:5: stage3.weeks: found"),
    ("targets.toml", "0.9", "0.9\ntop_n = 1000000000000", "found 1000000000000, expected at most"),
    ("networks.csv", ",100", f",{2**63}", "subscribers: found"),
    ("targets.toml", '"video", ', '"vidoe", ', ':5: stage3.ranking[0]: found "vidoe", which is no'),
    (
        "targets.toml",
        '"video", ',
        '"shop", ',
        'targets.toml:5: stage3.ranking: found the app "shop"',
    ),
    (
        "targets.toml",
        "ranking",
        "top_n = 1\nranking",
        "targets.toml:6: stage3.ranking: found 2 apps, expected at most top_n, which is 1; "
        '"shop" is the first too many: raise top_n or shorten the list',
    ),
    (
        "targets.toml",
        '["video", "shop"]',
        '"life"',
        'expected "previous_quarter", "live" or a list',
    ),
    ("targets.toml", "2026-12-31", '"31.12.2026"', 'targets.toml:2: stage1.by: found "31.12.2026"'),
    ("targets.toml", "ranking", 'denominator = "al"\nranking', "one of all, enabled, capable; did"),
    # CSV headers, cells and syntax
    ("networks.csv", "kind", "knd", 'networks.csv:1: knd: unknown column; did you mean "kind"?'),
    ("networks.csv", ",subscribers", ",kind", "networks.csv:1: kind: the column stands twice"),
    ("networks.csv", "mobile", "moblie", 'networks.csv:2: kind: found "moblie", expected one of m'),
    ("networks.csv", "30", "33", "networks.csv:3: client_prefix_v4: found 33, expected at most 32"),
    ("networks.csv", "48", "/48", 'networks.csv:3: client_prefix_v6: found "/48", expected a who'),
    ("networks.csv", "fix,", "mob,", 'networks.csv:3: network: "mob" stands in line 2 already'),
    ("networks.csv", "mob,", "unknown,", 'networks.csv:2: network: found "unknown", which is what'),
    ("networks.csv", ",100", "", "networks.csv:2: found 5 cells, expected 6 (network,kind,client_"),
    ("networks.csv", "2024-05-06", "2024-13-06", 'networks.csv:2: ipv6_since: found "2024-13-06"'),
    ("networks.csv", "2024-05-06", "20240506", "expected a day such as 2026-03-31"),
    ("networks.csv", "100", '"100', "networks.csv:2: not CSV: unexpected end of data"),
    ("exporters.csv", "r2,", "2001:db8::1,", 'exporters.csv:3: exporter: "2001:db8::1" stands in'),
    ("exporters.csv", "yes", "ja", 'exporters.csv:2: white_box: found "ja", expected true, false'),
    (
        "exporters.csv",
        "1000",
        "0",
        "exporters.csv:2: sampling_interval: found 0, expected at least",
    ),
    ("exporters.csv", "1000", "", "exporters.csv:2: override needs a sampling_interval"),
    (
        "exporters.csv",
        ",both",
        ",bth",
        'exporters.csv:2: directions: found "bth", expected one of one, both; did you mean "both"?',
    ),
    ("exporters.csv", "core", "unlisted", 'exporters.csv:3: vantage: found "unlisted", which is'),
    (
        "endpoints.csv",
        "shop",
        "shpo",
        'endpoints.csv:2: app: found "shpo", which is no app of apps',
    ),
    (
        "endpoints.csv",
        "store",
        "stor",
        'which is no product of products.toml; did you mean "store"',
    ),
    (
        "endpoints.csv",
        ",store,us",
        "shop,lb,eu",
        "endpoints.csv:3: this app, product and region st",
    ),
    ("endpoints.csv", "store", "", 'endpoints.csv:3: product: found "", expected text'),
    (
        "prefixes.csv",
        "mob",
        "mbo",
        'prefixes.csv:2: network: found "mbo", which is no network of n',
    ),
    ("prefixes.csv", "us", "", "prefixes.csv:3: region: found an empty cell, expected a region"),
    (
        "prefixes.csv",
        ",fix",
        "",
        "prefixes.csv:3: found 2 cells, expected 3 (prefix,region,network)",
    ),
    (
        "prefixes.csv",
        "region",
        "regoin",
        'prefixes.csv:1: regoin: unknown column; did you mean "re',
    ),
    (
        "prefixes.csv",
        ",network",
        "",
        "prefixes.csv:1: network: missing column; found prefix,region",
    ),
    ("prefixes.csv", "us", '"u\n\ns"', "prefixes.csv:3: region: found a line break inside a cell"),
    ("prefixes.csv", "prefix,region,network", "a;b", "prefixes.csv:1: found semicolons, expected"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_place(file: str, old: str, new: str, said: str) -> None:
    messages = mistake(file, old, new).split("\n")
    assert [one for one in messages if one.startswith(f"{file}:") and said in one], messages


HIDDEN = [
    # What is wrong by itself, and what is wrong with the same row beside others.
    ("apps.toml", '"8000-8010"', "99999", 'id = "video"', 'id = "shop"', "app[1].id"),
    ("apps.toml", '"8000-8010"', "99999", 'product = "lb"', 'product = "bl"', "app[0].product"),
    ("apps.toml", "64500", "0", '"store"', '"stroe"', "app[1].match[1].product"),
    ("products.toml", "true", "1", 'id = "store"', 'id = "lb"', "product[1].id"),
    ("networks.csv", "30", "33", "fix,", "mob,", "network"),
    ("exporters.csv", ",core,", ",,", "r2,", "2001:DB8:0::1,", "exporter"),
    ("endpoints.csv", "2026-01-01", "2026-13-01", "shop,", "shp,", "app"),
    ("endpoints.csv", "2026-01-01", "2026-13-01", ",lb,", ",bl,", "product"),
    ("prefixes.csv", "10.0.0.0/8,eu,mob", "10.0.0.0/8,eu", "2001:db8::/32", "foo", "prefix"),
    ("prefixes.csv", "10.0.0.0/8,eu,mob", "10.0.0.0/8,eu", "db8::/32", "db8::1/32", "prefix"),
    ("prefixes.csv", "10.0.0.0/8,eu,mob", "10.0.0.0/8,eu", "us,fix", "us,fxi", "network"),
    ("targets.toml", "0.9", "90", '"video"', '"vidoe"', "stage3.ranking[0]"),
]


@pytest.mark.parametrize(("file", "old", "new", "other", "wrong", "key"), HIDDEN)
def test_no_mistake_hides_another_one(
    file: str, old: str, new: str, other: str, wrong: str, key: str
) -> None:
    assert key not in keys_of(file, TEXTS[file].replace(old, new, 1))
    found = keys_of(file, TEXTS[file].replace(other, wrong, 1).replace(old, new, 1))
    assert (key in found, len(found)) == (True, 2)


def test_of_a_row_with_too_few_cells_any_may_be_the_name() -> None:
    networks, prefixes = NETWORKS.replace("fix,fixed,", "fixed,fix,,"), PREFIXES + "::/0,us,fxi\n"
    with pytest.raises(CatalogError) as caught:
        catalog(networks_csv=networks, prefixes_csv=prefixes)
    assert [(one.file, one.line) for one in caught.value.each] == [
        ("prefixes.csv", 4),
        ("networks.csv", 3),
    ]
    open_quote = NETWORKS.replace("fix,", '"fix,')
    with pytest.raises(CatalogError) as caught:
        catalog(networks_csv=open_quote, prefixes_csv=prefixes)
    assert [one.file for one in caught.value.each] == ["networks.csv"]


def keys_of(file: str, text: str) -> list[str]:
    """The keys of the mistakes of a file that has this text."""
    with pytest.raises(CatalogError) as caught:
        catalog(**{file.replace(".", "_"): text})
    return [one.key for one in caught.value.each if one.file == file]


def test_all_mistakes_of_all_files_are_said_in_one_go() -> None:
    with pytest.raises(CatalogError) as raised:
        catalog(
            apps_toml=APPS.replace("port =", "prot =")
            .replace('"lb"', '"bl"')
            .replace('name = "Video"\n', ""),
            products_toml=PRODUCTS.replace("core = true", "core = 1").replace('"Store"', "2"),
            prefixes_csv="prefix,region,network\n10.0.0.1/8,eu,mob\n2001:db8::/32,,fix\n"
            "10.0.0.0/9,eu,mbo\n192.0.2.0/24,eu,mob\n192.0.2.0/24,us,mob\n10.0.0.0/x,eu,mob\n",
            networks_csv=NETWORKS.replace("mobile", "moblie").replace("30", "33"),
            exporters_csv=EXPORTERS.replace("1000", "x").replace("core", ""),
            endpoints_csv=ENDPOINTS + "shpo,lb,eu,,\nshop,lb\nshop,lbb,eu,2026-02-30,\n",
            transition_toml=TRANSITION.replace("/96", "/95").replace("0/24", "9/24"),
            targets_toml=TARGETS.replace("0.9", "90").replace('"video"', '"vidoe"'),
        )
    said = [(one.file, one.line, one.key) for one in raised.value.each]
    assert said == [
        ("apps.toml", 5, "app[0].product"),
        ("apps.toml", 7, "app[0].match[0].prot"),
        ("apps.toml", 11, "app[1].name"),
        ("products.toml", 4, "product[0].core"),
        ("products.toml", 8, "product[1].name"),
        ("prefixes.csv", 2, "prefix"),
        ("prefixes.csv", 3, "region"),
        ("prefixes.csv", 4, "network"),
        ("prefixes.csv", 6, "prefix"),
        ("prefixes.csv", 7, "prefix"),
        ("networks.csv", 2, "kind"),
        ("networks.csv", 3, "client_prefix_v4"),
        ("exporters.csv", 2, "sampling_interval"),
        ("exporters.csv", 3, "vantage"),
        ("endpoints.csv", 4, "app"),
        ("endpoints.csv", 5, ""),
        ("endpoints.csv", 6, "planned_on"),
        ("endpoints.csv", 6, "product"),
        ("transition.toml", 1, "nat64[0]"),
        ("transition.toml", 2, "nat64_pool_v4[0]"),
        ("targets.toml", 4, "stage3.share"),
        ("targets.toml", 5, "stage3.ranking[0]"),
    ]
    assert str(raised.value) == "\n".join(map(str, raised.value.each))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # Nobody knows which ids a file holds that cannot be read: none of them is unknown.
        ({"apps.toml": "[[app]\n"}, {"apps.toml"}),
        ({"apps.toml": APPS.replace("[[app]]", "[[apps]]", 1)}, {"apps.toml"}),
        ({"products.toml": "[product]\n"}, {"products.toml"}),
        ({"apps.toml": APPS.replace('"shop"', "1")}, {"apps.toml"}),
        ({"apps.toml": APPS.replace('id = "shop"\n', "")}, {"apps.toml"}),
        ({"networks.csv": "network;kind\n"}, {"networks.csv"}),
        ({"networks.csv": NETWORKS.replace(",100", "")}, {"networks.csv"}),
        # One that has no name: what it should be the id of is missing.
        ({"networks.csv": NETWORKS.replace("fix,", "fxi,")}, {"prefixes.csv"}),
        # The id of a table with another mistake is known.
        ({"apps.toml": APPS.replace('"Shop"', "1")}, {"apps.toml"}),
        ({"networks.csv": NETWORKS.replace("mobile", "mobil")}, {"networks.csv"}),
    ],
)
def test_one_mistake_makes_no_others_elsewhere(files: dict[str, str], said: set[str]) -> None:
    error = _refusal(TEXTS | files)
    assert error is not None
    assert {one.file for one in error.each} == said


def test_an_unknown_name_is_said_once_where_it_stands_first() -> None:
    rows = "shpo,lb,eu,,\nshpo,lb,us,,\nvideo,lbb,us,,\nshpo,lbb,as,,\n,lbb,eu,,\n"
    error = _refusal(TEXTS | {"endpoints.csv": ENDPOINTS.split("\n")[0] + "\n" + rows})
    assert str(error).split("\n") == [
        'endpoints.csv:2: app: found "shpo", which is no app of apps.toml; did you mean "shop"? '
        "(and in 2 more rows)",
        'endpoints.csv:4: product: found "lbb", which is no product of products.toml; did you mean '
        '"lb"? (and in 2 more rows)',
    ]


def test_a_misspelt_file_name_makes_no_ids_unknown() -> None:
    texts = {name: text for name, text in TEXTS.items() if name != "apps.toml"}
    error = _refusal(texts | {"app.toml": APPS})
    assert str(error) == 'app.toml: unknown file; did you mean "apps.toml"?'


def test_of_many_mistakes_the_first_hundred_are_said_and_how_many_more() -> None:
    rows = "".join(f"10.{i >> 8}.{i & 255}.1/24,eu,mob\n" for i in range(1234))
    error = _refusal(TEXTS | {"prefixes.csv": f"prefix,region,network\n{rows}\n,eu\n"})
    assert error is not None
    cells = "prefixes.csv:1237: found 2 cells, expected 3 (prefix,region,network)"
    assert str(error.each[-2]) == cells
    assert str(error.each[-1]) == "prefixes.csv: 1,135 more mistakes like these"
    error = _refusal(TEXTS | {"exporters.csv": EXPORTERS.split("\n")[0] + "\nr,,,,,,\n" * 1234})
    assert error is not None
    assert len(error.each) == 101
    assert str(error.each[-1]) == "exporters.csv: 2,367 more mistakes like these"


@pytest.mark.parametrize("file", CATALOG_FILES)
def test_text_that_is_not_utf_8_has_a_line(file: str) -> None:
    texts = {name: text.encode() for name, text in TEXTS.items()}
    texts[file] += b"# caf\xe9\n" if file.endswith("toml") else b"caf\xe9,,\n"
    lines = TEXTS[file].count("\n")
    with pytest.raises(CatalogError, match=rf"^{file}:{lines + 1}: found the byte 0xe9, expected"):
        parse_catalog(texts)


def test_a_misspelt_file_name_is_a_mistake_and_other_files_are_not() -> None:
    with pytest.raises(CatalogError, match=r'^app.toml: unknown file; did you mean "apps.toml"\?'):
        parse_catalog({"app.toml": b""})
    assert parse_catalog({"notes.md": b"x", "ranges/as.csv": b"x"}) == Catalog()


@pytest.mark.parametrize("file", ["prefixes.csv", "networks.csv", "exporters.csv", "endpoints.csv"])
def test_an_empty_csv_lacks_its_header_and_a_header_alone_is_fine(file: str) -> None:
    with pytest.raises(CatalogError, match=f"^{file}:1: found no header line, expected "):
        parse_catalog({file: b""})
    header = TEXTS[file].split("\n", 1)[0]
    assert parse_catalog({file: header.encode()}) == Catalog()


@given(st.data())
@settings(deadline=None)
def test_byte_order_mark_line_ends_comments_and_spaces_change_nothing(data: st.DataObject) -> None:
    def retyped(name: str, text: str) -> bytes:
        lines = text.splitlines()
        if data.draw(st.booleans()) and name.endswith("csv"):
            lines = [line.replace(",", " , ") for line in lines]
            for at in data.draw(st.lists(st.integers(0, len(lines)), max_size=3)):
                lines.insert(at, data.draw(st.sampled_from(["", "# a, b", "#,,", "  "])))
        end = data.draw(st.sampled_from(["\n", "\r\n"]))
        mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
        return mark + (end.join(lines) + data.draw(st.sampled_from(["", end]))).encode()

    read = parse_catalog({name: retyped(name, text) for name, text in TEXTS.items()})
    assert read == catalog()
    assert version(read) == version(catalog())


def test_columns_may_stand_in_any_order() -> None:
    text = "network,prefix,region\nmob,10.0.0.0/8,eu\nfix,2001:db8::/32,us\n"
    assert catalog(prefixes_csv=text) == catalog()


def test_any_space_around_a_cell_is_cut_whatever_other_lines_hold() -> None:
    spaces = ("\u00a0", "\u3000", " ", "\t")
    plain = "prefix,region,network\n10.0.0.0/8,eu,mob\n"
    wanted = catalog(prefixes_csv=plain).prefixes
    for space in spaces:
        odd = plain.replace("eu", f"eu{space}").replace("10.0", f"{space}10.0")
        assert catalog(prefixes_csv=odd).prefixes.equals(wanted)
        assert catalog(prefixes_csv=f"#{space}\n{odd}").prefixes.equals(wanted)
        assert catalog(networks_csv=NETWORKS.replace("mob,", f"mob{space},")) == catalog()


def test_the_line_of_a_prefix_counts_comments_above_it() -> None:
    text = "# c\n\nprefix,region,network\n10.y,eu,mob\n# c\n\r\n10.x,eu,mob\n"
    c = catalog(prefixes_csv=text)
    assert [(one.line, one.key) for one in wrong_prefixes(c.prefixes)] == [
        (4, "prefix"),
        (7, "prefix"),
    ]


def test_the_version_forgets_what_alters_no_row() -> None:
    same = [
        {"products_toml": PRODUCTS.replace("Store", "S").replace("true", "false")},
        {"endpoints_csv": "app,product,region,planned_on,enabled_on\n"},
        {"targets_toml": ""},
        {"apps_toml": APPS.replace("# apps", "# other\n\n").replace('"Shop"', '"SHOP"')},
        {"apps_toml": APPS.replace('[443, "8000-8010"]', '["8000-8009", 8010, 443]')},
        {"apps_toml": APPS.replace('owner = "team-v"\n', "")},
        {"apps_toml": APPS.replace('id = "shop"\nname = "Shop"', 'name = "Shop"\nid = "shop"')},
        {"networks_csv": _rows_reversed(NETWORKS).replace(",100", ",200")},
        {"exporters_csv": _rows_reversed(EXPORTERS).replace("border", "peer")},
        {"prefixes_csv": _rows_reversed(PREFIXES)},
        {"transition_toml": "\n".join(reversed(TRANSITION.splitlines()))},
    ]
    two, turned = (
        {"transition_toml": f"nat64 = {prefixes}\n"}
        for prefixes in (["2001:db8:64::/96", "64:ff9b::/96"], ["64:ff9b::/96", "2001:db8:64::/96"])
    )
    assert version(catalog(**two)) == version(catalog(**turned))
    for change in same:
        assert version(catalog(**change)) == version(catalog()), change
    quiet = parse_settings("[kpi]\nvantages = ['core']\n[run]\nthreads = 7\n", {}, {})
    assert version(catalog(), quiet) == version(catalog())


def _rows_reversed(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join([header, *reversed(rows)])


ALTERING: list[tuple[str, str, str]] = [
    ("apps.toml", "203.0.113", "203.0.112"),
    ("apps.toml", "8010", "8011"),
    ("apps.toml", '"TCP"', '"UDP"'),
    ("apps.toml", 'id = "shop"', 'id = "store"'),
    ("apps.toml", 'product = "lb"', 'product = "store"'),
    ("apps.toml", 'region = "eu"', 'region = "us"'),
    ("apps.toml", "64500", "64501"),
    ("prefixes.csv", "10.0.0.0", "11.0.0.0"),
    ("prefixes.csv", "eu", "us"),
    ("prefixes.csv", "mob", "fix"),
    ("prefixes.csv", "10.0.0.0/8,eu,mob\n", ""),
    ("networks.csv", "48", "56"),
    ("networks.csv", "30", "32"),
    ("networks.csv", "mob,mobile", "mob,relay"),
    ("exporters.csv", "1000", "1001"),
    ("exporters.csv", "yes,true", "yes,false"),
    ("exporters.csv", "core", "edge"),
    ("exporters.csv", ",both", ",one"),
    ("transition.toml", "db8:64", "db8:65"),
    ("transition.toml", "192.0.2.0/24", "192.0.2.0/25"),
]


@pytest.mark.parametrize(("file", "old", "new"), ALTERING)
def test_the_version_sees_what_alters_rows(file: str, old: str, new: str) -> None:
    change = changed(file, old, new)
    texts = TEXTS | {name.replace("_", "."): text for name, text in change.items()}
    texts |= {"endpoints.csv": ENDPOINTS.split("\n")[0], "targets.toml": ""}
    other = parse_catalog({name: text.encode() for name, text in texts.items()})
    assert version(other) != version(catalog())


def test_the_version_sees_the_order_of_apps_settings_key_and_dialects() -> None:
    c = catalog()
    turned = c.model_copy(update={"apps": c.apps[::-1]})
    flipped = [a.model_copy(update={"matches": a.matches[::-1]}) for a in c.apps]
    versions = {
        version(c),
        version(turned),
        version(c.model_copy(update={"apps": tuple(flipped)})),
        version(c, parse_settings("[sampling]\nunknown = 1\n", {}, {})),
        version(c, parse_settings("[sampling]\nmax_packet_bytes = 9000\n", {}, {})),
        version(c, parse_settings("[time]\nmax_duration_hours = 25\n", {}, {})),
        version(c, parse_settings("[time]\nreporting_utc_offset_minutes = 60\n", {}, {})),
        version(c, key="other"),
        version(c, dia="other"),
    }
    assert len(versions) == 9


@given(st.permutations([f"2001:db8:{i:x}::/48,r{i % 3},mob" for i in range(30)]), st.integers(1, 9))
@settings(deadline=None)
def test_any_order_of_prefixes_is_the_same_version(rows: list[str], cut: int) -> None:
    def of(some: list[str]) -> str:
        return version(catalog(prefixes_csv="\n".join(["prefix,region,network", *some])))

    assert of(rows) == of(sorted(rows))
    assert of(rows[cut:]) != of(rows)


def test_dimension_tables_have_the_declared_schema_and_rows() -> None:
    tables = dimension_tables(catalog(), parse_settings("[kpi]\nvantages = ['edge']\n", {}, {}))
    assert list(tables) == [t.name for t in CATALOG_DIMENSIONS]
    for table in CATALOG_DIMENSIONS:
        assert tables[table.name].schema.equals(table.arrow_schema)
    assert tables["dim_apps"].to_pylist() == [
        {"position": 0, "app": "shop", "name": "Shop", "product": "lb", "owner": None},
        {"position": 1, "app": "video", "name": "Video", "product": "unclassified"}
        | {"owner": "team-v"},
    ]
    assert tables["dim_vantages"].to_pylist() == [
        {"vantage": "core", "feeds_kpis": False},
        {"vantage": "edge", "feeds_kpis": True},
        {"vantage": "unlisted", "feeds_kpis": False},
    ]
    targets = {row["metric"]: row for row in tables["dim_targets"].to_pylist()}
    assert targets["apps_dual_stacked"]["by_date"] == date(2026, 12, 31)
    assert targets["active_ipv6_clients_30d"]["target"] == 500_000_000
    top = targets["top_apps_ipv6_share"]
    assert (top["target"], top["weeks"]) == (Decimal("0.900000"), 4)
    assert (top["ranking"], top["ranking_apps"]) == ("pinned", ["video", "shop"])
    assert targets["products_dual_stacked"]["ranking"] is None
    assert tables["dim_endpoints"].num_rows == 2
    assert tables["dim_exporters"]["override"].to_pylist() == [True, False]
    assert tables["dim_exporters"]["directions"].to_pylist() == ["both", "one"]
    empty = dimension_tables(Catalog(), Settings())
    assert all(empty[t.name].schema.equals(t.arrow_schema) for t in CATALOG_DIMENSIONS)


@pytest.mark.parametrize(
    ("match", "endpoint", "serves"),
    [
        ("port = 53", "dns,lb,eu", True),
        ("port = [443, 853]", "dns,lb,eu", True),
        ('port = "5000-6000"', "dns,lb,eu", True),
        ('port = 53, region = "eu"', "dns,lb,eu", True),
        ('port = 53, product = "lb"', "dns,lb,eu", True),
        ('port = 53, product = "lb"', ",lb,eu", True),
        ("port = 443", "dns,lb,eu", False),
        ('port = 53, region = "us"', "dns,lb,eu", False),
        ('port = 53, product = "store"', "dns,lb,eu", False),
        ("port = 53", ",lb,eu", False),  # what shows no product is none of the product's own
        ("port = 53", "other,lb,eu", False),
        ("protocol = 17", "dns,lb,eu", False),
    ],
)
def test_endpoints_of_which_a_match_names_a_port_of_dns(
    match: str, endpoint: str, serves: bool
) -> None:
    app = '[[app]]\nid = "{}"\nname = "A"\nmatch = [{{ {} }}]\n'
    made = catalog(
        apps_toml=app.format("dns", match) + app.format("other", "port = 54") + APPS,
        endpoints_csv=f"app,product,region,planned_on,enabled_on\n{endpoint},,\n",
    )
    assert dimension_tables(made, Settings())["dim_endpoints"]["serves_dns"].to_pylist() == [serves]


SCRAPS = ["", ",", '"', "'", "[", "]]", "{", "}", "=", "\n", "\r", "#", "1", "-", ".", "\x00", "é"]


@given(st.sampled_from(CATALOG_FILES), st.data())
@settings(max_examples=400, deadline=None)
def test_whatever_is_damaged_is_a_mistake_with_a_line_or_still_parses(
    file: str, data: st.DataObject
) -> None:
    text = TEXTS[file]
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 8, len(text))))
    damaged = text[:begin] + data.draw(st.sampled_from(SCRAPS)) + text[end:]
    texts = TEXTS | {file: damaged}
    error = _refusal(texts)
    if error is not None:
        assert error.line is not None, str(error)
        assert error.line <= texts[error.file].count("\n") + 2
        return
    read = catalog(**{name.replace(".", "_"): text for name, text in texts.items()})
    assert len(version(read)) == 64
    assert len(dimension_tables(read, Settings())) == len(CATALOG_DIMENSIONS)


def _refusal(texts: dict[str, str]) -> CatalogError | None:
    try:
        parse_catalog({name: text.encode() for name, text in texts.items()})
    except CatalogError as error:
        return error
    return None


def test_a_full_table_of_prefixes_is_read_and_hashed_quickly() -> None:
    rows = (f"2001:{i >> 16:x}:{i & 65535:x}::/48,region-{i % 40},mob\n" for i in range(650_000))
    text = ("prefix,region,network\n" + "".join(rows)).encode()
    texts = {"prefixes.csv": text, "networks.csv": NETWORKS.encode()}
    read = parse_catalog(texts)
    assert read.prefixes.num_rows == 650_000
    assert version(read) == version(parse_catalog(texts))


def test_the_starter_parses() -> None:
    folder = Path(__file__).parents[2] / "jobs" / "starter"
    texts = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(texts) == {*CATALOG_FILES, "v6share.toml"}
    settings = parse_settings(texts.pop("v6share.toml").decode(), {}, {})
    assert settings == Settings(), "the starter shows the defaults"
    empty = parse_catalog(texts)
    assert not any(getattr(empty, part) for part in ("apps", "products", "networks", "exporters"))
    # An example is a comment without a space; prose has one.
    starter = parse_catalog({n: re.sub(rb"(?m)^#(?=[^ \n#])", b"", t) for n, t in texts.items()})
    assert all(getattr(starter, part) for part in ("apps", "products", "networks", "exporters"))
    assert starter.prefixes.num_rows
    assert starter.targets == Targets(), "the starter shows the defaults"
    assert all(b"#" in text for text in texts.values())


def test_the_page_about_the_catalog_is_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    sections = {
        part.split("`", 1)[0]: part for part in re.split(r"^## `", page, flags=re.MULTILINE)[1:]
    }
    assert list(sections) == [*CATALOG_FILES, "v6share.toml"]
    examples = {
        name: re.findall(r"```(?:toml|csv)\n(.*?)```", sections[name], re.DOTALL)[0]
        for name in CATALOG_FILES
    }
    read = parse_catalog({name: text.encode() for name, text in examples.items()})
    assert read.apps
    for name, keys in KEYS_ON_THE_PAGE.items():
        missing = [key for key in keys if f"`{key}`" not in sections[name]]
        assert not missing, f"{name}: the page does not explain {missing}"
    for message in re.findall(r"```text\n(.*?)```", page, re.DOTALL)[0].splitlines():
        name, _, key, problem = re.split(r":(\d+): ([^:]*): ", message)
        found = re.search(r'found "([^"]*)"|\.(\w+): unknown key', message)
        meant = re.search(r'(?:did you mean|prefix is) "([^"]*)"', message)
        assert found, message
        assert meant, message
        said: set[tuple[str, str, str]] = set()
        for place in re.finditer(re.escape(meant[1]), examples[name]):
            text = examples[name]
            wrong = text[: place.start()] + (found[1] or found[2]) + text[place.end() :]
            error = _refusal(examples | {name: wrong})
            if error is not None:
                said.add((error.file, error.key, error.problem))
        assert (name, key, problem) in said


def _file_keys(model: type[BaseModel]) -> list[str]:
    return [f.alias or name for name, f in model.model_fields.items()]


KEYS_ON_THE_PAGE = {
    "apps.toml": _file_keys(App) + _file_keys(Match),
    "products.toml": _file_keys(Product),
    "prefixes.csv": ["prefix", "region", "network"],
    "networks.csv": _file_keys(Network),
    "exporters.csv": _file_keys(Exporter),
    "endpoints.csv": _file_keys(Endpoint),
    "transition.toml": _file_keys(Transition),
    "targets.toml": _file_keys(Stage1) + _file_keys(Stage2) + _file_keys(Stage3),
    "v6share.toml": [key for part in (Sampling, Time, Kpi, Run) for key in _file_keys(part)],
}
