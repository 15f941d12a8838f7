"""What the catalog's files say of each other, and rows of one file that contradict. Pure.

Each function gives the mistakes that it finds. Where the names of a file are not known, because it
could not be read, none of them is called unknown.
"""

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.catalog.files import Part
from v6share.schemas.catalog.models import (
    App,
    Endpoint,
    Exporter,
    Network,
    Product,
    Stage3,
    canonical_exporter,
    prefix_problem,
)
from v6share.schemas.errors import CatalogError
from v6share.schemas.text.csv_files import CsvRow, row_line
from v6share.schemas.text.toml_files import TomlText
from v6share.schemas.text.toml_lines import Path
from v6share.schemas.text.wording import did_you_mean

Names: TypeAlias = Collection[str] | None


def repeated_ids(
    file: TomlText | None, key: str, part: Part[int, App] | Part[int, Product]
) -> Iterator[CatalogError]:
    """Ids that stand twice in a TOML file."""
    first: dict[str, int] = {}
    for position, table in part.written:
        name = _text(table.get("id"))
        if name and name in first and file is not None:
            problem = f'"{name}" is the id of {key}[{first[name]}] already; ids are unique'
            yield file.error((key, position, "id"), problem)
        first.setdefault(name, position)


def repeated_networks(networks: Part[CsvRow, Network]) -> Iterator[CatalogError]:
    """Rows of networks.csv with the same network."""
    names = ((row, cells["network"]) for row, cells in networks.written)
    yield from _repeated_rows("network", names)


def repeated_exporters(exporters: Part[CsvRow, Exporter]) -> Iterator[CatalogError]:
    """Rows of exporters.csv with the same exporter, in whatever form its address is written."""
    names = ((row, canonical_exporter(cells["exporter"])) for row, cells in exporters.written)
    yield from _repeated_rows("exporter", names)


def _repeated_rows(column: str, names: Iterable[tuple[CsvRow, str]]) -> Iterator[CatalogError]:
    first: dict[str, int] = {}
    for row, name in names:
        if name and name in first:
            yield row.error(column, f'"{name}" stands in line {first[name]} already')
        first.setdefault(name, row.line)


def repeated_endpoints(endpoints: Part[CsvRow, Endpoint]) -> Iterator[CatalogError]:
    """Rows of endpoints.csv about the same endpoint."""
    first: dict[tuple[str, str, str], int] = {}
    for row, cells in endpoints.written:
        key = (cells["app"], cells["product"], cells["region"])
        if key in first:
            yield row.error("", f"this app, product and region stand in line {first[key]} already")
        first.setdefault(key, row.line)


def unknown_products(
    file: TomlText | None, apps: Part[int, App], products: Names
) -> Iterator[CatalogError]:
    """Products of apps and matches that products.toml does not name."""
    for path, product in _products_of_apps(apps):
        if file is not None and product and products is not None and product not in products:
            yield file.error(path, _unknown("product", product, "products.toml", products))


def _products_of_apps(apps: Part[int, App]) -> Iterator[tuple[Path, str]]:
    for i, app in apps.written:
        yield ("app", i, "product"), _text(app.get("product"))
        matches = app.get("match")
        for j, match in enumerate(matches if isinstance(matches, list) else ()):
            if isinstance(match, dict):
                yield ("app", i, "match", j, "product"), _text(match.get("product"))


def _text(value: Any) -> str:
    """A text as models have it; empty for what is none, which is a mistake of its own."""
    return value.strip() if isinstance(value, str) else ""


def unknown_in_endpoints(
    endpoints: Part[CsvRow, Endpoint], apps: Names, products: Names
) -> Iterator[CatalogError]:
    """Apps and products of endpoints.csv that no file names, each where it stands first."""
    yield from _unknown_in_rows(endpoints, "app", "apps.toml", apps)
    yield from _unknown_in_rows(endpoints, "product", "products.toml", products)


def _unknown_in_rows(
    endpoints: Part[CsvRow, Endpoint], column: str, file: str, known: Names
) -> Iterator[CatalogError]:
    rows: dict[str, list[CsvRow]] = {}
    for row, cells in endpoints.written:
        rows.setdefault(cells[column], []).append(row)
    for name, (first, *others) in rows.items():
        if name and known is not None and name not in known:
            more = f" (and in {len(others)} more row{'' if len(others) == 1 else 's'})"
            problem = _unknown(column, name, file, known)
            yield first.error(column, problem + (more if others else ""))


def unknown_networks(prefixes: pa.Table, networks: Names) -> Iterator[CatalogError]:
    """Networks of prefixes.csv that networks.csv does not name, each where it stands first."""
    used = prefixes["network"]
    for name in pc.unique(used).to_pylist():
        if name and networks is not None and name not in networks:
            line = row_line(prefixes, pc.index(used, name).as_py())
            problem = _unknown("network", name, "networks.csv", networks)
            yield CatalogError("prefixes.csv", line, "network", problem)


def unknown_in_ranking(file: TomlText | None, apps: Names) -> Iterator[CatalogError]:
    """Apps of a pinned ranking that apps.toml does not name, and more of them than have room."""
    stage3 = file.values.get("stage3") if file is not None else None
    ranking = stage3.get("ranking") if isinstance(stage3, dict) else None
    if file is None or not isinstance(stage3, dict) or not isinstance(ranking, list):
        return
    for position, app in enumerate(ranking):
        if apps is not None and isinstance(app, str) and app not in apps:
            path = ("stage3", "ranking", position)
            yield file.error(path, _unknown("app", app, "apps.toml", apps))
    top_n = stage3.get("top_n", Stage3().top_n)
    if isinstance(top_n, int) and 0 < top_n < len(ranking):
        problem = (
            f"found {len(ranking)} apps, expected at most top_n, which is {top_n}; "
            f'"{ranking[top_n]}" is the first too many: raise top_n or shorten the list'
        )
        yield file.error(("stage3", "ranking"), problem)


def wrong_prefixes(prefixes: pa.Table) -> Iterator[CatalogError]:
    """Rows of prefixes.csv whose prefix is none, or stands twice with two homes.

    Takes some seconds for 600,000 rows. The same row twice is harmless.
    """
    first: dict[IPv4Network | IPv6Network, int] = {}
    rows = zip(*(prefixes[name].to_pylist() for name in prefixes.column_names), strict=True)
    homes = []
    for number, (text, *home) in enumerate(rows):
        homes.append(home)
        problem = prefix_problem(text)
        if problem is not None:
            if text:  # an empty cell is said already
                yield CatalogError("prefixes.csv", row_line(prefixes, number), "prefix", problem)
            continue
        before = first.setdefault(ip_network(text), number)
        if homes[before] != home:
            yield CatalogError(
                "prefixes.csv",
                row_line(prefixes, number),
                "prefix",
                f"{text} stands in line {row_line(prefixes, before)} already, with another region "
                "or network; keep one of the two",
            )


def _unknown(kind: str, name: str, file: str, known: Collection[str]) -> str:
    return f'found "{name}", which is no {kind} of {file}{did_you_mean(name, sorted(known))}'
