"""Does the stated interval hold the truth as often as it says? Simulated packet sampling.

Each cell is a population of flows (several packet-size mixes, heavy-tailed flow lengths) whose
true IPv6 byte share is known. Every packet is sampled with probability 1 / N; each flow's sampled
packets make one exported record (k packets, o octets), to which the variance bound of the
aggregation is applied; the interval comes from the SQL macros. Nothing of the pipeline is used, so
this judges the formulas themselves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

CELLS = 220
REPLICATES = 300
LARGEST = 1500
HEADER = {False: 40, True: 60}

# (size in bytes or None for uniform over all sizes, weight)
MIXES: tuple[tuple[tuple[int | None, float], ...], ...] = (
    ((52, 1.0),),
    ((1500, 1.0),),
    ((52, 0.45), (1500, 0.55)),
    ((64, 7 / 12), (576, 4 / 12), (1500, 1 / 12)),
    ((None, 1.0),),
    ((200, 0.9), (1200, 0.1)),
    ((1400, 0.8), (60, 0.2)),
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """The packets of one population: size, flow and family of each; 1 in ``interval`` sampled."""

    interval: int
    size: npt.NDArray[np.int64]
    flow: npt.NDArray[np.int64]
    flow_is_v6: npt.NDArray[np.bool_]

    @property
    def share(self) -> float:
        return float(self.size[self.flow_is_v6[self.flow]].sum() / self.size.sum())

    @property
    def effective_n(self) -> float:
        """W^2 / Var(W) of the population itself; Var = (N - 1) * sum of squared sizes."""
        squares = float((self.size.astype(float) ** 2).sum())
        return float(self.size.sum()) ** 2 / ((self.interval - 1) * squares)


def make_cell(rng: np.random.Generator) -> Cell:
    interval = round(float(np.exp(rng.uniform(np.log(100), np.log(4000)))))
    wanted = float(np.exp(rng.uniform(np.log(40), np.log(400)))) * interval
    # From flows of a few packets (one sampled packet a record) to flows of several N packets.
    typical = float(np.exp(rng.uniform(np.log(2), np.log(3 * interval))))
    lengths = np.ceil(rng.pareto(rng.uniform(1.1, 2.5), 200_000) * typical)
    lengths = np.minimum(lengths, wanted / 12).astype(np.int64).clip(1)
    flows = int(np.searchsorted(np.cumsum(lengths), wanted)) + 1
    lengths = lengths[:flows]
    is_v6 = rng.random(len(lengths)) < rng.uniform(0.05, 0.97)
    flow = np.repeat(np.arange(len(lengths)), lengths)
    mix_of_flow = rng.choice(rng.choice(len(MIXES), 3), len(lengths))
    size = np.empty(len(flow), np.int64)
    for mix in np.unique(mix_of_flow):
        here = mix_of_flow[flow] == mix
        sizes, weights = zip(*MIXES[mix], strict=True)
        drawn = rng.choice([s or 0 for s in sizes], int(here.sum()), p=weights)
        anything = rng.integers(40, LARGEST + 1, len(drawn))
        size[here] = np.where(drawn == 0, anything, drawn)
    smallest = np.where(is_v6, HEADER[True], HEADER[False])[flow]
    return Cell(interval, np.clip(size, smallest, LARGEST), flow, is_v6)


def make_cells(rng: np.random.Generator) -> Iterator[Cell]:
    made = 0
    while made < CELLS:
        cell = make_cell(rng)
        if cell.effective_n >= 30 and 0.01 < cell.share < 0.99:
            made += 1
            yield cell


def sample_records(
    cell: Cell, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Floats, Floats, npt.NDArray[np.bool_]]:
    """Replicate, packets, octets and family of every exported record, over all replicates.

    The sampled packets of a replicate are a Binomial number of packets, drawn without repeats.
    """
    packets = len(cell.size)
    counts = rng.binomial(packets, 1 / cell.interval, REPLICATES)
    replicate = np.repeat(np.arange(REPLICATES), counts)
    drawn = np.unique(replicate * packets + rng.integers(0, packets, len(replicate)))
    replicate, packet = np.divmod(drawn, packets)
    # Packets stand in flow order, so a record is a run of equal (replicate, flow).
    key = replicate * len(cell.flow_is_v6) + cell.flow[packet]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    k = np.diff(np.append(starts, len(key))).astype(float)
    o = np.add.reduceat(cell.size[packet], starts).astype(float)
    return replicate[starts], k, o, cell.flow_is_v6[key[starts] % len(cell.flow_is_v6)]


def bound_squares(k: Floats, o: Floats, is_v6: npt.NDArray[np.bool_]) -> Floats:
    """Q of a record: o^2 if k = 1, else o (m + M) - k m M, at least o^2 / k."""
    m = np.where(is_v6, HEADER[True], HEADER[False])
    return np.where(k == 1, o**2, np.maximum(o * (m + LARGEST) - k * m * LARGEST, o**2 / k))


def naive_squares(k: Floats, o: Floats, is_v6: npt.NDArray[np.bool_]) -> Floats:
    return o**2 / k


@pytest.fixture(scope="module")
def coverage() -> dict[str, Floats]:
    """Per way of estimating the squares: the coverage of every cell."""
    rng = np.random.default_rng(20_240_229)
    rows: dict[str, list[Floats]] = {"bound": [], "naive": []}
    for number, cell in enumerate(make_cells(rng)):
        replicate, k, o, is_v6 = sample_records(cell, rng)
        for name, squares in (("bound", bound_squares), ("naive", naive_squares)):
            variance = cell.interval * (cell.interval - 1) * squares(k, o, is_v6)
            scaled = cell.interval * o
            sums = [
                np.bincount(replicate, weights, REPLICATES)
                for weights in (scaled * is_v6, scaled, variance * is_v6, variance)
            ]
            cell_columns = [np.full(REPLICATES, number), np.full(REPLICATES, cell.share)]
            rows[name].append(np.column_stack([*cell_columns, *sums]))
    return {name: covered(np.concatenate(parts)) for name, parts in rows.items()}


def covered(table: Floats) -> Floats:
    """The fraction of replicates per cell whose interval, by the SQL macros, holds the truth."""
    connection = duckdb.connect()
    macros = Path(__file__).parents[2] / "sql" / "macros.sql"
    connection.execute(macros.read_text())
    names = ("cell", "truth", "num", "total", "v_num", "v_all")
    columns = {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(names)}
    connection.register("replicates", columns)
    found = connection.execute(
        """
        SELECT avg((truth BETWEEN share_ci_low(num, total, v_num, v_all, 0)
                              AND share_ci_high(num, total, v_num, v_all, 0))::INTEGER)
        FROM replicates
        WHERE total > 0
        GROUP BY cell ORDER BY cell
        """
    ).fetchall()
    return np.array([row[0] for row in found])


def test_the_interval_holds_the_truth_as_often_as_it_says(
    coverage: dict[str, Floats], record_property: Callable[[str, object], None]
) -> None:
    cells = coverage["bound"]
    record_property("mean_coverage", float(cells.mean()))
    record_property("cells_below_90_percent", float((cells < 0.90).mean()))
    assert len(cells) == CELLS
    assert 0.94 <= cells.mean() <= 0.98
    assert (cells < 0.90).mean() < 0.02


def test_the_usual_estimate_would_be_caught(coverage: dict[str, Floats]) -> None:
    """o^2 / k alone takes all packets of a record as equal: the check must see the difference."""
    assert coverage["naive"].mean() < coverage["bound"].mean()
    assert coverage["naive"].min() < 0.90 <= coverage["bound"].min()


def test_the_interval_is_wider_with_fewer_samples() -> None:
    connection = duckdb.connect()
    connection.execute((Path(__file__).parents[2] / "sql" / "macros.sql").read_text())
    widths = [
        connection.execute(
            "SELECT wilson_high(0.9, ?::DOUBLE) - wilson_low(0.9, ?::DOUBLE)", [n, n]
        ).fetchone()[0]  # type: ignore[index]
        for n in (30, 100, 1000, 10_000)
    ]
    assert all(wide > narrow for wide, narrow in pairwise(widths))
