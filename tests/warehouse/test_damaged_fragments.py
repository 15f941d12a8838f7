"""Fragments with changed bytes: unreadable, or what they were; never a crash or another number."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fragment_maker import make_fragment, stored, workspace_at

from v6share.pipelines.write_fragment import write_fragment
from v6share.schemas.fragment import FRAGMENT_SCHEMA
from v6share.warehouse.merge.read_fragments import FragmentSource, FragmentUnreadable, read_fragment
from v6share.workspace.paths import Workspace

BENT_FRAGMENT = Path(__file__).with_name("bent_fragment.py")


def test_no_byte_of_a_fragment_ends_the_process(tmp_path: Path) -> None:
    """The fragment has no checksums, as those that older versions wrote."""
    done = subprocess.run(
        [sys.executable, BENT_FRAGMENT, tmp_path],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-3000:])
    assert set(done.stdout.splitlines()) <= {"read", "unreadable", "beyond range"}


def test_a_changed_bit_of_a_page_is_found(tmp_path: Path) -> None:
    made = make_fragment(Workspace(tmp_path), "a", 1, rows=20)
    source = FragmentSource(made.key, tmp_path / "a.parquet", made.path)
    write_fragment(pa.Table.from_pylist([stored(made.row)], schema=FRAGMENT_SCHEMA), source.file)
    whole, data = read_fragment(source), source.file.read_bytes()
    pages = len(data) - 8 - pq.read_metadata(source.file).serialized_size
    found = 0
    for at in range(4, pages, 29):
        source.file.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            assert read_fragment(source) == whole  # a figure in front of a page that nobody reads
        except FragmentUnreadable:
            found += 1
    assert found > 0.9 * pages / 29


@pytest.mark.parametrize("harm", ["size is text", "a name is no UTF-8", "a time is in no year"])
def test_a_header_that_cannot_be_one_is_unreadable(tmp_path: Path, harm: str) -> None:
    made = make_fragment(Workspace(tmp_path), "a", 1)
    source = FragmentSource(made.key, tmp_path / "a.parquet", made.path)
    row = pa.Table.from_pylist([stored(made.row)], schema=FRAGMENT_SCHEMA)
    if harm == "size is text":
        row = row.set_column(4, "size", pa.array(["many"]))
    elif harm == "a name is no UTF-8":
        row = row.set_column(3, "catalog_version", pa.array([b"\xff"]))
        row = row.set_column(
            3, "catalog_version", row["catalog_version"].combine_chunks().view(pa.string())
        )
    else:
        row = row.set_column(8, "first_start", pa.array([2**62]).view(pa.timestamp("us")))
    pq.write_table(row, source.file)
    with pytest.raises(FragmentUnreadable, match=r"Put the file back from a backup"):
        read_fragment(source)


def test_the_advice_brings_back_no_other_input(tmp_path: Path) -> None:
    """With a whole folder, inputs that were withdrawn on purpose would count again, too."""
    workspace = workspace_at(tmp_path)
    made = make_fragment(workspace, "a", 1)
    flows = tmp_path / "a b.parquet"
    flows.touch()
    source = FragmentSource(made.key, workspace.fragment(made.key.fragment_id), str(flows))
    source.file.unlink()
    with pytest.raises(FragmentUnreadable) as caught:
        read_fragment(source)
    assert f"`v6share run '{flows}' --include-forgotten`" in str(caught.value)
