"""The catalog that belongs to the sample, as files of text. It says what an operator would know."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from v6share.pipelines.sample import addresses as plan
from v6share.pipelines.sample import extras, story

_HEADER: Final = "# Part of the v6share sample: fictional, made by `v6share sample`.\n"


def catalog_files(start: date, days: int) -> dict[str, str]:
    """File name -> content, for a sample of these days."""
    return {
        "apps.toml": _HEADER + "\n" + "\n".join(_app(n, app) for n, app in enumerate(story.APPS)),
        "products.toml": _HEADER + "\n" + "\n".join(map(_product, story.PRODUCTS)),
        "prefixes.csv": _csv("prefix,region,network", _prefixes()),
        "networks.csv": _csv(
            "network,kind,client_prefix_v4,client_prefix_v6,ipv6_since,subscribers,carrier",
            (_network(network, start, days) for network in story.NETWORKS),
        ),
        "exporters.csv": _csv(
            "exporter,vantage,role,sampling_interval,white_box,site,override",
            map(_exporter, (*story.EXPORTERS, story.TRANSIT, story.CORE)),
        ),
        "endpoints.csv": _csv(
            "app,product,region,planned_on,enabled_on",
            (_endpoint(endpoint, start, days) for endpoint in story.endpoints()),
        ),
        "transition.toml": _HEADER + "\n" + _transition(),
        "targets.toml": _HEADER + "\n" + _targets(start, days),
    }


def _csv(header: str, rows: Iterable[tuple[object, ...]]) -> str:
    lines = (",".join(map(str, row)) for row in rows)
    return _HEADER + header + "\n" + "".join(f"{line}\n" for line in lines)


def _app(number: int, app: story.App) -> str:
    matches = "".join(f"  {{ {match} }},\n" for match in _matches(number, app))
    product = f'product = "{app.legs[0].product}"\n' if len(app.legs) == 1 else ""
    return (
        f'[[app]]\nid = "{app.id}"\nname = "{app.name}"\n{product}owner = "{app.owner}"\n'
        f"match = [\n{matches}]\n"
    )


def _matches(number: int, app: story.App) -> list[str]:
    if app.rules == "shared_cdn":
        return [_shared_match(block, name) for name, block in _shared_blocks()]
    blocks = [f"198.18.{8 * (number + 1)}.0/21"]
    if app.rules == "both":
        blocks.append(f"2001:db8:{256 * (number + 1):x}::/40")
    several = len(app.legs) > 1
    return [
        f'prefix = "{block}", port = {leg.port}'
        + (f', product = "{leg.product}"' if several else "")
        for leg in app.legs
        for block in blocks
    ]


def _shared_blocks() -> list[tuple[str, str]]:
    place = plan.SHARED_PLACE
    return [
        (name, block)
        for number, name in enumerate(story.SERVICE_REGIONS)
        for block in (plan.service_block_v4(place, number), plan.service_block_v6(place, number))
    ]


def _shared_match(block: str, region: str) -> str:
    return (
        f'prefix = "{block}", shared = true, server_name = "{story.CDN_NAME}", region = "{region}"'
    )


def _product(product: tuple[str, str, bool]) -> str:
    name, title, core = product
    return f'[[product]]\nid = "{name}"\nname = "{title}"\ncore = {str(core).lower()}\n'


def _prefixes() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        # The whole of a carrier, and its exceptions below: the longest prefix wins.
        ("100.72.0.0/13", "europe", "mobile-b"),
        ("3fff:10::/28", "europe", "mobile-b"),
        (extras.NAT64_POOL, "europe", "mobile-b"),
    ]
    for number, network in enumerate(story.NETWORKS):
        for region, _ in network.regions:
            place = story.REGIONS.index(region)
            if (network.id, region) != ("mobile-b", "europe"):
                rows.append((plan.client_block_v4(number, place), region, network.id))
                rows.append((plan.client_block_v6(number, place), region, network.id))
    places = [*range(1, len(story.APPS) + 1), plan.SHARED_PLACE]
    for place in places:
        for number, region in enumerate(story.SERVICE_REGIONS):
            rows.append((plan.service_block_v4(place, number), region, "hosting"))
            rows.append((plan.service_block_v6(place, number), region, "hosting"))
    return rows


def _network(network: story.Network, start: date, days: int) -> tuple[object, ...]:
    since = ""
    if network.ipv6_since < story.NEVER:
        since = str(story.moment_date(network.ipv6_since, start, days))
    length = 64 if network.kind == "mobile" else 56
    subscribers = network.subscribers or ""
    return (network.id, network.kind, 32, length, since, subscribers, network.carrier)


def _exporter(exporter: story.Exporter) -> tuple[object, ...]:
    vantage = "core" if exporter is story.CORE else "edge"
    declared = exporter.interval if exporter.declared in ("catalog", "override") else ""
    white_box = str(exporter.white_box).lower()
    override = str(exporter.declared == "override").lower()
    return (exporter.address, vantage, exporter.role, declared, white_box, exporter.site, override)


def _endpoint(endpoint: story.Endpoint, start: date, days: int) -> tuple[object, ...]:
    planned = story.moment_date(endpoint.planned, start, days)
    enabled = (
        "" if endpoint.enabled == story.NEVER else story.moment_date(endpoint.enabled, start, days)
    )
    return (endpoint.app, endpoint.product, endpoint.region, planned, enabled)


def _transition() -> str:
    number = [network.id for network in story.NETWORKS].index("mobile-b")
    regions = [story.REGIONS.index(name) for name, _ in story.NETWORKS[number].regions]
    clat = ", ".join(f'"{plan.clat_block(number, region)}"' for region in regions)
    return (
        f'nat64 = ["{plan.NAT64_WELL_KNOWN}", "{plan.NAT64_OWN}"]\n'
        f'nat64_pool_v4 = ["{extras.NAT64_POOL}"]\n'
        f"clat = [{clat}]\n"
        f'teredo_relays = ["{extras.TEREDO_RELAY}/32"]\n'
        f'srv6_locators = ["{extras.SRV6_LOCATOR}"]\n'
    )


def _targets(start: date, days: int) -> str:
    pilot = story.moment_date(250, start, days)
    last = start + timedelta(days=days)
    return (
        f"[stage1]\napps = 5\nproducts = 27\nby = {pilot + timedelta(days=days // 2)}\n\n"
        f"[stage2]\nactive_users = 500_000_000\nby = {last}\n\n"
        f"[stage3]\ntop_n = 20\nshare = 0.90\nweeks = 4\n"
        f'denominator = "all"\nranking = "previous_quarter"\nby = {last}\n'
    )
