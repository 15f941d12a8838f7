import socket

import pytest

from v6share.schemas.protocols import PROTOCOL_NUMBERS, parse_protocol


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TCP", 6),
        ("tcp", 6),
        (" udp ", 17),
        ("HOPOPT", 0),
        ("IPv6-ICMP", 58),
        ("icmp6", 58),
        ("58", 58),
        ("0", 0),
        ("255", 255),
        ("256", None),
        ("-1", None),
        ("٣", None),
        ("", None),
        ("nonsense", None),
        ("0" * 5000 + "6", 6),
        ("9" * 5000, None),
    ],
)
def test_names_and_numbers(text: str, number: int | None) -> None:
    assert parse_protocol(text) == number


def test_the_numbers_agree_with_the_sockets_of_this_machine() -> None:
    named = {"icmp": socket.IPPROTO_ICMP, "tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
    named |= {"ipv6": socket.IPPROTO_IPV6, "ipv6-icmp": socket.IPPROTO_ICMPV6}
    named |= {"gre": socket.IPPROTO_GRE, "esp": socket.IPPROTO_ESP, "ah": socket.IPPROTO_AH}
    assert {name: PROTOCOL_NUMBERS[name] for name in named} == {n: int(v) for n, v in named.items()}
