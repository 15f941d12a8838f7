"""Golden cases of what is seen over the whole history, computed by hand."""

from datetime import date, datetime, time, timedelta

from kpi_warehouse import Warehouse

D = date(2024, 5, 28)  # as_of
ONE = timedelta(days=1)
BYTES = "basis = 'bytes' AND denominator = 'all' AND share_kind = 'strict'"


def test_the_plan_is_cumulated_against_what_is_enabled(w: Warehouse) -> None:
    w.traffic(D)
    w.final_days(D, D)
    for app in ("a", "b"):
        w.app(app)
    w.product("p")
    w.target(1, "apps_dual_stacked", 2)
    w.endpoint("a", "p", "r", planned_on=date(2024, 3, 1), enabled_on=date(2024, 3, 1))
    w.endpoint("a", "p", "s", planned_on=date(2024, 5, 1), enabled_on=date(2024, 5, 9))
    w.endpoint("b", "p", "r", planned_on=date(2024, 7, 1), enabled_on=date(2024, 6, 1))
    rows = w.query(
        "SELECT day, due, enabled, overdue, target, planned FROM kpi_stage1_plan "
        "WHERE level = 'app'"
    )
    assert rows == [
        (date(2024, 3, 1), 1, 1, 0, 2.0, 2),
        (date(2024, 5, 1), 1, 0, 1, 2.0, 2),  # a's second endpoint is due and not enabled
        (date(2024, 5, 9), 1, 1, 0, 2.0, 2),
        (D, 1, 1, 0, 2.0, 2),
        (date(2024, 7, 1), 2, None, None, 2.0, 2),  # still to come
    ]
    rows = w.query("SELECT day, due, enabled, final FROM kpi_stage1_plan WHERE level = 'endpoint'")
    assert rows[-2:] == [(D, 2, 2, True), (date(2024, 7, 1), 3, None, False)]


def test_endpoints_of_the_plan_are_those_of_the_catalog_as_often_as_they_stand_there(
    w: Warehouse,
) -> None:
    w.endpoint("a b", "c", "r", planned_on=D)
    w.endpoint("a", "b c", "r", planned_on=D)
    w.endpoint("a", "b c", "r")
    assert w.one("SELECT due, planned FROM kpi_stage1_plan WHERE level = 'endpoint'") == (2, 3)


def test_daily_clients_unite_vantages_and_families_of_subscribers(w: Warehouse) -> None:
    w.connection.execute("INSERT INTO dim_vantages VALUES ('edge2', true)")
    w.clients(D, [1, 2, 3], family="v4", unit="subscriber")
    w.clients(D, [3, 4], family="v6", unit="subscriber")
    w.clients(D, [4, 5], family="v6", unit="subscriber", vantage="edge2")
    w.clients(D, [6], family="v6", unit="subscriber", vantage="core")  # feeds no KPI
    w.clients(D - 400 * ONE, [7], scope="app", id="a")
    assert w.query(
        "SELECT day, scope, id, unit, family, hashes, clients FROM kpi_stage2_daily_clients"
    ) == [
        (D - 400 * ONE, "app", "a", "prefix", "v6", 1, 1.0),
        (D, "all", "", "subscriber", "any", 5, 5.0),
        (D, "all", "", "subscriber", "v4", 3, 3.0),
        (D, "all", "", "subscriber", "v6", 3, 3.0),
    ]


def test_a_daily_count_of_full_sketches_takes_the_smaller_threshold(w: Warehouse) -> None:
    w.connection.execute("INSERT INTO dim_vantages VALUES ('edge2', true)")
    w.clients(D, [1, 2**60, 2**62], theta=2**63)
    w.clients(D, [1, 2**59], theta=2**61, vantage="edge2")
    # Below 2^61 are 1, 2^59 and 2^60: 3 of an eighth of all hashes.
    assert w.one("SELECT hashes, clients, standard_error FROM kpi_stage2_daily_clients") == (
        3,
        24.0,
        0.016,
    )


def test_shares_of_an_app_in_a_region_and_in_a_network(w: Warehouse) -> None:
    w.traffic(D, app="a", client_region="x", network="n", family="v6", bytes=30)
    w.traffic(D, app="a", client_region="x", network="m", family="v4", bytes=70)
    w.traffic(D, app="b", client_region="x", network="n", family="v4", bytes=999)
    # Nobody knows the app of these: they widen the bounds of every app there.
    w.traffic(D, app="unclassified", client_region="x", network="n", family="v4", bytes=100)
    row = w.one(
        "SELECT share, share_low, share_high FROM share_by_app_region "
        f"WHERE app = 'a' AND client_region = 'x' AND {BYTES}"
    )
    assert row == (0.3, 0.15, 0.65)
    row = w.one(
        "SELECT share, share_low, share_high FROM share_by_app_network "
        f"WHERE app = 'a' AND network = 'm' AND {BYTES}"
    )
    assert row == (0.0, 0.0, 0.0)


def test_a_week_without_any_record_has_a_row(w: Warehouse) -> None:
    w.app("a")
    for back in (0, 21):
        w.traffic(D - back * ONE, app="a", family="v6", bytes=10)
    w.final_days(D, D)
    # Another exporter, of which nothing is expected later, as it is not listed.
    start = datetime.combine(D - 21 * ONE, time())
    w.heard(start, start + ONE, "gone")
    rows = w.query(
        "SELECT week_end, days, denominator_value, share, completeness "
        f"FROM kpi_stage3_concentration WHERE {BYTES}"
    )
    empty = [(D - back * ONE, 7, 0, None, 0.0) for back in (7, 14)]
    assert rows == [(D, 7, 10, 1.0, 1.0), *empty, (D - 21 * ONE, 1, 10, 1.0, 1.0)]
    judged = w.query("SELECT day, share, completeness, met FROM attainment")
    assert len(judged) == 22
    assert judged[10] == (D - 11 * ONE, None, 0.0, False)


def test_traffic_of_no_known_app_alone_has_bounds() -> None:
    w = Warehouse()  # outside a transaction, where DuckDB plans by what it knows of the rows
    for back in range(8):
        w.traffic(D - back * ONE, app="unclassified", family="v4", bytes=10)
    w.final_days(D - 7 * ONE, D)
    rows = w.query(
        "SELECT share, share_low, share_high, unclassified FROM kpi_stage3_concentration "
        f"WHERE {BYTES}"
    )
    assert rows == [(None, 0.0, 1.0, 70), (None, 0.0, 1.0, 10)]


def test_whose_clients_an_endpoint_is_judged_by(w: Warehouse) -> None:
    w.final_days(D, D)
    w.network("relay", kind="relay")
    w.clients(D, [1], scope="app", id="a")
    for region in ("one", "two", "none"):
        w.endpoint("a", "p", region, enabled_on=date(2024, 1, 1))
    clients = {"one": ["n"], "two": ["n", "m"], "none": ["n", "relay"]}
    for region, networks in clients.items():
        for network in networks:
            w.traffic(
                D, app="a", product="p", service_region=region, network=network, family="v6",
                bytes=10, records=2,
            )  # fmt: skip
    query = "SELECT region, clients_of, carrying FROM endpoint_status"
    assert w.query(query) == [
        ("none", "app", False),  # a relay is no second client
        ("one", "app", False),
        ("two", "endpoint", True),
    ]
    w.clients(D, [1, 2], scope="app", id="a")
    assert [row[2] for row in w.query(query)] == [True, True, True]
