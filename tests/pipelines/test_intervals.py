"""Look-ups agree with an independent longest-prefix trie, on nested random prefixes."""

import ipaddress
import random

import numpy as np
import pytest
import pytricia

from v6share.pipelines.kernels.classify.intervals import (
    build_index,
    find_values,
    flatten_prefixes,
    overlay,
)

MAPPED = 0xFFFF << 32


def as_128(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int]:
    start = int(network.network_address)
    return (
        (start | MAPPED, network.prefixlen + 96)
        if network.version == 4
        else (
            start,
            network.prefixlen,
        )
    )


def halves(addresses: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([a >> 64 for a in addresses], np.uint64),
        np.array([a & (2**64 - 1) for a in addresses], np.uint64),
    )


def random_networks(rng: random.Random, count: int) -> list:
    """Nested on purpose: many prefixes are cut out of earlier ones, some span everything."""
    networks: list = [ipaddress.ip_network("::/0"), ipaddress.ip_network("0.0.0.0/0")]
    for _ in range(count):
        parent = rng.choice(networks)
        room = parent.max_prefixlen - parent.prefixlen
        if room == 0:
            continue
        length = parent.prefixlen + rng.randint(1, min(room, rng.choice([4, 16, 64])))
        host_bits = parent.max_prefixlen - length
        start = int(parent.network_address) + (
            rng.getrandbits(length - parent.prefixlen) << host_bits
        )
        networks.append(
            ipaddress.ip_network((start, length))
            if parent.version == 6
            else ipaddress.ip_network((ipaddress.IPv4Address(start), length))
        )
    return sorted(set(networks), key=lambda n: (n.version, n))


def probes(rng: random.Random, networks: list) -> list:
    """Both edges of every prefix, their outer neighbours, and random addresses."""
    found = []
    for n in networks:
        first, last = int(n.network_address), int(n.broadcast_address)
        top = 2**n.max_prefixlen - 1
        kind = ipaddress.IPv4Address if n.version == 4 else ipaddress.IPv6Address
        found += [
            kind(a)
            for a in (first, last, first - 1, last + 1, rng.randint(first, last))
            if 0 <= a <= top and not (n.version == 6 and a >> 32 == 0xFFFF)
        ]
    return found


@pytest.mark.parametrize(("seed", "count"), [(1, 50), (2, 500), (3, 15_000)])
@pytest.mark.parametrize("whole", [True, False])
def test_agrees_with_a_trie(seed: int, count: int, whole: bool) -> None:
    rng = random.Random(seed)
    networks = random_networks(rng, count)
    if not whole:
        networks = [n for n in networks if n.prefixlen > 0]
    # A v6 prefix that covers the mapped range is shadowed there by IPv4's own ::ffff:0:0/96.
    v4, v6 = pytricia.PyTricia(32), pytricia.PyTricia(128)
    starts, lengths, values = [], [], []
    for i, n in enumerate(networks):
        (v4 if n.version == 4 else v6)[str(n)] = i
        start, length = as_128(n)
        starts.append(start), lengths.append(length), values.append(i + 1)
    if not any(n.version == 4 and n.prefixlen == 0 for n in networks):
        starts.append(MAPPED), lengths.append(96), values.append(0)
    hi, lo = halves(starts)
    flat = flatten_prefixes(hi, lo, np.array(lengths, np.uint8), np.array(values, np.int32), 0)
    asked = probes(rng, networks)
    hi, lo = halves([int(a) | MAPPED if a.version == 4 else int(a) for a in asked])
    got = find_values(build_index(flat), hi, lo)
    for address, value in zip(asked, got, strict=True):
        trie = v4 if address.version == 4 else v6
        expected = trie.get(str(address), -1) + 1
        assert value == expected, address


def test_nothing_before_ipv4_speaks_for_what_lies_behind_it() -> None:
    """::fffe:0:0/96 ends where IPv4 begins, and ::1:0:0:0 is the first address behind IPv4."""
    hi, lo = halves([0xFFFE << 32, MAPPED])
    lengths, values = np.array([96, 96], np.uint8), np.array([5, 0], np.int32)
    index = build_index(flatten_prefixes(hi, lo, lengths, values, 0))
    asked = [(0xFFFE << 32) - 1, 0xFFFE << 32, MAPPED - 1, MAPPED, 1 << 48, 1 << 64]
    assert find_values(index, *halves(asked)).tolist() == [0, 5, 5, 0, 0, 0]


def test_overlay_keeps_both_values() -> None:
    rng = random.Random(7)
    layers = []
    for _ in range(2):
        networks = [n for n in random_networks(rng, 300) if n.prefixlen > 0]
        pairs = [as_128(n) for n in networks]
        hi, lo = halves([p[0] for p in pairs])
        layers.append(
            flatten_prefixes(
                hi,
                lo,
                np.array([p[1] for p in pairs], np.uint8),
                np.arange(len(pairs), dtype=np.int32) % 7,
                7,
            )
        )
    cut, other = overlay(*layers)
    addresses = [rng.getrandbits(128) for _ in range(2000)]
    addresses += [rng.getrandbits(32) | MAPPED for _ in range(2000)]
    hi, lo = halves(addresses)
    for kept, layer in ((cut, layers[0]), (type(cut)(cut.hi, cut.lo, other), layers[1])):
        got = find_values(build_index(kept), hi, lo)
        assert (got == find_values(build_index(layer), hi, lo)).all()
