"""What the harness looks at after a fault: each thing that may be wrong is seen."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from faults.look import differences, ill_ended, leftovers, what_doctor_finds, what_readers_miss
from faults.processes import Ended

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("code", "err", "is_odd"),
    [
        (0, "", False),
        (2, "error: no", False),
        (70, "error: no space left: ...", False),
        (70, "error: unexpected OSError", True),
        (2, "Traceback (most recent call last):", True),
        (2, "", True),
        (-11, "", True),
        (None, "", True),
    ],
)
def test_an_end_that_the_table_of_exit_codes_does_not_know(
    code: int | None, err: str, *, is_odd: bool
) -> None:
    assert bool(ill_ended(Ended(code, "", err, 0.0))) is is_odd


@pytest.mark.parametrize(
    ("file", "is_odd"),
    [
        ("state/journal.jsonl", False),
        (f"state/fragments/ab/{'ab' * 32}.parquet", False),
        (f"state/fragments/ab/.x.parquet.{'0' * 16}.draft", False),
        (f"published/.v6share.duckdb.{'0' * 16}.draft", True),
        ("state/warehouse.duckdb.wal", True),
        ("published/held_back.txt", True),
    ],
)
def test_files_that_nobody_needs(tmp_path: Path, file: str, *, is_odd: bool) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert leftovers(tmp_path) == (f"left behind: {file}" if is_odd else "")


def test_parts_that_doctor_finds_odd() -> None:
    part = '{"part": "journal", "condition": "%s", "found": "torn"}'
    assert not what_doctor_finds(Ended(0, '{"parts": [%s]}' % (part % "ok"), "", 0.0))
    assert what_doctor_finds(Ended(0, '{"parts": [%s]}' % (part % "behind"), "", 0.0))
    assert what_doctor_finds(Ended(2, "", "error: damaged", 0.0))


def test_numbers_that_differ_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert not what_readers_miss(tmp_path)
    (tmp_path / "published").mkdir()
    file = tmp_path / "published" / "v6share.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE traffic_5m AS SELECT 1 AS bytes")
    assert not differences(tmp_path, {"traffic_5m": pa.table({"bytes": pa.array([1], pa.int32())})})
    assert differences(tmp_path, {"traffic_5m": pa.table({"bytes": pa.array([2], pa.int32())})})
    assert "readers meet an error" in what_readers_miss(tmp_path)
