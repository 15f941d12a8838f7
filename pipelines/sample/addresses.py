"""Where everybody lives: the address plan of the story, as 128-bit numbers in two halves.

Clients: IPv6 ``3fff:NR::/32`` (N network, R region) and IPv4 ``100.(64 + 8N + R).0.0/16``.
Services: IPv6 ``2001:db8:AR::/48`` (A app) and IPv4 ``198.18.(8A + R).0/24``.
IPv4 is held as ``::ffff:a.b.c.d``. The functions here must stay in step with the catalog that
``catalog.py`` writes: truth is planted by the same plan.
"""

from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

I64: TypeAlias = NDArray[np.int64]
U64: TypeAlias = NDArray[np.uint64]
Bool: TypeAlias = NDArray[np.bool_]
Halves: TypeAlias = tuple[U64, U64]

V4: Final = 1
V6: Final = 2
MAPPED: Final = 0xFFFF << 32
SID_BITS: Final = 20
SHARED_PLACE: Final = 30
NAT64_WELL_KNOWN: Final = "64:ff9b::/96"
NAT64_OWN: Final = "2001:db8:64:64::/96"
# The part of each block of a 464XLAT network that its CLATs use: rotation 0xc0 and above.
CLAT_BIT: Final = 0xC0 << 24


def halves(address: str) -> tuple[int, int]:
    """The two 64-bit halves of an address as text; IPv4 comes out mapped."""
    if ":" not in address:
        return 0, MAPPED | int(IPv4Address(address))
    number = int(IPv6Address(address))
    return number >> 64, number & (2**64 - 1)


def client_block_v4(network: int, region: int) -> str:
    """The IPv4 prefix of a network's clients in a region."""
    return f"100.{64 + 8 * network + region}.0.0/16"


def client_block_v6(network: int, region: int) -> str:
    """The IPv6 prefix of a network's clients in a region."""
    return f"3fff:{16 * network + region:x}::/32"


def clat_block(network: int, region: int) -> str:
    """The part of ``client_block_v6`` from which 464XLAT clients translate."""
    return f"3fff:{16 * network + region:x}:c000::/34"


def service_block_v4(place: int, region: int) -> str:
    """The IPv4 prefix of a service in a region; place = app number from 1, or SHARED_PLACE."""
    return f"198.18.{8 * place + region}.0/24"


def service_block_v6(place: int, region: int) -> str:
    """The IPv6 prefix of a service in a region."""
    return f"2001:db8:{256 * place + region:x}::/48"


def scramble(index: I64) -> I64:
    """A client's number below 2^20 for its index: odd multiplier, so distinct stay distinct."""
    return (index * 421_397 + 97_911) & ((1 << SID_BITS) - 1)


def client_v4(network: I64, region: I64, sid: I64) -> Halves:
    """IPv4 addresses of clients."""
    block = 100 << 24 | (64 + 8 * network + region) << 16
    low = MAPPED | block | (sid & 0xFFFF)
    return np.zeros(len(low), np.uint64), low.astype(np.uint64)


def client_v6(network: I64, region: I64, sid: I64, rotation: I64, mobile: Bool) -> Halves:
    """IPv6 addresses of clients: one /64 of a mobile client, one of the /64s of a household.

    A mobile prefix is rotation (8 bits) and number (24); a household's /56 is rotation (4 bits)
    and number (20).
    """
    block = 0x3FFF << 48 | (16 * network + region) << 32
    of_mobile = (rotation & 0xFF) << 24 | sid
    of_house = (rotation & 0xF) << 28 | sid << 8 | (sid & 1)
    high = block | np.where(mobile, of_mobile, of_house)
    return high.astype(np.uint64), ((sid & 0xFFF) + 1).astype(np.uint64)


def service_v4(place: I64, region: I64, host: I64) -> Halves:
    """IPv4 addresses of services."""
    low = MAPPED | 198 << 24 | 18 << 16 | (8 * place + region) << 8 | (10 + host)
    return np.zeros(len(low), np.uint64), low.astype(np.uint64)


def service_v6(place: I64, region: I64, host: I64) -> Halves:
    """IPv6 addresses of services."""
    high = 0x20010DB8 << 32 | (256 * place + region) << 16
    return high.astype(np.uint64), (host + 1).astype(np.uint64)


def behind_nat64(v4: Halves, own: Bool) -> Halves:
    """The IPv6 address under which a NAT64 shows an IPv4 service (RFC 6052, /96)."""
    known, ours = halves(NAT64_WELL_KNOWN[:-3])[0], halves(NAT64_OWN[:-3])[0]
    high = np.where(own, np.uint64(ours), np.uint64(known))
    return high, v4[1] & np.uint64(0xFFFFFFFF)


def as_bytes(address: Halves) -> NDArray[np.uint8]:
    """16 bytes each, network order, shape (n, 16)."""
    pairs = np.stack(address, axis=1).astype(">u8")
    return np.ascontiguousarray(pairs).view(np.uint8).reshape(-1, 16)


def as_text(address: Halves) -> list[str]:
    """Each as text: dotted for mapped IPv4, RFC 5952 for IPv6."""
    whole = as_bytes(address).tobytes()
    mapped = bytes(10) + b"\xff\xff"
    each = (whole[i : i + 16] for i in range(0, len(whole), 16))
    return [
        inet_ntop(AF_INET, one[12:]) if one.startswith(mapped) else inet_ntop(AF_INET6, one)
        for one in each
    ]
