"""The client hash agrees with an independent SipHash-2-4."""

import ipaddress
import random

import numpy as np
import siphash24

from v6share.pipelines.kernels.aggregate.siphash import TAG_SUBSCRIBER, hash_prefixes, hash_texts


def oracle(key: bytes, message: bytes) -> int:
    return int.from_bytes(siphash24.siphash24(message, key=key).digest(), "little")


def halves(key: bytes) -> tuple[np.uint64, np.uint64]:
    k0, k1 = np.frombuffer(key, "<u8")
    return k0, k1


def test_the_authors_vector() -> None:
    """Appendix A of the paper: key 00..0f, message 00..0e."""
    assert oracle(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


def test_prefixes() -> None:
    rng = random.Random(3)
    key = rng.randbytes(16)
    addresses, v4s, lengths, expected = [], [], [], []
    for _ in range(3000):
        is_v4 = rng.random() < 0.5
        bits = 32 if is_v4 else 128
        value, length = rng.getrandbits(bits), rng.randint(0, bits)
        kind = ipaddress.IPv4Address if is_v4 else ipaddress.IPv6Address
        prefix = ipaddress.ip_network((kind(value), length), strict=False)
        packed = prefix.network_address.packed[: -(-length // 8)]
        addresses.append(value | 0xFFFF << 32 if is_v4 else value)
        v4s.append(is_v4)
        lengths.append(length)
        expected.append(oracle(key, (b"4" if is_v4 else b"6") + packed))
    hi = np.array([a >> 64 for a in addresses], np.uint64)
    lo = np.array([a & (2**64 - 1) for a in addresses], np.uint64)
    got = hash_prefixes(*halves(key), hi, lo, np.array(v4s), np.array(lengths, np.uint8))
    assert got.tolist() == expected


def test_texts() -> None:
    rng = random.Random(4)
    texts = [rng.randbytes(n) for n in range(40)]
    key = rng.randbytes(16)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    data = np.frombuffer(b"".join(texts), np.uint8)
    got = hash_texts(*halves(key), TAG_SUBSCRIBER, offsets, data)
    assert got.tolist() == [oracle(key, b"s" + t) for t in texts]
