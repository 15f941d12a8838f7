"""Whether two inputs hold the same rows, and how many, by a sample of the rows of each. Pure.

What the samples are stands in ``pipelines/kernels/aggregate/row_sample.py``. Equal rows are no
proof yet: where an exporter samples packets and its clock counts seconds, a busy connection has
many equal rows, and a file may end between them. So only rows that each of the two has once are
evidence. Of those it takes

- four that stand as many rows apart in both; or
- two, where both samples hold all that they should if the inputs share a run of rows, eight
  at least; or
- more than three times as many as there are rows that one of the two has several times, and four at
  least: rows that were written again one by one, among others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from v6share.schemas.row_sample import ALL_WITHIN

LEAST_IN_COMMON: Final = 4
_LEAST_OF_A_RUN: Final = (2, 8)
_MORE_THAN_REPEATED: Final = 3


class SampledRow(NamedTuple):
    """A row of a sample; the columns of ``SAMPLED_ROWS`` of these names."""

    digest: int
    file_row: int
    times: int
    bytes_before: int
    is_reverse: bool
    file_rows: int
    file_bytes: int

    @property
    def bytes_left(self) -> int:
        """The bytes of this row and of all behind it."""
        return self.file_bytes - self.bytes_before


# By digest.
Sample = Mapping[int, SampledRow]
# Equal rows of the earlier and of the later input.
Pairs = Sequence[tuple[SampledRow, SampledRow]]


@dataclass(frozen=True)
class Overlap:
    """Rows that two inputs share. rows: of the files. bytes: of those that are counted.

    first_row: where they begin in the later input, if they are all that one of the two would have
    of the other: its end at the other's head, or the whole of it. Else they are called scattered,
    also where they are a run at the same end of both, as where that begins need not be sampled;
    first_row is None, and rows and bytes are estimates.
    """

    rows: int
    bytes: int
    first_row: int | None


def overlap_of(earlier: Sample, later: Sample) -> Overlap | None:
    """What two inputs share; None where nothing shows it."""
    shared = [(earlier[digest], later[digest]) for digest in sorted(earlier.keys() & later.keys())]
    evidence = [(a, b) for a, b in shared if a.times == b.times == 1]
    if not evidence:
        return None
    steps = Counter(b.file_row - a.file_row for a, b in evidence)
    step = max(steps, key=lambda one: (steps[one], -abs(one), one))
    is_run = _holds_all(earlier, later, step) and _holds_all(later, earlier, -step)
    least, least_shared = _LEAST_OF_A_RUN
    if is_run and steps[step] >= least and len(shared) >= least_shared:
        return _without_gap(evidence, step)
    if steps[step] >= LEAST_IN_COMMON:
        return _without_gap(evidence, step) if is_run else _scattered(shared, later)
    repeated = sum(row.times > 1 for sample in (earlier, later) for row in sample.values())
    enough = max(LEAST_IN_COMMON, _MORE_THAN_REPEATED * repeated + 1)
    return _scattered(shared, later) if len(evidence) >= enough else None


def _holds_all(one: Sample, other: Sample, step: int) -> bool:
    """Whether the other input has all sampled rows of one, so many rows farther on, that it would
    have sampled, too. Those are the rows that are as near to an edge there.
    """
    other_rows = next(iter(other.values())).file_rows
    return all(
        row.digest in other
        for row in one.values()
        if 0 <= row.file_row + step < other_rows
        and _near(row.file_row + step, other_rows) <= _near(row.file_row, row.file_rows)
    )


def _near(row: int, file_rows: int) -> int:
    """How many rows lie between a row and the nearest edge of its file."""
    return min(row, file_rows - 1 - row)


def _without_gap(evidence: Pairs, step: int) -> Overlap:
    """The rows of the later file that stand ``step`` rows farther on than in the earlier one."""
    # One pair of each direction tells the bytes of all.
    pairs = {b.is_reverse: (a, b) for a, b in evidence if b.file_row - a.file_row == step}
    total = 0
    for a, b in pairs.values():
        before = b.bytes_before if step <= 0 else a.bytes_before
        ends_with_earlier = a.file_rows + step <= b.file_rows
        total += before + (a.bytes_left if ends_with_earlier else b.bytes_left)
    a, b = next(iter(pairs.values()))
    first = max(0, step)
    return Overlap(min(b.file_rows, a.file_rows + step) - first, total, first)


def _scattered(shared: Pairs, later: Sample) -> Overlap:
    """An estimate: each row stands for as many as there are to one that is sampled so far off, and
    has as many bytes as the rows of the later file have on average.
    """
    parts: Counter[bool] = Counter()
    for a, b in shared:
        off = max(_near(a.file_row, a.file_rows), _near(b.file_row, b.file_rows)) + 1
        # In parts of ALL_WITHIN, to stay with integers.
        parts[b.is_reverse] += min(a.times, b.times) * max(ALL_WITHIN, off)
    a, b = shared[0]
    rows = min(a.file_rows, b.file_rows, _divided(max(parts.values()), ALL_WITHIN))
    file_bytes = sum({row.is_reverse: row.file_bytes for row in later.values()}.values())
    return Overlap(rows, _divided(rows * file_bytes, b.file_rows), None)


def _divided(count: int, by: int) -> int:
    """Halves up."""
    return (2 * count + by) // (2 * by)
