"""The client hash agrees with an independent SipHash-2-4."""

import ipaddress
import random

import numpy as np
import siphash24

from v6share.pipelines.kernels.siphash import TAG_SUBSCRIBER, hash_prefix, hash_texts


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
    for _ in range(400):
        key = rng.randbytes(16)
        k0, k1 = halves(key)
        v6 = ipaddress.ip_network((rng.getrandbits(128), rng.randint(0, 128)), strict=False)
        start = int(v6.network_address)
        noise = rng.getrandbits(128) & int(v6.hostmask)
        a = start | noise
        got = hash_prefix(
            k0, k1, np.uint64(a >> 64), np.uint64(a & (2**64 - 1)), False, v6.prefixlen
        )
        size = -(-v6.prefixlen // 8)
        assert got == oracle(key, b"6" + v6.network_address.packed[:size]), v6
        length = rng.randint(0, 32)
        v4 = ipaddress.ip_network((rng.getrandbits(32), length), strict=False)
        a = int(v4.network_address) | (rng.getrandbits(32) & int(v4.hostmask))
        got = hash_prefix(k0, k1, np.uint64(0), np.uint64((0xFFFF << 32) | a), True, length)
        assert got == oracle(key, b"4" + v4.network_address.packed[: -(-length // 8)]), v4


def test_texts() -> None:
    rng = random.Random(4)
    texts = [rng.randbytes(n) for n in range(40)]
    key = rng.randbytes(16)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    data = np.frombuffer(b"".join(texts), np.uint8)
    got = hash_texts(*halves(key), TAG_SUBSCRIBER, offsets, data)
    assert got.tolist() == [oracle(key, b"s" + t) for t in texts]
