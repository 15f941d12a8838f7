"""IP protocol numbers and the names that catalogs and collectors write for them.

Source: IANA, "Protocol Numbers" (Assigned Internet Protocol Numbers), plus the spellings of
goflow2 (``HOPOPT``, ``IPv6-ICMP``), nfdump (``ICMP6``) and Linux' ``/etc/protocols``
(``ipencap``). Case never matters. The table is fixed on purpose: the machine's own
``/etc/protocols`` would make the same catalog mean different things on different machines.
"""

from typing import Final

PROTOCOL_NUMBERS: Final[dict[str, int]] = {
    "hopopt": 0,
    "ip": 0,
    "icmp": 1,
    "igmp": 2,
    "ggp": 3,
    "ipip": 4,
    "ipv4": 4,
    "ipencap": 4,
    "ip-in-ip": 4,
    "st": 5,
    "tcp": 6,
    "cbt": 7,
    "egp": 8,
    "igp": 9,
    "pup": 12,
    "udp": 17,
    "hmp": 20,
    "xns-idp": 22,
    "rdp": 27,
    "iso-tp4": 29,
    "dccp": 33,
    "xtp": 36,
    "ddp": 37,
    "idpr-cmtp": 38,
    "ipv6": 41,
    "6in4": 41,
    "sdrp": 42,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "idrp": 45,
    "rsvp": 46,
    "gre": 47,
    "dsr": 48,
    "esp": 50,
    "ipsec-esp": 50,
    "ah": 51,
    "ipsec-ah": 51,
    "swipe": 53,
    "narp": 54,
    "mobile": 55,
    "tlsp": 56,
    "skip": 57,
    "ipv6-icmp": 58,
    "icmp6": 58,
    "icmpv6": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "rspf": 73,
    "vmtp": 81,
    "eigrp": 88,
    "ospf": 89,
    "ospfigp": 89,
    "ospfv3": 89,
    "ax.25": 93,
    "etherip": 97,
    "encap": 98,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "pgm": 113,
    "l2tp": 115,
    "isis": 124,
    "sctp": 132,
    "fc": 133,
    "mobility-header": 135,
    "udplite": 136,
    "udp-lite": 136,
    "mpls-in-ip": 137,
    "manet": 138,
    "hip": 139,
    "shim6": 140,
    "wesp": 141,
    "rohc": 142,
    "ethernet": 143,
    "aggfrag": 144,
    "nsh": 145,
}
MAX_PROTOCOL: Final = 255
# ICMP carries type and code where others have ports; GRE and IP in IP carry nothing there.
WITHOUT_PORTS: Final = frozenset((1, 4, 41, 47, 58))
_MOST_DIGITS: Final = 3


def parse_protocol(text: str) -> int | None:
    """The protocol number that a name or a decimal number (0 to 255) stands for; else None."""
    word = text.strip().lower()
    if word.isascii() and word.isdecimal():
        # Python refuses to read a number of thousands of digits.
        digits = word.lstrip("0") or "0"
        number = int(digits) if len(digits) <= _MOST_DIGITS else MAX_PROTOCOL + 1
        return number if number <= MAX_PROTOCOL else None
    return PROTOCOL_NUMBERS.get(word)
