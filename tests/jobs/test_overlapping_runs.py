"""Files that hold rows of each other: what runs say, keep, and drop again."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import JANUARY_1

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.schemas.row_sample import SAMPLED_ROWS

FINDING = "rows of another input"
OCTETS = 1000


def flows(first: int, rows: int) -> pa.Table:
    """Flows of one second, five a second, by their number; the bytes of each tell it."""
    numbers = range(first, first + rows)
    starts = [JANUARY_1 + 200 * number for number in numbers]
    return pa.table(
        {
            "flowStartMilliseconds": starts,
            "flowEndMilliseconds": [start + 1000 for start in starts],
            "sourceIPv6Address": [f"2001:db8:1::{number:x}" for number in numbers],
            "destinationIPv6Address": ["2001:db8:2::9"] * rows,
            "protocolIdentifier": [6] * rows,
            "sourceTransportPort": [50_000] * rows,
            "destinationTransportPort": [443] * rows,
            "octetDeltaCount": [OCTETS + number for number in numbers],
            "packetDeltaCount": [2] * rows,
            "samplingInterval": [1] * rows,
            "exporterIPAddress": ["192.0.2.1"] * rows,
        }
    )


def bytes_of(first: int, rows: int) -> int:
    return sum(OCTETS + number for number in range(first, first + rows))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A file, the next one with 30 rows of it again at its head, and a copy in other bytes."""
    first, second = flows(0, 1000), flows(1000, 500)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("first", "next", "copy")}
    pq.write_table(first, paths["first"])
    pq.write_table(pa.concat_tables([first.slice(970), second]), paths["next"])
    pq.write_table(first, paths["copy"], compression="zstd")
    return paths


def read(capsys: pytest.CaptureFixture[str], root: Path, view: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(call(capsys, root, "kpi", view, "--format", "json")[1])
    return rows


def overlaps(capsys: pytest.CaptureFixture[str], root: Path) -> set[tuple[Any, ...]]:
    """Names of the later and of the earlier file, rows, bytes, first row."""
    names = {row["input_id"]: Path(row["path"]).stem for row in read(capsys, root, "ledger_files")}
    return {
        (names[later], names[earlier], *found)
        for later, earlier, *found in (
            row.values() for row in read(capsys, root, "ledger_overlaps")
        )
    }


def kept(root: Path) -> tuple[list[Any], list[Any]]:
    """All samples and pairs of the warehouse."""
    with duckdb.connect(root / "state" / "warehouse.duckdb", read_only=True) as connection:
        samples = connection.execute(f"FROM private.{SAMPLED_ROWS.name} ORDER BY ALL").fetchall()
        pairs = connection.execute("FROM ledger_overlaps ORDER BY ALL").fetchall()
    return samples, pairs


def test_rows_of_another_file_are_told_with_both_files_and_their_bytes(
    capsys: pytest.CaptureFixture[str], root: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    assert FINDING not in run(capsys, root, files["first"])[2]
    code, _, err = run(capsys, root, files["next"])
    assert code is ExitCode.DONE
    assert (
        f"warning: {files['next']}: 30 rows of 59.5 kB, from row 0 on, stand in {files['first']} "
        "as well and count twice. docs/findings.md says what to do"
    ) in err
    (found,) = (row for row in read(capsys, root, "findings") if row["finding"] == FINDING)
    assert (found["exporter"], found["rows"], found["bytes"]) == ("", 30, bytes_of(970, 30))
    assert found["input"] == str(files["next"])
    assert found["example"] == f"row 0 on, as in {files['first']}"
    status = json.loads(call(capsys, root, "status", "--format", "json")[1])["findings"]
    assert FINDING in {row["finding"] for row in status}
    # Known files are not told of again.
    assert "stand in" not in run(capsys, root, files["next"])[2]

    # What the page of findings says can be done.
    cut = tmp_path / "cut.parquet"
    page = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()
    (code,) = re.findall(r"<<'END'\n(.*?)END\n", page, re.DOTALL)
    (pair,) = read(capsys, root, "ledger_overlaps")
    places = [files["next"], cut, pair["first_row"], pair["rows"]]
    subprocess.run([sys.executable, "-c", code, *map(str, places)], check=True)
    assert call(capsys, root, "forget", files["next"])[0] is ExitCode.DONE
    assert "stand in" not in run(capsys, root, files["first"], files["next"], cut)[2]
    assert overlaps(capsys, root) == set()
    counted = read(capsys, root, "ledger_families")
    assert {row["family"] for row in counted} == {"v6"}
    assert sum(row["rows"] for row in counted) == 1500
    assert sum(int(row["bytes"]) for row in counted) == bytes_of(0, 1500)


def test_neither_order_nor_rebuild_shows_and_each_file_takes_its_pairs_along(
    capsys: pytest.CaptureFixture[str], root: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    run(capsys, root, *files.values())
    pairs = overlaps(capsys, root)
    whole = next(pair for pair in pairs if {*pair[:2]} == {"first", "copy"})
    assert whole[2:] == (1000, bytes_of(0, 1000), 0)
    assert pairs - {whole} == {
        ("next", other, 30, bytes_of(970, 30), 0) for other in ("first", "copy")
    }
    found = {
        row["input"]: row for row in read(capsys, root, "findings") if row["finding"] == FINDING
    }
    assert len(found) == 2
    assert found[str(files["next"])]["example"].endswith(" and 1 more")
    # The same files one at a time, the last one first, under the same key.
    other = tmp_path / "other"
    (other / "state").mkdir(parents=True)
    key = other / "state" / "client.key"
    key.write_bytes((root / "state" / "client.key").read_bytes())
    key.chmod(0o600)
    for name in ("next", "copy", "first"):
        run(capsys, other, files[name])
    assert kept(other) == kept(root)
    assert overlaps(capsys, other) == pairs

    assert call(capsys, root, "rebuild")[0] is ExitCode.DONE
    assert kept(root) == kept(other)
    assert call(capsys, root, "forget", files["copy"])[0] is ExitCode.DONE
    assert overlaps(capsys, root) == {("next", "first", 30, bytes_of(970, 30), 0)}
    # Of the other one, which is the earlier of the pair.
    assert call(capsys, root, "forget", files["first"])[0] is ExitCode.DONE
    assert overlaps(capsys, root) == set()
    assert [r for r in read(capsys, root, "findings") if r["finding"] == FINDING] == []
    samples, _ = kept(root)
    assert len({row[0] for row in samples}) == 1
    assert call(capsys, root, "check")[0] is ExitCode.DONE
