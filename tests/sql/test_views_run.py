"""Every view: is there, has its header, runs on nothing, and runs from an attached file."""

import re
from datetime import date
from itertools import product
from pathlib import Path

import duckdb
import pytest
from kpi_warehouse import SQL, Warehouse, build, make_results, view_files

from v6share.render.units import parse_clauses, section
from v6share.schemas.aggregates import FAMILIES, IP_CLASSES
from v6share.schemas.dimensions import DIM_IP_CLASS
from v6share.warehouse.database.views import parse_view

DOCS = SQL.parent / "docs"
CONTRACT = (
    "kpi_headline",
    "kpi_stage1_enablement",
    "kpi_stage1_linkage",
    "kpi_stage1_silent",
    "kpi_stage2_active_clients",
    "kpi_stage2_coverage",
    "kpi_stage3_concentration",
    "kpi_stage3_apps",
    "kpi_stage3_waterfall",
    "kpi_stage3_change",
    "kpi_stage3_parity",
    "completeness",
    "share_by_app",
    "share_by_region",
    "share_by_network",
    "share_headline_1d",
)
SHARE_COLUMNS = (
    "basis",
    "denominator",
    "share_kind",
    "numerator",
    "denominator_value",
    "share",
    "ci_low",
    "ci_high",
    "share_low",
    "share_high",
)


@pytest.fixture(scope="module")
def empty() -> Warehouse:
    return Warehouse()


def test_every_view_of_the_contract_is_there() -> None:
    assert set(CONTRACT) <= set(view_files())


@pytest.mark.parametrize("name", sorted(view_files()))
def test_a_view_has_a_header_and_makes_what_its_file_says(name: str) -> None:
    text = view_files()[name].read_text()
    for part in ("-- what:", "-- unit:", "-- formula:", "-- source:"):
        assert part in text, f"{name}.sql: no '{part}' line in its header"
    assert f"CREATE VIEW definitions.{name} AS" in text


@pytest.mark.parametrize("name", sorted(view_files()))
def test_the_header_has_a_unit_for_every_number(name: str, empty: Warehouse) -> None:
    columns = {row[0]: row[1] for row in empty.query(f"DESCRIBE {name}")}
    numbers = {c for c, kind in columns.items() if re.search("INT|DOUBLE|DECIMAL", kind)}
    view = parse_view(f"{name}.sql", view_files()[name].read_text())
    units = parse_clauses(section(view.about, "unit"))
    assert numbers <= units.keys()
    for unit in units.values():
        if unit.startswith("of the "):
            assert unit.split()[2] in columns


@pytest.mark.parametrize("name", sorted(view_files()))
def test_the_columns_that_the_header_puts_first_are_there(name: str, empty: Warehouse) -> None:
    columns = {row[0] for row in empty.query(f"DESCRIBE {name}")}
    view = parse_view(f"{name}.sql", view_files()[name].read_text())
    assert set(filter(None, section(view.about, "first").split(", "))) <= columns


@pytest.mark.parametrize("name", sorted(view_files()))
def test_what_a_view_reads_is_named_with_its_schema(name: str, empty: Warehouse) -> None:
    """Else it would mean something else where the file is attached under another name."""
    code = re.sub(r"--.*", "", view_files()[name].read_text())
    known = {row[0] for row in empty.query("SELECT table_name FROM duckdb_tables()")}
    read = re.findall(r"\b(?:FROM|JOIN)\s+([\w.]+)", code)
    assert not {word for word in read if word in known | view_files().keys()}
    assert any(word.startswith(("main.", "results.")) for word in read)


@pytest.mark.parametrize("name", sorted(view_files()))
def test_a_view_runs_on_an_empty_warehouse(name: str, empty: Warehouse) -> None:
    empty.query(f"SELECT * FROM {name}")


@pytest.mark.parametrize(
    "name",
    [
        "share_by_app",
        "share_by_region",
        "share_by_network",
        "share_by_hour",
        "share_headline_1d",
        "kpi_stage3_apps",
        "kpi_stage3_concentration",
    ],
)
def test_share_rows_have_the_columns_of_the_contract(name: str, empty: Warehouse) -> None:
    columns = {row[0] for row in empty.query(f"DESCRIBE {name}")}
    assert set(SHARE_COLUMNS) <= columns


def test_the_headline_has_its_four_rows_on_an_empty_warehouse(empty: Warehouse) -> None:
    rows = empty.query("SELECT stage, metric, attained, as_of, note FROM kpi_headline")
    assert [(r[0], r[1]) for r in rows] == [
        (1, "apps_dual_stacked"),
        (1, "products_dual_stacked"),
        (2, "active_ipv6_clients_30d"),
        (3, "top_apps_ipv6_share"),
    ]
    assert all(r[2] is None and r[3] is None and "no final day" in r[4] for r in rows)


def test_the_headline_has_the_columns_of_the_contract(empty: Warehouse) -> None:
    columns = [row[0] for row in empty.query("DESCRIBE kpi_headline")]
    assert columns == [
        "stage",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "target",
        "attained",
        "as_of",
        "note",
    ]


def test_every_view_runs_from_a_file_attached_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "published.duckdb"
    with duckdb.connect() as writer:
        writer.execute(f"ATTACH '{path}' AS made (STORAGE_VERSION 'v1.5.0')")
        writer.execute("USE made")
        build(writer)
        w = Warehouse.__new__(Warehouse)
        w.connection = writer
        fill(w)
        make_results(writer, " ".join(view_files()))
        writer.execute("USE memory")
        writer.execute("DETACH made")
    with duckdb.connect() as reader:
        reader.execute(f"ATTACH '{path}' AS x (READ_ONLY)")
        for name in view_files():
            for schema in ("main", "definitions"):
                reader.execute(f"SELECT * FROM x.{schema}.{name}").fetchall()
        assert reader.execute("SELECT count(*) FROM x.main.kpi_stage3_apps").fetchone() == (27,)


def test_the_sql_of_the_docs_runs(empty: Warehouse) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", (DOCS / "kpis.md").read_text(), re.DOTALL)
    queries = [b for b in blocks if not b.startswith("ATTACH")]
    assert len(queries) == 5
    for query in queries:
        empty.query(query)


def test_the_docs_name_every_view() -> None:
    text = (DOCS / "kpis.md").read_text()
    assert [name for name in view_files() if f"`{name}`" not in text] == []


def fill(w: Warehouse) -> None:
    """One day, one app, both families: enough for every view to have something to do."""
    w.connection.execute("INSERT INTO dim_vantages VALUES ('edge', true), ('unlisted', true)")
    day = date(2024, 5, 1)
    w.final_days(day, day)
    w.app("a")
    w.traffic(day, family="v6", bytes=60)
    w.traffic(day, family="v4", bytes=40)
    w.clients(day, [1, 2])


@pytest.mark.parametrize(
    "name",
    [
        "kpi_stage3_apps",
        "kpi_stage3_change",
        "kpi_stage3_concentration",
        "share_by_app",
        "share_by_network",
        "share_by_region",
    ],
)
def test_the_headline_kind_stands_first_and_all_kinds_by_meaning(name: str) -> None:
    w = Warehouse()
    fill(w)
    w.traffic(date(2024, 4, 1), family="v6", bytes=60)
    w.final_days(date(2024, 4, 1), date(2024, 4, 1))
    rows = w.query(f"SELECT basis, denominator, share_kind FROM {name}")
    assert list(dict.fromkeys(rows)) == list(
        product(
            ("bytes", "bytes_normalised", "tcp_opens"),
            ("all", "enabled", "capable"),
            ("strict", "wire", "service"),
        )
    )


def test_completeness_shows_the_newest_week_of_all_exporters_first() -> None:
    w = Warehouse()
    for day in (date(2024, 5, 1), date(2024, 5, 8)):
        w.final_days(day, day)
        w.traffic(day)
    rows = w.query("SELECT period, period_end, exporter FROM completeness")
    assert rows[:3] == [
        ("week", date(2024, 5, 8), None),
        ("week", date(2024, 5, 8), "e1"),
        ("week", date(2024, 5, 1), None),
    ]


def test_enablement_shows_apps_then_products_then_endpoints() -> None:
    w = Warehouse()
    w.app("a")
    w.product("p")
    w.endpoint("a", "p", "r")
    levels = w.query("SELECT level FROM kpi_stage1_enablement")
    assert levels == [("app",), ("product",), ("endpoint",)]


def test_dim_ip_class_has_every_class_and_family_once(empty: Warehouse) -> None:
    rows = empty.query("SELECT ip_class, family FROM dim_ip_class")
    assert sorted(rows) == sorted((c, f) for c in IP_CLASSES for f in FAMILIES)
    types = {row[0]: row[1] for row in empty.query("DESCRIBE dim_ip_class")}
    assert types == {c.name: c.kind.value for c in DIM_IP_CLASS.columns}


# (class, family) -> in_denominator, in_strict, in_wire, in_service, is_transition
GOLDEN_CLASSES = {
    ("native_v4", "v4"): (True, False, False, False, False),
    ("native_v6", "v6"): (True, True, True, True, False),
    ("native_v6", "v4"): (True, False, False, True, False),  # native, inside an IPv4 underlay
    ("native_v4", "v6"): (True, False, True, False, False),  # IPv4 inside SRv6
    ("6in4", "v4"): (True, False, False, True, True),
    ("6to4", "v6"): (True, False, True, True, True),
    ("6rd", "v4"): (True, False, False, True, True),
    ("isatap", "v6"): (True, False, True, True, True),
    ("teredo", "v4"): (True, False, False, True, True),
    ("4in6", "v6"): (True, False, True, False, True),
    ("translated", "v6"): (True, False, True, False, True),
    ("translated", "v4"): (True, False, False, False, True),
    ("overlay", "v6"): (False, False, False, False, False),
    ("gre", "v4"): (False, False, False, False, False),
    ("ipip", "v4"): (False, False, False, False, False),
    ("6in6", "v6"): (False, False, False, False, False),
    ("rocev2", "v6"): (False, False, False, False, False),
    ("srv6", "v6"): (False, False, False, False, False),
    ("control", "v6"): (False, False, False, False, False),
    ("unknown", "v4"): (False, False, False, False, False),
    ("native_v6", "unknown"): (False, False, False, False, False),
    ("6in4", "unknown"): (False, False, False, False, True),
}


@pytest.mark.parametrize(("key", "flags"), GOLDEN_CLASSES.items(), ids=str)
def test_how_a_class_counts(
    key: tuple[str, str], flags: tuple[bool, ...], empty: Warehouse
) -> None:
    row = empty.one(
        "SELECT in_denominator, in_strict, in_wire, in_service, is_transition "
        f"FROM dim_ip_class WHERE ip_class = '{key[0]}' AND family = '{key[1]}'"
    )
    assert row == flags


def test_the_sql_names_no_catalog_and_reads_no_file() -> None:
    for path in [SQL / "macros.sql", SQL / "dim_ip_class.sql", *view_files().values()]:
        text = path.read_text().lower()
        for word in ("read_parquet", "read_csv", "current_date", "now()"):
            assert word not in text, f"{path.name}: {word}"
