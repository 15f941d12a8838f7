"""Bulk parsing of addresses and prefixes agrees with Python's ``ipaddress``."""

from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from v6share.pipelines.kernels.normalise import addresses
from v6share.pipelines.kernels.normalise.addresses import (
    ABSENT,
    IPV4,
    IPV6,
    MALFORMED,
    holds_addresses,
    parse_addresses,
    parse_prefixes,
    read_addresses,
)
from v6share.pipelines.kernels.normalise.vendor_formats import exporter_reader
from v6share.schemas.catalog.models import Exporter
from v6share.schemas.text.host_names import bare_address

MAPPED = 0xFFFF << 32

words = (
    st.integers(0, 2**128 - 1)
    | st.integers(0, 2**64)
    | st.integers(0, 7).map(lambda n: 0x1234 << (16 * n))
)
v6 = words.map(IPv6Address)
quads = st.integers(0, 2**32 - 1).map(IPv4Address)


@st.composite
def v6_texts(draw):
    """Other spellings of one address: exploded, upper case, zeros, an embedded quad."""
    address = draw(v6)
    spelling = draw(st.integers(0, 4))
    if spelling == 0:
        return str(address)
    if spelling == 1:
        return address.exploded
    if spelling == 2:
        return str(address).upper()
    groups = address.exploded.split(":")
    head = ":".join(g.lstrip("0") or "0" for g in groups[:6])
    if spelling == 3:
        return f"{head}:{IPv4Address(int(address) & 0xFFFFFFFF)}"
    return f"::{IPv4Address(int(address) & 0xFFFFFFFF)}"


texts = v6_texts() | quads.map(str)


@st.composite
def corrupted(draw):
    text = draw(texts)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 2))
        put = draw(st.text("0123456789abcdefABCDEFg:./ -%é[]\t", max_size=3))
        text = text[:at] + put + text[at + cut :]
    return text


def expected(text: str) -> tuple[int, int]:
    """(128 bits, state) by the standard library, once what may stand around it is gone."""
    if text == "":
        return 0, ABSENT
    try:
        address = ip_address(bare_address(text))
    except ValueError:
        return 0, MALFORMED
    if address.version == 4:
        return MAPPED | int(address), IPV4
    if address.scope_id is not None:
        return 0, MALFORMED
    return int(address), IPV4 if int(address) >> 32 == 0xFFFF else IPV6


# The address in each text, as flows, exporters and the catalog read it; None: there is none.
DECORATED = [
    (" 192.0.2.1 ", "192.0.2.1"),
    ("\t2001:DB8::1\r\n", "2001:db8::1"),
    ("198.51.100.7:443", "198.51.100.7"),
    ("198.51.100.7/32", "198.51.100.7"),
    ("[198.51.100.7]", "198.51.100.7"),
    ("[198.51.100.7]:2055", "198.51.100.7"),
    ("[198.51.100.7]/32", "198.51.100.7"),
    ("2001:db8::1/128", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:2055", "2001:db8::1"),
    ("[2001:db8::1]/128", "2001:db8::1"),
    ("[2001:db8::1/128]", "2001:db8::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("[fe80::1%eth0]:2055", "fe80::1"),
    ("fe80::1%eth0/128", "fe80::1"),
    (" [::ffff:192.0.2.1]:2055 ", "192.0.2.1"),
    # With so many colons the last part is one of the address.
    ("2001:db8::1:2055", "2001:db8::1:2055"),
    ("198.51.100.0/24", None),
    ("198.51.100.7/128", None),
    ("2001:db8::/32", None),
    ("[2001:db8::1]/64", None),
    ("[2001:db8::1]:443/128", None),
    ("198.51.100.7:443/32", None),
    ("198.51.100.7/32:443", None),
    ("198.51.100.7:", None),
    ("198.51.100.7:https", None),
    ("198.51.100.7:443:1", None),
    ("198.51.100.7:123456", None),
    ("198.51.100.7%eth0", None),
    ("198.51.100.7%eth0:1", None),
    ("1.2.3:443", None),
    ("[2001:db8::1", None),
    ("[2001:db8::1] x", None),
    ("fe80::1%", None),
    ("fe80::1%a%b", None),
    ("[]", None),
    ("192.0.2.1 192.0.2.2", None),
    (f"fe80::1%{'e' * 200}", None),
]


@pytest.mark.parametrize(("text", "address"), DECORATED)
def test_what_stands_around_an_address_is_read_alike_everywhere(text, address):
    assert parsed(pa.array([text])) == [(0, MALFORMED) if address is None else expected(address)]
    assert exporter_reader(pa.string())(text) == (text if address is None else address)
    written = Exporter(exporter=text, vantage="edge").exporter
    assert written == (text.strip() if address is None else address)


def parsed(array: pa.Array) -> list[tuple[int, int]]:
    hi, lo, state = read_addresses(array)
    return [(int(h) << 64 | int(w), int(s)) for h, w, s in zip(hi, lo, state, strict=True)]


@settings(max_examples=600, deadline=None)
@given(st.lists(texts | corrupted() | st.text(max_size=50), max_size=40))
@example(["", ":", "::", ":::", "1::", "::1", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8"])
@example(["1::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:"])
@example(["::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4:1::", "::1.2.3"])
@example(["0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3.04", "1.2.3", "1.2.3.4.5", "1..2.3"])
@example(["12345::", "::fffff", "fe80::1%eth0", " ::1", "::1 ", "::ffff:1.2.3.4", "1::2::3"])
@example(["abcde.1.1.1", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7", "::1:2:3:4:5:1.2.3.4"])
@example(["[::1]", "[::1]:80", "[::1]:", "[::1", "[]", "1.2.3.4/32", "1.2.3.4/24", "::1/128"])
@example(["::1%e/128", "::1%e/64", "::1%", "::1%%", "%e", "[::1%e]:80", "[::1/128]", "1.2.3.4%e"])
@example([text for text, _ in DECORATED])
@example(["0:0:0:0:0:0:0:0.1.2.3", "::1:2:3:4:5:6:1.2.3.4"])
@example(["1111:2222:3333:4444:5555:6666:255.255.255.255"])
def test_text_agrees_with_ipaddress(values):
    want = [expected(v) for v in values]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert parsed(pa.array(values, kind)) == want
    assert parsed(pa.array(values, pa.string()).dictionary_encode()) == want


def test_a_slice_and_nulls():
    array = pa.array(["::1", None, "10.0.0.1", "x", ""])
    want = [(1, IPV6), (0, ABSENT), (MAPPED | 0x0A000001, IPV4), (0, MALFORMED), (0, ABSENT)]
    assert parsed(array) == want
    assert parsed(array.slice(1, 3)) == want[1:4]
    assert parsed(array.dictionary_encode().slice(1, 3)) == want[1:4]
    assert parsed(pa.nulls(3)) == [(0, ABSENT)] * 3
    assert parsed(pa.nulls(2, pa.string())) == [(0, ABSENT)] * 2
    assert parsed(pa.array([], pa.string())) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | words, max_size=30), st.integers(0, 5))
def test_sixteen_bytes(values, start):
    packed = [None if v is None else v.to_bytes(16, "big") for v in values]
    want = [(0, ABSENT) if v is None else (v, IPV4 if v >> 32 == 0xFFFF else IPV6) for v in values]
    for kind in (pa.binary(16), pa.binary(), pa.large_binary()):
        assert parsed(pa.array(packed, kind).slice(start)) == want[start:]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(0, 2**32 - 1), max_size=30))
def test_four_bytes_and_integers(values):
    packed = [None if v is None else v.to_bytes(4, "big") for v in values]
    want = [(0, ABSENT) if v is None else (MAPPED | v, IPV4) for v in values]
    for kind in (pa.binary(4), pa.binary()):
        assert parsed(pa.array(packed, kind)) == want
    for kind in (pa.uint32(), pa.int64(), pa.uint64()):
        assert parsed(pa.array(values, kind)) == want


def test_bytes_of_other_lengths_and_integers_out_of_range():
    assert parsed(pa.array([b"", b"abc", b"abcde" * 4])) == [(0, 0), (0, 1), (0, 1)]
    assert parsed(pa.array([-1, 2**32])) == [(0, MALFORMED)] * 2
    assert parsed(pa.array([2**64 - 1], pa.uint64())) == [(0, MALFORMED)]
    assert parsed(pa.array([-1], pa.int32())) == [(MAPPED | 0xFFFFFFFF, IPV4)]


def test_damaged_offsets_stay_inside_the_buffer():
    offsets = pa.py_buffer(np.array([0, 3, 10_000, -5, 3], np.int32))
    array = pa.Array.from_buffers(pa.string(), 4, [None, offsets, pa.py_buffer(b"::1")])
    assert [s for _, s in parsed(array)] == [IPV6, MALFORMED, MALFORMED, MALFORMED]


@pytest.mark.parametrize("kind", [pa.float64(), pa.bool_(), pa.list_(pa.string()), pa.binary(6)])
def test_types_that_hold_no_addresses(kind):
    assert not holds_addresses(kind)


def network(text: str) -> tuple[int, int] | None:
    """(128 bits, length of the mapped form) by the standard library; netmasks left out."""
    _, slash, length = text.partition("/")
    if slash and not (length.isascii() and length.isdecimal() and str(int(length)) == length):
        return None
    if "%" in text:
        return None
    try:
        found = ip_network(text, strict=True)
    except (ValueError, AddressValueError):
        return None
    if found.version == 4:
        return MAPPED | int(found.network_address), 96 + found.prefixlen
    return int(found.network_address), found.prefixlen


@st.composite
def prefixes(draw):
    text = draw(texts | corrupted())
    bits = draw(st.integers(0, 130))
    if draw(st.booleans()):
        text = str(ip_network(f"{draw(v6 | quads)}/{draw(st.integers(0, 32))}", strict=False))
    return draw(st.sampled_from([text, f"{text}/{bits}", f"{text}/0{bits}", f"{text}/"]))


@settings(max_examples=600, deadline=None)
@given(st.lists(prefixes() | st.text(max_size=20), max_size=30))
@example(["10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "2001:db8::/32", "::/0", "/8"])
@example(["0.0.0.0/0", "::ffff:10.0.0.0/104", "2001:db8::/129", "1.2.3.4/255.0.0.0", "1/2/3", ""])
@example(["2001:db8::/64", "2001:db8:0:1::/63", "2001:db8::1:0:0:0/64", "2001:db8::/65"])
@example(["2001:db8::1/128", "2001:db8::1/127", "2001:db8::2/127", "255.255.255.255/32"])
def test_prefixes_agree_with_ipaddress(values):
    hi, lo, length, ok = parse_prefixes(pa.array(values, pa.string()))
    for i, text in enumerate(values):
        want = network(text)
        found = (int(hi[i]) << 64 | int(lo[i]), int(length[i])) if ok[i] else None
        assert found == want, text


def test_parse_addresses_is_the_text_form():
    hi, lo, state = parse_addresses(pa.array(["2001:db8::1"]))
    assert (int(hi[0]), int(lo[0]), int(state[0])) == (0x20010DB800000000, 1, IPV6)
    assert addresses.parse_addresses(pa.array([None], pa.string()))[2][0] == ABSENT
