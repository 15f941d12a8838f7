# ruff: noqa: DTZ001 - times here are UTC without zone, as in the tables
"""Random fragments for the warehouse's tests, made through FRAGMENT_SCHEMA and consistent in
themselves: the family sums are those of the traffic rows."""

import hashlib
import itertools
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from v6share.schemas.aggregates import (
    AGGREGATES,
    CLIENTS_1D,
    FRAGMENT_TABLES,
    THETA_MAX,
    THETA_SIZE,
)
from v6share.schemas.columns import Kind, Merge, Table
from v6share.schemas.dimensions import CATALOG_DIMENSIONS
from v6share.schemas.fragment import FRAGMENT_SCHEMA, RULES_VERSION, FragmentKey
from v6share.schemas.ledger import LEDGERS
from v6share.schemas.published import PUBLIC_TABLES
from v6share.warehouse.database.touched import note_touched
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.ledger.journal import Commit, CommittedInput, Forget, Quarantine
from v6share.workspace.paths import Workspace

START = datetime(2026, 3, 1)
AT = datetime(2026, 4, 1, 12, 0, 0, 123456)
CHOICES = {
    "vantage": ["edge", "unlisted"],
    "app": ["mail", "it's", "unclassified"],
    "product": ["p1", "unclassified"],
    "client_region": ["north", "unknown"],
    "service_region": ["north"],
    "network": ["mobile", "unknown"],
    "family": ["v4", "v6", "unknown"],
    "ip_class": ["native_v4", "native_v6"],
    "underlay": ["none"],
    "direction": ["to_client", "unknown"],
    "side": ["client", "service"],
    "bucket": [3, 4],
    "exporter": ["192.0.2.1", ""],
    "scope": ["all", "app"],
    "id": ["", "mail"],
    "unit": ["prefix", "subscriber"],
    "client_key": [0],
}


@dataclass(frozen=True)
class Made:
    """A fragment that was written, and what it holds."""

    key: FragmentKey
    row: dict[str, Any]
    path: str

    @property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return {t.name: self.row[t.name] for t in FRAGMENT_TABLES}

    def committed(self, path: str | None = None) -> CommittedInput:
        return CommittedInput(
            self.key.input_id,
            self.key.dialect,
            self.key.rules_version,
            self.key.catalog_version,
            path or self.path,
            self.row["size"],
            1_700_000_000_000_000_000,
        )


def input_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def make_fragment(
    workspace: Workspace,
    name: str,
    seed: int,
    catalog_version: str = "c1",
    first_day: int = 0,
    days: int = 2,
    rows: int = 12,
    hashes: int = 30,
    clients_days_off: int = 0,
) -> Made:
    """A fragment of some rows per table over ``days`` days, written to the workspace.

    clients_days_off: so many days the sketches lie off, as with a reporting offset.
    """
    rng = random.Random(seed)
    key = FragmentKey(input_id(name), "ipfix", RULES_VERSION, catalog_version)
    start = START + timedelta(days=first_day)
    row: dict[str, Any] = {
        table.name: _rows(rng, table, start, days, rows, hashes) for table in FRAGMENT_TABLES
    }
    for one in row["clients_1d"]:
        one["day"] += timedelta(days=clients_days_off)
    row |= ledgers(row["traffic_5m"], rng.randrange(1, 9))
    row["sampled_rows"] = sampled(rng.randrange(SHARED_ROWS), start)
    counted = sum(r["rows"] for r in row["ledger_families"] if r["disposition"] == "counted")
    rejected = sum(r["rows"] for r in row["rejects"])
    row |= {
        **vars(key),
        "size": 1000 + seed,
        "rows_in": counted + rejected,
        "rows_counted": counted,
        "rows_rejected": rejected,
        "first_start": start,
        "last_end": start + timedelta(days=days) - timedelta(seconds=1),
    }
    write_fragment(workspace, key, row)
    return Made(key, row, f"/flows/{name}.parquet")


def write_fragment(workspace: Workspace, key: FragmentKey, row: dict[str, Any]) -> None:
    file = workspace.fragment(key.fragment_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([stored(row)], schema=FRAGMENT_SCHEMA), file)


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """The row as a fragment holds it: hashes as 8 bytes each, the lowest first."""
    return row | {
        "clients_1d": [
            sketch | {"client_hashes": b"".join(h.to_bytes(8, "little") for h in hashes)}
            for sketch in row["clients_1d"]
            for hashes in [sketch["client_hashes"]]
        ]
    }


def _rows(
    rng: random.Random, table: Table, start: datetime, days: int, rows: int, hashes: int
) -> list[dict[str, Any]]:
    made = {}
    for _ in range(rows):
        key = {name: _key(rng, table, name, start, days) for name in table.key}
        measures = sketch(rng, hashes) if table is CLIENTS_1D else _measures(rng, table, key)
        made[tuple(key.values())] = key | measures
    return [made[key] for key in sorted(made)]


def _key(rng: random.Random, table: Table, name: str, start: datetime, days: int) -> Any:
    if name == "window_start":
        step = 5 if table.name == "traffic_5m" else 60
        minutes = rng.randrange(days * 1440 // step) * step
        # Few different windows, so that fragments meet in their keys.
        return start + timedelta(minutes=minutes // 360 * 360 + minutes % (3 * step) // step * step)
    if name == "day":
        return date(start.year, start.month, start.day) + timedelta(days=rng.randrange(days))
    return rng.choice(CHOICES[name])


def _measures(rng: random.Random, table: Table, key: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column in table.measures:
        if column.kind is Kind.TIMESTAMP:
            values[column.name] = key["window_start"] + timedelta(
                microseconds=rng.randrange(3_600_000_000)
            )
        elif column.kind is Kind.HUGEINT:
            values[column.name] = rng.choice([0, rng.randrange(10**6), rng.randrange(10**30)])
        else:
            values[column.name] = rng.choice([0, rng.randrange(100), rng.randrange(2**50)])
    return values


def sketch(rng: random.Random, hashes: int) -> dict[str, Any]:
    """A sketch of up to ``hashes`` hashes out of a pool that fragments share."""
    count = rng.randrange(hashes + 1)
    pool = {pool_hash(rng.randrange(3 * hashes + 1)) for _ in range(count)}
    return trimmed([pool], THETA_MAX)


def pool_hash(number: object) -> int:
    return int.from_bytes(hashlib.blake2b(str(number).encode(), digest_size=8).digest(), "big")


def trimmed(parts: list[set[int]], theta: int) -> dict[str, Any]:
    """The oracle of the theta merge: plain sets."""
    kept = sorted(h for h in set().union(*parts) if h < theta)
    if len(kept) > THETA_SIZE:
        theta = kept[THETA_SIZE]
    return {"theta": theta, "client_hashes": kept[:THETA_SIZE]}


def ledgers(traffic: list[dict[str, Any]], rejected: int) -> dict[str, Any]:
    """The ledger parts that fit these traffic rows, and some rejected rows."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in traffic:
        for name in ("records", "sampled_packets", "sampled_bytes", "packets", "bytes"):
            sums[row["family"]][name] += row[name]
    families = [
        {
            "family": family,
            "disposition": "counted",
            "rows": one["records"],
            **{n: one[n] for n in ("sampled_packets", "sampled_bytes", "packets", "bytes")},
        }
        for family, one in sorted(sums.items())
    ]
    bad = {"rows": rejected, "sampled_packets": 7, "sampled_bytes": 10**25}
    families.append({"family": "v4", "disposition": "rejected", "packets": 0, "bytes": 0, **bad})
    return {
        "ledger_families": families,
        "rejects": [{"reason": "no_time", **bad}],
        "ledger_findings": [
            {
                "exporter": "192.0.2.1",
                "finding": "fewer bytes than headers",
                "rows": 3,
                "bytes": 10**25,
                "example": "row 7",
            }
        ],
    }


SHARED_ROWS = 40
FILE_ROWS = 20


def sampled(first: int, start: datetime) -> list[dict[str, Any]]:
    """A sample of some of the rows that files of a day share: of so few all are sampled."""
    octets = [number * number for number in range(SHARED_ROWS + FILE_ROWS)]
    return [
        {
            "digest": pool_hash(f"{start} {number}") >> 32,
            "file_row": number - first,
            "times": 1,
            "bytes_before": sum(octets[first:number]),
            "is_reverse": False,
            "file_rows": FILE_ROWS,
            "file_bytes": sum(octets[first : first + FILE_ROWS]),
        }
        for number in range(first, first + FILE_ROWS)
    ]


def expected_overlaps(live: list[Made]) -> set[tuple[str, str, int, int, int]]:
    """An oracle in plain Python: the pairs that share four rows or more."""
    pairs = set()
    for one, other in itertools.combinations(live, 2):
        earlier, later = sorted(
            (one, other), key=lambda made: (made.row["first_start"], made.key.input_id)
        )
        here, there = (
            {r["digest"]: r["file_row"] for r in made.row["sampled_rows"]}
            for made in (later, earlier)
        )
        rows = sorted(here[digest] for digest in here.keys() & there.keys())
        if len(rows) >= 4:
            before = {r["file_row"]: r["bytes_before"] for r in later.row["sampled_rows"]}
            before[FILE_ROWS] = later.row["sampled_rows"][0]["file_bytes"]
            octets = before[rows[-1] + 1] - before[rows[0]]
            pairs.add((later.key.input_id, earlier.key.input_id, len(rows), octets, rows[0]))
    return pairs


def found_overlaps(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str, int, int, int]]:
    return set(connection.execute("FROM ledger_overlaps").fetchall())


def commit(*made: Made, run_id: str = "r1", at: datetime = AT) -> Commit:
    return Commit(run_id, at, tuple(one.committed() for one in made))


def forget(*made: Made, reason: str = "repeats others") -> Forget:
    return Forget("r2", AT, tuple(one.key.input_id for one in made), reason)


def quarantine(name: str, catalog_version: str = "c1", dialect: str = "") -> Quarantine:
    return Quarantine(
        "r1", AT, input_id(name), f"/flows/{name}.parquet", 99, 5, dialect, RULES_VERSION,
        catalog_version, "no_dialect", "columns found: a, b",
    )  # fmt: skip


def contents(
    connection: duckdb.DuckDBPyConnection, tables: tuple[Table, ...] = (*AGGREGATES, *LEDGERS)
) -> dict[str, pa.Table]:
    """Every table as Arrow, in total order."""
    return {
        table.name: connection.sql(f"SELECT * FROM {table.name} ORDER BY ALL").to_arrow_table()
        for table in tables
    }


def assert_equal(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].equals(other[name]), name


def empty_catalog() -> dict[str, pa.Table]:
    return {t.name: t.arrow_schema.empty_table() for t in CATALOG_DIMENSIONS}


def insert_hours(
    connection: duckdb.DuckDBPyConnection,
    hours: list[tuple[str, str, int]],
    *,
    vantage: str = "edge",
) -> None:
    """Records that exporters saw at a time: (time, exporter, records), straight into the tables."""
    connection.execute("DELETE FROM dim_vantages; INSERT INTO dim_vantages VALUES ('edge', TRUE)")
    for start, exporter, records in hours:
        connection.execute(
            "INSERT INTO exporters_1h SELECT s, ?, 'v4', r, 1, 1, 1, 1, s, s "
            "FROM (SELECT CAST(? AS TIMESTAMP) AS s, CAST(? AS BIGINT) AS r)",
            [exporter, start, records],
        )
        connection.execute(
            "INSERT INTO traffic_1d VALUES (date_trunc('day', CAST(? AS TIMESTAMP)), ?, '', '', '',"
            " '', '', 'v4', 'native_v4', 'none', 'to_client', ?, 0, 1, 1, 1, 1, 0, 0)",
            [start, vantage, records],
        )
    make_results(connection)


def make_results(connection: duckdb.DuckDBPyConnection) -> None:
    """The kept results of whatever a test put into the tables, with every class known."""
    classes = resources.files("v6share.sql").joinpath("dim_ip_class.sql").read_text("utf-8")
    connection.execute(f"DELETE FROM dim_ip_class; INSERT INTO dim_ip_class BY NAME {classes}")
    note_touched(connection, [table.name for table in PUBLIC_TABLES])
    refresh_results(connection)


def expected_aggregates(live: list[Made]) -> dict[str, list[dict[str, Any]]]:
    """An oracle in plain Python: every aggregate table of these fragments, roll-ups included."""
    result = {}
    for table in AGGREGATES:
        source = "traffic_5m" if table.name.startswith("traffic") else table.name
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in (r for made in live for r in made.row[source]):
            start = _truncate(row[table.columns[0].name], table.name)
            key = (start, *(row[name] for name in table.key[1:]))
            groups[key].append(row)
        result[table.name] = [
            dict(zip(table.key, key, strict=True)) | _merged(table, groups[key])
            for key in sorted(groups)
        ]
    return result


def _truncate(start: Any, name: str) -> Any:
    if name == "traffic_1h":
        return start.replace(minute=0)
    return start.replace(hour=0, minute=0) if name == "traffic_1d" else start


def _merged(table: Table, rows: list[dict[str, Any]]) -> dict[str, Any]:
    if table is CLIENTS_1D:
        theta = min(row["theta"] for row in rows)
        return trimmed([set(row["client_hashes"]) for row in rows], theta)
    how = {Merge.SUM: sum, Merge.MIN: min, Merge.MAX: max}
    return {c.name: how[c.merge](row[c.name] for row in rows) for c in table.measures}


def found_aggregates(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """The same from the warehouse, HUGEINT as Python integers."""
    result = {}
    for table in AGGREGATES:
        cursor = connection.execute(f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}")
        names = [c.name for c in table.columns]
        result[table.name] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return result


def workspace_at(root: Path) -> Workspace:
    workspace = Workspace(root)
    workspace.state.mkdir(parents=True)
    return workspace
