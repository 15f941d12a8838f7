"""The family of a row, from its addresses: what the outermost IP header is."""

import numpy as np

from v6share.pipelines.kernels.flow_batch import U8, U64, Bool
from v6share.pipelines.kernels.jit import compiled

UNKNOWN, V4, V6 = 0, 1, 2  # as in FAMILIES
_MAPPED = np.uint64(0xFFFF_0000_0000)
_NO_V4 = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
MIXED = 3  # addresses of both families, and nothing tells which is the outer one


@compiled
def combined_family(src_hi: U64, src_lo: U64, dst_hi: U64, dst_lo: U64, family: U8) -> bool:
    """Family of one address column an end; 3 where the ends differ.

    Returns whether every row has a family.
    """
    unclear = 0
    for i in range(len(family)):
        family[i] = _kind(src_hi[i], src_lo[i]) | _kind(dst_hi[i], dst_lo[i])
        unclear += (family[i] == 0) | (family[i] == MIXED)
    return unclear == 0


@compiled
def forget_unclear(src_hi: U64, src_lo: U64, dst_hi: U64, dst_lo: U64, family: U8) -> None:
    """Take the addresses of rows without a family, and of rows of two, for no rule may read them.

    A row without any address (both ends zero) gets four zero halves: absent and all-zero are the
    same thing here.
    """
    for i in range(len(family)):
        if family[i] == 0 or family[i] == MIXED:
            src_hi[i], src_lo[i], dst_hi[i], dst_lo[i] = 0, 0, 0, 0


@compiled
def _kind(hi: np.uint64, lo: np.uint64) -> int:
    """0 zero, 1 IPv4, 2 IPv6. Without branches, as families alternate."""
    is_zero = ((hi | lo) == 0) | ((hi | (lo ^ np.uint64(0xFFFF00000000))) == 0)
    is_v4 = (hi | ((lo >> np.uint64(32)) ^ np.uint64(0xFFFF))) == 0
    return 0 if is_zero else (1 if is_v4 else 2)


@compiled
def separate(hi: U64, lo: U64, four: U64, six_hi: U64, six_lo: U64) -> None:
    """Put each address where its family belongs, unless an earlier column has filled the place.

    0.0.0.0 fills no place that a later column could fill better.
    """
    for i in range(len(hi)):
        if hi[i] == 0 and lo[i] >> np.uint64(32) == np.uint64(0xFFFF):
            if four[i] & np.uint64(0xFFFFFFFF) == 0:
                four[i] = lo[i]
        elif six_hi[i] == 0 and six_lo[i] == 0:
            six_hi[i], six_lo[i] = hi[i], lo[i]


@compiled
def separate_family(
    src4: U64,
    src_hi: U64,
    src_lo: U64,
    dst4: U64,
    dst_hi: U64,
    dst_lo: U64,
    inner: U8,
    family: U8,
    underlay: U8,
) -> bool:
    """Choose between the IPv4 and the IPv6 addresses of a row; 3 where nothing tells.

    The choice is written over the IPv6 halves. Returns whether every row has a family.
    """
    clear = True
    for i in range(len(family)):
        has4 = (src4[i] | dst4[i]) & np.uint64(0xFFFFFFFF) != 0
        has6 = _is_own(src4[i], src_hi[i], src_lo[i]) or _is_own(dst4[i], dst_hi[i], dst_lo[i])
        use4 = has4
        if has4 and has6:
            use4 = inner[i] == V4
            family[i] = MIXED if inner[i] == 0 else (V6 if use4 else V4)
            underlay[i] = 0 if inner[i] == 0 else family[i]
        else:
            family[i] = V4 if has4 else (V6 if has6 else 0)
        if use4:
            src_hi[i], src_lo[i], dst_hi[i], dst_lo[i] = 0, src4[i], 0, dst4[i]
        if family[i] == 0 or family[i] == MIXED:
            src_hi[i], src_lo[i], dst_hi[i], dst_lo[i] = 0, 0, 0, 0
            clear = False
    return clear


@compiled
def _is_own(four: np.uint64, hi: np.uint64, lo: np.uint64) -> bool:
    """Whether the IPv6 address says more than ``::a.b.c.d`` beside the same a.b.c.d."""
    if hi == 0 and lo == 0:
        return False
    return not (hi == 0 and four != 0 and lo == four & np.uint64(0xFFFFFFFF))


@compiled
def as_told(
    told: U8,
    weak: Bool,
    cut: Bool,
    src_hi: U64,
    src_lo: U64,
    dst_hi: U64,
    dst_lo: U64,
    family: U8,
    contradicted: Bool,
) -> None:
    """Hold the family of addresses against what a version or an ethertype says.

    weak: where what is told proves nothing; cut: where an address of a wider column has 4 bytes;
    both may be empty. IPv4 in 16 bytes, with zeros before it or behind it, is IPv4 where it is told
    so. What was cut and is told to be IPv6 is the rest of an address: nothing is known of it. In
    all other rows addresses win, and ``contradicted`` tells which these are.
    """
    for i in range(len(family)):
        if told[i] == 0 or told[i] == family[i] or family[i] == 0:
            continue
        proven = len(weak) == 0 or not weak[i]
        if told[i] == V4:
            src4 = _as_v4(src_hi[i], src_lo[i], proven)
            dst4 = _as_v4(dst_hi[i], dst_lo[i], proven)
            if src4 != _NO_V4 and dst4 != _NO_V4 and (src4 | dst4) != 0:
                src_hi[i], src_lo[i] = 0, _MAPPED | src4
                dst_hi[i], dst_lo[i] = 0, _MAPPED | dst4
                family[i] = V4
                continue
        if family[i] == MIXED:
            continue
        if proven and told[i] == V6 and len(cut) > 0 and cut[i]:
            family[i] = 0
        contradicted[i] = True


@compiled
def tells_otherwise(told: U8, family: U8) -> bool:
    """Whether any row with IPv4 addresses is told to be IPv6."""
    count = 0
    for i in range(len(family)):
        count += (told[i] == V6) & (family[i] == V4)
    return count > 0


@compiled
def _as_v4(hi: np.uint64, lo: np.uint64, proven: bool) -> np.uint64:
    """The 32 bits of IPv4 in 16 bytes, mapped or among zeros, 0 where all is zero; else _NO_V4.

    With zeros behind it only where IPv4 is proven, for ``2001:db8::`` may be a network. No host is
    in 0.0.0.0/8, so ``::1`` is none of these.
    """
    if hi == 0 and (lo >> np.uint64(32) == np.uint64(0xFFFF) or lo == 0):
        return lo & np.uint64(0xFFFFFFFF)
    four = lo if hi == 0 else hi >> np.uint64(32)
    is_padded = (hi == 0) or (proven and lo == 0 and hi & np.uint64(0xFFFFFFFF) == 0)
    first = four >> np.uint64(24)
    return four if is_padded and np.uint64(0) < first <= np.uint64(0xFF) else _NO_V4


@compiled
def outer_family(hi: U64, lo: U64, shown: U8) -> None:
    """Note the family of an outer header's address where none is noted yet."""
    for i in range(len(shown)):
        kind = _kind(hi[i], lo[i])
        if shown[i] == 0 and kind != 0:
            shown[i] = kind
