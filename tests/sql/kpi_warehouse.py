"""A small warehouse in memory for the KPI views: plain rows in, views out.

Rows are given as keyword arguments; every column that a test does not name gets a harmless value.
"""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import (
    CLIENT_COUNTS_1D,
    CLIENTS_1D,
    EXPORTERS_1H,
    FRAGMENT_TABLES,
    ROLL_UPS,
    THETA_MAX,
    TRAFFIC_1D,
    TRAFFIC_1H,
)
from v6share.schemas.columns import Kind, Table
from v6share.schemas.dimensions import (
    CATALOG_DIMENSIONS,
    DIM_APPS,
    DIM_ENDPOINTS,
    DIM_EXPORTERS,
    DIM_IP_CLASS,
    DIM_NETWORKS,
    DIM_PRODUCTS,
    DIM_RTT_BUCKETS,
    DIM_TARGETS,
    DIM_VANTAGES,
)
from v6share.schemas.ledger import LEDGERS
from v6share.warehouse.database.views import Kept, read_views

SQL = Path(__file__).parents[2] / "sql"
VIEWS = read_views()
TABLES = (
    *FRAGMENT_TABLES,
    *ROLL_UPS,
    CLIENT_COUNTS_1D,
    *LEDGERS,
    *CATALOG_DIMENSIONS,
    DIM_RTT_BUCKETS,
)

_TRAFFIC = {
    "vantage": "edge",
    "app": "a",
    "product": "p",
    "client_region": "cr",
    "service_region": "r",
    "network": "n",
    "family": "v4",
    "ip_class": None,
    "underlay": "none",
    "direction": "to_client",
    "records": 1,
    "tcp_opens": 0,
    "packets": 1,
    "bytes": 0,
    "sampled_packets": 0,
    "sampled_bytes": 0,
    "bytes_variance": 0,
    "bytes_error_unknown": 0,
}


def view_files() -> dict[str, Path]:
    """Every view's file, by name, in an order in which each finds the views that it needs."""
    files = {p.stem: p for p in (SQL / "views").glob("*.sql")}
    needs = {
        name: set(re.findall(r"results\.(\w+)", path.read_text())) & files.keys()
        for name, path in files.items()
    }
    return {name: files[name] for name in TopologicalSorter(needs).static_order()}


def build(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all tables, macros and views, with no rows but those of ``dim_ip_class``."""
    connection.execute("CREATE SCHEMA definitions; CREATE SCHEMA results")
    for table in TABLES:
        connection.execute(table.ddl())
    connection.execute(f"CREATE TABLE dim_ip_class AS {(SQL / 'dim_ip_class.sql').read_text()}")
    connection.execute((SQL / "macros.sql").read_text())
    for view in VIEWS:
        view.create(connection)
    assert [c.name for c in DIM_IP_CLASS.columns] == [
        row[0] for row in connection.execute("DESCRIBE dim_ip_class").fetchall()
    ]


def make_results(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Make the kept results of the views that a text names, and of those below them."""
    wanted = set(re.findall(r"\w+", sql))
    for view in reversed(VIEWS):
        if view.name in wanted:
            wanted |= view.needs
    for view in VIEWS:
        if view.name in wanted and view.kept is not Kept.NOT:
            connection.execute(f"DELETE FROM results.{view.name}")
            connection.execute(f"INSERT INTO results.{view.name} FROM definitions.{view.name}")


@dataclass
class Warehouse:
    """An empty warehouse with the vantage ``edge`` feeding the KPIs."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        build(self.connection)
        self.insert(DIM_VANTAGES, vantage="edge", feeds_kpis=True)
        self.insert(DIM_VANTAGES, vantage="unlisted", feeds_kpis=True)
        self.insert(DIM_VANTAGES, vantage="core", feeds_kpis=False)

    def insert(self, table: Table, **values: Any) -> None:
        """One row; columns not named are NULL."""
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        self.connection.execute(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(values.values())
        )

    def entry(self, table: Table, **values: Any) -> None:
        """One row of a ledger; text that is not named is empty, numbers are 0."""
        nothing = {Kind.TEXT: "", Kind.TIMESTAMP: datetime.combine(date(2024, 1, 1), time())}
        rest = {c.name: nothing.get(c.kind, 0) for c in table.columns}
        self.insert(table, **{f'"{name}"': v for name, v in {**rest, **values}.items()})

    def traffic(self, day: date, **values: Any) -> None:
        """One row of traffic_1d; ``ip_class`` follows the family where it is not given."""
        self._traffic(TRAFFIC_1D, datetime.combine(day, time()), values)

    def hour(self, start: datetime, **values: Any) -> None:
        """One row of traffic_1h, which a row of traffic_1d is to sum up."""
        self._traffic(TRAFFIC_1H, start, values)

    def _traffic(self, table: Table, start: datetime, values: dict[str, Any]) -> None:
        row = {**_TRAFFIC, **values}
        if row["ip_class"] is None:
            row["ip_class"] = {"v4": "native_v4", "v6": "native_v6"}.get(row["family"], "unknown")
        self.insert(table, window_start=start, **row)

    def clients(self, day: date, hashes: list[int], **values: Any) -> None:
        """One sketch; below 4,096 hashes it is exact unless ``theta`` says otherwise."""
        defaults = {
            "vantage": "edge",
            "scope": "all",
            "id": "",
            "family": "v6",
            "unit": "prefix",
            "theta": THETA_MAX,
            "client_key": 0,
        }
        self.insert(CLIENTS_1D, day=day, client_hashes=hashes, **{**defaults, **values})

    def heard(
        self, start: datetime, end: datetime, exporter: str = "e1", sampling: int = 1
    ) -> None:
        """Records of an exporter in every hour of [start, end)."""
        # In one statement: half a year of hours, one by one, takes seconds.
        self.connection.execute(
            f"""INSERT INTO {EXPORTERS_1H.name} (window_start, exporter, family, records, packets,
              bytes, sampling_min, sampling_max, first_seen, last_seen)
            SELECT hour, $exporter, 'v4', 1, 1, 1, $sampling, $sampling, hour,
              hour + INTERVAL 1 HOUR
            FROM range($start::TIMESTAMP, $end::TIMESTAMP, INTERVAL 1 HOUR) AS hours (hour)""",
            {"exporter": exporter, "sampling": sampling, "start": start, "end": end},
        )

    def final_days(self, first: date, last: date, **values: Any) -> None:
        """An exporter whose records make every day from first to last final, and no other."""
        start = datetime.combine(first, time())
        self.heard(start, datetime.combine(last, time()) + timedelta(hours=25), **values)

    def app(self, app: str, position: int = 0, product: str = "unclassified") -> None:
        self.insert(DIM_APPS, position=position, app=app, name=app.upper(), product=product)

    def product(self, product: str, core: bool = False) -> None:
        self.insert(DIM_PRODUCTS, product=product, name=product.upper(), core=core)

    def endpoint(
        self,
        app: str,
        product: str,
        region: str,
        planned_on: date | None = None,
        enabled_on: date | None = None,
        *,
        serves_dns: bool = False,
    ) -> None:
        self.insert(
            DIM_ENDPOINTS,
            app=app,
            product=product,
            region=region,
            planned_on=planned_on,
            enabled_on=enabled_on,
            serves_dns=serves_dns,
        )

    def network(self, network: str, kind: str = "fixed", **values: Any) -> None:
        self.insert(
            DIM_NETWORKS,
            network=network,
            kind=kind,
            client_prefix_v4=32,
            client_prefix_v6=56,
            **values,
        )

    def exporter(self, exporter: str, vantage: str = "edge") -> None:
        self.insert(
            DIM_EXPORTERS,
            exporter=exporter,
            vantage=vantage,
            role="router",
            white_box=False,
            override=False,
            directions="one",
        )

    def target(self, stage: int, metric: str, target: float, **values: Any) -> None:
        self.insert(DIM_TARGETS, stage=stage, metric=metric, target=target, **values)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query, with the results of all that it reads made from the ground."""
        make_results(self.connection, sql)
        return self.connection.execute(sql).fetchall()

    def table(self, sql: str) -> pa.Table:
        """The same as Arrow."""
        make_results(self.connection, sql)
        return self.connection.sql(sql).to_arrow_table()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        (row,) = self.query(sql)
        return row
