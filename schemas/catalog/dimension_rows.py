"""What the catalog declares, as the rows of the dimension tables."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from v6share.schemas import dimensions
from v6share.schemas.aggregates import UNCLASSIFIED, UNLISTED
from v6share.schemas.catalog.models import (
    App,
    Catalog,
    Declared,
    Targets,
)
from v6share.schemas.columns import Table
from v6share.schemas.settings import Settings

# Of look-ups: who asks for a name is no active client (docs/concepts.md, 10).
_DNS_PORTS: Final = (53, 853, 5353)


def dimension_tables(catalog: Catalog, settings: Settings) -> dict[str, pa.Table]:
    """The rows of every ``CATALOG_DIMENSIONS`` table, by table name."""
    tables: dict[str, tuple[Table, Iterable[tuple[Any, ...]]]] = {
        t.name: (t, rows)
        for t, rows in (
            (dimensions.DIM_APPS, _app_rows(catalog.apps)),
            (dimensions.DIM_PRODUCTS, ((p.id, p.name, p.core) for p in catalog.products)),
            (dimensions.DIM_ENDPOINTS, _endpoint_rows(catalog)),
            (dimensions.DIM_NETWORKS, _field_rows(catalog.networks)),
            (dimensions.DIM_EXPORTERS, _field_rows(catalog.exporters)),
            (dimensions.DIM_VANTAGES, _vantage_rows(catalog, settings)),
            (dimensions.DIM_TARGETS, _target_rows(catalog.targets)),
        )
    }
    return {name: _table_of(table, rows) for name, (table, rows) in tables.items()}


def default_targets() -> pa.Table:
    """The rows of ``dim_targets`` where no targets.toml is there."""
    return _table_of(dimensions.DIM_TARGETS, _target_rows(Targets()))


def _app_rows(apps: Iterable[App]) -> Iterator[tuple[Any, ...]]:
    for position, app in enumerate(apps):
        yield position, app.id, app.name, app.product or UNCLASSIFIED, app.owner


def _field_rows(models: Iterable[Declared]) -> Iterator[tuple[Any, ...]]:
    return (tuple(value for _, value in model) for model in models)


def _endpoint_rows(catalog: Catalog) -> Iterator[tuple[Any, ...]]:
    of_dns = {
        (app.id, match.product or app.product, match.region)
        for app in catalog.apps
        for match in app.matches
        if any(low <= port <= high for low, high in match.ports for port in _DNS_PORTS)
    }
    for endpoint in catalog.endpoints:
        serves_dns = any(
            endpoint.app in ("", app)
            and region in (None, endpoint.region)
            # Traffic that shows no product counts for its app, not for the product's own endpoint.
            and (product == endpoint.product or (product is None and app == endpoint.app))
            for app, product, region in of_dns
        )
        yield (*(value for _, value in endpoint), serves_dns)


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
