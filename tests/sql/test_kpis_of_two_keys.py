"""Distinct clients where the client key was changed: no union of hashes of two keys."""

from datetime import date, timedelta

from kpi_warehouse import Warehouse

D = date(2024, 5, 28)  # as_of
ONE = timedelta(days=1)
MONTH = "FROM kpi_stage2_active_clients WHERE period = '30_days' AND scope = 'all'"
HEADLINE = "FROM kpi_headline WHERE metric = 'active_ipv6_clients_30d'"


def days_of_data(w: Warehouse, first: date, last: date) -> None:
    w.final_days(first, last)
    for number in range((last - first).days + 1):
        w.traffic(first + number * ONE)


def test_a_month_of_two_keys_has_means_and_no_union(w: Warehouse) -> None:
    """Two clients on two days, who have the hashes 1, 2 under one key and 3, 4 under the next."""
    days_of_data(w, D - ONE, D)
    w.clients(D - ONE, [1, 2])
    w.clients(D, [3, 4], client_key=1)
    w.network("n")
    w.clients(D, [3, 4], client_key=1, scope="network", id="n")
    assert w.one(f"SELECT clients, clients_union, rotation_ratio, client_keys {MONTH}") == (
        2.0,
        None,
        None,
        2,
    )
    # A network that was seen under one key alone is whole.
    assert w.one(
        "SELECT clients, clients_union, client_keys FROM kpi_stage2_active_clients "
        "WHERE period = '30_days' AND scope = 'network'"
    ) == (1.0, 2.0, 1)
    assert w.query("SELECT DISTINCT clients, client_keys FROM kpi_stage2_daily_clients") == [
        (2.0, 1)
    ]


def test_a_day_of_two_keys_has_no_count_and_is_left_out_of_the_mean(w: Warehouse) -> None:
    days_of_data(w, D - 2 * ONE, D)
    w.clients(D - 2 * ONE, [1, 2, 3, 4])
    w.clients(D - ONE, [1, 2])
    w.clients(D - ONE, [8, 9], client_key=1)
    w.clients(D, [8, 9], client_key=1)
    assert w.query(
        "SELECT day, hashes, clients, client_keys FROM kpi_stage2_daily_clients ORDER BY day"
    ) == [(D - 2 * ONE, 4, 4.0, 1), (D - ONE, None, None, 2), (D, 2, 2.0, 1)]
    # Of three days two can be counted: (4 + 2) / 2.
    assert w.one(f"SELECT clients, days, client_keys {MONTH}") == (3.0, 3, 2)
    value, note = w.one(f"SELECT value, note {HEADLINE}")
    assert (value, "mean of 3 daily counts" in note) == (3.0, True)


def test_subscribers_of_two_keys_are_not_judged(w: Warehouse) -> None:
    days_of_data(w, D - ONE, D)
    w.target(2, "active_ipv6_clients_30d", 2)
    w.clients(D - ONE, [1, 2], unit="subscriber")
    w.clients(D, [3, 4], unit="subscriber", client_key=1)
    assert w.query(f'SELECT DISTINCT clients_union, "both", penetration, client_keys {MONTH}') == [
        (None, None, None, 2)
    ]
    value, low, attained, note = w.one(f"SELECT value, ci_low, attained, note {HEADLINE}")
    assert (value, low, attained) == (None, None, None)
    assert "counted with 2 client keys" in note
    assert "backfill --reprocess all" in note


def test_the_union_is_back_once_the_window_has_one_key(w: Warehouse) -> None:
    days_of_data(w, D - 30 * ONE, D)
    w.target(2, "active_ipv6_clients_30d", 2)
    w.clients(D - 30 * ONE, [1, 2], unit="subscriber")
    w.clients(D - 29 * ONE, [3, 4], unit="subscriber", client_key=1)
    assert w.one(f"SELECT value, attained {HEADLINE}") == (2.0, True)


def test_where_no_day_can_be_counted_the_value_is_not_known(w: Warehouse) -> None:
    days_of_data(w, D, D)
    w.clients(D, [1, 2])
    w.clients(D, [3], client_key=1)
    value, note = w.one(f"SELECT value, note {HEADLINE}")
    assert value is None
    assert "counted with 2 client keys" in note


def test_one_client_under_two_keys_makes_no_endpoint_carry(w: Warehouse) -> None:
    days_of_data(w, D - ONE, D)
    w.product("p", core=True)
    w.endpoint("", "p", "r", planned_on=D, enabled_on=D)
    w.traffic(D, family="v6", bytes=1000, records=5)
    w.clients(D - ONE, [1], scope="product", id="p")
    w.clients(D, [2], scope="product", id="p", client_key=1)
    assert w.one("SELECT clients_at_least, carrying FROM endpoint_status") == (1, False)
    assert w.one("SELECT carrying FROM kpi_stage3_parity") == (False,)
    w.clients(D, [3], scope="product", id="p", client_key=1, vantage="unlisted")
    assert w.one("SELECT clients_at_least, carrying FROM endpoint_status") == (2, True)
    assert w.one("SELECT carrying FROM kpi_stage3_parity") == (True,)
