"""What is valid in catalog and settings, and yet looks like a mistake. Pure.

A name may stand before anything stands in it, and an app may be on IPv4 alone on purpose, so none
of this is an error: a run says how many doubts there are and goes on, ``catalog check`` lists them.
"""

from collections.abc import Mapping
from datetime import date

from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.catalog.lint.endpoints import (
    apps_of_one_family,
    endpoints_without_match,
    products_without_match,
)
from v6share.schemas.catalog.lint.matches import apps_without_match, hidden_matches, wide_matches
from v6share.schemas.catalog.lint.networks import networks_spelt_twice, networks_without_prefix
from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.lint.regions import regions_of_endpoints, regions_spelt_twice
from v6share.schemas.catalog.lint.values import (
    days_far_away,
    intervals_over_limit,
    prefixes_without_length,
)
from v6share.schemas.catalog.lint.vantages import vantages
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Settings


def doubts(
    texts: Mapping[str, bytes],
    settings_text: str | None,
    catalog: Catalog,
    settings: Settings,
    today: date,
) -> tuple[CatalogError, ...]:
    """All that looks like a mistake, in the order of the files and their lines. Nothing is raised.

    texts, settings_text: the valid files that gave ``catalog`` and ``settings``. today: UTC; the
    only thing in which it shows are days that lie far away.
    """
    places = Places(texts)
    found = (
        *apps_without_match(places, catalog),
        *hidden_matches(places, catalog),
        *wide_matches(places, catalog),
        *apps_of_one_family(places, catalog),
        *endpoints_without_match(places, catalog),
        *products_without_match(places, catalog),
        *regions_of_endpoints(places, catalog),
        *regions_spelt_twice(places, catalog),
        *networks_spelt_twice(places),
        *networks_without_prefix(places, catalog),
        *prefixes_without_length(places, catalog),
        *intervals_over_limit(places, catalog, settings),
        *days_far_away(places, catalog, today),
        *vantages(places, settings_text, settings),
    )
    return tuple(sorted(found, key=_order))


def _order(doubt: CatalogError) -> tuple[int, int]:
    files = (*CATALOG_FILES, doubt.file)
    return files.index(doubt.file), doubt.line or 0
