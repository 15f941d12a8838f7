"""The ipfix dialect on hand-made rows, and on the same rows in every form."""

from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.kernels.normalise.column_values import decimal_number, holds_in, whole
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.normalise.numbers import first_number, source_number
from v6share.pipelines.kernels.normalise.source_types import check_types
from v6share.schemas.aggregates import FAMILIES, UNDERLAYS
from v6share.schemas.dialects import builtin_dialects, dialect_named, parse_dialect
from v6share.schemas.errors import InputRefused
from v6share.schemas.ledger import REJECT_REASONS
from v6share.schemas.source_kinds import NumberSource

IPFIX = dialect_named("ipfix", builtin_dialects())
GOFLOW2 = dialect_named("goflow2", builtin_dialects())
T = 1_767_225_600_000
ROW: dict[str, Any] = {
    "flowStartMilliseconds": T,
    "flowEndMilliseconds": T + 1500,
    "sourceIPAddress": "2001:db8::1",
    "destinationIPAddress": "2001:db8::2",
    "protocolIdentifier": 6,
    "sourceTransportPort": 50000,
    "destinationTransportPort": 443,
    "packetDeltaCount": 3,
    "octetDeltaCount": 1000,
}


def table(*rows: dict[str, Any], **types: pa.DataType) -> pa.RecordBatch:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.record_batch({n: pa.array([row.get(n) for row in rows], types.get(n)) for n in names})


def flows(*changes: dict[str, Any], dialect=IPFIX, **types: pa.DataType) -> tuple[FlowBatch, ...]:
    batch = table(*(ROW | c for c in changes), **types)
    check_types(batch.schema, dialect)
    return normalise(batch, dialect)


def one(change: dict[str, Any] | None = None, without: tuple[str, ...] = (), **types: Any):
    row = {k: v for k, v in (ROW | (change or {})).items() if k not in without}
    batch = table(row, **types)
    check_types(batch.schema, IPFIX)
    return normalise(batch, IPFIX)[0]


def address(flow: FlowBatch, end: str, i: int = 0):
    value = int(getattr(flow, f"{end}_hi")[i]) << 64 | int(getattr(flow, f"{end}_lo")[i])
    found = ip_address(value.to_bytes(16, "big"))
    return str(found.ipv4_mapped or found)


def reason(flow: FlowBatch, i: int = 0) -> str | None:
    bits = int(flow.faults[i])
    return REJECT_REASONS[(bits & -bits).bit_length() - 1] if bits else None


def text(coded, i: int = 0):
    return None if coded.codes[i] < 0 else coded.values[coded.codes[i]]


def family(flow, i=0):
    return FAMILIES[flow.family[i]]


def assert_same(a: FlowBatch, b: FlowBatch) -> None:
    for name, x in vars(a).items():
        y = getattr(b, name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, name
            assert x.tolist() == y.tolist(), name
        elif hasattr(x, "codes"):
            assert [text(x, i) for i in range(a.rows)] == [text(y, i) for i in range(a.rows)]
        elif name == "findings":
            assert [(n, m.tolist()) for n, m in x] == [(n, m.tolist()) for n, m in y]
        else:
            assert x == y, name


def test_a_plain_row():
    flow = one()
    assert (address(flow, "src"), address(flow, "dst")) == ("2001:db8::1", "2001:db8::2")
    assert family(flow) == "v6"
    assert reason(flow) is None
    assert (flow.start_ms[0], flow.end_ms[0]) == (T, T + 1500)
    assert (flow.packets[0], flow.octets[0], flow.protocol[0]) == (3, 1000, 6)
    assert (flow.src_port[0], flow.dst_port[0], flow.tcp_flags[0]) == (50000, 443, -1)
    assert flow.sampling_num is None
    assert flow.underlay is None
    assert text(flow.exporter) == ""
    kinds = {n: getattr(flow, n).dtype.name for n in ("family", "faults", "protocol", "src_port")}
    assert kinds == {
        "family": "uint8",
        "faults": "uint16",
        "protocol": "int16",
        "src_port": "int32",
    }


@pytest.mark.parametrize("version", [4, 6])
def test_every_form_of_an_address_is_the_same_flow(version):
    src, dst = ("10.0.0.1", "203.0.113.9") if version == 4 else ("2001:db8::1", "fd00::2")
    want = one({"sourceIPAddress": src, "destinationIPAddress": dst})
    parts = {"sourceIPAddress": ip_address(src), "destinationIPAddress": ip_address(dst)}
    forms: list[tuple[dict[str, Any], Any]] = [
        ({k: v.packed for k, v in parts.items()}, pa.binary()),
        ({k: v.packed for k, v in parts.items()}, pa.binary(4 if version == 4 else 16)),
    ]
    mapped = {
        k: (b"\0" * 10 + b"\xff\xff" + v.packed if version == 4 else v.packed)
        for k, v in parts.items()
    }
    forms += [(mapped, pa.binary(16)), (mapped, pa.large_binary())]
    if version == 4:
        forms.append(({k: f"::ffff:{v}" for k, v in parts.items()}, pa.large_string()))
    for change, kind in forms:
        assert_same(one(change, **dict.fromkeys(parts, kind)), want)
    none = ("sourceIPAddress", "destinationIPAddress")
    names = {k: k.replace("IPAddress", f"IPv{version}Address") for k in parts}
    zero = "0.0.0.0" if version == 6 else "::"
    other = {k.replace("IPAddress", f"IPv{10 - version}Address"): zero for k in parts}
    apart = {names[k]: str(v) for k, v in parts.items()}
    assert_same(one(apart, without=none), want)
    assert_same(one(apart | other, without=none), want)
    assert_same(one(apart | dict.fromkeys(other), without=none), want)
    if version == 4:
        numbers = {names[k]: int(v) for k, v in parts.items()}
        for kind in (pa.uint32(), pa.int64()):
            assert_same(one(numbers, without=none, **dict.fromkeys(numbers, kind)), want)
        compatible = {k: f"::{apart[k.replace('v6', 'v4')]}" for k in other}
        assert_same(one(apart | compatible, without=none), want)


@pytest.mark.parametrize("form", ["s", "us", "ns", "ts", "iso", "uptime", "uint64", "float"])
def test_every_form_of_a_time_is_the_same_flow(form):
    start, end = T, T + 2000
    want = one({"flowEndMilliseconds": end})
    gone = ("flowStartMilliseconds", "flowEndMilliseconds")
    names = {"s": ("Seconds", 1), "us": ("Microseconds", 10**6), "ns": ("Nanoseconds", 10**9)}
    types: dict[str, Any] = {}
    if form in names:
        name, unit = names[form]
        change = {f"flow{k}{name}": v * unit // 1000 for k, v in (("Start", start), ("End", end))}
    elif form == "uptime":
        change = {
            "systemInitTimeMilliseconds": T - 5000,
            "flowStartSysUpTime": 5000,
            "flowEndSysUpTime": 7000,
        }
    else:
        gone = ()
        change = dict(
            zip(("flowStartMilliseconds", "flowEndMilliseconds"), (start, end), strict=True)
        )
        if form == "iso":
            change = {
                k: datetime.fromtimestamp(v / 1000, UTC).isoformat() for k, v in change.items()
            }
        kind = {"ts": pa.timestamp("ms", "UTC"), "uint64": pa.uint64(), "float": pa.float64()}
        types = dict.fromkeys(change, kind[form]) if form in kind else {}
    assert_same(one(change, without=gone, **types), want)


def test_uptime_without_the_boot_time_is_no_time():
    gone = ("flowStartMilliseconds", "flowEndMilliseconds")
    flow = one({"flowStartSysUpTime": 5000, "systemInitTimeMilliseconds": None}, without=gone)
    assert reason(flow) == "no_time"


@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({}, None),
        ({"sourceIPAddress": "2001:db8::x"}, "bad_address"),
        ({"flowStartMilliseconds": None, "flowEndMilliseconds": 0}, "no_time"),
        ({"flowEndMilliseconds": T - 1}, "end_before_start"),
        ({"exportTime": T // 1000 - 700}, "future"),
        ({"exportTime": T // 1000 - 500}, None),
        ({"forwardingStatus": 0b10000001}, "action_reject"),
        ({"forwardingStatus": 0b01000000}, None),
        ({"packetDeltaCount": None}, "no_counters"),
        ({"octetDeltaCount": None}, "no_counters"),
        (
            {"octetDeltaCount": None, "packetDeltaCount": None, "octetTotalCount": 5},
            "total_counters",
        ),
        (
            {"octetDeltaCount": None, "packetDeltaCount": None, "packetTotalCount": None},
            "no_counters",
        ),
        (
            {"octetDeltaCount": None, "packetDeltaCount": None, "postOctetDeltaCount": 9},
            "no_counters",
        ),
        ({"octetDeltaCount": -1}, "bad_counter"),
        ({"octetDeltaCount": 1.5}, "bad_counter"),
        ({"octetDeltaCount": float("nan")}, "bad_counter"),
        ({"octetDeltaCount": str(2**64 - 1)}, "bad_counter"),
        ({"packetDeltaCount": 0}, "zero_packets"),
        ({"octetDeltaCount": 1000.0}, None),
        ({"octetDeltaCount": Decimal("1000.00")}, None),
        ({"octetDeltaCount": "1000"}, None),
        ({"octetDeltaCount": "10k"}, "bad_counter"),
    ],
)
def test_reject_reasons(change, want):
    flow = one(change)
    assert reason(flow) == want
    if want is None:
        assert flow.octets[0] == 1000


def test_a_counter_over_63_bits_is_bad_and_kept_for_the_account():
    batch = table(ROW).drop_columns(["octetDeltaCount"])
    batch = batch.append_column("octetDeltaCount", pa.array([2**64 - 1], pa.uint64()))
    flow = normalise(batch, IPFIX)[0]
    assert (reason(flow), flow.octets[0]) == ("bad_counter", 0)
    assert flow.octets_beyond.tolist() == [2**64 - 1]
    assert flow.packets_beyond is None


BIG = 2**64 - 2


@pytest.mark.parametrize(
    ("values", "beyond"),
    [
        (pa.array([BIG, 5, None], pa.uint64()), [BIG, 0, 0]),
        (pa.array([2**63, 5, None], pa.uint64()).dictionary_encode(), [2**63, 0, 0]),
        (pa.array([str(BIG), "5", None]), [BIG, 0, 0]),
        (pa.array([str(2**64), "5", None]), None),
        (pa.array([Decimal(2**63), Decimal(5), None], pa.decimal128(20)), [2**63, 0, 0]),
        (pa.array([2.0**63, 5.0, None]), [2**63, 0, 0]),
        (pa.array([2.0**64, 5.0, None]), None),
        (pa.array([float("nan"), 5.0, None]), None),
    ],
)
def test_counters_of_64_bits_are_kept_of_every_type(values, beyond) -> None:
    batch = table(ROW, ROW, ROW).drop_columns(["octetDeltaCount"])
    flow = normalise(batch.append_column("octetDeltaCount", values), IPFIX)[0]
    found = flow.octets_beyond
    assert (None if found is None else found.tolist()) == beyond
    assert [reason(flow, i) for i in range(3)] == ["bad_counter", None, "no_counters"]
    assert flow.octets.tolist() == [0, 5, 0]


def test_counters_of_64_bits_are_kept_wherever_they_come_from() -> None:
    """As the second source of a counter, and of the reverse direction; a marker is no counter."""
    first = whole(pa.array([None, 1, None, BIG], pa.uint64()))
    other = whole(pa.array([BIG, BIG, 2, 3], pa.uint64()))
    assert first_number(first, other).beyond.tolist() == [BIG, 0, 0, BIG]
    assert first_number(other, first).beyond.tolist() == [BIG, BIG, 0, 0]
    marker = NumberSource(column="p", missing=(BIG,))
    assert not source_number(pa.array([BIG, 2**63 - 1], pa.uint64()), marker, int).beyond.any()
    scaled = NumberSource(column="p", times=1000)
    assert not source_number(pa.array([BIG], pa.uint64()), scaled, int).beyond.any()
    batch = table(ROW | {"reversePacketDeltaCount": 1})
    octets = pa.array([BIG], pa.uint64())
    reverse = normalise(batch.append_column("reverseOctetDeltaCount", octets), IPFIX)[1]
    assert reverse.octets_beyond.tolist() == [BIG]


def test_a_dialect_may_name_the_mark_between_thousands() -> None:
    marked = NumberSource(column="p", thousands=",", times=10)
    for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        values = pa.array(["1,234", "12", "1,23", "", None, "1.234", "-1,000"], kind)
        number = source_number(values, marked, decimal_number)
        assert number.values.tolist() == [12_340, 120, 0, 0, 0, 0, -10_000]
        assert number.bad.tolist() == [False, False, True, False, False, True, False]
    plain = source_number(pa.array(["1,234"]), NumberSource(column="p"), decimal_number)
    assert plain.bad.tolist() == [True]


def test_one_absent_time_falls_back_and_says_so():
    flow = flows(
        {"flowStartMilliseconds": 0},
        {"flowEndMilliseconds": None},
        {"flowStartMilliseconds": None, "flowEndMilliseconds": None, "exportTime": T // 1000},
        {},
    )[0]
    assert flow.start_ms.tolist() == [T + 1500, T, T, T]
    assert flow.end_ms.tolist() == [T + 1500, T, T, T + 1500]
    assert dict(flow.findings)["time fallback"].tolist() == [True, True, True, False]


def test_families_apart():
    none = {"sourceIPAddress": None, "destinationIPAddress": None}

    def row(s4, d4, s6, d6, **more):
        return (
            none
            | {
                "sourceIPv4Address": s4,
                "destinationIPv4Address": d4,
                "sourceIPv6Address": s6,
                "destinationIPv6Address": d6,
            }
            | more
        )

    flow = flows(
        row("10.0.0.1", "10.0.0.2", "::", "::"),
        row("0.0.0.0", "0.0.0.0", "fe80::1", "::"),
        row("0.0.0.0", "255.255.255.255", "::", "::"),
        row("0.0.0.0", "0.0.0.0", "::", "::"),
        row("0.0.0.0", "0.0.0.0", "::", "::", ipVersion=6),
        row(None, None, None, None, ipVersion=4),
        row("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"),
        row("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", srhActiveSegmentIPv6="fc00::1"),
        row("10.0.0.1", "10.0.0.2", "::10.0.0.1", "::10.0.0.2", ipVersion=6),
    )[0]
    assert [family(flow, i) for i in range(9)] == [
        "v4",
        "v6",
        "v4",
        "unknown",
        "v6",
        "v4",
        "unknown",
        "v6",
        "v4",
    ]
    assert [UNDERLAYS[u] for u in flow.underlay] == ["none"] * 7 + ["v6", "none"]
    assert address(flow, "src", 7) == "10.0.0.1"
    assert address(flow, "src", 2) == "0.0.0.0"
    assert address(flow, "dst", 2) == "255.255.255.255"
    for absent in (3, 4, 5, 6):
        assert (address(flow, "src", absent), address(flow, "dst", absent)) == ("::", "::")
    assert (
        dict(flow.findings)["two address families"].tolist() == [False] * 6 + [True] + [False] * 2
    )
    assert flow.segment_routing.tolist() == [False] * 7 + [True, False]


def test_of_two_columns_the_earlier_speaks_unless_it_is_zero():
    """An end's IPv4 column stands before the one of any family, the version before ethertype."""
    end = {"destinationIPAddress": "10.0.0.2", "sourceIPAddress": "10.0.0.1"}
    flow = flows(end | {"sourceIPv4Address": "0.0.0.0"}, end | {"sourceIPv4Address": "10.0.0.9"})[0]
    assert [address(flow, "src", i) for i in range(2)] == ["10.0.0.1", "10.0.0.9"]
    assert [family(flow, i) for i in range(2)] == ["v4", "v4"]
    none = {"sourceIPAddress": None, "destinationIPAddress": None}
    assert family(one(none | {"ipVersion": 6, "ethernetType": 2048})) == "v6"


def test_families_of_one_column():
    flow = flows(
        {"sourceIPAddress": "10.0.0.1"},
        {"sourceIPAddress": "0.0.0.0", "destinationIPAddress": "::"},
        {"sourceIPAddress": "", "destinationIPAddress": None, "ethernetType": 2048},
        {"sourceIPAddress": "::", "destinationIPAddress": "ff02::1"},
    )[0]
    assert [family(flow, i) for i in range(4)] == ["unknown", "unknown", "v4", "v6"]


def test_protocol_0_is_hop_by_hop_only_in_ipv6():
    flow = flows(
        {"protocolIdentifier": 0},
        {
            "protocolIdentifier": 0,
            "sourceIPAddress": "10.0.0.1",
            "destinationIPAddress": "10.0.0.2",
        },
        {"protocolIdentifier": 0, "sourceIPAddress": None, "destinationIPAddress": None},
        {"protocolIdentifier": 256},
    )[0]
    assert flow.protocol.tolist() == [0, -1, -1, -1]


@pytest.mark.parametrize(
    ("change", "interval"),
    [
        ({"samplingInterval": 1000}, (1000, 1)),
        ({"samplingInterval": 0}, (0, 1)),
        ({"samplingInterval": 0, "samplerRandomInterval": 50}, (50, 1)),
        ({"samplingPacketInterval": 1}, (0, 1)),
        ({"samplingPacketInterval": 1, "samplingSize": 1, "samplingPopulation": 256}, (256, 1)),
        ({"samplingPacketInterval": 10, "samplingPacketSpace": 90}, (10, 1)),
        ({"samplingPacketInterval": 2, "samplingPacketSpace": 5}, (7, 2)),
        ({"samplingTimeInterval": 3, "samplingTimeSpace": 7}, (10, 3)),
        ({"samplingSize": 6, "samplingPopulation": 1000}, (500, 3)),
        ({"samplingSize": 1, "samplingPopulation": 1, "samplingInterval": 9}, (1, 1)),
        ({"samplingSize": 2, "samplingPopulation": 1, "samplingInterval": 9}, (9, 1)),
        ({"samplingSize": 0, "samplingPopulation": 0, "samplingInterval": 9}, (9, 1)),
        (
            {
                "selectorAlgorithm": 1,
                "samplingPacketInterval": 1,
                "samplingPacketSpace": 99,
                "samplingSize": 1,
                "samplingPopulation": 7,
            },
            (100, 1),
        ),
        (
            {
                "selectorAlgorithm": 3,
                "samplingPacketInterval": 1,
                "samplingPacketSpace": 99,
                "samplingSize": 1,
                "samplingPopulation": 7,
            },
            (7, 1),
        ),
        ({"selectorAlgorithm": 2, "samplingTimeInterval": 1, "samplingTimeSpace": 3}, (4, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": 0.01}, (100, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": 2 / 3}, (3, 2)),
        ({"selectorAlgorithm": 4, "samplingProbability": 1.0}, (1, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": 1.5}, (0, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": 1 / 16384}, (16384, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": 0.0}, (0, 1)),
        ({"selectorAlgorithm": 4, "samplingProbability": float("nan")}, (0, 1)),
        (
            {
                "selectorAlgorithm": 3,
                "samplingPacketInterval": 1,
                "samplingPacketSpace": 9,
                "samplingInterval": 5,
            },
            (5, 1),
        ),
        ({"selectorAlgorithm": 6, "samplingSize": 1, "samplingPopulation": 7}, (0, 1)),
        ({"samplingAlgorithm": 2, "samplingInterval": 5}, (5, 1)),
    ],
)
def test_sampling_intervals(change, interval):
    flow = one(change)
    num = 0 if flow.sampling_num is None else int(flow.sampling_num[0])
    den = 1 if flow.sampling_den is None else int(flow.sampling_den[0])
    assert (num, den) == interval


def test_sampling_is_chosen_row_by_row():
    flow = flows(
        {"samplingSize": 1, "samplingPopulation": 256, "samplingInterval": 9},
        {"samplingSize": None, "samplingPopulation": None, "samplingInterval": 9},
        {},
    )[0]
    assert flow.sampling_num.tolist() == [256, 9, 0]


def test_a_biflow_is_two_flows():
    both = flows(
        {
            "reversePacketDeltaCount": 5,
            "reverseOctetDeltaCount": 700,
            "reverseTcpControlBits": 18,
            "tcpControlBits": 27,
            "bgpSourceAsNumber": 64500,
            "samplingInterval": 10,
            "rttClientMicroseconds": 5,
            "reverseFlowStartMilliseconds": T + 100,
        },
        {"reversePacketDeltaCount": 0, "reverseOctetDeltaCount": 0},
        {},
        {
            "sourceIPAddress": "2001:db8::7",
            "packetDeltaCount": 0,
            "reversePacketDeltaCount": 1,
            "reverseOctetDeltaCount": 40,
        },
    )
    assert len(both) == 2
    forward, reverse = both
    assert forward.rows == 4
    assert [reason(forward, i) for i in range(4)] == [None, None, None, "zero_packets"]
    assert reverse.rows == 2
    assert [reason(reverse, i) for i in range(2)] == [None, None]
    assert address(reverse, "src") == "2001:db8::2"
    assert address(reverse, "dst", 1) == "2001:db8::7"
    assert (reverse.packets.tolist(), reverse.octets.tolist()) == ([5, 1], [700, 40])
    assert (reverse.src_port.tolist(), reverse.dst_port.tolist()) == ([443] * 2, [50000] * 2)
    assert (forward.tcp_flags[0], reverse.tcp_flags.tolist()) == (27, [18, -1])
    assert (reverse.dst_as.tolist(), reverse.src_as) == ([64500, -1], None)
    assert (reverse.start_ms.tolist(), reverse.end_ms.tolist()) == (
        [T + 100, T],
        [T + 100, T + 1500],
    )
    assert reverse.sampling_num.tolist() == [10, 0]
    assert reverse.rtt_client_us is None
    assert dict(reverse.findings)["time fallback"].tolist() == [True, False]


def test_what_is_wrong_with_a_flow_is_wrong_with_its_reverse():
    """An address and a dropped packet are of both directions, counters are each one's own."""
    both = {"reversePacketDeltaCount": 5, "reverseOctetDeltaCount": 700}
    _, reverse = flows(
        both | {"sourceIPAddress": "2001:db8::x"},
        both | {"forwardingStatus": 0b10000001},
        both | {"octetDeltaCount": -1},
    )
    assert [reason(reverse, i) for i in range(3)] == ["bad_address", "action_reject", None]


def test_reverse_counters_that_are_wrong_are_seen():
    _, reverse = flows(
        {"reversePacketDeltaCount": None, "reverseOctetDeltaCount": 7},
        {"reversePacketDeltaCount": -1, "reverseOctetDeltaCount": 7},
    )
    assert [reason(reverse, i) for i in range(2)] == ["no_counters", "bad_counter"]


def test_names():
    flow = flows(
        {
            "tlsServerName": "a.example",
            "httpRequestHost": "b.example",
            "exporterIPv4Address": "10.0.0.1",
            "applicationId": b"\x0d\x00\x04\xd2",
            "subscriberId": "",
            "userName": "u1",
        },
        {
            "tlsServerName": None,
            "httpRequestHost": "a.example",
            "exporterIPv6Address": "2001:DB8::0:1",
            "exporterIPv4Address": "0.0.0.0",
            "userName": None,
        },
        {"exporter": "edge-1"},
        {},
    )[0]
    assert [text(flow.server_name, i) for i in range(4)] == ["a.example", "a.example", None, None]
    assert len(set(flow.server_name.values)) == len(flow.server_name.values)
    assert [text(flow.exporter, i) for i in range(4)] == ["10.0.0.1", "2001:db8::1", "edge-1", ""]
    assert text(flow.app_id) == "13:1234"
    assert [text(flow.subscriber, i) for i in range(2)] == ["u1", None]


def test_exporters_of_every_form():
    v4 = 0x0A000001
    for value, kind in (
        (v4, pa.uint32()),
        (v4.to_bytes(4, "big"), pa.binary(4)),
        ("::ffff:10.0.0.1", pa.string()),
        (b"\0" * 10 + b"\xff\xff" + v4.to_bytes(4, "big"), pa.binary()),
    ):
        assert (
            text(one({"exporterIPv4Address": value}, exporterIPv4Address=kind).exporter)
            == "10.0.0.1"
        )
    printable = one({"exporterIPAddress": b"ABCD"}, exporterIPAddress=pa.binary())
    assert text(printable.exporter) == "65.66.67.68"


def test_text_that_is_not_utf8():
    bad = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, pa.py_buffer(np.array([0, 2, 4], np.int32)), pa.py_buffer(b"a\xffa\xfe")],
    )
    batch = table(ROW, ROW).append_column("serverName", bad)
    names = normalise(batch, IPFIX)[0].server_name
    assert [text(names, i) for i in range(2)] == ["a\ufffd"] * 2
    assert names.values == ("a\ufffd",)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (18, 18),
        ("18", 18),
        ("0x12", 18),
        ("...A..S.", 18),
        (["ACK", "SYN"], 18),
        ([], 0),
        (None, -1),
        ("", -1),
        (0x1018, 24),
        ("what", -1),
        (-5, -1),
    ],
)
def test_tcp_flags(value, want):
    assert one({"tcpControlBits": value}).tcp_flags[0] == want


def test_egress_and_consumed():
    flow = flows({"flowDirection": 1, "forwardingStatus": 195}, {"flowDirection": 0})[0]
    assert dict(flow.findings)["egress record"].tolist() == [True, False]
    assert flow.egress.tolist() == [True, False]
    assert flow.consumed.tolist() == [True, False]


def test_pmacct_names_directions_by_letters():
    pmacct = dialect_named("pmacct", builtin_dialects())
    row = {"ip_src": "192.0.2.1", "ip_dst": "192.0.2.2", "packets": 1, "timestamp_start": T // 1000}
    batch = table(*(row | {"sampling_direction": d} for d in ("i", "e", "u", "", None)))
    assert normalise(batch, pmacct)[0].egress.tolist() == [False, True, False, False, False]


def test_a_biflow_seen_on_its_way_out_is_egress_in_both_halves():
    counters = {"reversePacketDeltaCount": 1, "reverseOctetDeltaCount": 40}
    halves = flows({"flowDirection": 0, **counters}, {"flowDirection": 1, **counters})
    assert [half.egress.tolist() for half in halves] == [[False, True]] * 2


def test_counters_of_one_direction_are_missing_in_that_one_only():
    row = {k: v for k, v in ROW.items() if k not in ("packetDeltaCount", "octetDeltaCount")}
    counters = {"reversePacketDeltaCount": 1, "reverseOctetDeltaCount": 40}
    forward, reverse = normalise(table(row | counters), IPFIX)
    assert (reason(forward), reason(reverse)) == ("no_counters", None)
    assert forward.input_findings == ("no column of packets", "no column of bytes")
    assert reverse.input_findings == ()
    assert one().input_findings == ()


@pytest.mark.parametrize("kind", [pa.null(), pa.int32(), pa.uint64(), pa.string()])
def test_columns_without_a_value(kind):
    nothing = dict.fromkeys(
        (
            "tcpControlBits",
            "samplingInterval",
            "bgpSourceAsNumber",
            "flowDirection",
            "ipVersion",
            "exporterIPAddress",
            "serverName",
            "forwardingStatus",
        )
    )
    flow = one(nothing, **dict.fromkeys(nothing, kind))
    assert reason(flow) is None
    assert flow.tcp_flags[0] == -1
    assert text(flow.exporter) == ""
    assert flow.consumed is None or not flow.consumed[0]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("flowStartMilliseconds", pa.time64("us")),
        ("sourceIPAddress", pa.list_(pa.uint8())),
        ("sourceIPAddress", pa.binary(6)),
        ("octetDeltaCount", pa.struct({"a": pa.int64()})),
        ("tlsServerName", pa.float64()),
        ("packetDeltaCount", pa.binary()),
        ("samplingProbability", pa.struct({"a": pa.int64()})),
        ("flowDirection", pa.struct({"a": pa.int64()})),
    ],
)
def test_types_that_cannot_be_read_are_refused_by_name(column, kind):
    schema = pa.schema([(column, kind)])
    with pytest.raises(InputRefused) as caught:
        check_types(schema, IPFIX)
    assert caught.value.reason == "no_dialect"
    assert column in caught.value.detail
    assert "; expected " in caught.value.detail
    assert str(kind)[:6] in caught.value.detail


SFLOW: dict[str, Any] = {
    "type": "SFLOW_5",
    "time_flow_start_ns": T * 1_000_000,
    "src_addr": "192.0.2.1",
    "dst_addr": "192.0.2.2",
    "bytes": 1000,
    "packets": 1,
}
# Names of headers, their sizes, and the bytes of layer 2: those before IP, and a checksum of 4.
HEADERS: list[tuple[list[str] | None, list[int | None] | None, int]] = [
    (["Ethernet", "IPv4", "UDP"], [14, 20, 8], 18),
    (["Ethernet", "Dot1Q", "IPv6", "TCP"], [14, 4, 40, 20], 22),
    (["Ethernet", "Dot1Q", "Dot1Q", "IPv4"], [14, 4, 4, 20], 26),
    (["Ethernet", "MPLS", "IPv4"], [14, 8, 20], 26),
    # What a tunnel carries is no layer 2 of its packet.
    (["Ethernet", "IPv4", "IPv6"], [14, 20, 40], 18),
    (["Ethernet", "Dot1Q", "IPv4", "GRE", "Ethernet", "IPv6"], [14, 4, 20, 4, 14, 40], 22),
    # Without IP, or cut off before it: a header that was cut off has no name, and the size 0.
    (["Ethernet", "Dot1Q"], [14, 4], 22),
    (["Ethernet", "Dot1Q"], [14, 4, 0], 22),
    # No headers, or none that can be: plain Ethernet.
    ([], [], 18),
    (None, None, 18),
    (None, [14, 4, 20], 18),
    (["Ethernet", "Dot1Q", "IPv4"], None, 18),
    ([], [0], 18),
    (["Ethernet", "Dot1Q", "IPv4"], [14, None, 20], 18),
    (["Ethernet", "Dot1Q", "IPv4"], [14, -4, 20], 18),
    (["Ethernet", "Dot1Q", "IPv4"], [14, 2**40, 20], 18),
    (["Ethernet", "Dot1Q", "IPv4"], [600, 600, 20], 18),
]
NUMBERS = {"Ethernet": 0, "IPv4": 1, "IPv6": 2, "TCP": 3, "UDP": 4, "MPLS": 5, "Dot1Q": 6, "GRE": 9}


def layer2_of(*rows: dict[str, Any], **types: pa.DataType) -> list[int]:
    batch = table(*rows, **types)
    check_types(batch.schema, GOFLOW2)
    return normalise(batch, GOFLOW2)[0].layer2_octets.tolist()


def test_layer_2_is_what_stands_before_ip_and_the_checksum():
    rows = [SFLOW | {"layer_stack": names, "layer_size": sizes} for names, sizes, _ in HEADERS]
    want = [octets for _, _, octets in HEADERS]
    assert layer2_of(*rows) == want
    batch = table(*rows)
    assert normalise(batch.slice(1, 9), GOFLOW2)[0].layer2_octets.tolist() == want[1:10]
    netflow = table(*(row | {"type": "NETFLOW_V9"} for row in rows))
    assert normalise(netflow, GOFLOW2)[0].layer2_octets is None


@pytest.mark.parametrize("sizes", [pa.list_(pa.uint32()), pa.large_list(pa.string())])
def test_headers_of_every_form_are_the_same(sizes):
    shown = [(n, s, w) for n, s, w in HEADERS if s is None or all(x in range(100) for x in s)]
    texts = pa.types.is_large_list(sizes)
    rows = [
        SFLOW
        | {
            "type": 1,
            "layer_stack": None if n is None else [NUMBERS[name] for name in n],
            "layer_size": [str(x) for x in s] if texts and s is not None else s,
        }
        for n, s, _ in shown
    ]
    want = [octets for _, _, octets in shown]
    assert layer2_of(*rows, layer_stack=pa.list_(pa.int32()), layer_size=sizes) == want


@pytest.mark.parametrize("kind", [pa.null(), pa.list_(pa.null()), pa.list_(pa.string())])
def test_frames_without_headers_are_plain_ethernet(kind):
    assert layer2_of(SFLOW) == [18]
    headers = {"layer_stack": ["Ethernet", "Dot1Q", "IPv4"], "layer_size": [14, 4, 20]}
    for column in headers:
        less = {name: value for name, value in headers.items() if name != column}
        assert layer2_of(SFLOW | less) == [18]
        nothing = None if pa.types.is_null(kind) else []
        assert layer2_of(SFLOW | less | {column: nothing}, **{column: kind}) == [18]


@pytest.mark.parametrize("column", ["layer_stack", "layer_size"])
@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.struct({"a": pa.int64()}))])
def test_headers_that_cannot_be_read_are_refused_by_name(column, kind):
    with pytest.raises(InputRefused, match=f'"{column}" has the type .* as layer2 .* lists of'):
        check_types(pa.schema([(column, kind)]), GOFLOW2)


def test_columns_that_no_dialect_knows_are_ignored():
    odd = table(ROW | {"odd": {"a": 1}, "list": [1]})
    check_types(odd.schema, IPFIX)
    assert normalise(odd, IPFIX)[0].rows == 1


def test_a_column_twice_is_refused():
    schema = pa.schema([("octetDeltaCount", pa.int64())] * 2)
    with pytest.raises(InputRefused, match='"octetDeltaCount" 2 times'):
        check_types(schema, IPFIX)


def test_slices_and_dictionaries_are_the_same_flows():
    rows = [
        ROW
        | {
            "octetDeltaCount": i,
            "serverName": f"n{i % 3}",
            "tcpControlBits": i % 30,
            "sourceIPAddress": f"2001:db8::{i:x}",
            "exporterIPAddress": f"10.0.0.{i % 2 + 1}",
        }
        for i in range(40)
    ]
    batch = table(*rows)
    encoded = pa.record_batch(
        {n: c.dictionary_encode() for n, c in zip(batch.schema.names, batch.columns, strict=True)}
    )
    want = normalise(table(*rows[7:29]), IPFIX)[0]
    assert_same(normalise(batch.slice(7, 22), IPFIX)[0], want)
    check_types(encoded.schema, IPFIX)
    assert_same(normalise(encoded.slice(7, 22), IPFIX)[0], want)


def test_no_rows():
    empty = table(ROW | {"samplingInterval": 5, "reversePacketDeltaCount": 1}).slice(0, 0)
    (flow,) = normalise(empty, IPFIX)
    assert flow.rows == 0


def test_what_later_dialects_need():
    dialect = parse_dialect(
        "x.toml",
        b"""
name = "x"
title = "rejects, pre-scaled rows, a constant interval, milliseconds to microseconds"
requires = ["s"]
[columns]
start = [{ column = "t", unit = "s", utc_offset_minutes = 480 }]
src = [{ column = "s", missing = ["-"] }]
dst = ["d"]
packets = [{ column = "p", missing = ["-"] }]
octets = ["b"]
rtt_client_us = [{ column = "rtt", times = 1000 }]
[[interval]]
constant = 1
[[pre_scaled]]
when = [{ column = "sampled", in = [1] }]
[[reject]]
reason = "no_data"
when = [{ column = "status", in = ["NODATA"] }]
[[reject]]
reason = "skip_data"
when = [{ column = "status", in = ["SKIPDATA"] }]
""",
    )
    row = {
        "t": "2026-01-01 08:00:00",
        "s": "10.0.0.1",
        "d": "10.0.0.2",
        "p": "5",
        "b": 7,
        "rtt": 3,
        "sampled": 1,
        "status": "OK",
    }
    batch = table(
        row,
        row | {"status": "NODATA", "sampled": 0, "s": "-", "d": "", "p": "-"},
        row | {"status": "SKIPDATA"},
    )
    flow = normalise(batch, dialect)[0]
    assert [reason(flow, i) for i in range(3)] == [None, "no_data", "skip_data"]
    assert flow.start_ms[0] == T
    assert flow.pre_scaled.tolist() == [True, False, True]
    assert flow.sampling_num.tolist() == [1] * 3
    assert flow.rtt_client_us.tolist() == [3000] * 3
    assert family(flow, 1) == "unknown"


def test_the_largest_number_of_a_type_is_found():
    for kind, largest in ((pa.uint8(), 255), (pa.int8(), 127), (pa.uint64(), 2**64 - 1)):
        assert holds_in(pa.array([largest, 1], kind), [largest]).tolist() == [True, False]


def test_the_largest_counter_of_63_bits_is_a_number():
    numbers = whole(pa.array([2**63 - 1, 2**63], pa.uint64()))
    assert numbers.values.tolist() == [2**63 - 1, 0]
    assert (numbers.bad.tolist(), numbers.beyond.tolist()) == ([False, True], [0, 2**63])


def test_of_two_outer_addresses_the_first_tells_the_underlay():
    pmacct = dialect_named("pmacct", builtin_dialects())
    row = {"ip_src": "192.0.2.1", "ip_dst": "192.0.2.2", "packets": 1, "timestamp_start": T // 1000}
    outer = [("2001:db8::1", "192.0.2.9"), ("0.0.0.0", "2001:db8::1"), ("192.0.2.8", "::")]
    batch = table(*(row | {"tunnel_ip_src": s, "tunnel_ip_dst": d} for s, d in outer))
    flow = normalise(batch, pmacct)[0]
    assert [UNDERLAYS[u] for u in flow.underlay] == ["v6", "v6", "v4"]


def test_a_reverse_direction_has_no_outer_destination():
    """The address that a tunnel leads to is where the reverse direction comes from."""
    dialect = parse_dialect(
        "x.toml",
        b"""
name = "x"
title = "tunnels, and counters of both directions"
requires = ["s"]
[columns]
start = [{ column = "t", unit = "ms" }]
src = ["s"]
dst = ["d"]
outer_dst = ["tunnel"]
packets = ["p"]
octets = ["b"]
[reverse]
packets = ["p_back"]
octets = ["b_back"]
""",
    )
    row = {"t": T, "s": "10.0.0.1", "d": "10.0.0.2", "tunnel": "5f00::1", "p": 1, "b": 40}
    forward, reverse = normalise(table(row | {"p_back": 2, "b_back": 80}), dialect)
    assert address(forward, "outer_dst") == "5f00::1"
    assert (reverse.outer_dst_hi, reverse.outer_dst_lo) == (None, None)
    assert UNDERLAYS[reverse.underlay[0]] == "v6"
