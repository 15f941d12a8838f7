"""Sizes of pages before they are read, how many rows are read at once, and that all are read."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bombs import flow_columns, footer_of, write, write_repeated

from v6share.pipelines import flow_file, reading_limits
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.kernels.normalise.bounds import longest_text, text_bytes
from v6share.pipelines.kernels.thrift import CUT, MALFORMED, NUMBERS, walk_struct
from v6share.pipelines.page_sizes import ChunkSizes, chunk_sizes
from v6share.pipelines.reading_limits import ColumnPages, TextRead, check_work, rows_at_once
from v6share.schemas.errors import InputRefused

MIB = 1 << 20


def walked(data: bytes) -> tuple[int, int, np.ndarray]:
    numbers = np.zeros((NUMBERS, NUMBERS), np.int64)
    return *walk_struct(np.frombuffer(data, np.uint8), numbers), numbers


def test_a_footer_is_walked_to_its_end(tmp_path: Path) -> None:
    """Fields of FileMetaData: 2 is the schema, with a root; 3 the rows; 4 the row groups."""
    for times in (1, 7, 200):
        write_repeated(tmp_path / "f.parquet", flow_columns(5), times)
        _, footer = footer_of((tmp_path / "f.parquet").read_bytes())
        end, held, numbers = walked(footer)
        assert end == len(footer)
        assert numbers[0, 2:5].tolist() == [8, 5 * times, times]
        # Of each row group itself, its 7 columns, and what each has of metadata.
        assert held > times * (1 + 7 * 2)


def test_no_footer_that_is_cut_or_altered_leads_outside(tmp_path: Path) -> None:
    write(tmp_path / "f.parquet", flow_columns(5))
    _, footer = footer_of((tmp_path / "f.parquet").read_bytes())
    assert {walked(footer[:length])[0] for length in range(len(footer))} == {CUT}
    rng = random.Random(3)
    ends = set()
    for _ in range(3000):
        bent = bytearray(footer)
        for _ in range(rng.randrange(1, 4)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        end, _, _ = walked(bytes(bent))
        assert end in (CUT, MALFORMED) or 0 < end <= len(footer)
        ends.add(min(end, 0))
    assert ends == {CUT, MALFORMED, 0}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_sizes_of_pages_add_up_to_what_the_footer_says(
    tmp_path: Path, version: str, compression: str
) -> None:
    """It counts the heads of the pages as well, 10 to 60 bytes each without statistics."""
    rng = random.Random(1)
    rows = 30_000
    columns = {
        "few": pa.array([rng.choice("abc") for _ in range(rows)]),
        "many": pa.array([str(rng.random()) for _ in range(rows)]),
        "numbers": pa.array([rng.choice((None, 1, 2**60)) for _ in range(rows)]),
    }
    path = tmp_path / "f.parquet"
    write(
        path,
        columns,
        compression=compression,
        data_page_version=version,
        use_dictionary=["few"],
        max_rows_per_page=1000,
    )
    metadata = pq.read_metadata(path)
    with pa.OSFile(str(path)) as file:
        few, many, numbers = (
            chunk_sizes(file, metadata.row_group(0).column(place)) for place in range(3)
        )
    assert (few.values, many.values, numbers.values) == (rows, rows, rows)
    assert (few.codes, few.codes_first, few.dictionary_values) == (True, True, 3)
    assert (many.codes, many.dictionary) == (False, 0)
    # Some 18 digits, and the 4 bytes of their length.
    assert 20 < many.densest < 26
    for place, sizes in enumerate((few, many, numbers)):
        said = metadata.row_group(0).column(place).total_uncompressed_size
        assert 0 <= said - sizes.total < 31 * 60 or compression != "none"


def pages(**sizes: object) -> ChunkSizes:
    plain = {"values": 1000, "page": 0, "densest": 0.0, "dictionary": 0, "dictionary_values": 0}
    flags = {"total": 0, "codes": False, "codes_first": False}
    others = {"plain": True, "prefixes": False}
    return ChunkSizes(**{**plain, **flags, **others, **sizes})


def test_how_many_rows_are_read_at_once() -> None:
    """64 MiB of them, by the worst that the pages allow."""
    most = 262_144
    number = ColumnPages("n", pages(page=8 * MIB), 8, in_list=False)
    assert rows_at_once([number] * 12, most) == most
    dense = pages(page=MIB, densest=20_000.0, total=40 * MIB)
    assert rows_at_once([ColumnPages("t", dense, 0, in_list=False)], most) == 64 * MIB // 20_004
    little = pages(page=MIB, densest=20_000.0, total=MIB)
    assert rows_at_once([ColumnPages("t", little, 0, in_list=False)], most) == most
    codes = pages(dictionary=MIB, dictionary_values=2, codes=True, codes_first=True)
    assert rows_at_once([ColumnPages("c", codes, 0, in_list=False)], most) == 64
    as_codes = ColumnPages("c", codes, 0, in_list=False, as_codes=True)
    assert rows_at_once([as_codes], most) == most
    looked_up = ColumnPages("c", codes, 0, in_list=False, longest=30)
    assert rows_at_once([looked_up], most) == most
    prefixes = pages(page=MIB, prefixes=True)
    assert rows_at_once([ColumnPages("p", prefixes, 0, in_list=False)], most) == 63
    with pytest.raises(InputRefused, match=r'pages \(most in "n"\) that take 264 MiB at once'):
        rows_at_once([number] * 33, most)
    many = ColumnPages("l", pages(values=1_000_000_000), 17, in_list=True)
    with pytest.raises(InputRefused, match=r"lists \(most in .* of 20,027 MiB, expected"):
        rows_at_once([many], most)


def test_work_out_of_proportion_is_refused() -> None:
    check_work(rows=100_000_000, unpacked=0, size=1000)
    with pytest.raises(InputRefused, match="found 101,000,000 rows in a file of 1,000 bytes"):
        check_work(rows=101_000_000, unpacked=0, size=1000)
    check_work(rows=101_000_000, unpacked=0, size=1_000_000)
    with pytest.raises(InputRefused, match="bytes after decompression"):
        check_work(rows=1, unpacked=1025 * MIB, size=1000)
    read = TextRead(size=1000)
    read.add(1024 * MIB)
    with pytest.raises(InputRefused, match="bytes of text in a file of 1,000 bytes"):
        read.add(1_000_001)


def test_small_row_groups_are_read_together(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    write(path, flow_columns(1000), row_group_size=150)
    file = open_flow_file(str(path))
    assert file.row_groups == 7
    assert file.spans(1000) == [[0], [1], [2], [3], [4], [5], [6]]
    assert file.spans(1300) == [[0, 1, 2, 3, 4, 5, 6]]
    assert file.spans(2400) == [[0, 1, 2, 3, 4, 5, 6]]
    assert [b.num_rows for b in file.raw_batches(range(7), 1300)] == [1000]
    write(path, flow_columns(1000), row_group_size=100)
    assert open_flow_file(str(path)).spans(801) == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("row_group", [1 << 30, 400])
@pytest.mark.parametrize(
    "encoded", ["codes", "plain", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]
)
def test_the_same_rows_however_few_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: str, row_group: int
) -> None:
    rng = random.Random(5)
    rows = 2000
    texts = [rng.choice((None, "a", "b" * 50, "c" * rng.randrange(3000))) for _ in range(rows)]
    columns = flow_columns(rows)
    columns |= dict.fromkeys(("sourceIPv4Address", "serverName"), pa.array(texts))
    columns["tcpControlBits"] = pa.array([[t] * 2 if t else [] for t in texts])
    options: dict[str, object] = {"use_dictionary": encoded == "codes"}
    if encoded.startswith("DELTA"):
        options["column_encoding"] = {"sourceIPv4Address": encoded, "serverName": encoded}
    path = tmp_path / "f.parquet"
    write(path, columns, row_group_size=row_group, **options)
    expected = pq.read_table(path)
    # So little text would not be bounded at all.
    monkeypatch.setattr(reading_limits, "_matters", lambda _: True)
    counts = []
    for limit in (reading_limits.BATCH_BYTES, 40_000):
        monkeypatch.setattr(reading_limits, "BATCH_BYTES", limit)
        monkeypatch.setattr(flow_file, "BATCH_BYTES", limit)
        file = open_flow_file(str(path))
        batches = list(file.raw_batches(range(file.row_groups), rows))
        found = pa.Table.from_batches(
            [pa.record_batch([plain(c) for c in b.columns], b.schema.names) for b in batches]
        )
        assert found.to_pydict() == expected.select(found.schema.names).to_pydict()
        counts.append(len(batches))
    assert file.row_groups <= counts[0] <= 2 * file.row_groups
    assert counts[1] > 5 * counts[0]


def plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def test_texts_are_measured_at_any_depth() -> None:
    texts = ["", None, "abc", "é"]
    for array, total in (
        (pa.array(texts), 5),
        (pa.array(texts, pa.large_string()), 5),
        (pa.array(texts, pa.string_view()), 5),
        (pa.array([texts, None, ["abcd"]]), 9),
        (pa.array([{"a": 1, "b": t} for t in texts]), 5),
        (pa.array([[("abc", "de")], None], pa.map_(pa.string(), pa.string())), 5),
        (pa.array([1, 2]), 0),
    ):
        assert text_bytes(array) == total
        assert longest_text(array) == (0 if total == 0 else 4 if total == 9 else 3)
    coded = pa.array(texts).dictionary_encode()
    assert (text_bytes(coded), longest_text(coded)) == (0, 3)
    sliced = pa.array(["aaaa", "bb", "c"]).slice(1)
    assert (text_bytes(sliced), longest_text(sliced)) == (3, 2)
    assert text_bytes(pa.array([b"abcd"] * 3, pa.binary(4))) == 12
