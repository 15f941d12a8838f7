"""The KPI views as files: one view each, created in the order of what they need.

A file ``sql/views/NAME.sql`` holds one ``CREATE VIEW NAME AS ...``. Comment lines come first; one
of them may be ``-- needs: a, b``: views that must exist before this one. The other comment lines
become the view's comment inside the published file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib import resources

import duckdb


@dataclass(frozen=True)
class View:
    """One view, its statement, and the names of the views it needs."""

    name: str
    sql: str
    needs: tuple[str, ...]
    about: str

    @property
    def comment(self) -> str:
        """The statement that stores what the view is about in the file."""
        text = self.about.replace("'", "''")
        return f"COMMENT ON VIEW {self.name} IS '{text}'"


def read_views() -> list[View]:
    """The views that come with v6share, in an order in which they can be created."""
    files = resources.files("v6share.sql").joinpath("views").iterdir()
    texts = {f.name: f.read_text("utf-8") for f in files if f.name.endswith(".sql")}
    return order_views(parse_view(name, text) for name, text in texts.items())


def lend_newest_record(connection: duckdb.DuckDBPyConnection) -> None:
    """Let this connection read ``newest_record``, which is no view for readers."""
    text = resources.files("v6share.sql").joinpath("newest_record.sql").read_text("utf-8")
    connection.execute(text.replace("CREATE VIEW", "CREATE OR REPLACE TEMP VIEW", 1))


def read_macros() -> str:
    """The statements that create the macros which views and analysts use; they take values only."""
    return resources.files("v6share.sql").joinpath("macros.sql").read_text("utf-8")


def parse_view(file_name: str, text: str) -> View:
    """The view of one file. Raises ValueError where it does not hold the view of its name."""
    name = file_name.removesuffix(".sql")
    header = _header_lines(text)
    created = re.findall(r"^\s*CREATE\s+VIEW\s+(\S+)\s+AS\b", text, re.MULTILINE | re.IGNORECASE)
    if created != [name] or not name.isidentifier():
        raise ValueError(f"{file_name}: expected one `CREATE VIEW {name} AS`, found {created}")
    needs = [line.removeprefix("needs:") for line in header if line.startswith("needs:")]
    about = "\n".join(line for line in header if not line.startswith("needs:"))
    return View(name, text, tuple(_names(needs)), about.strip())


def _header_lines(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines


def _names(lists: Iterable[str]) -> list[str]:
    return [name.strip() for one in lists for name in one.split(",") if name.strip()]


def order_views(views: Iterable[View]) -> list[View]:
    """The views so that each comes after what it needs; by name where that leaves a choice.

    Raises ValueError for a need that is no view, and for a circle.
    """
    by_name = {view.name: view for view in sorted(views, key=lambda view: view.name)}
    _check_needs(by_name)
    sorter = TopologicalSorter({name: sorted(view.needs) for name, view in by_name.items()})
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        raise ValueError(
            f"views need each other in a circle: {' -> '.join(error.args[1])}"
        ) from None


def _check_needs(by_name: Mapping[str, View]) -> None:
    for view in by_name.values():
        unknown = sorted(set(view.needs) - by_name.keys())
        if unknown:
            raise ValueError(
                f"{view.name}.sql needs {', '.join(unknown)}, but there is no such view"
            )


def quoted(identifier: str) -> str:
    """A name that was read from a database, safe inside SQL."""
    return '"' + identifier.replace('"', '""') + '"'
