"""Laws of the aggregates: conservation, and equality under any partition, order and batching."""

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from flow_maker import catalog, flows

from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import Sums, merge_accumulators
from v6share.pipelines.kernels.classify.compile_catalog import compile_rules
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import FRAGMENT_TABLES, THETA_MAX, THETA_SIZE
from v6share.schemas.columns import Table
from v6share.schemas.ledger import LEDGER_FAMILIES, REJECTS

RULES = compile_rules(catalog())
PLAN = Plan(
    RULES,
    {"192.0.2.1": ("edge", 0, False), "192.0.2.2": ("core", 500, True)},
    b"0123456789abcdef",
    reporting_offset_ms=3_600_000,
)


def random_rows(seed: int, count: int) -> list[dict]:
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        v6 = rng.random() < 0.5
        client = (
            f"2a00:100:{rng.choice(['0', '8000'])}:{rng.randint(0, 400):x}::1"
            if v6
            else f"10.{rng.randint(0, 3)}.0.{rng.randint(1, 250)}"
        )
        service = rng.choice(
            ["2001:db8:1::5", "2001:db8:2::5", "64:ff9b::c612:109"]
            if v6
            else ["198.18.1.5", "198.18.0.7", "203.0.113.9"]
        )
        row = {
            "src": client,
            "dst": service,
            "src_port": rng.randint(1024, 65535),
            "dst_port": rng.choice([443, 80, 53]),
            "protocol": rng.choice([6, 6, 17, 47, 1]),
            "flags": rng.choice([-1, 2, 16, 18]),
            "start": rng.randint(0, 7_000_000),
            "duration": rng.choice([0, 1, 999, 300_000, rng.randint(0, 4_000_000)]),
            "packets": rng.choice([1, 2, rng.randint(1, 5000)]),
            "octets": rng.randint(0, 5_000_000),
            "num": rng.choice([0, 1, 1, 100, 1000, 7]),
            "exporter": rng.choice(["192.0.2.1", "192.0.2.2", "2001:db8::99"]),
            "faults": rng.choice([0] * 20 + [1, 1 << 10]),
            "rtt_client_us": rng.choice([-1, 0, 1, rng.randint(1, 10_000_000)]),
            "rtt_server_us": rng.choice([-1, rng.randint(1, 10_000)]),
            "retransmits": rng.choice([-1, 0, 3]),
            "subscriber": rng.choice([None, None, "", f"s{rng.randint(0, 90)}"]),
            "server_name": rng.choice([None, "video.example", "other.example"]),
            "row": len(rows),
        }
        if rng.random() < 0.5:
            row["src"], row["dst"] = row["dst"], row["src"]
            row["src_port"], row["dst_port"] = row["dst_port"], row["src_port"]
        rows.append(row)
    return rows


def summed(*lanes_of_batches: list[list[dict]]) -> Sums:
    lanes = []
    for batches in lanes_of_batches:
        lane = Accumulator(PLAN)
        for batch in batches:
            lane.add(flows(batch))
        lanes.append(lane)
    return merge_accumulators(PLAN, lanes)


def assert_equal(a: Sums, b: Sums) -> None:
    for name, table in a.tables.items():
        assert table.equals(b.tables[name]), name
    for name in ("rows_in", "rows_counted", "rows_rejected", "largest_sum", "first_ms", "last_ms"):
        assert getattr(a, name) == getattr(b, name), name
    assert a.without_interval == b.without_interval


@pytest.mark.parametrize("seed", range(4))
def test_no_partition_order_or_batch_shows(seed: int) -> None:
    rng = random.Random(seed)
    rows = random_rows(seed, 3000)
    whole = summed([rows])
    shuffled = rng.sample(rows, len(rows))
    assert_equal(whole, summed([shuffled]))
    lanes: list[list[list[dict]]] = [[] for _ in range(rng.randint(2, 5))]
    while shuffled:
        size = rng.randint(1, 700)
        rng.choice(lanes).append(shuffled[:size])
        shuffled = shuffled[size:]
    assert_equal(whole, summed(*lanes))


@pytest.mark.parametrize("seed", range(4, 7))
def test_nothing_is_lost(seed: int) -> None:
    rows = random_rows(seed, 2000)
    sums = summed([rows])
    families = sums.tables[LEDGER_FAMILIES.name].to_pylist()
    assert sums.rows_in == len(rows) == sums.rows_counted + sums.rows_rejected
    assert sum(f["rows"] for f in families) == len(rows)
    assert sum(f["sampled_bytes"] for f in families) == sum(r["octets"] for r in rows)
    assert sum(f["sampled_packets"] for f in families) == sum(r["packets"] for r in rows)
    rejects = sums.tables[REJECTS.name].to_pylist()
    assert sum(r["rows"] for r in rejects) == sums.rows_rejected
    counted = [f for f in families if f["disposition"] == "counted"]
    traffic = sums.tables["traffic_5m"].to_pylist()
    for measure in ("packets", "bytes", "sampled_packets", "sampled_bytes"):
        for family in ("v4", "v6", "unknown"):
            assert sum(t[measure] for t in traffic if t["family"] == family) == sum(
                f[measure] for f in counted if f["family"] == family
            )
    hours = sums.tables["exporters_1h"].to_pylist()
    assert sum(h["records"] for h in hours) == sums.rows_counted
    for measure in ("packets", "bytes"):
        # What an exporter sent in an hour is what its twelve windows carry.
        assert by_hour(hours, measure) == by_hour(traffic, measure)


def by_hour(table: list[dict], measure: str) -> Counter:
    found: Counter = Counter()
    for row in table:
        hour = row["window_start"].replace(minute=0)
        found[hour, row["family"]] += row[measure]
    return +found


def without_dictionaries(schema: pa.Schema) -> pa.Schema:
    """Text is text, encoded or not."""
    return pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    )


def of_fragments(table: Table) -> pa.Schema:
    """The schema of a table there: by which key a client was hashed is known of the whole input."""
    return pa.schema([field for field in table.arrow_schema if field.name != "client_key"])


def test_tables_have_their_schemas_and_order() -> None:
    sums = summed([random_rows(9, 1500)])
    for table in FRAGMENT_TABLES:
        got = sums.tables[table.name]
        assert without_dictionaries(got.schema).equals(of_fragments(table)), table.name
        assert got.num_rows > 0, table.name
        keys = [tuple(row.get(k) for k in table.key) for row in got.to_pylist()]
        assert keys == sorted(keys), table.name
        assert len(set(keys)) == len(keys), table.name


def test_an_empty_input_has_empty_tables() -> None:
    sums = summed([])
    assert sums.rows_in == 0
    assert all(t.num_rows == 0 for t in sums.tables.values())
    for table in FRAGMENT_TABLES:
        schema = without_dictionaries(sums.tables[table.name].schema)
        assert schema.equals(of_fragments(table)), table.name


def test_split_over_windows_by_hand() -> None:
    """100 octets, 7 packets over 0:04:00 to 0:11:00: windows of 60, 300 and 60 of 420 seconds."""
    start = 240_000 - 1_750_000_000_000 % 300_000
    rows = [{"start": start, "duration": 420_000, "packets": 7, "octets": 100}]
    got = summed([rows]).tables["traffic_5m"]
    # floor(100 * 60 / 420) = 14, floor(100 * 360 / 420) = 85
    assert got["bytes"].to_pylist() == [14, 71, 15]
    assert got["packets"].to_pylist() == [1, 5, 1]
    assert got["records"].to_pylist() == [1, 0, 0]
    assert got["tcp_opens"].to_pylist() == [1, 0, 0]


def test_a_variance_of_over_64_bits_is_split_and_summed_to_the_last_one() -> None:
    """One packet of o octets at 1:N has V = N (N - 1) o^2, here about 2^101 each."""
    start = 240_000 - 1_750_000_000_000 % 300_000
    num, octets = 2**31, [2**20 - 3, 2**20 - 5, 2**20 - 7, 2**20 - 9]
    whole = [num * (num - 1) * o * o for o in octets]
    for duration in (0, 420_000):
        rows = [
            {"start": start, "duration": duration, "packets": 1, "octets": o, "num": num}
            for o in octets
        ]
        got = summed([rows]).tables["traffic_5m"]["bytes_variance"].to_pylist()
        before = [sum(v * upto // 420 for v in whole) for upto in (0, 60, 360, 420)]
        pieces = [b - a for a, b in pairwise(before)] if duration else [sum(whole)]
        assert [int(v) for v in got] == pieces


def test_bytes_of_unknown_error_are_split_like_all_bytes() -> None:
    start = 240_000 - 1_750_000_000_000 % 300_000
    rows = [{"start": start, "duration": 420_000, "octets": 100, "pre_scaled": True, "num": 0}]
    got = summed([rows]).tables["traffic_5m"]
    assert got["bytes_error_unknown"].to_pylist() == got["bytes"].to_pylist() == [14, 71, 15]


def test_more_exporters_than_a_table_has_room_for_at_first() -> None:
    """Room is for 1,024 groups: the next one has its own row, and so has the one before."""
    rows = [{"exporter": f"198.51.{i >> 8}.{i & 255}", "octets": 1000 + i} for i in range(1100)]
    hours = summed([rows]).tables["exporters_1h"].to_pylist()
    assert {h["exporter"]: h["bytes"] for h in hours} == {r["exporter"]: r["octets"] for r in rows}
    assert [h["records"] for h in hours] == [1] * 1100


def test_the_span_of_an_input_is_that_of_its_counted_flows() -> None:
    rejected = [{"start": start, "faults": 1} for start in (-5000, 5000)]
    sums = summed([[{"start": 10, "duration": 20}, *rejected]])
    assert (sums.first_ms, sums.last_ms) == (1_750_000_000_010, 1_750_000_000_030)


def test_a_moment_and_a_window_edge() -> None:
    edge = 300_000 - 1_750_000_000_000 % 300_000
    rows = [{"start": edge, "duration": 0}, {"start": edge - 1000, "duration": 1000}]
    got = summed([rows]).tables["traffic_5m"]
    assert got["bytes"].to_pylist() == [5000, 5000], "[start, end) touches no window behind it"
    rows = [{"start": edge - 1000, "duration": 301_000}]
    assert summed([rows]).tables["traffic_5m"].num_rows == 2, "nor is there an empty one"
    rows = [{"start": edge - 999, "duration": 1000, "octets": 1000, "packets": 1000}]
    assert summed([rows]).tables["traffic_5m"]["bytes"].to_pylist() == [999, 1]


def test_sketches_are_the_smallest_hashes() -> None:
    """Over 4,096 clients: theta is the 4,097th smallest distinct hash, whatever the order."""
    rows = [
        {"src": f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}", "dst": "198.18.1.5"}
        for i in range(2, 9002)
    ]
    lane = Accumulator(PLAN)
    lane.add(flows(rows))
    assert lane.clients.held().length.max() <= 8192
    rng = random.Random(1)
    rng.shuffle(rows)
    parts = [rows[i::3] for i in range(3)]
    table = summed(*[[p] for p in parts]).tables["clients_1d"]
    every = table.filter(pa.compute.equal(table["scope"], "all")).to_pylist()
    assert len(every) == 1
    hashes = every[0]["client_hashes"]
    assert len(hashes) == THETA_SIZE
    assert hashes == sorted(set(hashes))
    assert max(hashes) < every[0]["theta"] < THETA_MAX
    estimate = len(hashes) / (every[0]["theta"] / 2**64)
    assert abs(estimate / 9000 - 1) < 0.05
    assert_equal(summed([rows]), summed(*[[p] for p in parts]))


def client_rows(rows: list[dict]) -> list[tuple]:
    table = summed([rows]).tables["clients_1d"].to_pylist()
    return sorted(
        (str(r["day"]), r["family"], r["unit"], len(r["client_hashes"]))
        for r in table
        if r["scope"] == "all"
    )


def test_which_clients_count() -> None:
    v6 = {"src": "2a00:100::1", "dst": "2001:db8:2::5"}
    day, day_before_end = "2025-06-15", 86_400_000
    assert client_rows([{}]) == [(day, "v4", "prefix", 1)]
    assert summed([[{}]]).tables["clients_1d"]["theta"].to_pylist() == [THETA_MAX] * 5
    # one /64 of a mobile network is one client; two are two
    assert client_rows([v6, {**v6, "src": "2a00:100::2"}]) == [(day, "v6", "prefix", 1)]
    assert client_rows([v6, {**v6, "src": "2a00:100:0:1::2"}]) == [(day, "v6", "prefix", 2)]
    # a fixed network counts /56
    fixed = {**v6, "src": "2a00:100:8000::1"}
    assert client_rows([fixed, {**fixed, "src": "2a00:100:8000:ff::1"}]) == [
        (day, "v6", "prefix", 1)
    ]
    no_users = [{"dst_port": port} for port in (53, 853, 5353)]
    no_users += [
        {"src": "198.18.0.7", "dst": "10.0.0.1", "src_port": port, "dst_port": 40000}
        for port in (53, 853, 5353)
    ]
    assert client_rows([*no_users, {"protocol": 1}, {"src": "10.9.0.1"}]) == []
    assert client_rows([{"subscriber": "a"}, {**v6, "subscriber": "a"}, {"subscriber": ""}]) == [
        (day, "v4", "prefix", 1),
        (day, "v4", "subscriber", 1),
        (day, "v6", "subscriber", 1),
    ]
    # translated clients are IPv6 clients, also those behind the pool
    assert client_rows([{"src": "10.200.0.1"}])[0][1] == "v6"
    # a flow counts on every day that it overlaps
    long = {"duration": day_before_end}
    assert [r[0] for r in client_rows([long])] == ["2025-06-15", "2025-06-16"]
    # ... and not on one that begins when it ends
    local = 1_750_000_000_000 + PLAN.reporting_offset_ms
    to_midnight = {"start": 0, "duration": 86_400_000 - local % 86_400_000}
    assert [r[0] for r in client_rows([to_midnight])] == ["2025-06-15"]


def test_an_hour_that_begins_when_a_flow_ends_saw_nothing() -> None:
    to_the_hour = 3_600_000 - 1_750_000_000_000 % 3_600_000
    hours = [
        len(summed([[{"start": 0, "duration": to_the_hour + more}]]).tables["exporters_1h"])
        for more in (0, 1)
    ]
    assert hours == [1, 2]


def test_addresses_for_documentation_are_a_finding() -> None:
    lane = Accumulator(PLAN)
    lane.add(flows([{"src": a, "dst": "2001:db8:2::5"} for a in ("2a00:100::1", "2a00:100::2")]))
    found = lane.findings["192.0.2.1", "documentation address"]
    assert found == (2, 10_000, 0, "row 0")  # by their service
    lane = Accumulator(PLAN)
    lane.add(flows([{"src": "3fff::1", "dst": "2a00:100::1"}, {"src": "4000::1", "dst": "::2"}]))
    assert lane.findings["192.0.2.1", "documentation address"] == (1, 5000, 0, "row 0")


def test_health_only_from_unsampled_exporters() -> None:
    rows = [
        {"flags": 2},
        {"flags": 2, "num": 100},
        {"flags": 18, "retransmits": 2},
        {"flags": 18},
        {"flags": 16, "retransmits": 2**62},
        {"flags": 2, "num": 3, "den": 2},
        {"flags": 2, "num": 0, "pre_scaled": True},  # sampled somehow
        {"src": "198.18.1.1", "dst": "10.0.0.1", "src_port": 443, "dst_port": 9999, "flags": 2},
    ]
    health = summed([rows]).tables["health_1h"].to_pylist()
    assert len(health) == 1
    assert health[0]["tcp_flows"] == 3
    assert health[0]["unanswered_flows"] == 1
    assert health[0]["retransmitted_packets"] == 2
    assert health[0]["packets"] == 10


def test_every_packet_may_be_a_retransmission_and_no_more() -> None:
    rows = [{"flags": 16, "packets": 10, "retransmits": again} for again in (0, 10, 11)]
    (health,) = summed([rows]).tables["health_1h"].to_pylist()
    assert (health["retransmitted_packets"], health["packets"]) == (10, 20)


def test_rtt_buckets() -> None:
    rows = [{"rtt_client_us": v} for v in (0, 1, 2, 100, 10**10)]
    table = summed([rows]).tables["rtt_1h"]
    assert table["side"].unique().to_pylist() == ["client"]
    assert table["samples"].to_pylist() == [1, 1, 1, 1, 1]
    assert table["bucket"].to_pylist()[:3] == [0, 1, 2]
    assert (np.diff(table["bucket"].to_numpy()) > 0).all()
