"""The views as files: what each shows, what it reads, and whether its result is kept.

A file ``sql/views/NAME.sql`` holds one ``CREATE VIEW definitions.NAME AS ...``. It reads tables as
``main.NAME`` and other views as ``results.NAME``, and calls macros as ``main.NAME(...)``. Such a
name means the same under whatever name the file is attached, for DuckDB 1.5 too. What a view needs
is what its text names so.

``results.NAME`` is the exact result: integers are integers of up to 128 bits. Where the header has
a line ``-- kept:``, it is a table, which is made anew only when something changed that the
definition reads:

- ``by day``: the result has a column ``day``, and each day of it depends on the same day of what
  the definition reads. Only touched days are made again.
- ``whole``: made again as a whole when anything changed.
- ``whole, of final days``: as ``whole``, but the definition reads no day after the ``as_of`` of
  ``final_span``.

Otherwise it is the definition itself.

``main.NAME`` is what readers see: the result in types that every tool can divide. A sum that may
pass 64 bits is DOUBLE there, because Arrow has no integer for it: polars makes 0 of the quotient of
two decimals without a scale, and pyarrow an error. Each column carries its meaning as a comment:
from the line ``-- columns:`` of the header, else from ``VIEW_COLUMNS``. The other comment lines
become the comment of the view inside the published file.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from typing import Final

import duckdb

from v6share.render.units import parse_clauses, section
from v6share.schemas.columns import comment_on_column, literal
from v6share.schemas.published import PUBLIC_TABLES
from v6share.schemas.view_columns import VIEW_COLUMNS

_TABLES: Final = {table.name for table in PUBLIC_TABLES}
# Types that Arrow carries as decimals: readers see them as DOUBLE.
_INDIVISIBLE: Final = ("HUGEINT", "DECIMAL")
# Another text wherever ``View.create`` makes something else of the same files.
_MADE_AS: Final = "1"


class Kept(Enum):
    """How the result of a view is kept, as its header says."""

    NOT = ""
    BY_DAY = "by day"
    WHOLE = "whole"
    OF_FINAL_DAYS = "whole, of final days"


@dataclass(frozen=True)
class View:
    """One view: its statement, what it is about, and how its result is kept."""

    name: str
    sql: str
    about: str
    kept: Kept = Kept.NOT

    @cached_property
    def needs(self) -> frozenset[str]:
        """The tables and views that its text names."""
        return self._named("main") | self._named("results")

    def check_needs(self, views: Collection[str]) -> None:
        """Raises ValueError where it reads what is no table, or, as a result, no view."""
        for schema, known, what in (("main", _TABLES, "table"), ("results", views, "view")):
            for name in sorted(self._named(schema) - set(known)):
                raise ValueError(
                    f"{self.name}.sql reads {schema}.{name}, but there is no such {what}: tables "
                    "are read as main.NAME, views as results.NAME"
                )

    def _named(self, schema: str) -> frozenset[str]:
        code = re.sub(r"--.*", "", self.sql)
        # Macros are named so, too, but called.
        return frozenset(re.findall(rf"\b{schema}\.(\w+)\b(?!\()", code))

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make it in a database that has what it needs, and the schemas; what is kept is empty.

        Raises ValueError where nothing says what a column means.
        """
        connection.execute(self.sql)
        kind, rows = ("VIEW", "") if self.kept is Kept.NOT else ("TABLE", " LIMIT 0")
        connection.execute(
            f"CREATE {kind} results.{self.name} AS SELECT * FROM definitions.{self.name}{rows}"  # noqa: S608 - a name of ours
        )
        columns = columns_of(connection, f"results.{self.name}")
        connection.execute(
            f"CREATE VIEW main.{self.name} AS SELECT {divisible(columns)} FROM results.{self.name}"  # noqa: S608
        )
        for schema in ("definitions", "main"):
            connection.execute(f"COMMENT ON VIEW {schema}.{self.name} IS {literal(self.about)}")
        for name in columns:
            place = f"main.{self.name}.{quoted(name)}"
            connection.execute(comment_on_column(place, *self.column(name)))

    def column(self, name: str) -> tuple[str, str]:
        """What a column means, and its unit. Raises ValueError where nothing says the former."""
        meaning = self._meanings.get(name) or VIEW_COLUMNS.get(name)
        if meaning is None:
            raise ValueError(
                f"{self.name}.sql: nothing says what its column {name} means; say it in a line "
                "`-- columns: NAME: meaning` of its header, or in VIEW_COLUMNS for all views"
            )
        return meaning, self._units.get(name, "")

    @cached_property
    def _meanings(self) -> Mapping[str, str]:
        return parse_clauses(section(self.about, "columns"))

    @cached_property
    def _units(self) -> Mapping[str, str]:
        return parse_clauses(section(self.about, "unit"))


def read_views() -> list[View]:
    """The views that come with v6share, in an order in which they can be created."""
    files = resources.files("v6share.sql").joinpath("views").iterdir()
    texts = {f.name: f.read_text("utf-8") for f in files if f.name.endswith(".sql")}
    return order_views(parse_view(name, text) for name, text in texts.items())


def sources_of(views: Iterable[View]) -> list[str]:
    """The texts that say what ``create`` makes: where they are others, so is what it makes."""
    meanings = [f"{name}: {meaning}" for name, meaning in VIEW_COLUMNS.items()]
    return [*(view.sql for view in views), *meanings, *_INDIVISIBLE, _MADE_AS]


def read_macros() -> str:
    """The statements that create the macros which views and analysts use; they take values only."""
    return resources.files("v6share.sql").joinpath("macros.sql").read_text("utf-8")


def parse_view(file_name: str, text: str) -> View:
    """The view of one file. Raises ValueError where it does not hold the view of its name."""
    name = file_name.removesuffix(".sql")
    header = _header_lines(text)
    created = re.findall(r"^\s*CREATE\s+VIEW\s+(\S+)\s+AS\b", text, re.MULTILINE | re.IGNORECASE)
    if created != [f"definitions.{name}"] or not name.isidentifier():
        raise ValueError(
            f"{file_name}: expected one `CREATE VIEW definitions.{name} AS`, found {created}"
        )
    kept = [line.removeprefix("kept:").strip() for line in header if line.startswith("kept:")]
    about = "\n".join(line for line in header if not line.startswith("kept:"))
    try:
        return View(name, text, about.strip(), Kept(*kept or [""]))
    except (TypeError, ValueError):
        known = ", ".join(f"`-- kept: {one.value}`" for one in Kept if one.value)
        raise ValueError(f"{file_name}: expected at most one of {known}, found {kept}") from None


def _header_lines(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines


def order_views(views: Iterable[View]) -> list[View]:
    """The views so that each comes after what it needs; by name where that leaves a choice.

    Raises ValueError for a need that is neither a view nor a table, and for a circle.
    """
    by_name = {view.name: view for view in sorted(views, key=lambda view: view.name)}
    for view in by_name.values():
        view.check_needs(by_name)
    sorter = TopologicalSorter(
        {name: sorted(view.needs & by_name.keys()) for name, view in by_name.items()}
    )
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        raise ValueError(
            f"views need each other in a circle: {' -> '.join(error.args[1])}"
        ) from None


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The types of the columns of a table or view, by name. relation: as SQL names it."""
    described = connection.execute(f"DESCRIBE {relation}").fetchall()
    return {name: kind for name, kind, *_ in described}


def divisible(columns: Mapping[str, str]) -> str:
    """What to select so that every tool can divide it. columns: types by name."""
    casts = [
        f"CAST({quoted(name)} AS DOUBLE) AS {quoted(name)}"
        for name, kind in columns.items()
        if kind.startswith(_INDIVISIBLE)
    ]
    return f"* REPLACE ({', '.join(casts)})" if casts else "*"


def quoted(identifier: str) -> str:
    """A name that was read from a database, safe inside SQL."""
    return '"' + identifier.replace('"', '""') + '"'
