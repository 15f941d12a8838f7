"""What is valid in catalog and settings, and yet looks wrong."""

import re
from collections.abc import Sequence
from datetime import date
from ipaddress import ip_network
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.catalog.lint import doubts
from v6share.schemas.catalog.lint.covers import Earlier, Placed, covers
from v6share.schemas.catalog.models import Match
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.settings import Settings, parse_settings

FILES = {
    "apps.toml": '[[app]]\nid = "shop"\nname = "Shop"\n'
    'match = [{port = 443, product = "cdn", region = "us-east"}, {port = 80, product = "cdn"}]\n',
    "products.toml": '[[product]]\nid = "cdn"\nname = "CDN"\n',
    "networks.csv": "network,kind,client_prefix_v4,client_prefix_v6\none,fixed,,\n",
    "prefixes.csv": "prefix,region,network\n192.0.2.0/24,eu-west,one\n",
    "exporters.csv": "exporter,vantage,role,sampling_interval,white_box\n"
    "192.0.2.1,edge,,,\n192.0.2.2,core,,,\n",
}
TODAY = date(2026, 3, 31)
ENDPOINTS = "# planned and enabled\napp,product,region,planned_on,enabled_on\n"


def told(
    settings: str | None = None, environ: dict[str, str] | None = None, **changed: str
) -> list[str]:
    others = ("endpoints.csv", "targets.toml", "transition.toml")
    names = {name.partition(".")[0]: name for name in (*FILES, *others)}
    texts = FILES | {names[name]: text for name, text in changed.items()}
    data = {name: text.encode() for name, text in texts.items()}
    parsed = parse_settings(settings, environ or {}, {})
    return [str(doubt) for doubt in doubts(data, settings, parse_catalog(data), parsed, TODAY)]


def exporters(*vantages: str) -> str:
    head = FILES["exporters.csv"].partition("\n")[0] + "\n"
    return head + "".join(f"r{i},{vantage},,,\n" for i, vantage in enumerate(vantages))


def test_a_sound_catalog_raises_no_doubt() -> None:
    assert told() == []
    assert told(endpoints=ENDPOINTS + ",cdn,eu-west,,\nshop,cdn,us-east,,2026-01-01\n") == []


def test_the_examples_of_the_starter_and_of_the_page_raise_no_doubt() -> None:
    top = Path(__file__).parents[2]
    # An example is a comment without a space, or a line of a list.
    starter = {
        name: re.sub(rb"(?m)^#(?=[^ \n#]|  [{])", b"", (top / "jobs/starter" / name).read_bytes())
        for name in CATALOG_FILES
    }
    page = (top / "docs/catalog.md").read_text(encoding="utf-8")
    sections = {part.split("`", 1)[0]: part for part in re.split(r"(?m)^## `", page)[1:]}
    of_page = {
        name: re.findall(r"```(?:toml|csv)\n(.*?)```", sections[name], re.DOTALL)[0].encode()
        for name in CATALOG_FILES
    }
    for texts in (starter, of_page):
        catalog = parse_catalog(texts)
        assert all(app.matches for app in catalog.apps)
        assert doubts(texts, None, catalog, Settings(), TODAY) == ()


def test_a_region_where_nothing_stands() -> None:
    rows = ",cdn,eu-wset,2026-01-01,\n,cdn,eu-west,,\nshop,cdn,eu-wset,,\n,cdn,mars,,2026-01-01\n"
    wrong = "which neither prefixes.csv nor a match of apps.toml names"
    assert told(endpoints=ENDPOINTS + rows) == [
        f'endpoints.csv:3: region: found "eu-wset", {wrong}; did you mean "eu-west"?',
        f'endpoints.csv:6: region: found "mars", {wrong}; known: eu-west, us-east',
    ]


def test_a_region_that_is_only_planned_may_come_later() -> None:
    assert told(endpoints=ENDPOINTS + ",cdn,mars,2026-01-01,\n") == []
    assert told(endpoints=ENDPOINTS + ",cdn,eu-east,2026-01-01,\n") == []


def test_a_vantage_in_the_settings_that_no_exporter_has() -> None:
    wrong = "which is no vantage of exporters.csv"
    assert told('[kpi]\nvantages = [\n  "edge",\n  "cores",\n]\n') == [
        f'v6share.toml:4: kpi.vantages[1]: found "cores", {wrong}; did you mean "core"?'
    ]
    assert told(None, {"V6SHARE_KPI__VANTAGES": "edge, zzz"}) == [
        f'environment: V6SHARE_KPI__VANTAGES: found "zzz", {wrong}; known: core, edge, unlisted'
    ]
    assert told('[kpi]\nvantages = ["core", "unlisted"]\n') == []


@pytest.mark.parametrize("slip", ["egde", "Edge", "edgee"])
def test_a_vantage_that_looks_like_one_that_counts(slip: str) -> None:
    assert told(exporters=exporters("edge", slip, slip)) == [
        f'exporters.csv:3: vantage: found "{slip}", which does not feed the KPIs; '
        'did you mean "edge"?'
    ]


@pytest.mark.parametrize("vantage", ["core", "edge-2", "lab", "datacenter"])
def test_another_vantage_is_no_slip(vantage: str) -> None:
    assert told(exporters=exporters("edge", vantage)) == []


def test_exporters_of_which_none_counts() -> None:
    assert told(exporters=exporters("core", "metro")) == [
        "exporters.csv:2: vantage: no exporter here feeds the KPIs: found core, metro; "
        "[kpi] vantages in v6share.toml counts edge, unlisted"
    ]
    assert told(exporters=exporters()) == []


# --- apps and matches ---------------------------------------------------------------------------


def apps(*matches: str) -> str:
    """Apps a, b, c, ..., each with these matches; an app takes five lines."""
    return "".join(
        f'[[app]]\nid = "{name}"\nname = "{name}"\nmatch = [{one}]\n\n'
        for name, one in zip("abcdefgh", matches, strict=False)
    )


def of_matches(*matches: str) -> list[str]:
    return told(apps=apps(*matches), products="")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{port = 443}", '{prefix = "192.0.2.0/24", port = 443}'),
        ('{prefix = "192.0.0.0/16"}', '{prefix = "192.0.2.0/24", port = 443}'),
        ('{prefix = "192.0.2.0/24"}', '{prefix = "192.0.2.0/24"}'),
        ('{port = "80-443"}', '{port = [80, "100-200"], protocol = "tcp"}'),
        ("{port = 80}, {port = 443}", "{port = [80, 443]}"),
        ('{protocol = ["tcp", "udp"]}', '{protocol = "udp", asn = 1}'),
        ('{protocol = "udp"}, {protocol = "tcp"}', '{protocol = ["tcp", "udp"]}'),
        ('{server_name = "example.com"}', '{server_name = "*.www.Example.com", port = 1}'),
        ('{server_name = "*.example.com"}', '{server_name = "www.example.com"}'),
        ('{server_name = "*.example.com"}', '{server_name = "*.example.com"}'),
        ("{asn = 64500}", '{asn = 64500, prefix = "2001:db8::/32"}'),
        ('{app_name = "HTTP"}', '{app_name = "http", app_id = "3"}'),
        ("{app_id = 7}", '{app_id = "7"}'),
        ('{prefix = "192.0.2.0/25"}, {prefix = "192.0.2.128/25"}', '{prefix = "192.0.2.0/24"}'),
        (
            '{prefix = "2001:db8::/34"}, {prefix = "2001:db8:4000::/34"}, '
            '{prefix = "2001:db8:8000::/33"}',
            '{prefix = "2001:db8::/32", port = 443}',
        ),
        ("{port = 443}, {port = 80}", '{prefix = "192.0.2.0/24", port = 80}, {port = 443}'),
    ],
)
def test_an_app_that_an_earlier_one_hides(first: str, second: str) -> None:
    assert of_matches(first, second) == [
        'apps.toml:6: app[1]: hidden: "a" in line 1 comes first and takes all that this app '
        "matches; put it before, or remove it"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{prefix = "192.0.2.0/24", port = 443}', '{prefix = "192.0.2.0/24"}'),
        ('{prefix = "192.0.2.0/24"}', '{prefix = "192.0.0.0/16"}'),
        ('{prefix = "192.0.2.0/24"}', '{prefix = "2001:db8::/32"}'),
        ('{prefix = "192.0.2.0/25"}, {prefix = "192.0.2.128/26"}', '{prefix = "192.0.2.0/24"}'),
        ('{port = "80-90", asn = 1}', '{port = "80-91", asn = 1}'),
        ("{port = 80}", "{port = [80, 443]}"),
        ('{server_name = "*.example.com"}', '{server_name = "example.com"}'),
        ('{server_name = "example.com"}', '{server_name = "anexample.com"}'),
        ('{server_name = "www.example.com"}', '{server_name = "*.example.com"}'),
        ("{asn = 64500}", "{asn = 64501}"),
        ('{app_name = "http"}', '{app_id = "http"}'),
        ('{protocol = "tcp", app_id = 1}', "{app_id = 1}"),
    ],
)
def test_an_app_of_which_something_is_left_is_not_hidden(first: str, second: str) -> None:
    assert of_matches(first, second) == []


def test_of_an_app_that_is_not_hidden_each_hidden_match_is_named() -> None:
    two = '{prefix = "192.0.2.0/24"}, {prefix = "198.51.100.0/24"}'
    assert of_matches('{prefix = "192.0.2.0/24"}', '{prefix = "198.51.100.0/25"}', two) == [
        'apps.toml:14: app[2].match[0]: hidden: "a" in line 1 comes first and takes all that this '
        "matches"
    ]
    assert of_matches(two, '{prefix = "192.0.2.0/25"}', '{prefix = "198.51.100.1/32"}') == [
        f'apps.toml:{line}: app[{n}]: hidden: "a" in line 1 comes first and takes all that this '
        "app matches; put it before, or remove it"
        for n, line in ((1, 6), (2, 11))
    ]


def test_an_app_that_two_hide_together() -> None:
    halves = ('{prefix = "192.0.2.0/25"}', '{prefix = "192.0.2.128/25"}')
    assert of_matches(*halves, '{prefix = "192.0.2.0/24", port = 1}') == [
        'apps.toml:11: app[2]: hidden: "a" in line 1 and "b" in line 6 come first and take all '
        "that this app matches; put it before, or remove it"
    ]


def test_a_match_behind_one_of_its_own_app_is_harmless_but_for_what_it_stands_for() -> None:
    again = '{prefix = "192.0.2.0/24"}, {prefix = "192.0.2.0/25", port = 1}'
    assert of_matches(again) == []
    assert of_matches(again.replace("port = 1", 'region = "eu-west"')) == [
        "apps.toml:4: app[0].match[1]: hidden: match[0] of this app fits first, with another "
        "product or region"
    ]


def test_an_app_without_a_match() -> None:
    assert of_matches("") == [
        "apps.toml:4: app[0].match: found no match, so no flow is of this app; add one, or remove "
        "the app"
    ]


def test_a_match_by_port_or_as_number_before_narrower_ones() -> None:

    def takes(app: str, line: int) -> str:
        return (
            "found no prefix and no name, before narrower matches such as those of "
            f'"{app}" in line {line}, from which it takes flows; put it behind them'
        )

    shop = '{prefix = "192.0.2.0/24"}'
    named = '{server_name = "example.com"}'
    assert of_matches("{port = 443}", "{asn = 1}", named) == [
        # The first may share flows with the second as well.
        f"apps.toml:4: app[0].match[0]: {takes('b', 6)}",
        f"apps.toml:9: app[1].match[0]: {takes('c', 11)}",
    ]
    assert of_matches("{port = 443}", shop) == [f"apps.toml:4: app[0].match[0]: {takes('b', 6)}"]
    same = '{asn = 1, prefix = "192.0.2.0/24"}'
    assert of_matches("{asn = 1, port = 443}", same) == [
        f"apps.toml:4: app[0].match[0]: {takes('b', 6)}"
    ]
    assert of_matches(shop, '{server_name = "example.com"}', "{asn = 1}", "{port = 443}") == []
    assert of_matches("{port = 443}", '{prefix = "192.0.2.0/24", port = 80}') == []
    assert of_matches('{protocol = "udp"}', '{prefix = "192.0.2.0/24", protocol = 6}') == []
    assert of_matches("{asn = 1}", '{prefix = "192.0.2.0/24", asn = 2}') == []
    # Which AS a prefix is of, or a name whose app has a prefix or an AS of its own, nobody says.
    assert of_matches("{asn = 1}", shop) == []
    assert of_matches("{asn = 1}", f"{{asn = 2}}, {named}") == []


def test_apps_with_as_numbers_and_prefixes_of_their_own_raise_no_doubt() -> None:
    matches = '{asn = %d}, {prefix = "10.%d.0.0/16"}'
    text = "".join(
        f'[[app]]\nid = "a{i}"\nname = "A"\nmatch = [{matches % (i + 1, i)}]\n' for i in range(200)
    )
    assert told(apps=text, products="") == []


FLOWS = list(product(range(4), range(3), (6, 17), ("", "a.b", "b", "x.a.b")))
PREFIXES = [ip_network((i << bits, 32 - bits)) for bits in range(3) for i in range(4 >> bits)]
SOME_MATCHES = (
    st.fixed_dictionaries(
        {
            "prefix": st.sampled_from([None, *PREFIXES]),
            "ports": st.sampled_from([(), ((0, 0),), ((1, 2),), ((0, 0), (2, 2)), ((0, 2),)]),
            "protocols": st.sampled_from([(), (6,), (17,), (6, 17)]),
            "server_name": st.sampled_from([None, "a.b", "b", "*.b"]),
        }
    )
    .filter(lambda conditions: any(conditions.values()))
    .map(lambda conditions: Match(**conditions))
)


def meets(flow: tuple[int, int, int, str], match: Match) -> bool:
    """Whether a flow (address, port, protocol, server name) meets a match, by the page's words."""
    address, port, protocol, name = flow
    wanted = match.server_name
    return (
        (match.prefix is None or address in range(*_span(match)))
        and (not match.ports or any(low <= port <= high for low, high in match.ports))
        and (not match.protocols or protocol in match.protocols)
        and (wanted is None or (name == wanted) or name.endswith("." + wanted.removeprefix("*.")))
    )


def _span(match: Match) -> tuple[int, int]:
    assert match.prefix is not None
    first = int(match.prefix.network_address)
    return first, first + match.prefix.num_addresses


@given(st.lists(SOME_MATCHES, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_what_is_hidden_meets_no_flow_that_was_not_met_before(matches: Sequence[Match]) -> None:
    *before, last = matches
    earlier = Earlier()
    for number, match in enumerate(before):
        earlier.add(Placed(number, 0, match))
    by = earlier.covering(last)
    mine = [flow for flow in FLOWS if meets(flow, last)]
    if by:
        assert all(any(meets(flow, one.match) for one in by) for flow in mine)
    for match in before:
        if covers(match, last):
            assert by, "whatever one covers is found"


def test_many_apps_behind_one_prefix_are_looked_at_quickly() -> None:
    """Compared with each other they would be a thousand million pairs."""
    earlier = Earlier()
    prefix = ip_network("192.0.2.0/24")
    for number in range(50_000):
        match = Match(prefix=prefix, server_name=f"app{number}.example.com")
        assert not earlier.covering(match)
        earlier.add(Placed(number, 0, match))
    assert earlier.covering(Match(prefix=prefix, server_name="www.app7.example.com"))


# --- endpoints and products ---------------------------------------------------------------------

SHOP = (
    '[[app]]\nid = "shop"\nname = "Shop"\nproduct = "cdn"\nmatch = [\n'
    '  {prefix = "198.51.100.0/24", region = "eu-west"},\n'
    '  {prefix = "203.0.113.0/24", region = "us-east"},\n'
    '  {prefix = "2001:db8:1::/48", region = "us-east"},\n]\n'
)


def of_endpoints(*rows: str, apps: str = SHOP, products: str = FILES["products.toml"]) -> list[str]:
    text = ENDPOINTS + "".join(f"{row}\n" for row in rows)
    return told(apps=apps, products=products, endpoints=text)


def test_an_app_on_ipv4_alone_that_is_declared_dual_stacked() -> None:
    told_of = (
        "apps.toml:5: app[0].match: found IPv4 prefixes only, though endpoints.csv:3 has it on "
        "IPv6 in eu-west since 2026-01-01: its IPv6 traffic is unclassified; add a match with its "
        "IPv6 prefix"
    )
    assert of_endpoints("shop,cdn,eu-west,,2026-01-01", "shop,cdn,us-east,,2026-01-01") == [told_of]
    assert of_endpoints(",cdn,eu-west,,2026-01-01") == [told_of]
    assert of_endpoints("shop,cdn,eu-west,2026-01-01,") == []  # planned
    assert of_endpoints("shop,cdn,us-east,,2026-01-01") == []
    both = SHOP.replace("\n]\n", '\n  {server_name = "shop.example.com"},\n]\n')
    assert of_endpoints("shop,cdn,eu-west,,2026-01-01", apps=both) == []


def test_an_endpoint_for_which_no_traffic_can_count() -> None:
    two = FILES["products.toml"] + '[[product]]\nid = "lb"\nname = "LB"\n'
    assert of_endpoints("shop,lb,us-east,2026-01-01,", products=two) == [
        'products.toml:5: product[1].id: found "lb"; no app and no match of apps.toml names it, so '
        "it never has traffic",
        'endpoints.csv:3: product: no match of "shop" stands for "lb", so it never has traffic',
    ]
    one_region = SHOP.replace("us-east", "us-west")
    prefixes = FILES["prefixes.csv"] + "198.18.0.0/24,us-east,one\n"
    rows = "shop,cdn,us-east,,2026-01-01\nshop,cdn,us-west,,2026-01-01\n,cdn,us-east,2027-01-01,\n"
    assert told(apps=one_region, prefixes=prefixes, endpoints=ENDPOINTS + rows) == [
        'endpoints.csv:3: region: no match of "shop" is in "us-east", so it never has traffic; '
        "found eu-west, us-west"
    ]


def test_a_match_that_names_no_region_or_product_serves_any() -> None:
    plain = '[[app]]\nid = "shop"\nname = "Shop"\nmatch = [{port = 443}]\n'
    assert of_endpoints("shop,cdn,eu-west,,2026-01-01", apps=plain) == []
    # Of two products in one region nobody can tell whose the traffic is.
    two = FILES["products.toml"] + '[[product]]\nid = "lb"\nname = "LB"\n'
    rows = ("shop,cdn,eu-west,,2026-01-01", "shop,lb,eu-west,,2026-01-01")
    assert len(of_endpoints(*rows, apps=plain, products=two)) == 4


# --- regions ------------------------------------------------------------------------------------


def of_regions(prefixes: Sequence[str], matches: Sequence[str]) -> list[str]:
    rows = "".join(f"10.{i}.0.0/16,{region},one\n" for i, region in enumerate(prefixes))
    head = FILES["prefixes.csv"].partition("\n")[0] + "\n"
    text = "".join(f'  {{port = {i}, region = "{region}"}},\n' for i, region in enumerate(matches))
    app = f'[[app]]\nid = "shop"\nname = "Shop"\nmatch = [\n{text}  {{asn = 1}},\n]\n'
    return told(prefixes=head + rows, apps=app, products="")


@pytest.mark.parametrize("slip", ["eu-wset", "eu-wes", "eu-westt", "eu-vest", "EU_West", "eu west"])
def test_a_region_that_is_spelt_in_two_ways(slip: str) -> None:
    other = '"eu-west" in prefixes.csv:2; are these one region?'
    assert of_regions(["eu-west"], ["us-east", slip]) == [
        f'apps.toml:6: app[0].match[1].region: found "{slip}", and {other}'
    ]


def test_two_spellings_in_one_file() -> None:
    assert of_regions(["eu-west", "EU-WEST"], []) == [
        'prefixes.csv:3: region: found "EU-WEST", and "eu-west" in prefixes.csv:2; are these one '
        "region?"
    ]


def test_the_spelling_that_more_files_have_is_right() -> None:
    rows = ENDPOINTS + "shop,cdn,eu-west,2027-01-01,\n"
    app = FILES["apps.toml"].replace("us-east", "eu-west")
    prefixes = FILES["prefixes.csv"].replace("eu-west", "eu-wst")
    assert told(apps=app, prefixes=prefixes, endpoints=rows) == [
        'prefixes.csv:2: region: found "eu-wst", and "eu-west" in apps.toml:4; are these one '
        "region?"
    ]


@pytest.mark.parametrize(
    ("prefixes", "matches"),
    [
        (["us-east", "us-west"], ["us-west"]),
        (["eu-west-1", "eu-west-2"], ["eu-west-1"]),
        (["eu-west-1a", "eu-west-1b"], ["eu-west-1a"]),
        (["de", "be", "se"], ["de"]),
        (["north", "south"], ["south"]),
        (["central", "centrum"], ["central"]),
        # Both in both files: two regions.
        (["europe", "europa"], ["europe", "europa"]),
        # Both with prefixes of their own.
        (["Iran", "Iraq"], ["Iraq"]),
        (["Mali", "Bali"], ["Mali", "Mali"]),
        # Near names of one file: whoever wrote them saw both.
        (["europe", "europa"], []),
    ],
)
def test_other_regions_are_no_slips(prefixes: list[str], matches: list[str]) -> None:
    assert of_regions(prefixes, matches) == []


# --- days and prefixes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned", "enabled", "said"),
    [
        ("1995-12-01", "1995-12-01", []),
        ("2036-04-07", "2027-04-01", []),
        ("1995-11-30", "", ["planned_on: found 1995-11-30, which is before there was IPv6"]),
        ("0026-03-31", "", ["planned_on: found 0026-03-31, which is before there was IPv6"]),
        ("2036-04-08", "", ["planned_on: found 2036-04-08, which is 10 years ahead"]),
        ("", "2027-04-02", ["enabled_on: found 2027-04-02, which is 1 year ahead"]),
    ],
)
def test_days_far_away(planned: str, enabled: str, said: list[str]) -> None:
    wanted = [f"endpoints.csv:3: {one}; is the year right?" for one in said]
    assert of_endpoints(f"shop,cdn,us-east,{planned},{enabled}") == wanted


def test_days_far_away_in_other_files() -> None:
    head = FILES["networks.csv"].partition("\n")[0] + ",ipv6_since\n"
    assert told(networks=head + "one,fixed,,,2206-01-01\n") == [
        "networks.csv:2: ipv6_since: found 2206-01-01, which is 180 years ahead; is the year right?"
    ]
    assert told(targets="[stage1]\nby = 2062-12-31\n") == [
        "targets.toml:2: stage1.by: found 2062-12-31, which is 36 years ahead; is the year right?"
    ]


def test_prefixes_without_a_length() -> None:
    def alone(text: str, bits: int, more: str = "") -> str:
        return (
            f'found "{text}" without a length{more}, which means this one address; write '
            f'"{text}/{bits}", or the length of the prefix'
        )

    rows = "10.0.0.0/8,eu-west,one\n10.1.0.0,eu-west,one\n2001:db8::1,eu-west,one\n"
    head = FILES["prefixes.csv"].partition("\n")[0] + "\n"
    assert told(
        apps=apps('{prefix = "192.0.2.0"}, {prefix = "192.0.2.1/32"}, {prefix = "2001:db8::"}'),
        products="",
        prefixes=head + rows,
        transition='srv6_locators = ["2001:db8:1::"]\nsixrd_relays = ["192.0.2.1"]\n',
    ) == [
        f"apps.toml:4: app[0].match[0].prefix: {alone('192.0.2.0', 32)}",
        f"apps.toml:4: app[0].match[2].prefix: {alone('2001:db8::', 128)}",
        f"prefixes.csv:3: prefix: {alone('10.1.0.0', 32, ' (and 1 more row)')}",
        f"transition.toml:1: srv6_locators[0]: {alone('2001:db8:1::', 128)}",
    ]


# --- networks and exporters ---------------------------------------------------------------------


def test_networks_that_are_spelt_in_two_ways_or_have_no_prefix() -> None:
    rows = "mobile-one,mobile,,\nMobile One,mobile,,\nmobile-two,mobile,,\n"
    prefixes = "".join(f"10.{i}.0.0/16,eu-west,{n}\n" for i, n in enumerate(("one", "mobile-one")))
    without = "which no row of prefixes.csv names, so no flow is of it"
    assert told(
        networks=FILES["networks.csv"] + rows, prefixes=f"prefix,region,network\n{prefixes}"
    ) == [
        'networks.csv:4: network: found "Mobile One", and "mobile-one" in line 3; are these one '
        "network?",
        f'networks.csv:4: network: found "Mobile One", {without}',
        f'networks.csv:5: network: found "mobile-two", {without}',
    ]


def test_a_sampling_interval_over_the_limit() -> None:
    rows = FILES["exporters.csv"].replace("edge,,,", "edge,,100001,").replace("core,,,", "core,,1,")
    said = "exporters.csv:2: sampling_interval: found 100001, over [sampling] max_interval, which"
    assert told(exporters=rows) == [f"{said} is 100000; is it 1 in 100001 packets?"]
    assert told("[sampling]\nmax_interval = 100001\n", exporters=rows) == []
