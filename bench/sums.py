"""Do the results of several engines agree?

    python -m bench.sums NAME=RESULT NAME=RESULT ...

Compares records, packets and bytes per (app, family, client region) over all windows: v6share
splits a flow over the windows that it touches, the others book it in the window of its start, so
the windows differ and these sums must not. Exit code 1 when they do.
"""

import sys
from pathlib import Path
from typing import TypeAlias

import duckdb

Sums: TypeAlias = dict[tuple[str, str, str], tuple[int, int, int]]

_QUERY = """
SELECT app, family, client_region,
  sum(records)::HUGEINT, sum(packets)::HUGEINT, sum(bytes)::HUGEINT
FROM {table} GROUP BY ALL"""


def read_sums(result: Path) -> Sums:
    """The sums of one result: a Parquet file, or a DuckDB file of ours or of the DuckDB peer."""
    with duckdb.connect(":memory:") as con:
        table = f"'{result}'"
        if result.suffix == ".duckdb":
            con.execute(f"ATTACH '{result}' AS result (READ_ONLY)")
            names = con.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'result'"
            ).fetchall()
            table = "result.traffic_5m" if ("traffic_5m",) in names else "result.traffic"
        rows = con.execute(_QUERY.format(table=table)).fetchall()
    return {(a, f, r): (int(n), int(p), int(b)) for a, f, r, n, p, b in rows}


def differences(name: str, sums: Sums, other_name: str, other: Sums) -> list[str]:
    """One line a cell that differs."""
    return [
        f"{' '.join(cell)}: {name} {sums.get(cell)}, {other_name} {other.get(cell)}"
        for cell in sorted(sums.keys() | other.keys())
        if sums.get(cell) != other.get(cell)
    ]


def main() -> int:
    """Compare every result with the first; print what differs."""
    results = dict(argument.split("=", 1) for argument in sys.argv[1:])
    read = {name: read_sums(Path(path)) for name, path in results.items()}
    first = next(iter(read))
    wrong = [d for name in read for d in differences(first, read[first], name, read[name])]
    for line in wrong[:20]:
        print(f"sums differ: {line}")
    if wrong:
        print(f"sums differ in {len(wrong)} cells")
        return 1
    records, packets, octets = (sum(v[i] for v in read[first].values()) for i in range(3))
    print(
        f"{', '.join(read)}: the same {len(read[first])} sums"
        f" ({records:,} records, {packets:,} packets, {octets:,} bytes)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
