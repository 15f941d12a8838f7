"""The files of the catalog to models. Pure.

A mistake never passes silently and never stands alone: it has a file, a line and a key.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError

from v6share.schemas.catalog.models import (
    ENDPOINT_COLUMNS,
    EXPORTER_COLUMNS,
    NETWORK_COLUMNS,
    PREFIX_COLUMNS,
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
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.csv_files import (
    CsvColumns,
    CsvRow,
    empty_columns,
    read_columns,
    read_csv,
    read_header,
    row_line,
)
from v6share.schemas.text.toml_files import TomlText, known_keys, read_toml
from v6share.schemas.text.toml_lines import Path
from v6share.schemas.text.wording import did_you_mean, first_mistake, nearest

CATALOG_FILES: Final = (
    "apps.toml",
    "products.toml",
    "prefixes.csv",
    "networks.csv",
    "exporters.csv",
    "endpoints.csv",
    "transition.toml",
    "targets.toml",
)

Row = TypeVar("Row", bound=Declared)


class _AppsFile(Declared):
    apps: tuple[App, ...] = Field((), alias="app")


class _ProductsFile(Declared):
    products: tuple[Product, ...] = Field((), alias="product")


def parse_catalog(texts: Mapping[str, bytes]) -> Catalog:
    """The catalog of these files (name -> content); a missing file is an empty part.

    Other names are ignored, unless one looks like a misspelt catalog file. Raises CatalogError
    for the first mistake, with file, line and key, what was found and what was expected.
    """
    _check_names(texts)
    networks = _parse_rows(texts, "networks.csv", NETWORK_COLUMNS, Network)
    exporters = _parse_rows(texts, "exporters.csv", EXPORTER_COLUMNS, Exporter)
    endpoints = _parse_rows(texts, "endpoints.csv", ENDPOINT_COLUMNS, Endpoint)
    products_file, apps_file, targets_file = (
        read_toml(name, texts.get(name, b""))
        for name in ("products.toml", "apps.toml", "targets.toml")
    )
    transition = read_toml("transition.toml", texts.get("transition.toml", b""))
    catalog = Catalog(
        apps=apps_file.validate(_AppsFile).apps,
        products=products_file.validate(_ProductsFile).products,
        prefixes=_parse_prefixes(texts.get("prefixes.csv")),
        networks=tuple(network for _, network in networks),
        exporters=tuple(exporter for _, exporter in exporters),
        endpoints=tuple(endpoint for _, endpoint in endpoints),
        transition=transition.validate(Transition),
        targets=targets_file.validate(Targets),
    )
    _check_unique_ids(products_file, "product", [p.id for p in catalog.products])
    _check_unique_ids(apps_file, "app", [a.id for a in catalog.apps])
    _check_unique_rows(networks, "network")
    _check_unique_rows(exporters, "exporter")
    _check_products_of_apps(apps_file, catalog)
    _check_endpoints(endpoints, catalog)
    _check_networks_of_prefixes(catalog)
    _check_ranking(targets_file, catalog)
    return catalog


def exporters_header(data: bytes) -> list[str]:
    """The columns of an ``exporters.csv``, in its order. Raises CatalogError for the header."""
    return read_header("exporters.csv", data, EXPORTER_COLUMNS)


def prefix_error(prefixes: pa.Table, row: int, problem: str) -> CatalogError:
    """A mistake in the prefix of one row of ``Catalog.prefixes``, with its line."""
    return CatalogError("prefixes.csv", row_line(prefixes, row), "prefix", problem)


def _check_names(texts: Mapping[str, bytes]) -> None:
    for name in texts:
        absent = [known for known in CATALOG_FILES if known not in texts]
        close = None if name in CATALOG_FILES else nearest(name, absent, cutoff=0.8)
        if close is not None:
            raise CatalogError(name, None, "", f'unknown file; did you mean "{close}"?')


def _parse_rows(
    texts: Mapping[str, bytes], file: str, columns: CsvColumns, model: type[Row]
) -> list[tuple[CsvRow, Row]]:
    if file not in texts:
        return []
    rows = read_csv(file, texts[file], columns)
    return [(row, _parse_row(row, model)) for row in rows]


def _parse_row(row: CsvRow, model: type[Row]) -> Row:
    try:
        return model.model_validate(row.cells)
    except ValidationError as error:
        path, problem = first_mistake(error, known_keys(model))
        raise row.error(".".join(map(str, path)), problem) from None


def _parse_prefixes(data: bytes | None) -> pa.Table:
    if data is None:
        return empty_columns(PREFIX_COLUMNS)
    table = read_columns("prefixes.csv", data, PREFIX_COLUMNS)
    for name in PREFIX_COLUMNS.required:
        row = pc.index(table[name], "").as_py()
        if row >= 0:
            problem = f"found an empty cell, expected a {name}"
            raise CatalogError("prefixes.csv", row_line(table, row), name, problem)
    return table


def _check_unique_ids(file: TomlText, key: str, ids: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for position, name in enumerate(ids):
        if name in first:
            problem = f'"{name}" is the id of {key}[{first[name]}] already; ids are unique'
            raise file.error((key, position, "id"), problem)
        first[name] = position


def _check_unique_rows(rows: Iterable[tuple[CsvRow, Network | Exporter]], column: str) -> None:
    first: dict[str, int] = {}
    for row, model in rows:
        name = getattr(model, column)
        if name in first:
            raise row.error(column, f'"{name}" stands in line {first[name]} already')
        first[name] = row.line


def _check_products_of_apps(file: TomlText, catalog: Catalog) -> None:
    known = {product.id for product in catalog.products}
    for path, product in _products_of_apps(catalog.apps):
        if product not in known:
            raise file.error(path, _unknown("product", product, "products.toml", known))


def _products_of_apps(apps: Iterable[App]) -> Iterator[tuple[Path, str]]:
    for i, app in enumerate(apps):
        if app.product is not None:
            yield ("app", i, "product"), app.product
        for j, match in enumerate(app.matches):
            if match.product is not None:
                yield ("app", i, "match", j, "product"), match.product


def _check_endpoints(endpoints: Iterable[tuple[CsvRow, Endpoint]], catalog: Catalog) -> None:
    apps = {app.id for app in catalog.apps}
    products = {product.id for product in catalog.products}
    first: dict[tuple[str, str, str], int] = {}
    for row, endpoint in endpoints:
        if endpoint.app and endpoint.app not in apps:
            raise row.error("app", _unknown("app", endpoint.app, "apps.toml", apps))
        if endpoint.product not in products:
            problem = _unknown("product", endpoint.product, "products.toml", products)
            raise row.error("product", problem)
        key = (endpoint.app, endpoint.product, endpoint.region)
        if key in first:
            raise row.error("", f"this app, product and region stand in line {first[key]} already")
        first[key] = row.line


def _check_networks_of_prefixes(catalog: Catalog) -> None:
    known = {network.network for network in catalog.networks}
    used = catalog.prefixes["network"]
    for name in pc.unique(used).to_pylist():
        if name not in known:
            line = row_line(catalog.prefixes, pc.index(used, name).as_py())
            problem = _unknown("network", name, "networks.csv", known)
            raise CatalogError("prefixes.csv", line, "network", problem)


def _check_ranking(file: TomlText, catalog: Catalog) -> None:
    stage3 = catalog.targets.stage3
    if not isinstance(stage3.ranking, tuple):
        return
    known = {app.id for app in catalog.apps}
    for position, app in enumerate(stage3.ranking):
        if app not in known:
            path = ("stage3", "ranking", position)
            raise file.error(path, _unknown("app", app, "apps.toml", known))
    if len(stage3.ranking) > stage3.top_n:
        problem = (
            f"found {len(stage3.ranking)} apps, expected at most top_n, which is {stage3.top_n}; "
            f'"{stage3.ranking[stage3.top_n]}" is the first too many: raise top_n or shorten the '
            "list"
        )
        raise file.error(("stage3", "ranking"), problem)


def _unknown(kind: str, name: str, file: str, known: Iterable[str]) -> str:
    return f'found "{name}", which is no {kind} of {file}{did_you_mean(name, sorted(known))}'
