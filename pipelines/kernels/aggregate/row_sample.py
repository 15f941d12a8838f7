"""A sample of an input's rows, by which another input is known that holds some of them again.

A row has a reach, drawn from a keyed hash of it, and is sampled where it is nearer than its reach
to the first or to the last row of the file. It reaches over d rows with a probability of
12 / (d + 1), and always over 11. So near an edge all rows are sampled, and farther off fewer and
fewer: 12 (1 + ln(rows / 24)) from each edge on average, which is 114 rows of a file of a thousand,
279 of one of a million.

Equal rows have the same reach in any file. So of the last k rows of one file that are the first k
of another, both have sampled the same 16 or so however many k is, and all where k is up to 12.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED, Measures
from v6share.pipelines.kernels.aggregate.siphash import TAG_ROW, hash_rows, hash_texts
from v6share.pipelines.kernels.flow_batch import I32, I64, U8, U32, U64, FlowBatch
from v6share.pipelines.kernels.jit import compiled
from v6share.schemas.row_sample import ALL_WITHIN, MOST_SAMPLED

_REACH_LIMIT: Final = np.uint64(ALL_WITHIN << 32)
_FACTORS: Final = 5


# Equal rows are one, times: how many; it stands for the one that is nearest to an edge. row: where
# that stands in the file. before: octets of the counted rows before it; total: of all. While an
# input is counted, both are of the batch that begins at ``first_row``. is_reverse: it is of the
# batches of the other direction, and so are the octets.
SAMPLED: Final = np.dtype(
    [
        ("digest", np.uint32),
        ("times", np.int64),
        ("row", np.int64),
        ("before", np.int64),
        ("total", np.int64),
        ("first_row", np.int64),
        ("is_reverse", np.bool_),
    ]
)
Sampled: TypeAlias = NDArray[np.void]


class RowSample:
    """The rows that one thread has sampled of an input."""

    def __init__(self, client_key: bytes, file_rows: int) -> None:
        """Have sampled nothing yet. file_rows: rows of the file; of 0 none is sampled."""
        self.file_rows = file_rows
        # Octets counted, by direction and first row.
        self.batches: dict[tuple[bool, int], int] = {}
        self.held: list[Sampled] = []
        self._key = np.frombuffer(client_key, "<u8")
        self._factors = _factors(self._key)

    def add(self, batch: FlowBatch, measures: Measures) -> None:
        """Sample counted rows of a batch, as it was read."""
        if not self.file_rows:
            return
        is_reverse = batch.source_rows is not None
        placed = np.empty(0, np.int64) if batch.source_rows is None else batch.source_rows
        flows = _Flows(
            batch.src_lo,
            batch.dst_lo,
            batch.end_ms,
            batch.src_port,
            batch.dst_port,
            measures.verdict,
            measures.octets,
            placed,
        )
        rows, before, octets = _sample(flows, batch.first_row, self.file_rows, self._factors)
        self.batches[is_reverse, batch.first_row] = octets
        if not len(rows):
            return
        found = np.empty(len(rows), SAMPLED)
        found["digest"] = self._digests(batch, rows) & np.uint64(0xFFFFFFFF)
        found["times"] = 1
        found["row"] = batch.rows_in_file(rows.astype(np.intp))
        found["before"], found["total"] = before, octets
        found["first_row"], found["is_reverse"] = batch.first_row, is_reverse
        self.held.append(_united([found], self.file_rows))

    def _digests(self, batch: FlowBatch, rows: U32) -> U64:
        """Hash what rows say, as it was read: catalog and settings do not show."""
        exporter, of_row = np.unique(batch.exporter.codes[rows], return_inverse=True)
        texts = ["" if code < 0 else batch.exporter.values[code] for code in exporter.tolist()]
        columns = (
            np.full(len(rows), TAG_ROW << 1 | (batch.source_rows is not None)),
            _hashed(self._key, texts)[of_row],
            *(column[rows] for column in _what_it_says(batch)),
        )
        words = np.stack([column.astype(np.uint64) for column in columns], axis=1)
        return hash_rows(self._key[0], self._key[1], words)


def whole_sample(parts: Sequence[RowSample]) -> Sampled:
    """The sample of an input that these threads have counted together, the first row first."""
    file_rows = parts[0].file_rows
    rows = _united([held for part in parts for held in part.held], file_rows)
    near = _near(rows, file_rows)
    rows = rows[np.lexsort((rows["digest"], rows["row"], near))[:MOST_SAMPLED]]
    rows = rows[np.lexsort((rows["digest"], rows["is_reverse"], rows["row"]))]
    batches: dict[tuple[bool, int], int] = {}
    for part in parts:
        batches |= part.batches
    for is_reverse in (False, True):
        firsts = sorted(first for reverse, first in batches if reverse == is_reverse)
        sums = np.cumsum([0, *(batches[is_reverse, first] for first in firsts)])
        here = rows["is_reverse"] == is_reverse
        rows["before"][here] += sums[np.searchsorted(firsts, rows["first_row"][here])]
        rows["total"][here] = sums[-1]
    return rows


def _what_it_says(batch: FlowBatch) -> tuple[NDArray[np.integer], ...]:
    return (
        batch.src_hi,
        batch.src_lo,
        batch.dst_hi,
        batch.dst_lo,
        batch.start_ms,
        batch.end_ms,
        batch.packets,
        batch.octets,
        batch.src_port,
        batch.dst_port,
        batch.protocol,
        batch.tcp_flags,
    )


def _united(parts: Sequence[Sampled], file_rows: int) -> Sampled:
    """Several parts as one, in which equal rows are one."""
    joined = np.concatenate([np.empty(0, SAMPLED), *parts])
    # The nearest to an edge comes first of equal ones; of two that are as near, the first row.
    ordered = joined[np.lexsort((joined["row"], _near(joined, file_rows), joined["digest"]))]
    _, first = np.unique(ordered["digest"], return_index=True)
    united = ordered[first]
    if len(first):
        united["times"] = np.add.reduceat(ordered["times"], first)
    return united


def _near(rows: Sampled, file_rows: int) -> I64:
    """How many rows lie between each row and the nearest edge."""
    near: I64 = np.minimum(rows["row"], file_rows - 1 - rows["row"])
    return near


def _factors(key: U64) -> U64:
    """Odd numbers that nobody knows without the key."""
    return _hashed(key, [str(number) for number in range(_FACTORS)]) | np.uint64(1)


def _hashed(key: U64, texts: Sequence[str]) -> U64:
    data = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, data)]).astype(np.int64)
    return hash_texts(key[0], key[1], TAG_ROW, offsets, np.frombuffer(b"".join(data), np.uint8))


class _Flows(NamedTuple):
    """Columns of n flows. placed: their rows in the file, or empty where they are in order."""

    src_lo: U64
    dst_lo: U64
    end_ms: I64
    src_port: I32
    dst_port: I32
    verdict: U8
    octets: I64
    placed: I64


@compiled
def _sample(flows: _Flows, first_row: int, file_rows: int, factors: U64) -> tuple[U32, I64, int]:
    """Give the flows that are sampled, the octets counted before each, and all that are counted.

    Sums that pass 64 bits wrap: such an input is refused.
    """
    src, dst, ends, placed = flows.src_lo, flows.dst_lo, flows.end_ms, flows.placed
    src_ports, dst_ports = flows.src_port, flows.dst_port
    verdict, octets = flows.verdict, flows.octets
    f0, f1, f2, f3, f4 = factors[0], factors[1], factors[2], factors[3], factors[4]
    n = len(verdict)
    rows, before = np.empty(n, np.uint32), np.empty(n, np.int64)
    count, total = 0, 0
    for i in range(n):
        row = placed[i] if len(placed) else first_row + i
        near = np.uint64(min(row, file_rows - 1 - row) + 1)
        ports = np.uint64(src_ports[i]) << np.uint64(32) | np.uint64(dst_ports[i])
        mixed = src[i] * f0 + dst[i] * f1 + np.uint64(ends[i]) * f2 + ports * f3
        mixed ^= mixed >> np.uint64(32)
        mixed *= f4
        if verdict[i] == COUNTED:
            if (mixed >> np.uint64(32)) * near < _REACH_LIMIT:
                rows[count], before[count] = i, total
                count += 1
            total += octets[i]
    return rows[:count].copy(), before[:count].copy(), total
