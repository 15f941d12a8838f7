"""Destinations of unclassified flows: what is summed, and that no client is among them."""

from ipaddress import ip_network

import flow_maker
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v6share.pipelines import destinations as module
from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.destinations import Destinations
from v6share.schemas.catalog.propose import Destination
from v6share.schemas.errors import InputRefused
from v6share.schemas.settings import Settings

PLAN = compile_plan(flow_maker.catalog(), Settings(), bytes(16))
CLIENTS = ("mob", "fix", "vpn")


def destinations_of(*rows: dict[str, object]) -> tuple[int, list[Destination]]:
    found = Destinations(PLAN, ("edge", "unlisted"), CLIENTS)
    found.add(flow_maker.flows(list(rows)))
    return found.total, found.largest()


def to(prefix: str, port: int, size: int, asn: int = 0) -> Destination:
    return Destination(ip_network(prefix), port, asn, size)


# A connection that goes on: who opened it, these records do not tell.
ACK = {"flags": 16}
UP = {"src": "10.0.0.1", "dst": "203.0.113.9", "dst_port": 443, "octets": 100} | ACK
DOWN = {"src": "203.0.113.8", "src_port": 443, "dst": "10.0.0.2", "dst_port": 50_000} | ACK
DOWN |= {"octets": 900}


def test_both_directions_of_a_service_are_one_destination() -> None:
    assert destinations_of(UP, DOWN) == (1000, [to("203.0.113.0/24", 443, 1000)])


def test_who_opens_the_connection_is_the_client_whatever_the_ports() -> None:
    low = {"src": "203.0.113.8", "src_port": 20, "dst": "198.51.100.2", "dst_port": 2000}
    of_row = low | {"octets": 900}
    assert destinations_of(of_row | {"flags": 2}) == (900, [to("198.51.100.0/24", 2000, 900)])
    assert destinations_of(of_row | ACK) == (900, [to("203.0.113.0/24", 20, 900)])


def test_sums_never_wrap() -> None:
    """No 64 bits hold more of these; what a run refuses is refused here."""
    found = Destinations(PLAN, ("edge",), CLIENTS)
    row = UP | {"octets": 2**53, "packets": 2**50}
    found.add(flow_maker.flows([row] * 512))
    with pytest.raises(InputRefused, match="sum_overflow"):
        found.add(flow_maker.flows([row]))
    assert (found.total, [one.bytes for one in found.largest()]) == (2**62, [2**62])


def test_families_ports_and_as_numbers_are_told_apart() -> None:
    v6 = {"src": "2a00:100::1", "dst": "2001:db8:ff:1::5", "octets": 700} | ACK
    rows = (
        UP | {"dst_as": 64501, "src_as": 64999},
        DOWN | {"src_as": 64501, "dst_as": 64999},
        UP | {"dst_port": 80, "octets": 300},
        v6,
    )
    assert destinations_of(*rows) == (
        2000,
        [
            to("203.0.113.0/24", 443, 1000, 64501),
            to("2001:db8:ff::/48", 443, 700),
            to("203.0.113.0/24", 80, 300),
        ],
    )


@pytest.mark.parametrize(
    ("row", "total"),
    [
        (UP | {"dst": "198.18.1.1"}, 0),  # an app's
        (UP | {"exporter": "192.0.2.2"}, 0),  # of a vantage that feeds no KPI
        (UP | {"num": 0}, 0),  # rejected: no sampling interval
        (UP | {"protocol": 47}, 0),  # infrastructure
        (UP | {"src_port": 500, "dst_port": 500}, 100),  # nobody can tell the service
        (UP | {"src_port": 40_000, "dst_port": 32_768}, 100),  # two ports of clients
        (UP | {"dst": "10.1.2.3"}, 100),  # a service in a network of clients
        (UP | {"dst": "2a00:900::1", "src": "2a00:100::1"}, 100),
    ],
)
def test_what_is_no_destination(row: dict[str, object], total: int) -> None:
    assert destinations_of(row) == (total, [])


def test_bytes_are_scaled_and_an_unlisted_exporter_counts() -> None:
    row = UP | {"exporter": "192.0.2.9", "num": 1000}
    assert destinations_of(row) == (100_000, [to("203.0.113.0/24", 443, 100_000)])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(1, 10**6)), max_size=40),
    st.integers(1, 40),
)
@settings(deadline=None, max_examples=30)
def test_any_batches_give_the_same_sums(rows: list[tuple[int, int, int]], cut: int) -> None:
    flows = [UP | {"dst": f"203.0.{n}.7", "dst_port": p, "octets": size} for n, p, size in rows]
    found = Destinations(PLAN, ("edge",), CLIENTS)
    for begin in range(0, len(flows), cut):
        found.add(flow_maker.flows(flows[begin : begin + cut]))
    sums: dict[tuple[int, int], int] = {}
    for n, port, size in rows:
        sums[n, port] = sums.get((n, port), 0) + size
    wanted = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    assert found.total == sum(sums.values())
    assert found.largest() == [to(f"203.0.{n}.0/24", port, size) for (n, port), size in wanted]


def test_of_very_many_the_largest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_HELD", 20)
    found = Destinations(PLAN, ("edge",), CLIENTS)
    sizes = np.random.default_rng(7).permutation(100) + 1
    for n, size in enumerate(sizes.tolist()):
        # The largest of all comes in parts.
        row = UP | {"dst": f"203.0.{n}.7", "octets": size}
        found.add(flow_maker.flows([row, UP | {"dst": "203.1.0.1", "octets": 50}]))
    largest = found.largest()
    assert found.total == 5050 + 5000
    assert largest[0] == to("203.1.0.0/24", 443, 5000)
    assert len(largest) <= 10
    assert largest[1].bytes == 100
