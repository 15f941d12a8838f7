"""Print what the views of a published file hold; run by the Python of another DuckDB version.

First that version, then each view with its number of rows and a digest of its columns and of its
rows in any order. Ratios differ by their last bits between versions, as sums of floating point
numbers do.
"""

import hashlib
import sys

import duckdb

DIGITS = 9
# Of these the last final day is enough: they have hundreds of thousands of rows.
LONG = (
    "kpi_traffic_1d",
    "share_by_app",
    "share_by_app_network",
    "share_by_app_region",
    "share_by_network",
    "share_by_region",
    "share_cells_app_1d",
    "share_headline_1d",
    "share_sums_1d",
)


def row_text(columns: list[tuple[str, str]]) -> str:
    """The SQL that makes one text of a row: by DuckDB, for Python takes seconds to round."""
    texts = [
        f"format('{{:.{DIGITS}g}}', \"{name}\")" if kind == "DOUBLE" else f'"{name}"::VARCHAR'
        for name, kind in columns
    ]
    return " || chr(9) || ".join(f"coalesce({text}, '∅')" for text in texts)


def digest(connection: duckdb.DuckDBPyConnection, view: str) -> str:
    described = connection.execute(f"DESCRIBE {view}").fetchall()
    columns = [(name, kind) for name, kind, *_ in described]
    query = f"SELECT {row_text(columns)} FROM {view}"
    if view.split(".")[-1] in LONG:
        query += " WHERE day = (SELECT as_of FROM x.main.as_of)"
    rows = sorted(row for (row,) in connection.execute(query).fetchall())
    held = "\n".join([repr(columns), *rows])
    return f"{len(rows)} rows, {hashlib.sha256(held.encode()).hexdigest()}"


def views_of(path: str) -> dict[str, str]:
    """Kept results and definitions, as SCHEMA.VIEW."""
    with duckdb.connect() as connection:
        # Attached: what a view names must be found without being in the file.
        connection.execute(f"ATTACH '{path}' AS x (READ_ONLY)")
        names = connection.execute(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() "
            "WHERE database_name = 'x' AND schema_name <> 'results' ORDER BY ALL"
        ).fetchall()
        return {name: digest(connection, f"x.{name}") for (name,) in names}


if __name__ == "__main__":
    sys.stdout.write(f"duckdb {duckdb.__version__}\n")
    for view, held in views_of(sys.argv[1]).items():
        sys.stdout.write(f"{view} {held}\n")
