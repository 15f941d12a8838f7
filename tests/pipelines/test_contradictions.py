"""Records that contradict themselves: what is counted, rejected, and said of them."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from flow_maker import catalog

from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import Sums, merge_accumulators
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.normalise.source_types import check_types
from v6share.schemas.dialects import builtin_dialects, dialect_named
from v6share.schemas.settings import Settings


def plan_of(declared):
    return compile_plan(declared, Settings(), b"0123456789abcdef")


DAY_MS = 86_400_000
NOON = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp() * 1000)
READ_AT = NOON + 30 * DAY_MS
PLAN = plan_of(catalog())
IPFIX: dict[str, Any] = {
    "flowStartMilliseconds": NOON - 1000,
    "flowEndMilliseconds": NOON,
    "sourceIPAddress": "2a00:100::1",
    "destinationIPAddress": "2001:db8:1::7",
    "protocolIdentifier": 6,
    "sourceTransportPort": 50_000,
    "destinationTransportPort": 443,
    "tcpControlBits": 24,
    "packetDeltaCount": 10,
    "octetDeltaCount": 5_000,
    "samplingInterval": 1,
    "exporterIPAddress": "192.0.2.3",
}
GOFLOW2: dict[str, Any] = {
    "type": "IPFIX",
    "time_received_ns": NOON * 10**6,
    "time_flow_start_ns": (NOON - 1000) * 10**6,
    "time_flow_end_ns": NOON * 10**6,
    "sampler_address": "192.0.2.3",
    "sampling_rate": 1,
    "src_addr": "2a00:100::1",
    "dst_addr": "2001:db8:1::7",
    "etype": "IPv6",
    "proto": "TCP",
    "src_port": 50_000,
    "dst_port": 443,
    "bytes": 5_000,
    "packets": 10,
}
PMACCT: dict[str, Any] = {
    "timestamp_start": "2026-03-10 11:59:59",
    "timestamp_end": "2026-03-10 12:00:00",
    "timestamp_export": "2026-03-10 12:00:00",
    "timestamp_arrival": "2026-03-10 12:00:00",
    "peer_ip_src": "192.0.2.3",
    "etype": "86dd",
    "sampling_rate": 1,
    "ip_src": "2a00:100::1",
    "ip_dst": "2001:db8:1::7",
    "ip_proto": "tcp",
    "port_src": 50_000,
    "port_dst": 443,
    "packets": 10,
    "bytes": 5_000,
}
DIALECT_OF = {id(IPFIX): "ipfix", id(GOFLOW2): "goflow2", id(PMACCT): "pmacct"}


def counted(*rows: dict[str, Any], base: dict[str, Any] = IPFIX, plan=PLAN, **types: Any) -> Sums:
    """What rows come to that differ from a plain one so."""
    whole = [base | row for row in rows]
    names = dict.fromkeys(name for row in whole for name in row)
    batch = pa.record_batch({n: pa.array([r.get(n) for r in whole], types.get(n)) for n in names})
    dialect = dialect_named(DIALECT_OF[id(base)], builtin_dialects())
    check_types(batch.schema, dialect)
    lane = Accumulator(plan, READ_AT)
    for flows in normalise(batch, dialect):
        lane.add(flows)
    return merge_accumulators(plan, [lane])


def findings(sums: Sums) -> dict[str, tuple[int, int, str]]:
    """Rows, bytes and example by finding, of the one exporter; documentation left out."""
    rows = sums.tables["ledger_findings"].to_pylist()
    return {
        row["finding"]: (row["rows"], int(row["bytes"]), row["example"])
        for row in rows
        if row["finding"] != "documentation address"
    }


def rejects(sums: Sums) -> dict[str, int]:
    return {row["reason"]: row["rows"] for row in sums.tables["rejects"].to_pylist()}


def families(sums: Sums) -> dict[str, int]:
    rows = sums.tables["ledger_families"].to_pylist()
    return {row["family"]: row["rows"] for row in rows if row["disposition"] == "counted"}


def windows(sums: Sums) -> Counter:
    found: Counter = Counter()
    for row in sums.tables["traffic_5m"].to_pylist():
        found[row["window_start"].isoformat()] += row["bytes"]
    return found


# 1. Parts of one record that disagree about the family.


@pytest.mark.parametrize(
    ("value", "told", "family"),
    [
        (bytes([10, 0, 0, 1]) + bytes(12), 0x0800, "v4"),
        (bytes(12) + bytes([10, 0, 0, 1]), 0x0800, "v4"),
        (bytes([10, 0, 0, 1]) + bytes(12), 0x86DD, "v6"),
        (bytes([0x2A, 0, 1, 0]) + bytes(11) + b"\1", 0x0800, "v6"),
    ],
)
def test_sixteen_bytes_that_hold_ipv4_are_ipv4_where_it_is_told(
    value: bytes, told: int, family: str
) -> None:
    ends = {"src_addr": value, "dst_addr": value, "etype": told}
    binary = {"src_addr": pa.binary(16), "dst_addr": pa.binary(16), "etype": pa.uint32()}
    sums = counted(ends, base=GOFLOW2, **binary)
    assert families(sums) == {family: 1}
    contradicts = told == 0x0800 and family == "v6"
    assert ("addresses of another family than told" in findings(sums)) is contradicts


SHORT = bytes([0x2A, 0, 1, 0])
MAPPED = bytes(10) + bytes([255, 255, 10, 0, 0, 1])


@pytest.mark.parametrize(
    ("value", "kind", "family"),
    [
        (SHORT, pa.binary(), "unknown"),
        (SHORT, pa.binary(4), "unknown"),
        (SHORT, pa.large_binary(), "unknown"),
        (0x2A000100, pa.uint32(), "unknown"),
        # IPv4 in 16 bytes was not cut.
        (MAPPED, pa.binary(16), "v4"),
        (MAPPED, pa.binary(), "v4"),
        ("10.0.0.1", pa.string(), "v4"),
    ],
)
def test_four_bytes_of_what_is_told_to_be_ipv6_are_unknown(
    value: Any, kind: pa.DataType, family: str
) -> None:
    ends = {"src_addr": value, "dst_addr": value, "etype": 0x86DD}
    # A row without addresses beside it is of the family that is told.
    none = {"src_addr": None, "dst_addr": None, "etype": 0x86DD}
    kinds = {"src_addr": kind, "dst_addr": kind, "etype": pa.uint32()}
    sums = counted(ends, none, base=GOFLOW2, **kinds)
    assert families(sums) == {family: 1, "v6": 1}
    assert findings(sums)["addresses of another family than told"] == (1, 5_000, "row 0")


@pytest.mark.parametrize(
    ("version", "family"), [(4, "v4"), (6, "v4")], ids=["told IPv4", "told IPv6"]
)
def test_four_bytes_of_the_ipv4_column_are_ipv4(version: int, family: str) -> None:
    v4 = {"sourceIPv4Address": SHORT, "destinationIPv4Address": SHORT, "ipVersion": version}
    sums = counted({"sourceIPAddress": None, "destinationIPAddress": None} | v4)
    assert families(sums) == {family: 1}


def test_four_bytes_of_the_ipv6_column_are_the_rest_of_an_address() -> None:
    v6 = {"sourceIPv6Address": SHORT, "destinationIPv6Address": SHORT, "ipVersion": 6}
    sums = counted({"sourceIPAddress": None, "destinationIPAddress": None} | v6)
    assert families(sums) == {"unknown": 1}


@pytest.mark.parametrize(
    ("src", "dst", "family"),
    [
        ("::10.0.0.1", "::10.0.0.2", "v4"),
        ("10.0.0.1", "::10.0.0.2", "v4"),
        ("::10.0.0.1", "10.0.0.2", "v4"),
        ("::1", "::2", "v6"),
        ("2a00:100::1", "::10.0.0.2", "v6"),
        ("10.0.0.1", "2a00:100::1", "unknown"),
    ],
)
def test_ipv4_behind_two_colons_is_ipv4_where_it_is_told(src: str, dst: str, family: str) -> None:
    ends = {"src_addr": src, "dst_addr": dst, "etype": "IPv4"}
    assert families(counted(ends, base=GOFLOW2)) == {family: 1}


@pytest.mark.parametrize(
    ("src", "dst", "family"),
    [
        # Networks of IPv6 that were masked to 32 bits.
        ("2001:db8::", "2a00:100::", "v6"),
        ("::10.0.0.1", "10.0.0.2", "v4"),
        ("2001:db8::1", "2a00:100::1", "v6"),
    ],
)
def test_an_ethertype_that_is_often_garbage_proves_little(src: str, dst: str, family: str) -> None:
    sums = counted({"ip_src": src, "ip_dst": dst, "etype": "800"}, base=PMACCT)
    assert families(sums) == {family: 1}
    assert ("addresses of another family than told" in findings(sums)) is (family == "v6")


@pytest.mark.parametrize(
    ("change", "family"),
    [({"ipVersion": 4}, "v6"), ({"ethernetType": 0x0800}, "v6"), ({"ipVersion": 6}, "v6")],
)
def test_text_addresses_win_and_the_contradiction_is_said(
    change: dict[str, int], family: str
) -> None:
    sums = counted(change)
    assert families(sums) == {family: 1}
    told = "addresses of another family than told" in findings(sums)
    assert told is (change != {"ipVersion": 6})


# 2. Times that are contradicted by the record's export, or by the clock.


@pytest.mark.parametrize(
    ("off_ms", "reason", "rolled"),
    [
        (-3 * 3_600_000, None, False),  # waited in a queue
        (-2 * DAY_MS, None, False),
        (-2 * DAY_MS - 1, "stale", False),
        (-(2**32) - 60_000, "stale", True),
        (-3 * 2**32, "stale", True),
        (11 * 60_000, "future", False),
        (2**32, "future", True),
    ],
)
def test_what_ends_too_long_before_or_after_its_export(
    off_ms: int, reason: str | None, rolled: bool
) -> None:
    end = NOON + off_ms
    times = {"time_flow_start_ns": (end - 1000) * 10**6, "time_flow_end_ns": end * 10**6}
    sums = counted(times, base=GOFLOW2)
    assert rejects(sums) == ({reason: 1} if reason else {})
    assert ("uptime rolled over" in findings(sums)) is rolled
    if reason:
        when = f"{datetime.fromtimestamp(end // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        assert findings(sums)[f"rejected: {reason}"] == (1, 5_000, f"row 0, ends {when}")


@pytest.mark.parametrize(
    ("ended", "exported", "arrived", "reason"),
    [
        ("03-10", "03-10", "03-10", None),
        # The exporter's clock is wrong in all that it says, and the collector's tells.
        ("03-01", "03-01", "03-10", "stale"),
        ("03-20", "03-20", "03-10", "future"),
        ("03-01", "03-01", "03-03", None),
        ("03-01", "03-01", None, None),
        # The export alone contradicts.
        ("03-10", "03-08", "03-10", "future"),
        ("03-10", "03-14", "03-10", "stale"),
    ],
)
def test_a_time_is_held_against_both_the_export_and_the_receipt(
    ended: str, exported: str, arrived: str | None, reason: str | None
) -> None:
    names = ("timestamp_start", "timestamp_end", "timestamp_export", "timestamp_arrival")
    days = (ended, ended, exported, arrived)
    texts = [None if day is None else f"2026-{day} 12:00:00" for day in days]
    assert rejects(counted(dict(zip(names, texts, strict=True)), base=PMACCT)) == (
        {reason: 1} if reason else {}
    )
    names = ("flowStartMilliseconds", "flowEndMilliseconds", "exportTime")
    moments = [NOON + (int(day[3:]) - 10) * DAY_MS for day in (ended, ended, exported)]
    moments[2] //= 1000
    received = None if arrived is None else NOON + (int(arrived[3:]) - 10) * DAY_MS
    ipfix = dict(zip(names, moments, strict=True)) | {"collectionTimeMilliseconds": received}
    assert rejects(counted(ipfix)) == ({reason: 1} if reason else {})


@pytest.mark.parametrize(("ahead_ms", "reason"), [(3_600_000, None), (3_600_001, "future")])
def test_days_after_the_moment_of_reading_are_no_days(ahead_ms: int, reason: str | None) -> None:
    end = READ_AT + ahead_ms
    sums = counted({"flowStartMilliseconds": end - 5, "flowEndMilliseconds": end})
    assert rejects(sums) == ({reason: 1} if reason else {})


# 3. Values that cannot be true.


@pytest.mark.parametrize(
    ("interval", "found"),
    [
        (1, None),
        (1000, None),
        (4096, None),
        (16_384, None),
        (100_000, None),
        (59_395, "sampling interval with swapped bytes"),  # 1,000 in 16 bits
        (25_600, "sampling interval with swapped bytes"),  # 100 in 16 bits
        (3_892_510_720, "sampling interval with swapped bytes"),  # 1,000 in 32 bits
        (131_072, "sampling interval over the limit"),
    ],
)
def test_intervals_that_nobody_sets(interval: int, found: str | None) -> None:
    sums = counted({"samplingInterval": interval, "octetDeltaCount": 500, "packetDeltaCount": 1})
    assert sums.rows_counted == 1
    said = findings(sums)
    if found is None:
        assert not said
    else:
        assert said[found] == (1, 500 * interval, f"row 0, interval {interval:,}")


@pytest.mark.parametrize(
    ("change", "few"),
    [
        ({"octetDeltaCount": 400}, False),  # 10 packets of 40 bytes
        ({"octetDeltaCount": 399}, True),
        ({"octetDeltaCount": 0}, True),
        ({"sourceIPAddress": "10.0.0.1", "destinationIPAddress": "198.18.1.1",
          "octetDeltaCount": 200}, False),
        ({"sourceIPAddress": "10.0.0.1", "destinationIPAddress": "198.18.1.1",
          "octetDeltaCount": 199}, True),
    ],
)  # fmt: skip
def test_fewer_bytes_than_headers(change: dict[str, Any], few: bool) -> None:
    sums = counted(change)
    assert sums.rows_counted == 1
    assert ("fewer bytes than headers" in findings(sums)) is few


@pytest.mark.parametrize(
    ("src", "odd"),
    [
        ("2a00:100::1", False),
        ("fd00::1", False),
        ("64:ff9b::1", False),
        ("fe80::1", False),
        ("9cf5:35d0:800:4500:53c:87f8:4000:3f06", True),
        ("5::1", True),
        ("100::1", False),
        ("100::ffff:ffff:ffff:ffff", False),
        ("100:0:0:1::1", True),
        ("fec0::1", True),
    ],
)
def test_ipv6_that_nobody_was_given(src: str, odd: bool) -> None:
    sums = counted({"sourceIPAddress": src})
    assert ("IPv6 outside unicast" in findings(sums)) is odd


def test_prefixes_of_the_catalog_are_no_oddity() -> None:
    own = catalog(**{"prefixes.csv": b"prefix,region,network\n5000::/16,north,mob\n"})
    sums = counted({"sourceIPAddress": "5000::1"}, plan=plan_of(own))
    assert not findings(sums)


def test_a_record_that_was_read_at_a_wrong_place_is_rejected() -> None:
    junk = {"sourceIPAddress": "9cf5:35d0:800:4500:53c:87f8:4000:3f06", "packetDeltaCount": 10**6}
    sums = counted(junk, {})
    assert rejects(sums) == {"bad_address": 1}
    assert findings(sums)["rejected: bad_address"] == (1, 5_000, "row 0")


@pytest.mark.parametrize("name", ["N/A", "unknown", " - ", "Anonymous", "", "  "])
def test_placeholders_are_no_subscriber_and_no_name(name: str) -> None:
    row = {"userName": name, "tlsServerName": name, "applicationName": name}
    sums = counted(row, {"userName": "alice", "tlsServerName": "a.example", "applicationName": "x"})
    units = {row["unit"] for row in sums.tables["clients_1d"].to_pylist()}
    assert units == {"prefix", "subscriber"}


@pytest.mark.parametrize(("prefixes", "found"), [(3, False), (12, False), (40, True), (200, True)])
def test_a_subscriber_with_dozens_of_prefixes_at_once(prefixes: int, found: bool) -> None:
    rows = [
        {"userName": "shared", "sourceIPAddress": f"2a00:100:0:{n << 8:x}::1"}
        for n in range(prefixes)
    ]
    rows += [
        {"userName": f"u{n}", "sourceIPAddress": f"2a00:100:1:{n << 8:x}::1"} for n in range(99)
    ]
    said = findings(counted(*reversed(rows)))
    assert said == (
        {"subscriber with many prefixes": (prefixes, prefixes * 5_000, "row 99")} if found else {}
    )


# 4. Elements that say what happened.


def test_times_as_differences_and_durations() -> None:
    bare = dict.fromkeys(("flowStartMilliseconds", "flowEndMilliseconds"))
    export = {"exportTime": NOON // 1000}
    before = {"flowStartDeltaMicroseconds": 90_000_000, "flowEndDeltaMicroseconds": 30_000_000}
    sums = counted(bare | export | before)
    assert sums.last_ms == NOON - 30_000
    assert sums.first_ms == NOON - 90_000
    lasted = {"flowEndMilliseconds": NOON, "flowStartMilliseconds": None}
    for unit, amount in (("Milliseconds", 7_000), ("Microseconds", 7_000_000)):
        sums = counted(lasted | {f"flowDuration{unit}": amount})
        assert (sums.first_ms, sums.last_ms) == (NOON - 7_000, NOON)


@pytest.mark.parametrize(("event", "reason"), [(1, None), (3, "action_reject"), (5, None)])
def test_denied_flows_are_no_traffic(event: int, reason: str | None) -> None:
    sums = counted({"firewallEvent": event})
    assert rejects(sums) == ({reason: 1} if reason else {})


LONG = {"flowStartMilliseconds": NOON - 3_600_000, "octetTotalCount": 900_000}


@pytest.mark.parametrize(
    ("change", "exporters", "since_ms"),
    [
        (LONG | {"flowActiveTimeout": 60}, "", 60_000),
        (LONG, "192.0.2.3,edge,border,,false,300\n", 300_000),
        (LONG | {"flowActiveTimeout": 60}, "192.0.2.3,edge,border,,false,300\n", 60_000),
        (LONG, "", 3_600_000),  # not known: a finding
        (LONG | {"octetTotalCount": 5_000, "flowActiveTimeout": 60}, "", 3_600_000),  # the first
    ],
)
def test_counters_since_the_last_export(
    change: dict[str, Any], exporters: str, since_ms: int
) -> None:
    head = "exporter,vantage,role,sampling_interval,white_box,active_timeout\n"
    plan = plan_of(catalog(**{"exporters.csv": (head + exporters).encode()}))
    sums = counted(change, plan=plan)
    assert sums.first_ms == NOON - since_ms
    assert sum(windows(sums).values()) == 5_000
    unknown = change == LONG and not exporters
    assert ("counters of a longer connection" in findings(sums)) is unknown


@pytest.mark.parametrize(
    ("flags", "direction"), [(2, "to_service"), (18, "to_client"), (24, "to_client")]
)
def test_a_syn_without_ack_tells_the_client_where_no_app_does(flags: int, direction: str) -> None:
    row = {
        "destinationIPAddress": "2a00:900::1",
        "sourceTransportPort": 80,
        "destinationTransportPort": 50_000,
        "tcpControlBits": flags,
    }
    directions = {r["direction"] for r in counted(row).tables["traffic_5m"].to_pylist()}
    assert directions == {direction}


# 5. Names and addresses as they come.


@pytest.mark.parametrize(
    "text",
    ["2a00:100::1/128", "[2a00:100::1]", "[2a00:100::1]:443", "2a00:100::1%eth0",
     "2a00:100::1%eth0/128", "[2a00:100::1%3]"],
)  # fmt: skip
def test_addresses_with_something_around_them(text: str) -> None:
    assert families(counted({"sourceIPAddress": text})) == {"v6": 1}
    client = counted({"sourceIPAddress": text}).tables["traffic_5m"].to_pylist()[0]
    assert client["client_region"] == "north"


@pytest.mark.parametrize(
    "text",
    ["2a00:100::1/64", "10.0.0.1/24", "10.0.0.1%eth0", "[2a00:100::1", "[2a00:100::1]x",
     "[2a00:100::1]:", "2a00:100::1%", "[]", "/32", "%"],
)  # fmt: skip
def test_what_is_no_address_of_one_host(text: str) -> None:
    assert rejects(counted({"sourceIPAddress": text})) == {"bad_address": 1}


@pytest.mark.parametrize(
    "name",
    ["video.example:443", "VIDEO.example.", "user@video.example", "https://video.example/a?b",
     "www.video.example:8080"],
)  # fmt: skip
def test_names_of_hosts_with_something_around_them(name: str) -> None:
    row = {"destinationIPAddress": "2a00:900::1", "tlsServerName": name}
    apps = {r["app"] for r in counted(row).tables["traffic_5m"].to_pylist()}
    assert apps == {"video"}


def test_examples_are_rows_of_the_file() -> None:
    sums = counted({}, {}, {"octetDeltaCount": 10}, {"octetDeltaCount": 20})
    assert findings(sums)["fewer bytes than headers"] == (2, 30, "row 2")
    assert set(sums.tables["ledger_findings"]["exporter"].to_pylist()) == {"192.0.2.3"}
