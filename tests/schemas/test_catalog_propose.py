"""What is proposed for apps.toml: which destinations are one app, in which order, in which text."""

import tomllib
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.catalog.propose import Destination, app_text, propose, with_text_behind


def to(prefix: str, port: int, size: int, asn: int = 0) -> Destination:
    return Destination(ip_network(prefix), port, asn, size)


def test_one_as_number_and_port_are_one_app_of_both_families_and_else_each_prefix() -> None:
    found = [
        to("192.0.2.0/24", 443, 300, 64500),
        to("2001:db8:1::/48", 443, 400, 64500),
        to("192.0.2.0/24", 80, 50, 64500),
        to("198.51.100.0/24", 443, 60),
        to("203.0.113.0/24", 443, 60),
    ]
    assert [
        (one.number, one.id, one.name, one.bytes, one.ipv6_bytes)
        for one in propose(found, 1000, ["as64500-80"])
    ] == [
        (1, "as64500-443", "AS 64500, port 443", 700, 400),
        (2, "198.51.100.0-24-443", "198.51.100.0/24, port 443", 60, 0),
        (3, "203.0.113.0-24-443", "203.0.113.0/24, port 443", 60, 0),
        (4, "as64500-80-2", "AS 64500, port 80", 50, 0),
    ]
    assert propose(reversed(found), 1000, ["as64500-80"]) == propose(found, 1000, ["as64500-80"])


def test_ten_at_most_and_none_below_a_hundredth() -> None:
    found = [to(f"10.0.{i}.0/24", 443, 100 - i) for i in range(20)]
    assert [one.bytes for one in propose(found, 1000, [])] == list(range(100, 90, -1))
    assert [one.bytes for one in propose(found, 9901, [])] == [100]
    assert propose([], 0, []) == []
    assert propose([to("192.0.2.0/24", 443, 0)], 0, []) == []


def test_an_app_has_its_sixteen_largest_prefixes() -> None:
    found = [to(f"10.0.{i}.0/24", 443, 100 + i, 64500) for i in range(20)]
    (one,) = propose(found, 1000, [])
    assert [str(part.prefix) for part in one.destinations] == [
        f"10.0.{i}.0/24" for i in range(19, 3, -1)
    ]
    assert one.bytes == sum(range(104, 120))


def test_the_text_is_an_app_of_the_catalog() -> None:
    proposals = propose([to("192.0.2.0/24", 443, 3, 1), to("2001:db8::/48", 443, 1, 1)], 4, [])
    text = app_text(proposals[0], "1: 4 bytes", ["3", "1"])
    assert text == (
        "# 1: 4 bytes\n[[app]]\n"
        'id = "as1-443"\nname = "AS 1, port 443"\nmatch = [\n'
        '  { prefix = "192.0.2.0/24", port = 443 }, # 3\n'
        '  { prefix = "2001:db8::/48", port = 443 }, # 1\n]\n'
    )
    (app,) = parse_catalog({"apps.toml": text.encode()}).apps
    assert [(str(match.prefix), match.ports) for match in app.matches] == [
        ("192.0.2.0/24", ((443, 443),)),
        ("2001:db8::/48", ((443, 443),)),
    ]


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", b"[[a]]\nb = 1\n"),
        (b"# c\n", b"# c\n\n[[a]]\nb = 1\n"),
        (b"# c", b"# c\n\n[[a]]\nb = 1\n"),
        (b"\xef\xbb\xbf# c\r\n", b"\xef\xbb\xbf# c\r\n\r\n[[a]]\r\nb = 1\r\n"),
        (b"# c\r\n# d", b"# c\r\n# d\r\n\r\n[[a]]\r\nb = 1\r\n"),
    ],
)
def test_text_stands_behind_a_file_in_its_line_ends(data: bytes, whole: bytes) -> None:
    assert with_text_behind(data, "[[a]]\nb = 1\n") == whole


@given(st.lists(st.sampled_from(["[[a]]\n", "b = 1\n", "# c\n", "\r\n", "\n", "x.y = 2\n"])))
def test_whatever_stands_before_stays_and_means_the_same(lines: list[str]) -> None:
    data = "".join(dict.fromkeys(lines)).encode()
    after = with_text_behind(data, "[[z]]\nq = 1\n")
    assert after.startswith(data)
    assert tomllib.loads(after.decode()) == tomllib.loads(data.decode()) | {"z": [{"q": 1}]}
