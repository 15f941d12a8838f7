"""Where much of an input is rejected for one reason, the run says so, with an example."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode

CLIENT = "203.0.113.9"


def with_column(path: Path, name: str, values: pa.Array) -> Path:
    """A flow file in which one column is another one."""
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, values), path)
    return path


def octets(path: Path, *values: str) -> Path:
    return with_column(write_flows(path, rows=len(values)), "octetDeltaCount", pa.array(values))


def warned(err: str) -> list[str]:
    return [line for line in err.splitlines() if "were rejected as" in line]


def test_text_numbers_are_explained_with_a_row(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = octets(tmp_path / "a.parquet", *["1000"] * 8, "1,234", "1,235")
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_rejected"]) == (ExitCode.DONE, 2)
    (line,) = warned(err)
    assert line.startswith(
        f"warning: {flows}: 2 of 10 rows (20.0 %) were rejected as bad_counter (packets or bytes "
    )
    assert (
        ', such as row 8 with packetDeltaCount = 2, octetDeltaCount = "1,234"; it has a "," '
        in line
    )
    helps = line.partition("; ")[2]
    assert helps.startswith('it has a "," between thousands: have the collector write plain ')
    assert "not one of its" not in err
    # The row is the one that explain takes.
    out = call(capsys, root, "explain", flows, "--row", 8, "--format", "json")[1]
    (verdict,) = (step for step in json.loads(out)["steps"] if step["step"] == "verdict")
    assert verdict["decision"] == "rejected"
    because = f'bad_counter: packetDeltaCount = 2, octetDeltaCount = "1,234"; {helps}'
    assert verdict["because"] == because
    # Known files are not said again.
    assert warned(run(capsys, root, flows)[2]) == []


def test_a_tenth_is_not_yet_much(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = octets(tmp_path / "a.parquet", *["1000"] * 9, "1.2M")
    assert warned(run(capsys, root, flows)[2]) == []


def test_all_of_a_file_is_said_once_and_with_its_reason(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = octets(tmp_path / "a.parquet", *["1.2 M"] * 4)
    err = run(capsys, root, flows)[2]
    (line,) = warned(err)
    assert "4 of 4 rows (100.0 %)" in line
    assert "it is rounded, with a unit: have the collector write plain digits" in line
    assert "not one of its" not in err


def test_few_rows_of_many_bytes_are_much_too(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    path = octets(tmp_path / "a.parquet", *["1000"] * 19, "50000")
    ends = [JANUARY_1 + 60_000 * row + 1000 for row in range(19)]
    flows = with_column(path, "flowEndMilliseconds", pa.array([*ends, JANUARY_1], pa.int64()))
    (line,) = warned(run(capsys, root, flows)[2])
    assert "50 kB of 69 kB (72.5 %), in 1 of 20 rows, were rejected as end_before_start (" in line
    assert f"flowEndMilliseconds = {JANUARY_1}; `v6share explain FILE --row 19` shows" in line


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("destinationIPv4Address", "203.0.113.", "bad_address"),
        ("octetDeltaCount", CLIENT, "bad_counter"),
        ("octetDeltaCount", f"from {CLIENT}:443", "bad_counter"),
        ("octetDeltaCount", "[2001:db8:2::9]/64", "bad_counter"),
        ("octetDeltaCount", "2001:db8:2::9", "bad_counter"),
        ("octetDeltaCount", f"1000 {CLIENT}", "bad_counter"),
    ],
)
def test_what_may_be_an_address_is_not_shown(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    column: str,
    value: str,
    reason: str,
) -> None:
    path = write_flows(tmp_path / "a.parquet", rows=4)
    flows = with_column(path, column, pa.array([value] * 4))
    err = run(capsys, root, flows)[2]
    (line,) = warned(err)
    assert f"rejected as {reason} (" in line
    assert "such as row 0" in line
    assert "203.0.113" not in line
    assert "2001:db8:2" not in line


def test_what_is_left_out_by_design_is_no_warning(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    call(capsys, root, "init")
    with (root / "catalog" / "exporters.csv").open("a") as catalog:
        catalog.write("192.0.2.1,edge,,100,no,,no,both,\n")
    flows = write_flows(tmp_path / "a.parquet", direction=1)
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_rejected"]) == (ExitCode.DONE, 4)
    assert warned(err) == []
    # And where lines for exporters.csv are printed, these say it.
    flows = write_flows(tmp_path / "b.parquet", interval=None, exporter="192.0.2.77")
    assert warned(run(capsys, root, flows)[2]) == []


def test_of_many_inputs_ten_are_said(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    for number in range(12):
        octets(tmp_path / f"flows/{number:02}.parquet", str(number), "x")
    err = run(capsys, root, tmp_path / "flows")[2]
    assert len(warned(err)) == 10
    assert "warning: 2 more inputs of which much was rejected\n" in err


def test_a_log_of_json_has_the_reason_beside_the_message(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = octets(tmp_path / "a.parquet", "x", "1000")
    err = call(capsys, root, "--log", "json", "run", flows)[2]
    (line,) = map(json.loads, warned(err))
    assert (line["reason"], line["rows"], line["path"]) == ("bad_counter", 1, str(flows))
