"""The catalog: files to models, models to a version and to dimension tables. Pure.

A mistake never passes silently and never stands alone: it has a file, a line and a key. The
models are in ``catalog_models``; import them from here.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from v6share.schemas import dimensions
from v6share.schemas.aggregates import UNCLASSIFIED, UNLISTED
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
    IpNetwork,
    Match,
    Network,
    Product,
    Stage1,
    Stage2,
    Stage3,
    Targets,
    Transition,
    network_problem,
)
from v6share.schemas.columns import Table
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Settings
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

__all__ = [
    "CATALOG_FILES",
    "EXPORTER_COLUMNS",
    "App",
    "Catalog",
    "Endpoint",
    "Exporter",
    "IpNetwork",
    "Match",
    "Network",
    "Product",
    "Stage1",
    "Stage2",
    "Stage3",
    "Targets",
    "Transition",
    "catalog_version",
    "dimension_tables",
    "exporters_header",
    "network_problem",
    "parse_catalog",
    "prefix_error",
]

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
_FORMAT: Final = "v6share catalog 1"

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


def catalog_version(
    catalog: Catalog, settings: Settings, client_key_id: str, dialects_digest: str
) -> str:
    """SHA-256 (hex) of the parsed parts that can alter a counted row.

    Products, endpoints, targets, names, owners, roles, sites and declared facts of networks only
    describe, so they are left out. The order of apps and of their matches decides, so it stays;
    the order of all else does not, so it is sorted away.
    """
    parts = {
        "format": _FORMAT,
        "apps": [[a.id, a.product, [_plain(m) for m in a.matches]] for a in catalog.apps],
        "networks": sorted(
            [n.network, n.kind, n.client_prefix_v4, n.client_prefix_v6] for n in catalog.networks
        ),
        "exporters": sorted(
            [e.exporter, e.vantage, e.sampling_interval or 0, e.override, e.directions]
            for e in catalog.exporters
        ),
        "transition": {
            name: sorted({str(prefix) for prefix in prefixes})
            for name, prefixes in catalog.transition
        },
        "prefixes": _digest_of_rows(catalog.prefixes),
        "settings": [_plain(settings.sampling), _plain(settings.time)],
        "client_key": client_key_id,
        "dialects": dialects_digest,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def dimension_tables(catalog: Catalog, settings: Settings) -> dict[str, pa.Table]:
    """The rows of every ``CATALOG_DIMENSIONS`` table, by table name."""
    tables: dict[str, tuple[Table, Iterable[tuple[Any, ...]]]] = {
        t.name: (t, rows)
        for t, rows in (
            (dimensions.DIM_APPS, _app_rows(catalog.apps)),
            (dimensions.DIM_PRODUCTS, ((p.id, p.name, p.core) for p in catalog.products)),
            (dimensions.DIM_ENDPOINTS, _field_rows(catalog.endpoints)),
            (dimensions.DIM_NETWORKS, _field_rows(catalog.networks)),
            (dimensions.DIM_EXPORTERS, _field_rows(catalog.exporters)),
            (dimensions.DIM_VANTAGES, _vantage_rows(catalog, settings)),
            (dimensions.DIM_TARGETS, _target_rows(catalog.targets)),
        )
    }
    return {name: _table_of(table, rows) for name, (table, rows) in tables.items()}


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
    ranking = catalog.targets.stage3.ranking
    known = {app.id for app in catalog.apps}
    for position, app in enumerate(ranking if isinstance(ranking, tuple) else ()):
        if app not in known:
            path = ("stage3", "ranking", position)
            raise file.error(path, _unknown("app", app, "apps.toml", known))


def _unknown(kind: str, name: str, file: str, known: Iterable[str]) -> str:
    return f'found "{name}", which is no {kind} of {file}{did_you_mean(name, sorted(known))}'


def _plain(model: Declared | Any) -> Any:
    return model.model_dump(mode="json")


def _digest_of_rows(prefixes: pa.Table) -> str:
    """SHA-256 over the rows in an order of their own: their order in the file does not matter."""
    columns = [prefixes[name].combine_chunks() for name in PREFIX_COLUMNS.required]
    # A prefix stands once, or in equal rows: its own text orders the rows.
    order = pa.array(np.argsort(_order_keys(columns[0])))
    rows = pc.binary_join_element_wise(*columns, "\x1f").take(order)
    text = pc.binary_join(pa.LargeListArray.from_arrays([0, len(rows)], rows), "\n")
    return hashlib.sha256(text.buffers()[2] or b"").hexdigest()


def _order_keys(texts: pa.StringArray) -> NDArray[np.uint64]:
    """One number a text, mixed from all its bytes; equal text, equal number.

    Any total order serves, and numbers sort five times faster than 650,000 texts. Should two
    different texts ever share a number, the file's order shows: a needless new version, no more.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets)
    size = int(offsets[-1])
    padded = np.zeros(size + 8, np.uint8)
    if size:
        padded[:size] = np.frombuffer(texts.buffers()[2], np.uint8, size)
    words = np.ndarray((size + 1,), "<u8", padded, strides=(1,))
    masks = np.array([(1 << 8 * kept) - 1 for kept in range(9)], np.uint64)
    keys = np.zeros(len(texts), np.uint64)
    for at in range(0, int(lengths.max(initial=0)), 8):
        word = words[np.minimum(starts + at, size)] & masks[np.clip(lengths - at, 0, 8)]
        keys = (keys ^ word) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return keys


def _app_rows(apps: Iterable[App]) -> Iterator[tuple[Any, ...]]:
    for position, app in enumerate(apps):
        yield position, app.id, app.name, app.product or UNCLASSIFIED, app.owner


def _field_rows(models: Iterable[Declared]) -> Iterator[tuple[Any, ...]]:
    return (tuple(value for _, value in model) for model in models)


def _vantage_rows(catalog: Catalog, settings: Settings) -> Iterator[tuple[str, bool]]:
    counted = set(settings.kpi.vantages)
    named = {exporter.vantage for exporter in catalog.exporters} | counted | {UNLISTED}
    return ((vantage, vantage in counted) for vantage in sorted(named))


def _target_rows(targets: Targets) -> Iterator[tuple[Any, ...]]:
    one, two, three = targets.stage1, targets.stage2, targets.stage3
    none: tuple[None, ...] = (None,) * 5
    pinned = three.ranking if isinstance(three.ranking, tuple) else None
    yield _target(1, "apps_dual_stacked", one.apps, one.by) + none
    yield _target(1, "products_dual_stacked", one.products, one.by) + none
    yield _target(2, "active_ipv6_clients_30d", two.active_users, two.by) + none
    yield (
        *_target(3, "top_apps_ipv6_share", three.share, three.by),
        three.top_n,
        three.weeks,
        three.denominator,
        "pinned" if pinned else three.ranking,
        list(pinned) if pinned else None,
    )


def _target(stage: int, metric: str, target: int | Decimal, by: date | None) -> tuple[Any, ...]:
    return stage, metric, Decimal(target), by


def _table_of(table: Table, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    named = [dict(zip(table.arrow_schema.names, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(named, schema=table.arrow_schema)
