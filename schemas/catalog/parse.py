"""The catalog files to one catalog. Pure.

A mistake never passes silently and never stands alone: it has a file, a line and a key, and all
mistakes of all files are said in one go.
"""

from collections.abc import Mapping

from pydantic import Field

from v6share.schemas.catalog import references
from v6share.schemas.catalog.files import CATALOG_FILES, Reader
from v6share.schemas.catalog.models import (
    ENDPOINT_COLUMNS,
    EXPORTER_COLUMNS,
    NETWORK_COLUMNS,
    App,
    Catalog,
    Declared,
    Endpoint,
    Exporter,
    Network,
    Product,
    Targets,
    Transition,
)
from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text.csv_files import read_header


class _AppsFile(Declared):
    apps: tuple[App, ...] = Field((), alias="app")


class _ProductsFile(Declared):
    products: tuple[Product, ...] = Field((), alias="product")


def parse_catalog(texts: Mapping[str, bytes]) -> Catalog:
    """The catalog of these files (name -> content); a missing file is an empty part.

    Other names are ignored, unless one looks like a misspelt catalog file. Raises CatalogError
    for all mistakes of all files, in the order of the files and their lines: each with file, line
    and key, what was found and what was expected.
    """
    mistakes = Mistakes()
    reader = Reader(texts, mistakes)
    products_file = reader.toml("products.toml")
    apps_file = reader.toml("apps.toml")
    targets_file = reader.toml("targets.toml")
    products = reader.tables(products_file, _ProductsFile, Product, "product")
    apps = reader.tables(apps_file, _AppsFile, App, "app")
    networks = reader.csv("networks.csv", NETWORK_COLUMNS, Network, "network")
    exporters = reader.csv("exporters.csv", EXPORTER_COLUMNS, Exporter, "exporter")
    endpoints = reader.csv("endpoints.csv", ENDPOINT_COLUMNS, Endpoint, "app")
    catalog = Catalog(
        apps=apps.models,
        products=products.models,
        prefixes=reader.prefixes(),
        networks=networks.models,
        exporters=exporters.models,
        endpoints=endpoints.models,
        transition=reader.model(reader.toml("transition.toml"), Transition),
        targets=reader.model(targets_file, Targets),
    )
    mistakes.add(
        *references.repeated_ids(products_file, "product", products),
        *references.repeated_ids(apps_file, "app", apps),
        *references.repeated_networks(networks),
        *references.repeated_exporters(exporters),
        *references.repeated_endpoints(endpoints),
        *references.unknown_products(apps_file, apps, products.names),
        *references.unknown_in_endpoints(endpoints, apps.names, products.names),
        *references.unknown_networks(catalog.prefixes, networks.names),
        *references.unknown_in_ranking(targets_file, apps.names),
    )
    if mistakes.count:
        # Else who compiles the catalog finds these, in a hundredth of the time.
        mistakes.add(*references.wrong_prefixes(catalog.prefixes))
    mistakes.refuse(key=_order)
    return catalog


def _order(mistake: CatalogError) -> tuple[int, int]:
    files = (*CATALOG_FILES, mistake.file)
    return files.index(mistake.file), mistake.line or 0


def exporters_header(data: bytes) -> list[str]:
    """The columns of an ``exporters.csv``, in its order. Raises CatalogError for the header."""
    return read_header("exporters.csv", data, EXPORTER_COLUMNS)
