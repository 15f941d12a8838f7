"""Networks that no prefix names, and networks that are spelt in two ways. Pure."""

from collections.abc import Iterator

import pyarrow.compute as pc

from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.wording import letters_of


def networks_spelt_twice(places: Places) -> Iterator[CatalogError]:
    """Networks that differ from one above by upper case, spaces and signs alone."""
    first: dict[str, str] = {}
    for row in places.networks:
        network = row.cells["network"]
        letters = letters_of(network)
        if letters in first:
            problem = f'found "{network}", and {first[letters]}; are these one network?'
            yield row.error("network", problem)
        first.setdefault(letters, f'"{network}" in line {row.line}')


def networks_without_prefix(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Networks that no row of prefixes.csv names."""
    named = set(pc.unique(catalog.prefixes["network"]).to_pylist())
    for row in places.networks:
        network = row.cells["network"]
        if network not in named:
            problem = "which no row of prefixes.csv names, so no flow is of it"
            yield row.error("network", f'found "{network}", {problem}')
