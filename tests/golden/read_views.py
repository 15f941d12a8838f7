"""Print what the views of a published file hold; run by the Python of another DuckDB version.

First that version, then each view with its number of rows and a digest of its columns and of its
rows in any order. Ratios differ by their last bits between versions, as sums of floating point
numbers do.
"""

import hashlib
import sys

import duckdb

DIGITS = 9


def row_text(columns: list[tuple[str, str]]) -> str:
    """The SQL that makes one text of a row: by DuckDB, for Python takes seconds to round."""
    texts = [
        f"format('{{:.{DIGITS}g}}', \"{name}\")" if kind == "DOUBLE" else f'"{name}"::VARCHAR'
        for name, kind in columns
    ]
    return " || chr(9) || ".join(f"coalesce({text}, '∅')" for text in texts)


def digest(connection: duckdb.DuckDBPyConnection, view: str) -> str:
    described = connection.execute(f'DESCRIBE "{view}"').fetchall()
    columns = [(name, kind) for name, kind, *_ in described]
    query = f'SELECT {row_text(columns)} FROM "{view}"'
    rows = sorted(row for (row,) in connection.execute(query).fetchall())
    held = "\n".join([repr(columns), *rows])
    return f"{len(rows)} rows, {hashlib.sha256(held.encode()).hexdigest()}"


def views_of(path: str) -> dict[str, str]:
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name"
        ).fetchall()
        return {name: digest(connection, name) for (name,) in names}


if __name__ == "__main__":
    sys.stdout.write(f"duckdb {duckdb.__version__}\n")
    for view, held in views_of(sys.argv[1]).items():
        sys.stdout.write(f"{view} {held}\n")
