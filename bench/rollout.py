"""A workspace with the tables of a real rollout, made in minutes: three years, millions of rows.

Catalog and rows are drawn by hashes of their keys, so the same version of DuckDB makes the same
rows. Traffic is made of *lines*: a line is a key of the traffic tables without its time, with its
size, its chance to show in a window, and the day since which it may. The newest days are drawn per
5 minutes and summed up to hours and days; the days before are drawn per day.

Nothing in v6share expires, so a real warehouse of that age has its 5 minutes and hours of all
three years, twelve times the rows that are made here. In their place the older days have one
*stand-in* per day, app and family in ``traffic_5m`` and ``traffic_1h``, which holds the day's sums.
So every check holds, and the warehouse can be published as any other.

There is one input that accounts for all rows, without a fragment, and the journal knows nothing of
it: the workspace can be read, checked and published, but not rebuilt. Where new files are to be
counted, ``bench.history`` makes one of the newest days.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from v6share.jobs.steps.check_and_publish import check_and_publish
from v6share.jobs.steps.gate import JobGate
from v6share.schemas.aggregates import THETA_MAX, THETA_SIZE, TRAFFIC_5M
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.columns import Table
from v6share.schemas.fragment import RULES_VERSION
from v6share.schemas.ledger import LEDGER_FILES, LEDGER_RUNS, LEDGERS
from v6share.warehouse.database.arrow import insert_rows
from v6share.warehouse.database.state import raise_revision
from v6share.warehouse.database.touched import note_touched
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.open import open_warehouse
from v6share.workspace.catalog_files import read_catalog
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

LAST_DAY: Final = date(2026, 5, 31)
APPS: Final = 30
PRODUCTS: Final = 36
NETWORKS: Final = 20
CLIENT_REGIONS: Final = 50
SERVICE_REGIONS: Final = 8
PAIRS: Final = 150  # of network and client region: a network is in some regions only
EXPORTERS: Final = 20
INTERVALS: Final = (1, 100, 1000, 1000, 512)  # sampling, by exporter and by network
WINDOWS_PER_DAY: Final = 288
CHUNK_DAYS: Final = 30  # of what is made per day; what is made per 5 minutes goes day by day

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Size:
    """How much to make. fine_days: the newest, made per 5 minutes; part: of all lines."""

    days: int = 3 * 365
    fine_days: int = 90
    part: float = 1.0

    @property
    def first_day(self) -> date:
        """The first day with traffic."""
        return LAST_DAY - timedelta(days=self.days - 1)

    @property
    def first_fine_day(self) -> date:
        """The first day that is made per 5 minutes."""
        return LAST_DAY - timedelta(days=min(self.days, self.fine_days) - 1)


def make(root: Path, size: Size) -> None:
    """Make the workspace and publish it. Raises FileExistsError where something is at its place."""
    with closing(open_empty(root, size)) as connection:
        fill(connection, size)
        workspace = Workspace(root)
        check_and_publish(connection, workspace, JobGate(workspace), wanted=True)


def open_empty(root: Path, size: Size) -> Connection:
    """The warehouse of a new workspace that has a catalog, dimension tables and no traffic.

    Raises FileExistsError where something is at its place.
    """
    root.mkdir(parents=True)
    write_catalog(root / "catalog", size)
    workspace = Workspace(root)
    workspace.state.mkdir()
    tables = dimension_tables(read_catalog(workspace), read_settings(workspace))
    connection = open_warehouse(workspace)
    connection.execute("SET preserve_insertion_order = true")
    replace_dimensions(connection, tables)
    return connection


def fill(connection: Connection, size: Size) -> None:
    """Fill all tables, in the order of days. Dimensions must be there."""
    draw_lines(connection, size)
    for first, last in _spans(size.first_day, size.first_fine_day - timedelta(1), CHUNK_DAYS):
        with transaction(connection):
            connection.execute(_DRAW_DAYS, {"first": first, "last": last})
            connection.execute(_sum_lines("traffic_1d", "1 day"))
            for table in ("traffic_5m", "traffic_1h"):
                connection.execute(_STAND_INS.format(table=table))
    for day, _ in _spans(size.first_fine_day, LAST_DAY, 1):
        with transaction(connection):
            fill_windows(connection, day)
    for first, last in _spans(size.first_day, LAST_DAY, CHUNK_DAYS):
        with transaction(connection):
            fill_exporters(connection, size, first, last)
            span = {"first": first, "last": last, "first_day": size.first_day, "days": size.days}
            sketches = {"part": size.part, "size": THETA_SIZE, "all": THETA_MAX}
            connection.execute(_CLIENTS, span | sketches)
    with transaction(connection):
        sums = connection.sql(f"SELECT {FAMILY_SUMS} FROM traffic_5m GROUP BY family")
        enter_input(connection, 0, sums.to_arrow_table())


def fill_windows(connection: Connection, day: date) -> None:
    """Draw a day per 5 minutes and sum it up to hours and to the day. Lines must be drawn."""
    connection.execute(_DRAW_WINDOWS, {"day": day})
    for table, grain in _GRAINS.items():
        connection.execute(_sum_lines(table, grain))


def fill_exporters(connection: Connection, size: Size, first: date, last: date) -> None:
    """Fill exporters_1h from one day to another, both included."""
    span = {"first": first, "last": last, "first_day": size.first_day, "days": size.days}
    connection.execute(_EXPORTERS, span)


def enter_input(
    connection: Connection,
    number: int,
    sums: pa.Table,  # noqa: ARG001 - the SQL reads it
) -> None:
    """Enter an input and its run into the ledger, and note that readers would see a difference.

    sums: rows of traffic_5m, or sums of them per family, which the input accounts for.
    """
    input_id = f"{number:064x}"
    connection.execute(
        f"INSERT INTO ledger_families BY NAME SELECT $input_id AS input_id, "
        f"'counted' AS disposition, {FAMILY_SUMS.replace('AS records', 'AS rows')} "
        "FROM sums GROUP BY family",
        {"input_id": input_id},
    )
    (rows,) = connection.execute("SELECT sum(records)::BIGINT FROM sums").fetchall()[0]
    at = datetime.combine(LAST_DAY + timedelta(1), time(1)) + timedelta(minutes=number)
    common = {
        "run_id": f"made-{number:06}",
        "rules_version": RULES_VERSION,
        "catalog_version": "made",
        "rows_in": rows,
        "rows_counted": rows,
        "rows_rejected": 0,
    }
    file = {
        "input_id": input_id,
        "dialect": "ipfix",
        "path": f"flows/made-{number:06}.parquet",
        "size": 32 * rows,
        "status": "committed",
        "reason": "",
        "first_start": datetime.combine(LAST_DAY, time()),
        "last_end": at,
        "committed_at": at,
        "client_key": 0,
        "sealed_at": None,
    }
    run = {
        "command": "v6share run flows/",
        "code_version": "made",
        "started_at": at,
        "finished_at": at,
        "inputs_committed": 1,
        "inputs_known": 0,
        "inputs_quarantined": 0,
        "outcome": "committed",
    }
    _insert_record(connection, LEDGER_FILES, common | file)
    _insert_record(connection, LEDGER_RUNS, common | run)
    raise_revision(connection)
    note_touched(connection, [table.name for table in LEDGERS])


def _insert_record(connection: Connection, table: Table, record: dict[str, Any]) -> None:
    named = {name: record[name] for name in table.arrow_schema.names}
    insert_rows(connection, table.name, pa.Table.from_pylist([named], schema=table.arrow_schema))


def _spans(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    """Both days and all between, in spans of so many days."""
    while first <= last:
        yield first, min(last, first + timedelta(days - 1))
        first += timedelta(days)


# The catalog. Numbers that have nothing in common with the sizes spread what belongs together.


def write_catalog(folder: Path, size: Size) -> None:
    """Apps with endpoints in some service regions, networks in some client regions, exporters."""
    folder.mkdir()
    texts = {
        "apps.toml": "\n".join(map(_app, range(APPS))),
        "products.toml": "\n".join(map(_product, range(PRODUCTS))),
        "endpoints.csv": _csv("app,product,region,planned_on,enabled_on", _endpoints(size)),
        "networks.csv": _csv(
            "network,kind,client_prefix_v4,client_prefix_v6,ipv6_since,subscribers,carrier",
            _networks(size),
        ),
        "prefixes.csv": _csv("prefix,region,network", _prefixes()),
        "exporters.csv": _csv(
            "exporter,vantage,role,sampling_interval,white_box,site", _listed_exporters()
        ),
        "targets.toml": _TARGETS,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


_TARGETS: Final = """\
[stage1]
apps = 20
products = 27

[stage2]
active_users = 500_000_000

[stage3]
top_n = 20
share = 0.90
weeks = 4
denominator = "all"
ranking = "previous_quarter"
"""


def _csv(header: str, rows: Iterator[tuple[object, ...]]) -> str:
    lines = (",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    return "\n".join([header, *lines]) + "\n"


def _app(i: int) -> str:
    """An app with a prefix of each family in every service region of its endpoints."""
    matches = [
        f'  {{ prefix = "{prefix}", port = 443, region = "{region}" }},\n'
        for at, region in enumerate(_endpoint_regions(i))
        for prefix in (f"198.18.{i}.{16 * at}/28", f"2001:db8:{i + 1:x}:{at:x}000::/52")
    ]
    return (
        f'[[app]]\nid = "app-{i:02}"\nname = "App {i:02}"\nproduct = "product-{i:02}"\nmatch = [\n'
        f"{''.join(matches)}]\n"
    )


def _endpoint_regions(i: int) -> list[str]:
    """The service regions of an app or product: three to eight."""
    return [f"service-{(i + at) % SERVICE_REGIONS}" for at in range(3 + i % 6)]


def _product(i: int) -> str:
    core = "true" if i % 3 == 0 else "false"
    return f'[[product]]\nid = "product-{i:02}"\nname = "Product {i:02}"\ncore = {core}\n'


def _endpoints(size: Size) -> Iterator[tuple[object, ...]]:
    """Three to eight endpoints an app, enabled one after the other in two thirds of the time.

    Some never are.
    The products without an app have endpoints of their own.
    """
    for i in range(PRODUCTS):
        for at, region in enumerate(_endpoint_regions(i)):
            planned = size.first_day + timedelta((i * 37 + at * 53) % 730 * size.days // 1095)
            is_enabled = (i * 7 + at * 3) % 11 > 0
            enabled = planned + timedelta((i + 5 * at) % 40) if is_enabled else None
            app = f"app-{i:02}" if i < APPS else None
            yield app, f"product-{i:02}", region, planned, enabled


def _networks(size: Size) -> Iterator[tuple[object, ...]]:
    """Every fifth network without IPv6, a third with it from the beginning."""
    for i in range(NETWORKS):
        kind = ("mobile", "fixed", "fixed", "mobile", "datacenter")[i % 5]
        later = timedelta(0 if i % 3 == 0 else i * 101 % 900 * size.days // 1095)
        since = None if i % 5 == 4 else size.first_day + later
        subscribers = None if kind == "datacenter" else 4_000_000 // (i + 1)
        yield (
            f"network-{i:02}", kind, 32, 64 if kind == "mobile" else 56, since, subscribers,
            f"Carrier {i:02}",
        )  # fmt: skip


def _pairs() -> Iterator[tuple[str, str]]:
    """The (region, network) pairs that exist; the first networks are in the most regions."""
    for i in range(PAIRS):
        network = i * i // (PAIRS * PAIRS // NETWORKS + 1)
        yield f"region-{(i * 13 + network * 7) % CLIENT_REGIONS:02}", f"network-{network:02}"


def _prefixes() -> Iterator[tuple[object, ...]]:
    for i, (region, network) in enumerate(_pairs()):
        yield ipaddress.IPv4Network((0x64400000 + (i << 8), 24)), region, network
        yield f"3fff:{i:x}::/32", region, network


def _listed_exporters() -> Iterator[tuple[object, ...]]:
    """All exporters but the last one, of which the catalog does not know."""
    for i in range(EXPORTERS - 1):
        vantage = "core" if i % 7 == 6 else "edge"
        yield f"192.0.2.{i + 1}", vantage, "border", INTERVALS[i % 5], "false", f"site-{i % 6}"


# Rows.


def draw_lines(connection: Connection, size: Size) -> None:
    """Make the temporary table ``lines``: the keys of traffic and their sizes. See the module."""
    pairs = list(_pairs())
    incoming = pa.table(
        {
            "pair": range(len(pairs)),
            "client_region": [region for region, _ in pairs],
            "network": [network for _, network in pairs],
        }
    )
    # A pair that came up twice counts once.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE pairs AS SELECT min(pair) AS pair, client_region, network "
        "FROM incoming GROUP BY client_region, network"
    )
    del incoming
    connection.execute(_CELLS)
    connection.execute(
        _LINES,
        {
            "part": size.part,
            "intervals": list(INTERVALS),
            "first_day": size.first_day,
            "days": size.days,
        },
    )


def scale_lines(connection: Connection, first_day: date, rows: int) -> None:
    """Let lines show more often or more seldom, so that a day has about so many rows of 5 minutes.

    Lines that begin after the first day are taken for lines that never show. Raises ValueError
    where even lines that show in every window make too few rows.
    """
    query = (
        f"SELECT {WINDOWS_PER_DAY} * sum(least(1.0, busy * $times)) "
        "FROM lines WHERE from_day <= $first_day"
    )

    def expected(times: float) -> float:
        found = connection.execute(query, {"times": times, "first_day": first_day}).fetchall()
        return float(found[0][0] or 0)

    low, high = 0.0, 1.0
    while expected(high) < rows:
        low, high = high, 2 * high
        if expected(high) == expected(low):
            raise ValueError(
                f"found {rows:,} rows a day, expected at most {expected(high):,.0f}, with which "
                "every line shows in every window"
            )
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) < rows else (low, middle)
    connection.execute("UPDATE lines SET busy = least(1.0, busy * $times)", {"times": high})


def row_counts(file: Path) -> dict[str, int]:
    """The rows of the larger tables of a published file, by table."""
    tables = (
        *("traffic_5m", "traffic_1h", "traffic_1d", "exporters_1h", "rtt_1h", "clients_1d"),
        "ledger_files",
    )
    with duckdb.connect(str(file), read_only=True) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in tables
        }


# Who talks to whom: an app, a pair, and the one or two endpoints that serve them. A fifth of what
# is possible does not happen. Traffic of no known app goes to a few regions or to none known.
_CELLS: Final = """
CREATE OR REPLACE TEMP TABLE cells AS
WITH apps AS (
  SELECT app, position + 1 AS rank FROM dim_apps
  UNION ALL
  SELECT 'unclassified', 3
),
served AS (
  SELECT app, product, region, enabled_on FROM dim_endpoints WHERE app <> ''
  UNION ALL
  SELECT 'unclassified', 'unclassified', unnest(['unknown', 'service-0', 'service-3']), NULL
),
near AS (
  SELECT
    a.app, a.rank, s.product, s.region AS service_region, s.enabled_on,
    p.pair, p.client_region, p.network,
    row_number() OVER (
      PARTITION BY a.app, p.pair ORDER BY hash(a.app, p.client_region, s.region)) AS place
  FROM apps a
  JOIN served s USING (app)
  CROSS JOIN pairs p
  WHERE hash('gap', a.app, p.pair) % 100 < 80
)
SELECT
  CASE WHEN hash('vantage', app, pair) % 100 < 8 THEN 'core'
    WHEN hash('vantage', app, pair) % 100 < 11 THEN 'unlisted' ELSE 'edge' END AS vantage,
  app,
  CASE WHEN hash('product', app, pair) % 100 < 7 THEN 'unclassified' ELSE product END AS product,
  client_region,
  CASE WHEN place = 1 AND enabled_on IS NOT NULL AND hash('region', app, pair) % 100 < 2
    THEN 'unknown' ELSE service_region END AS service_region,
  network,
  -- The largest app has half a percent of a day in its largest pair.
  0.005 / (rank ** 0.9 * (1 + pair) ** 0.6 * place ** 2) AS weight,
  CASE WHEN enabled_on IS NOT NULL AND ipv6_since IS NOT NULL
    THEN greatest(enabled_on, ipv6_since) END AS v6_from,
  -- What the share of IPv6 tends to: devices and settings keep the rest on IPv4.
  0.5 + 0.49 * (hash('ceiling', app, pair) % 1000) / 1000 AS ceiling
FROM near
JOIN dim_networks USING (network)
WHERE place = 1 OR (place = 2 AND hash('second', app, pair) % 100 < 40)
"""

# The keys of the traffic tables without their time. ``of_v6``: it is a part of what the cell sends
# over IPv6, and begins when the cell does; else a part of the rest.
_LINES: Final = f"""
CREATE OR REPLACE TEMP TABLE lines AS
WITH kinds (family, ip_class, underlay, direction, amount, of_v6, chance) AS (VALUES
  ('v4', 'native_v4', 'none', 'to_client', 1.0, false, 100),
  ('v6', 'native_v6', 'none', 'to_client', 1.0, true, 100),
  ('v4', 'native_v4', 'none', 'to_service', 0.08, false, 40),
  ('v6', 'native_v6', 'none', 'to_service', 0.08, true, 40),
  ('v6', 'translated', 'none', 'to_client', 0.1, false, 8),
  ('v4', '6to4', 'none', 'to_client', 0.01, false, 2),
  ('v4', 'teredo', 'none', 'to_service', 0.01, false, 1),
  ('v6', 'native_v6', 'v4', 'to_client', 0.05, true, 2),
  ('v4', 'native_v4', 'none', 'unknown', 0.02, false, 3),
  ('v4', 'unknown', 'none', 'unknown', 0.01, false, 2),
  ('unknown', 'unknown', 'none', 'unknown', 0.01, false, 1)
),
found AS (
  SELECT
    c.*, k.* EXCLUDE (chance),
    hash(app, product, client_region, service_region, network, family, ip_class, underlay,
      direction) AS seed
  FROM cells c
  CROSS JOIN kinds k
  WHERE hash('kind', app, client_region, network, service_region, k.ip_class, k.underlay,
      k.direction) % 100 < k.chance
    AND (NOT of_v6 OR v6_from IS NOT NULL)
)
SELECT
  row_number() OVER (ORDER BY {", ".join(TRAFFIC_5M.key[1:])}) AS line,
  {", ".join(TRAFFIC_5M.key[1:])},
  of_v6, ceiling, v6_from,
  CASE WHEN of_v6 THEN v6_from
    ELSE $first_day::DATE + (hash('launch', app) % 4 * $days // 18)::INTEGER END AS from_day,
  weight * amount AS weight,
  -- Small lines show in few of the 288 windows of a day.
  least(1.0, greatest(0.006, 9 * sqrt(weight * amount))) AS busy,
  $intervals[1 + (hash(network) % 5)::INTEGER] AS interval,
  CASE direction WHEN 'to_client' THEN 300 + seed % 1100 ELSE 60 + seed % 300 END::BIGINT
    AS packet_bytes,
  seed % 100 = 0 AS is_guess
FROM found
WHERE seed % 1000000 < $part * 1000000
"""

# What a line has in a window that is a ``slice`` of what it is seen in on that day: the day's bytes
# of all lines, 60 TB and growing, times its weight; as sampled packets, so that all counters agree.
_DRAWN: Final = """
CREATE OR REPLACE TEMP TABLE drawn AS
WITH windows AS (
  {windows}
),
shown AS (
  SELECT w.window_start, CAST(w.window_start AS DATE) AS day, l.*
  FROM windows w
  CROSS JOIN lines l
  WHERE hash(w.window_start, l.line) % 1000000
    < CASE WHEN CAST(w.window_start AS DATE) >= l.from_day THEN 1000000 * {chance} ELSE 0 END
),
shares AS (
  SELECT
    *,
    coalesce(CASE WHEN day >= v6_from
      THEN ceiling * (1 - exp((v6_from - day) / 240.0)) END, 0) AS v6_share
  FROM shown
),
counted AS (
  SELECT
    window_start, line, interval, packet_bytes, is_guess,
    greatest(1, round(
      6e13 * weight * (CASE WHEN of_v6 THEN v6_share ELSE 1 - v6_share END)
      * (1 + (day - DATE '2023-01-01') / 1500.0)
      * (CASE WHEN isodow(day) > 5 THEN 1.2 ELSE 1.0 END)
      * (0.5 + (hash('noise', window_start, line) % 1000) / 1000.0)
      * {slice} / (interval * packet_bytes)))::BIGINT AS n
  FROM shares
)
SELECT
  window_start, line,
  1 + n // 12 AS records,
  interval * (n // 30) AS tcp_opens,
  interval * n AS packets,
  interval * n * packet_bytes AS bytes,
  n AS sampled_packets,
  n * packet_bytes AS sampled_bytes,
  n::HUGEINT * packet_bytes * packet_bytes * interval * (interval - 1) AS bytes_variance,
  CASE WHEN is_guess THEN interval * n * packet_bytes ELSE 0 END AS bytes_error_unknown
FROM counted
"""
_DRAW_WINDOWS: Final = _DRAWN.format(
    windows="SELECT $day::DATE + to_minutes(5 * i) AS window_start "
    f"FROM range({WINDOWS_PER_DAY}) t(i)",
    chance="busy",
    slice=f"1 / ({WINDOWS_PER_DAY} * busy)",
)
_DRAW_DAYS: Final = _DRAWN.format(
    windows="SELECT unnest(generate_series($first::TIMESTAMP, $last::TIMESTAMP, INTERVAL 1 DAY)) "
    "AS window_start",
    chance=f"(1 - (1 - busy) ** {WINDOWS_PER_DAY})",
    slice="1",
)

_GRAINS: Final = {"traffic_5m": "5 minutes", "traffic_1h": "1 hour", "traffic_1d": "1 day"}
_SUMS: Final = ", ".join(f"sum({c.name}) AS {c.name}" for c in TRAFFIC_5M.measures)
FAMILY_SUMS: Final = "family, " + ", ".join(
    f"sum({name}) AS {name}"
    for name in ("records", "sampled_packets", "sampled_bytes", "packets", "bytes")
)


def _sum_lines(table: str, grain: str) -> str:
    """Insert what is drawn, summed up to a grain, in the order of the key."""
    return (
        f"INSERT INTO {table} BY NAME SELECT d.* EXCLUDE (line), "
        f"l.{', l.'.join(TRAFFIC_5M.key[1:])} FROM ("
        f"SELECT time_bucket(INTERVAL '{grain}', window_start) AS window_start, line, {_SUMS} "
        "FROM drawn GROUP BY ALL) d JOIN lines l USING (line) ORDER BY d.window_start, line"
    )


_STAND_INS: Final = f"""
INSERT INTO {{table}} BY NAME
SELECT
  window_start, 'edge' AS vantage, app, 'unclassified' AS product, 'unknown' AS client_region,
  'unknown' AS service_region, 'unknown' AS network, family, 'unknown' AS ip_class,
  'none' AS underlay, 'unknown' AS direction, {_SUMS}
FROM drawn JOIN lines USING (line)
GROUP BY window_start, app, family
ORDER BY window_start, app, family
"""

# An exporter is away for a day now and then, and misses an hour a little more often.
_EXPORTERS: Final = f"""
INSERT INTO exporters_1h BY NAME
WITH exporters AS (
  SELECT i, '192.0.2.' || (i + 1) AS exporter FROM range({EXPORTERS}) t(i)
),
hours AS (
  SELECT unnest(generate_series(
    $first::TIMESTAMP, $last::TIMESTAMP + INTERVAL 23 HOUR, INTERVAL 1 HOUR)) AS window_start
)
SELECT
  h.window_start, e.exporter, f.family,
  5000 + hash(h.window_start, e.i, f.family)::UBIGINT % 5000 AS records,
  100 * records AS packets, 70000 * records AS bytes,
  coalesce(d.sampling_interval, 1) AS sampling_min, sampling_min AS sampling_max,
  h.window_start + to_seconds(e.i) AS first_seen,
  h.window_start + to_seconds(3599 - e.i) AS last_seen
FROM hours h
CROSS JOIN exporters e
CROSS JOIN (VALUES ('v4'), ('v6')) f(family)
LEFT JOIN dim_exporters d ON d.exporter = e.exporter
WHERE CAST(h.window_start AS DATE) >= $first_day::DATE + (e.i % 3 * $days // 6)::INTEGER
  AND (CAST(h.window_start AS DATE) = DATE '{LAST_DAY}' OR (
    hash(e.i, CAST(h.window_start AS DATE)) % 300 > 0 AND hash(e.i, h.window_start) % 500 > 0))
ORDER BY ALL
"""

# Sketches: those of all, of the largest app and of the largest network are full; the others hold
# all their clients. A twentieth of the clients is new every day. IPv6 grows from little to most.
_CLIENTS: Final = """
INSERT INTO clients_1d BY NAME
WITH ids AS (
  SELECT 'all' AS scope, '' AS id, 1 AS rank
  UNION ALL
  SELECT 'app', app, position + 1 FROM dim_apps
  UNION ALL
  SELECT 'network', network, row_number() OVER (ORDER BY network) FROM dim_networks
  UNION ALL
  SELECT 'product', product, 8 + row_number() OVER (ORDER BY product) FROM dim_products
  UNION ALL
  SELECT 'client_region', client_region, 4 + row_number() OVER (ORDER BY client_region)
  FROM (SELECT DISTINCT client_region FROM pairs)
),
days AS (
  SELECT
    CAST(unnest(generate_series($first::TIMESTAMP, $last::TIMESTAMP, INTERVAL 1 DAY)) AS DATE)
      AS day
),
sized AS (
  SELECT
    d.day, i.*, f.family, d.day - $first_day::DATE AS number,
    rank = 1 AS is_full,
    CASE WHEN rank = 1 THEN $size::BIGINT ELSE greatest(3, round($part * $size / rank ** 1.3
      * CASE f.family WHEN 'v6' THEN 0.2 + 0.8 * number / $days ELSE 1 END))::BIGINT
    END AS clients
  FROM days d
  CROSS JOIN ids i
  CROSS JOIN (VALUES ('v4'), ('v6')) f(family)
)
SELECT
  day, 'edge' AS vantage, scope, id, family, 'prefix' AS unit,
  CASE WHEN is_full THEN $all::UBIGINT // (100 - number // 30)::UBIGINT ELSE $all::UBIGINT END
    AS theta,
  list_sort(list_transform(
    range(number * clients // 20, number * clients // 20 + clients),
    lambda j: hash(scope, id, family, j) % theta)) AS client_hashes,
  0::SMALLINT AS client_key
FROM sized
ORDER BY day, scope, id, family
"""
