"""Names that are valid and yet look wrong."""

import pytest

from v6share.schemas.catalog.lint import doubts
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.settings import parse_settings

FILES = {
    "apps.toml": '[[app]]\nid = "shop"\nname = "Shop"\n'
    'match = [{port = 443, region = "us-east"}]\n',
    "products.toml": '[[product]]\nid = "cdn"\nname = "CDN"\n',
    "networks.csv": "network,kind,client_prefix_v4,client_prefix_v6\none,fixed,,\n",
    "prefixes.csv": "prefix,region,network\n192.0.2.0/24,eu-west,one\n",
    "exporters.csv": "exporter,vantage,role,sampling_interval,white_box\n"
    "192.0.2.1,edge,,,\n192.0.2.2,core,,,\n",
}
ENDPOINTS = "# planned and enabled\napp,product,region,planned_on,enabled_on\n"


def told(
    settings: str | None = None, environ: dict[str, str] | None = None, **changed: str
) -> list[str]:
    names = {name.partition(".")[0]: name for name in (*FILES, "endpoints.csv")}
    texts = FILES | {names[name]: text for name, text in changed.items()}
    data = {name: text.encode() for name, text in texts.items()}
    parsed = parse_settings(settings, environ or {}, {})
    return [str(doubt) for doubt in doubts(data, settings, parse_catalog(data), parsed)]


def exporters(*vantages: str) -> str:
    head = FILES["exporters.csv"].partition("\n")[0] + "\n"
    return head + "".join(f"r{i},{vantage},,,\n" for i, vantage in enumerate(vantages))


def test_a_sound_catalog_raises_no_doubt() -> None:
    assert told() == []
    assert told(endpoints=ENDPOINTS + ",cdn,eu-west,,\nshop,cdn,us-east,,2026-01-01\n") == []


def test_a_region_where_nothing_stands() -> None:
    rows = ",cdn,eu-wset,2026-01-01,\n,cdn,eu-west,,\nshop,cdn,eu-wset,,\n,cdn,mars,,2026-01-01\n"
    wrong = "which neither prefixes.csv nor a match of apps.toml names"
    assert told(endpoints=ENDPOINTS + rows) == [
        f'endpoints.csv:3: region: found "eu-wset", {wrong}; did you mean "eu-west"?',
        f'endpoints.csv:6: region: found "mars", {wrong}; known: eu-west, us-east',
    ]


def test_a_region_that_is_only_planned_may_come_later() -> None:
    assert told(endpoints=ENDPOINTS + ",cdn,mars,2026-01-01,\n") == []


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
