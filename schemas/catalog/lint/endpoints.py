"""What the endpoints say, against what the matches can see. Pure.

A match *serves* an endpoint when traffic that it classifies may count for it: the product is that
of the endpoint, and so is the region, which a match without one takes from the service's address.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pyarrow.compute as pc

from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.models import Catalog, Endpoint, Match
from v6share.schemas.errors import CatalogError


class _Labelled(NamedTuple):
    """A match with its app, and the product that its traffic has."""

    app: int
    match: Match
    product: str | None


@dataclass(frozen=True)
class _Served:
    """Which matches serve which endpoint."""

    catalog: Catalog

    def by(self, endpoint: Endpoint) -> list[_Labelled]:
        """The matches that serve an endpoint."""
        return [one for one in self.of_product(endpoint) if _may_lie_in(one.match, endpoint.region)]

    def of_product(self, endpoint: Endpoint) -> Sequence[_Labelled]:
        """Those whose traffic has its product, in whatever region.

        Traffic that shows no product counts where the app has one endpoint in that region.
        """
        if not endpoint.app:
            return self._by_product.get(endpoint.product, ())
        is_lone = len(self._products[endpoint.app, endpoint.region]) == 1
        return [
            one
            for one in self._by_app.get(endpoint.app, ())
            if one.product == endpoint.product or (one.product is None and is_lone)
        ]

    @cached_property
    def _labelled(self) -> list[_Labelled]:
        return [
            _Labelled(i, match, match.product or app.product)
            for i, app in enumerate(self.catalog.apps)
            for match in app.matches
        ]

    @cached_property
    def _by_app(self) -> dict[str, list[_Labelled]]:
        grouped = defaultdict(list)
        for one in self._labelled:
            grouped[self.catalog.apps[one.app].id].append(one)
        return dict(grouped)

    @cached_property
    def _by_product(self) -> dict[str, list[_Labelled]]:
        grouped = defaultdict(list)
        for one in self._labelled:
            if one.product is not None:
                grouped[one.product].append(one)
        return dict(grouped)

    @cached_property
    def _products(self) -> dict[tuple[str, str], set[str]]:
        grouped = defaultdict(set)
        for one in self.catalog.endpoints:
            grouped[one.app, one.region].add(one.product)
        return dict(grouped)


def _may_lie_in(match: Match, region: str) -> bool:
    return match.region in (None, region)


def apps_of_one_family(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Apps with an endpoint that is enabled, which all matches see on IPv4 alone; once an app."""
    served, told = _Served(catalog), set[int]()
    for row, endpoint in zip(places.endpoints, catalog.endpoints, strict=True):
        if endpoint.enabled_on is None:
            continue
        by = served.by(endpoint)
        is_v4 = all(one.match.prefix and one.match.prefix.version == 4 for one in by)
        if not by or not is_v4 or by[0].app in told:
            continue
        told.add(by[0].app)
        problem = (
            f"found IPv4 prefixes only, though endpoints.csv:{row.line} has it on IPv6 in "
            f"{endpoint.region} since {endpoint.enabled_on}: its IPv6 traffic is unclassified; add "
            "a match with its IPv6 prefix"
        )
        yield places.in_apps(("app", by[0].app, "match"), problem)


def endpoints_without_match(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Endpoints for which no traffic can ever count.

    Where it is for the region alone, only those that are enabled: the matches of a plan may follow.
    Regions that stand nowhere else have a doubt of their own.
    """
    served = _Served(catalog)
    regions = {match.region for app in catalog.apps for match in app.matches}
    regions |= set(pc.unique(catalog.prefixes["region"]).to_pylist())
    for row, endpoint in zip(places.endpoints, catalog.endpoints, strict=True):
        if served.by(endpoint):
            continue
        whose = f'no match of "{endpoint.app}"' if endpoint.app else "no match of apps.toml"
        of_product = served.of_product(endpoint)
        if of_product and endpoint.enabled_on and endpoint.region in regions:
            found = ", ".join(sorted({one.match.region or "" for one in of_product}))
            problem = f'{whose} is in "{endpoint.region}", so it never has traffic; found {found}'
            yield row.error("region", problem)
        elif not of_product:
            problem = f'{whose} stands for "{endpoint.product}", so it never has traffic'
            yield row.error("product", problem)


def products_without_match(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Products that no app and no match names, and to which no endpoint brings traffic."""
    served = _Served(catalog)
    named = {app.product for app in catalog.apps}
    named |= {match.product for app in catalog.apps for match in app.matches}
    named |= {one.product for one in catalog.endpoints if served.by(one)}
    file = places.toml("products.toml")
    for i, product in enumerate(catalog.products):
        if product.id not in named:
            problem = "no app and no match of apps.toml names it, so it never has traffic"
            yield file.error(("product", i, "id"), f'found "{product.id}"; {problem}')
