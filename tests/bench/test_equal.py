"""The comparison of two versions finds what differs, however small, and nothing where nothing does.

It is what shows that a change alters no number, so every kind of difference is planted here.
"""

import shutil
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import equal
from bench.differences import compare_parquet, compare_tables, nested_difference, table_difference

TRAFFIC = pa.table({"app": ["mail", "shop", "video"], "bytes": [10, 20, 30]})


def changed(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.field(at), pa.array(values, table.field(at).type))


def test_equal_tables_differ_in_nothing() -> None:
    assert table_difference(TRAFFIC, TRAFFIC.slice(0)) == ""
    # What was concatenated is the same table; so is one with other metadata.
    pieces = pa.concat_tables([TRAFFIC.slice(0, 1), TRAFFIC.slice(1)])
    assert table_difference(TRAFFIC, pieces.replace_schema_metadata({"made": "now"})) == ""
    odd = pa.table({"share": [float("nan"), None]})
    assert table_difference(odd, odd.slice(0)) == ""


def test_a_changed_value_is_named_with_its_row() -> None:
    assert table_difference(TRAFFIC, changed(TRAFFIC, "bytes", [10, 21, 30])) == (
        "of 3 rows 1 are only in old, of 3 rows 1 only in new; the first: bytes 20 -> 21 where "
        "app shop"
    )


def test_a_last_bit_is_a_difference() -> None:
    old, new = (pa.table({"share": [value]}) for value in (0.3, 0.1 + 0.2))
    assert "share 0.3 -> 0.30000000000000004" in table_difference(old, new)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([0, 2], "of 3 rows 1 are only in old, of 2 rows 0 only in new; the first: app shop"),
        ([0, 1, 1, 2], "of 3 rows 0 are only in old, of 4 rows 1 only in new; the first: app shop"),
        ([1, 0, 2], "the same rows in another order"),
    ],
)
def test_missing_doubled_and_moved_rows(rows: list[int], said: str) -> None:
    assert table_difference(TRAFFIC, TRAFFIC.take(rows)).startswith(said)


def test_columns_and_types_are_part_of_a_table() -> None:
    narrow = TRAFFIC.cast(pa.schema([("app", pa.string()), ("bytes", pa.int32())]))
    assert table_difference(TRAFFIC, narrow) == "column bytes: int64 -> int32"
    assert table_difference(TRAFFIC, TRAFFIC.select(["app"])) == "column bytes: int64 -> absent"
    turned = TRAFFIC.select(["bytes", "app"])
    assert table_difference(TRAFFIC, turned).startswith("columns in another order")


def test_tables_of_one_side_are_differences() -> None:
    compared = compare_tables({"a": TRAFFIC, "b": TRAFFIC}, {"b": TRAFFIC, "c": TRAFFIC})
    assert (compared.names, compared.note) == (3, "6 rows")
    assert compared.different == {"a": "only in old", "c": "only in new"}


def fragment(octets: int) -> pa.Table:
    """One row that holds a table, as fragments do."""
    rows = [{"app": "mail", "bytes": 10}, {"app": "shop", "bytes": octets}]
    return pa.table({"input_id": ["f1"], "traffic_5m": [rows]})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same file."""
    for side in ("old", "new"):
        (tmp_path / side / "f1").mkdir(parents=True)
        pq.write_table(fragment(20), tmp_path / side / "f1" / "f1.parquet")
    return tmp_path / "old", tmp_path / "new"


def test_fragments_of_the_same_bytes(folders: tuple[Path, Path]) -> None:
    compared = compare_parquet(*folders)
    assert (compared.names, compared.different, compared.note) == (1, {}, "all by bytes")


def test_checksums_of_pages_are_no_content_and_are_said(folders: tuple[Path, Path]) -> None:
    pq.write_table(fragment(20), folders[1] / "f1" / "f1.parquet", write_page_checksum=True)
    compared = compare_parquet(*folders)
    assert (compared.names, compared.different) == (1, {})
    assert compared.note == "1 of the same content in other bytes"


def test_a_value_inside_a_fragment_is_named(folders: tuple[Path, Path]) -> None:
    pq.write_table(fragment(21), folders[1] / "f1" / "f1.parquet")
    (said,) = compare_parquet(*folders).different.values()
    assert said.startswith("traffic_5m: of 2 rows 1 are only in old")
    assert said.endswith("the first: bytes 20 -> 21 where app shop")


def test_fragments_of_one_side_are_differences(folders: tuple[Path, Path]) -> None:
    (folders[1] / "f1" / "f1.parquet").rename(folders[1] / "f1" / "f2.parquet")
    different = compare_parquet(*folders).different
    assert different == {"f1/f1.parquet": "only in old", "f1/f2.parquet": "only in new"}


def test_rows_that_moved_between_the_lists_of_a_fragment_are_a_difference() -> None:
    kind = pa.list_(pa.struct([("bytes", pa.int64())]))
    one, two = {"bytes": 1}, {"bytes": 2}
    old, new = (
        pa.table({"traffic_5m": pa.array(lists, kind)}) for lists in ([[one], [two]], [[one, two]])
    )
    assert nested_difference(old, new)
    assert nested_difference(old, pa.table({"traffic_5m": pa.array([[one, two], []], kind)}))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> equal.Result:
    """One file of the sample, counted as a version's program counts it."""
    flows = equal.SAMPLE / "flows" / "fixed-20260105-late.parquet"
    run = equal.Run("one", flows, equal.SAMPLE / "catalog")
    program = Path(sys.executable).with_name("v6share")
    return equal.count(program, run, tmp_path_factory.mktemp("one") / "ws")


@pytest.fixture
def copied(counted: equal.Result, tmp_path: Path) -> equal.Result:
    shutil.copytree(counted.root, tmp_path / "ws")
    return equal.Result(tmp_path / "ws", counted.exit_code)


def alter(file: Path, statement: str) -> None:
    with duckdb.connect(str(file)) as connection:
        assert connection.execute(statement).fetchall() == [(1,)]


def test_one_altered_value_shows_in_its_table_and_in_the_views_of_it(
    counted: equal.Result, copied: equal.Result
) -> None:
    assert equal.inputs_line(counted) == "1 committed"
    one_more = "UPDATE traffic_1d SET bytes = bytes + 1 WHERE rowid = 0"
    alter(copied.root / equal.PUBLISHED, one_more)
    found = equal.compare(counted, copied)
    assert min(one.names for one in found.values()) >= 1
    different = {what: set(one.different) for what, one in found.items() if one.different}
    assert different.pop("tables of the published file") == {"traffic_1d"}
    assert "kpi_traffic_1d" in different.pop("views of the published file")
    assert different == {}
    lines = list(equal.difference_lines({("one", what): one for what, one in found.items()}))
    assert lines[0].startswith("one, tables of the published file, traffic_1d: of ")


def test_only_what_is_of_the_run_is_left_out(counted: equal.Result, copied: equal.Result) -> None:
    def different() -> set[str]:
        return set(equal.compare_file(counted, copied, equal.WAREHOUSE, "table").different)

    warehouse = copied.root / equal.WAREHOUSE
    alter(warehouse, "UPDATE ledger_files SET run_id = 'another', committed_at = '2000-01-01'")
    alter(warehouse, "UPDATE private.state SET value = '?' WHERE key = 'published_file'")
    assert different() == set()
    alter(warehouse, "UPDATE ledger_files SET catalog_version = 'another'")
    alter(warehouse, "UPDATE private.seen SET size = size + 1")
    assert different() == {"ledger_files", "private.seen"}


def test_workspaces_have_the_same_private_key(counted: equal.Result) -> None:
    key = counted.root / "state" / "client.key"
    assert (key.read_bytes(), key.stat().st_mode & 0o777) == (equal.CLIENT_KEY, 0o600)


def test_a_run_that_fails_is_no_result(tmp_path: Path) -> None:
    run = equal.Run("none", tmp_path / "nothing-*", None)
    with pytest.raises(equal.RunFailed, match=r"exit code 5: .*nothing-"):
        equal.count(Path(sys.executable).with_name("v6share"), run, tmp_path / "ws")
