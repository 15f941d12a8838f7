"""Rows that two files hold: how they are sampled, and what two samples show."""

import random
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_maker import catalog

from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import Sums, merge_accumulators
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.row_sample import ALL_WITHIN
from v6share.schemas.settings import Settings
from v6share.warehouse.merge.compare_samples import Overlap, Sample, SampledRow, overlap_of

PLAN = compile_plan(catalog(), Settings(), b"0123456789abcdef")
JANUARY_1 = 1_767_225_600_000
INTERVAL = 100


def flows(seed: int, rows: int, start_ms: int = JANUARY_1) -> pa.Table:
    """Flows of many connections of one exporter, three a millisecond; no two are equal."""
    rng = np.random.default_rng(seed)
    starts = start_ms + np.arange(rows) // 3
    return pa.table(
        {
            "flowStartMilliseconds": starts,
            "flowEndMilliseconds": starts + rng.integers(0, 60_000, rows),
            "sourceIPv4Address": pa.array(rng.integers(0x0A000001, 0x0A00FFFF, rows), pa.uint32()),
            "destinationIPv4Address": pa.array(np.full(rows, 0xC6120101), pa.uint32()),
            "protocolIdentifier": np.full(rows, 6),
            "sourceTransportPort": rng.integers(1024, 65536, rows),
            "destinationTransportPort": np.full(rows, 443),
            "octetDeltaCount": np.exp(rng.normal(8, 2, rows)).astype(np.int64) + 4000,
            "packetDeltaCount": np.full(rows, 10),
            "samplingInterval": np.full(rows, INTERVAL),
            "exporterIPv4Address": ["192.0.2.1"] * rows,
        }
    )


def both(one: pa.Table, other: pa.Table) -> pa.Table:
    return pa.concat_tables([one, other])


def bytes_of(rows: pa.Table) -> int:
    return INTERVAL * sum(rows["octetDeltaCount"].to_pylist())


def counted(
    folder: Path, rows: pa.Table, plan: Plan = PLAN, lanes: int = 1, **written: object
) -> Sums:
    """What a file of these rows comes to, counted by lanes that take its batches in any order."""
    path = folder / "flows.parquet"
    pq.write_table(rows, path, **written)
    file = open_flow_file(str(path))
    rng = random.Random(lanes)
    batch_rows = 262_144 if lanes == 1 else rng.randrange(1, max(2, file.rows // 3))
    batches = [b for group in range(file.row_groups) for b in file.read([group], batch_rows)]
    if lanes > 1:
        rng.shuffle(batches)
    parts = [Accumulator(plan, file_rows=file.rows) for _ in range(lanes)]
    for batch in batches:
        rng.choice(parts).add(batch)
    return merge_accumulators(plan, parts)


def sample_of(folder: Path, rows: pa.Table, plan: Plan = PLAN, **written: object) -> Sample:
    table = counted(folder, rows, plan, **written).tables["sampled_rows"]
    names = table.select(SampledRow._fields).to_pylist()
    return {row["digest"]: SampledRow(**row) for row in names}


# How rows are sampled.


def with_rejects_and_reverse_halves(rows: pa.Table) -> pa.Table:
    """Every seventh row is rejected, and every third counts both directions."""
    count = rows.num_rows
    packets = [0 if row % 7 == 3 else 10 for row in range(count)]
    reverse = [40 + row if row % 3 == 0 else None for row in range(count)]
    place = rows.column_names.index("packetDeltaCount")
    rows = rows.set_column(place, "packetDeltaCount", pa.array(packets))
    rows = rows.append_column("reverseOctetDeltaCount", pa.array(reverse, pa.int64()))
    return rows.append_column("reversePacketDeltaCount", pa.array(reverse, pa.int64()))


@pytest.mark.parametrize("rows", [0, 1, 30, 900])
def test_no_thread_batch_or_row_group_shows(tmp_path: Path, rows: int) -> None:
    table = with_rejects_and_reverse_halves(flows(1, rows))
    whole = counted(tmp_path, table).tables["sampled_rows"]
    assert whole.num_rows or not rows
    for lanes in (2, 3, 5):
        parts = counted(tmp_path, table, lanes=lanes, row_group_size=max(1, rows // lanes))
        assert parts.tables["sampled_rows"].equals(whole)


def test_rows_near_an_edge_are_sampled_with_the_bytes_before_them(tmp_path: Path) -> None:
    table = with_rejects_and_reverse_halves(flows(2, 1000))
    rows = counted(tmp_path, table).tables["sampled_rows"].to_pylist()
    octets = {
        False: [
            0 if row % 7 == 3 else INTERVAL * o
            for row, o in enumerate(table["octetDeltaCount"].to_pylist())
        ],
        True: [INTERVAL * (o or 0) for o in table["reverseOctetDeltaCount"].to_pylist()],
    }
    before = {half: [0, *accumulate(values)] for half, values in octets.items()}
    for row in rows:
        half = row["is_reverse"]
        assert row["bytes_before"] == before[half][row["file_row"]]
        assert row["file_bytes"] == before[half][-1]
        assert row["file_rows"] == 1000
        assert octets[half][row["file_row"]], "rejected rows are not sampled"
    edges = {*range(ALL_WITHIN), *range(1000 - ALL_WITHIN, 1000)}
    for half, values in octets.items():
        sampled = {row["file_row"] for row in rows if row["is_reverse"] == half}
        assert {row for row in edges if values[row]} <= sampled


def test_a_sample_grows_with_the_logarithm_of_the_rows(tmp_path: Path) -> None:
    """It is 12 (1 + ln(rows / 24)) from each edge on average: 113.5 and 224."""
    assert 80 < len(sample_of(tmp_path, flows(3, 1000))) < 150
    assert 180 < len(sample_of(tmp_path, flows(3, 100_000))) < 270


def test_equal_rows_take_one_place(tmp_path: Path) -> None:
    table = pa.concat_tables([flows(4, 1)] * 5000)
    (row,) = sample_of(tmp_path, table).values()
    assert row.file_row == 0
    assert row.times >= 2 * ALL_WITHIN


def test_no_digest_is_the_same_under_another_key(tmp_path: Path) -> None:
    other = compile_plan(catalog(), Settings(), b"another client k")
    one, under_other = sample_of(tmp_path, flows(5, 900)), sample_of(tmp_path, flows(5, 900), other)
    assert len(one.keys() & under_other.keys()) <= 1


# What two samples show.


@pytest.mark.parametrize(
    ("rows", "again"), [(1000, 4), (1000, 12), (1000, 30), (100_000, 30), (1000, 200), (9000, 3000)]
)
def test_the_end_of_one_file_at_the_head_of_the_next(tmp_path: Path, rows: int, again: int) -> None:
    first, second = flows(6, rows), flows(7, rows, JANUARY_1 + rows)
    repeated = first.slice(rows - again)
    earlier, later = sample_of(tmp_path, first), sample_of(tmp_path, both(repeated, second))
    assert overlap_of(earlier, later) == Overlap(again, bytes_of(repeated), 0)
    # The same file may begin earlier: then its tail is what the other one's head holds.
    assert overlap_of(later, earlier) == Overlap(again, bytes_of(repeated), rows - again)


def test_a_copy_in_other_bytes_and_parts_of_it(tmp_path: Path) -> None:
    first, second = flows(8, 3000), flows(9, 500, JANUARY_1 + 2000)
    one = sample_of(tmp_path, first)
    copy = sample_of(tmp_path, first, compression="zstd", row_group_size=100)
    assert overlap_of(one, copy) == Overlap(3000, bytes_of(first), 0)
    longer = sample_of(tmp_path, both(first, second))
    assert overlap_of(one, longer) == Overlap(3000, bytes_of(first), 0)
    behind = sample_of(tmp_path, both(second, first))
    assert overlap_of(one, behind) == Overlap(3000, bytes_of(first), 500)


def test_bytes_are_those_counted_of_both_directions(tmp_path: Path) -> None:
    first = with_rejects_and_reverse_halves(flows(10, 1000))
    repeated = first.slice(900)
    one = sample_of(tmp_path, first)
    second = with_rejects_and_reverse_halves(flows(11, 1000, JANUARY_1 + 400))
    other = sample_of(tmp_path, both(repeated, second))
    columns = repeated.to_pydict()
    forward = zip(columns["octetDeltaCount"], columns["packetDeltaCount"], strict=True)
    octets = [octets for octets, packets in forward if packets]
    octets += [octets for octets in columns["reverseOctetDeltaCount"] if octets]
    assert overlap_of(one, other) == Overlap(100, INTERVAL * sum(octets), 0)


def test_scattered_rows_are_estimated(tmp_path: Path) -> None:
    first = flows(12, 2000)
    order = np.random.default_rng(12).permutation(2000)
    found = overlap_of(sample_of(tmp_path, first), sample_of(tmp_path, first.take(order)))
    assert found is not None
    assert found.first_row is None
    assert 1200 <= found.rows <= 2000
    assert 0.5 < found.bytes / bytes_of(first) <= 1
    # Two consumers, one of which writes 300 rows again among as many new ones.
    mixed = np.stack([np.arange(300), np.arange(300, 600)], axis=1).ravel()
    later = both(first.slice(1700), flows(13, 1000)).take([*mixed, *range(600, 1300)])
    found = overlap_of(sample_of(tmp_path, first), sample_of(tmp_path, later))
    assert found is not None
    assert found.first_row is None
    assert 150 <= found.rows <= 600


def test_rows_at_the_same_end_of_both_are_estimated(tmp_path: Path) -> None:
    """A consumer wrote the last rows of a file again at the end of the next."""
    one, other = flows(1, 100), flows(2, 100, JANUARY_1 + 3_600_000)
    later = both(other, one.slice(92))
    found = overlap_of(sample_of(tmp_path, one), sample_of(tmp_path, later))
    # 8 rows of 108, with the bytes of the average one; halves up.
    assert found == Overlap(8, (2 * 8 * bytes_of(later) + 108) // (2 * 108), None)


def test_few_rows_and_other_rows_are_no_overlap(tmp_path: Path) -> None:
    first = flows(14, 1000)
    one = sample_of(tmp_path, first)
    same_windows = flows(15, 1000)
    assert overlap_of(one, sample_of(tmp_path, same_windows)) is None
    three = both(first.slice(997), same_windows)
    assert overlap_of(one, sample_of(tmp_path, three)) is None


@pytest.mark.parametrize("seed", range(12))
def test_equal_packets_on_both_sides_of_a_cut_are_no_overlap(tmp_path: Path, seed: int) -> None:
    """Samples of packets with times in seconds, where few connections send most of them."""
    rng = np.random.default_rng(seed)
    per_second, rows = int(rng.choice([30, 300, 3000])), 6000
    connection = np.minimum(rng.zipf(1.3, rows), 5000)
    starts = JANUARY_1 + (np.arange(rows) + per_second // 2) // per_second * 1000
    table = flows(0, rows)
    for name, values in (
        ("flowStartMilliseconds", starts),
        ("flowEndMilliseconds", starts),
        ("sourceIPv4Address", connection.astype(np.uint32) + 0x0A000000),
        ("sourceTransportPort", connection % 60_000 + 1024),
        ("octetDeltaCount", np.full(rows, 15_000)),
    ):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    one, other = (sample_of(tmp_path, table.slice(at, rows // 2)) for at in (0, rows // 2))
    assert overlap_of(one, other) is None
    again = sample_of(tmp_path, table.slice(rows // 2 - 20, rows // 2))
    found = overlap_of(one, again)
    assert found is None or found == Overlap(20, 20 * 15_000 * INTERVAL, 0)
