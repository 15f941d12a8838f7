"""Print what the views of a published file hold; run by the Python of another DuckDB version.

Each view with its number of rows and a digest of them in any order. Ratios differ by their last
bits between versions, as sums of floating point numbers do.
"""

import hashlib
import sys
from typing import Any

import duckdb

DIGITS = 9


def digest(rows: list[tuple[Any, ...]]) -> str:
    texts = sorted(repr(tuple(_rounded(value) for value in row)) for row in rows)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def views_of(path: str) -> dict[str, str]:
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name"
        ).fetchall()
        found = {}
        for (name,) in names:
            rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
            found[name] = f"{len(rows)} rows, {digest(rows)}"
        return found


if __name__ == "__main__":
    for view, held in views_of(sys.argv[1]).items():
        sys.stdout.write(f"{view} {held}\n")
