"""The views as files: what each shows, what it reads, and whether its result is kept.

A file ``sql/views/NAME.sql`` holds one ``CREATE VIEW definitions.NAME AS ...``. It reads tables and
other views by their public names, each with its schema: ``main.NAME``, and calls macros so. Such a
name means the same under whatever name the file is attached, for DuckDB 1.5 too. What a view needs
is what its text names so.

``main.NAME`` is what readers see. Where the header has a line ``-- kept:``, it shows the table
``results.NAME``, which is made anew only when something changed that the definition reads:

- ``by day``: the result has a column ``day``, and each day of it depends on the same day of what
  the definition reads. Only touched days are made again.
- ``whole``: made again as a whole when anything changed.
- ``whole, of final days``: as ``whole``, but the definition reads no day after the ``as_of`` of
  ``final_span``.

Otherwise it is the definition itself. The other comment lines become the comment of the view
inside the published file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib import resources

from v6share.schemas.published import PUBLIC_TABLES

_TABLES = {table.name for table in PUBLIC_TABLES}


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
        code = re.sub(r"--.*", "", self.sql)
        # Macros are named so, too, but called.
        return frozenset(re.findall(r"\bmain\.(\w+)\b(?!\()", code))

    @property
    def statements(self) -> list[str]:
        """What makes it in a database that has what it needs, and the schemas."""
        source = f"definitions.{self.name}"
        made = [self.sql, self._comment("definitions")]
        if self.kept is not Kept.NOT:
            made.append(f"CREATE TABLE results.{self.name} AS SELECT * FROM {source} LIMIT 0")  # noqa: S608 - a name of ours
            source = f"results.{self.name}"
        made.append(f"CREATE VIEW main.{self.name} AS SELECT * FROM {source}")  # noqa: S608
        return [*made, self._comment("main")]

    def _comment(self, schema: str) -> str:
        text = self.about.replace("'", "''")
        return f"COMMENT ON VIEW {schema}.{self.name} IS '{text}'"


def read_views() -> list[View]:
    """The views that come with v6share, in an order in which they can be created."""
    files = resources.files("v6share.sql").joinpath("views").iterdir()
    texts = {f.name: f.read_text("utf-8") for f in files if f.name.endswith(".sql")}
    return order_views(parse_view(name, text) for name, text in texts.items())


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
    _check_needs(by_name)
    sorter = TopologicalSorter(
        {name: sorted(view.needs & by_name.keys()) for name, view in by_name.items()}
    )
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        raise ValueError(
            f"views need each other in a circle: {' -> '.join(error.args[1])}"
        ) from None


def _check_needs(by_name: Mapping[str, View]) -> None:
    for view in by_name.values():
        unknown = sorted(view.needs - by_name.keys() - _TABLES)
        if unknown:
            raise ValueError(
                f"{view.name}.sql reads main.{', main.'.join(unknown)}, but there is no such view "
                "or table"
            )


def quoted(identifier: str) -> str:
    """A name that was read from a database, safe inside SQL."""
    return '"' + identifier.replace('"', '""') + '"'
