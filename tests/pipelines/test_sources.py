"""Opening and reading files: what is refused, what is bounded, what may be shared."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared_files import CORPORA, needs_corpora

from v6share.pipelines.flow_file import open_flow_file
from v6share.schemas.errors import InputRefused, UserError

TRY_ALL = """
import resource, sys, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
from v6share.pipelines.flow_file import open_flow_file
from v6share.schemas.errors import InputRefused
for path in sys.argv[1:]:
    began = time.monotonic()
    try:
        file = open_flow_file(path)
        rows = sum(b.rows for b in file.read(range(file.row_groups), 1024))
        said = f"READ {rows}"
    except InputRefused as refusal:
        said = refusal.reason if len(refusal.detail) < 4000 else "LONG"
    print(f"{time.monotonic() - began:.2f} {said} {Path(path).name}", flush=True)
"""


def flow_table(rows: int) -> pa.Table:
    i = np.arange(rows, dtype=np.int64)
    return pa.table(
        {
            "flowStartMilliseconds": 1_767_225_600_000 + i,
            "flowEndMilliseconds": 1_767_225_600_500 + i,
            "sourceIPAddress": [f"2001:db8::{n:x}" for n in i],
            "destinationIPAddress": ["10.0.0.1"] * rows,
            "packetDeltaCount": i + 1,
            "octetDeltaCount": i * 100,
            "reversePacketDeltaCount": i % 2,
            "reverseOctetDeltaCount": i % 2,
            "exporterIPv4Address": [f"10.0.0.{n % 3 + 1}" for n in i],
            "ignored": [[{"a": 1}]] * rows,
        }
    )


@pytest.fixture
def path(tmp_path):
    name = str(tmp_path / "flows.parquet")
    pq.write_table(flow_table(1000), name, row_group_size=300)
    return name


def refused(path, **named) -> InputRefused:
    with pytest.raises(InputRefused) as caught:
        open_flow_file(str(path), **named)
    return caught.value


def test_a_file_says_what_it_is(path):
    file = open_flow_file(path)
    assert (file.dialect, file.rows, file.row_groups) == ("ipfix", 1000, 4)
    assert file.columns[0] == "flowStartMilliseconds"
    assert open_flow_file(path, "ipfix").dialect == "ipfix"


def test_batches_are_bounded_and_the_reverse_half_follows(path):
    batches = list(open_flow_file(path).read([0, 2], 128))
    forward, reverse = batches[::2], batches[1::2]
    assert max(b.rows for b in forward) == 128
    assert [b.rows for b in reverse] == [b.rows // 2 for b in forward]
    octets = np.concatenate([b.octets for b in forward])
    assert octets.tolist() == [n * 100 for n in (*range(300), *range(600, 900))]


def test_threads_may_share_a_file(path):
    file = pickle.loads(pickle.dumps(open_flow_file(path)))
    with ThreadPoolExecutor(4) as pool:
        sums = pool.map(lambda g: sum(int(b.octets.sum()) for b in file.read([g], 100)), range(4))
    assert sum(sums) == sum(range(1000)) * 100 + 500


def test_a_file_without_rows_is_fine(tmp_path):
    name = str(tmp_path / "none.parquet")
    pq.write_table(flow_table(0), name)
    assert sum(b.rows for b in open_flow_file(name).read([0], 10)) == 0


def test_refusals(tmp_path, path):
    empty = tmp_path / "empty.parquet"
    empty.touch()
    assert refused(empty).reason == "empty_file"
    with pytest.raises(FileNotFoundError):  # the system's word, not the file's
        open_flow_file(str(tmp_path / "absent.parquet"))
    assert refused(tmp_path).reason == "unreadable"
    text = tmp_path / "text.parquet"
    text.write_text("src,dst\n1,2\n")
    assert refused(text).reason == "unreadable"
    assert str(tmp_path) not in refused(text).detail
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2]}), other)
    assert refused(other).reason == "no_dialect"
    # Counters and times are no flows: there are no addresses.
    counters = pa.table({"timestamp_start": [1_767_225_600], "packets": [1], "bytes": [40]})
    pq.write_table(counters, other)
    assert refused(other).reason == "no_dialect"
    assert "pmacct, misses ip_src and ip_dst" in refused(other).detail
    assert refused(path, dialect="pmacct").reason == "no_dialect"
    with pytest.raises(UserError, match="did you mean"):
        open_flow_file(path, "ipfx")


def test_an_unreadable_type_is_refused_at_opening(tmp_path):
    name = tmp_path / "odd.parquet"
    table = flow_table(3).drop_columns(["octetDeltaCount"])
    pq.write_table(table.append_column("octetDeltaCount", pa.array([[1]] * 3)), name)
    assert "octetDeltaCount" in refused(name).detail


def test_a_damaged_page_is_refused_while_reading(tmp_path):
    name = tmp_path / "bent.parquet"
    pq.write_table(flow_table(1000), name, write_page_checksum=True)
    size = Path(name).stat().st_size
    reasons = []
    for at in range(100, size - 5000, size // 40):
        bent = bytearray(name.read_bytes())
        bent[at : at + 8] = b"\xff" * 8
        copy = tmp_path / "copy.parquet"
        copy.write_bytes(bent)
        try:
            file = open_flow_file(str(copy))
            list(file.read(range(file.row_groups), 100))
        except InputRefused as refusal:
            reasons.append(refusal.reason)
    assert len(reasons) > 10
    assert set(reasons) == {"unreadable"}


def test_a_changed_bit_is_refused_where_pages_have_checksums(tmp_path):
    name, copy = tmp_path / "whole.parquet", tmp_path / "copy.parquet"
    # Neither compression nor a dictionary: nothing else can see that a number is another.
    plain = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(flow_table(1000).drop_columns(["ignored"]), name, **plain)
    column = pq.ParquetFile(name).metadata.row_group(0).column(5)
    assert column.path_in_schema == "octetDeltaCount"
    data = name.read_bytes()
    for back in range(8, 4000, 500):
        at = column.data_page_offset + column.total_compressed_size - back
        copy.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(InputRefused, match="CRC checksum"):
            list(open_flow_file(str(copy), "ipfix").read([0], 100))


def test_text_of_many_values_is_not_kept_while_a_row_group_is_read(tmp_path):
    name = str(tmp_path / "names.parquet")
    rows = 200_000
    table = flow_table(rows)
    names = pa.array([f"a-rather-long-name-{n:07d}.example.net" for n in range(rows)])
    pq.write_table(table.append_column("tlsServerName", names), name, row_group_size=rows)
    batch = next(open_flow_file(name).raw_batches([0], 1000))
    assert batch.schema.field("tlsServerName").type == pa.string()
    assert pa.types.is_dictionary(batch.schema.field("exporterIPv4Address").type)


@pytest.mark.parametrize("keep", [3, 11, 400, 0.5, 0.9, -1])
def test_a_truncated_file_is_refused(path, tmp_path, keep):
    data = Path(path).read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(data[: int(len(data) * keep)] if isinstance(keep, float) else data[:keep])
    assert refused(cut).reason == "unreadable"


@needs_corpora
def test_files_that_break_readers_are_refused():
    """In a process of its own, with little memory: a crash there is a failure here."""
    paths = sorted(str(p) for p in CORPORA.rglob("*") if p.is_file())
    assert len(paths) > 100
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL, *paths], capture_output=True, text=True, timeout=180
    )
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-2000:])
    assert [Path(p).name for p in paths] == [name for _, _, name in lines]
    assert {said for _, said, _ in lines} <= {"unreadable", "no_dialect", "empty_file"}
    assert max(float(seconds) for seconds, _, _ in lines) < 5
