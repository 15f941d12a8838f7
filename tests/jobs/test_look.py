"""``inspect`` and ``explain``: a look into one file, which counts nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, spoil, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode


def test_inspect_needs_no_workspace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    code, out, err = call(
        capsys, tmp_path / "nowhere", "inspect", flows / "day0.parquet", "--format", "json"
    )
    assert code is ExitCode.DONE
    found = json.loads(out)
    assert (found["file"]["dialect"], found["file"]["rows"]) == ("ipfix", 4)
    assert found["file"]["first_start"] == "2026-01-01T00:00:00Z"
    assert {row["family"]: row["rows"] for row in found["families"]} == {"v4": 2, "v6": 2}
    assert found["sampling"] == [{"exporter": "192.0.2.1", "interval": "100", "rows": 4}]
    assert err == ""


@pytest.mark.parametrize("command", [["inspect"], ["explain", "--row", "0"]])
def test_a_look_into_a_file_that_cannot_be_read_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    bad = spoil(tmp_path / "bad.parquet")
    for file, code, what in (
        (bad, ExitCode.INPUT_FAILED, "unreadable: "),
        (tmp_path / "gone", ExitCode.NO_INPUT, "no such file"),
        (tmp_path, ExitCode.NO_INPUT, "is a directory; name a file in it"),
    ):
        found, out, err = call(capsys, tmp_path, *command, file)
        assert (found, out) == (code, "")
        assert f"error: {file}: {what}" in err


@pytest.mark.parametrize(
    ("interval", "warning"), [(None, "no sampling interval"), (1, "sampling interval 1 from")]
)
def test_inspect_warns_of_doubtful_intervals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, interval: int | None, warning: str
) -> None:
    file = write_flows(tmp_path / "a.parquet", interval=interval)
    assert warning in call(capsys, tmp_path, "inspect", file)[2]


def test_explain_shows_decisions_and_windows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    file = flows / "day0.parquet"
    code, out, err = call(capsys, tmp_path, "explain", file, "--row", 1, "--format", "json")
    assert code is ExitCode.DONE
    assert err.startswith(f"warning: {tmp_path}/catalog: no app and no prefix there")
    told = json.loads(out)
    decisions = {step["step"]: step["decision"] for step in told["steps"]}
    assert (decisions["family"], decisions["verdict"]) == ("v6", "counted")
    (window,) = told["windows"]
    assert window["window_start"] == "2026-01-01T00:00:00Z"
    assert (window["packets"], window["bytes"]) == (200, 100_000)
    assert not (tmp_path / "state").exists()


def test_explain_knows_the_windows_of_every_exporters_flows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A row's exporter need not be the first of the file."""
    parts = [
        pq.read_table(
            write_flows(tmp_path / f"{i}.parquet", start_ms=JANUARY_1 + i * DAY_MS, rows=1,
                        exporter=f"192.0.2.{i}")
        )
        for i in range(12)
    ]  # fmt: skip
    pq.write_table(pa.concat_tables(parts), tmp_path / "all.parquet")
    for row in range(12):
        file = ("explain", tmp_path / "all.parquet", "--row", row, "--format", "json")
        code, out, _ = call(capsys, tmp_path, *file)
        assert code is ExitCode.DONE
        (window,) = json.loads(out)["windows"]
        assert window["window_start"] == f"2026-01-{row + 1:02}T00:00:00Z"


@pytest.mark.parametrize(
    ("given", "verdict", "sampling"),
    [
        ([], "rejected", "1 in unknown"),
        (["--unknown-sampling", "unsampled"], "counted", "1 in 1: "),
        (["--unknown-sampling", "100"], "counted", "1 in 100: "),
    ],
)
def test_explain_decides_as_a_run_with_the_same_options(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    given: list[str],
    verdict: str,
    sampling: str,
) -> None:
    sampled = pq.read_table(write_flows(tmp_path / "sampled.parquet"))
    (tmp_path / "flows").mkdir(exist_ok=True)
    file = tmp_path / "flows" / "silent.parquet"
    pq.write_table(sampled.drop_columns(["samplingInterval"]), file)
    out = call(capsys, root, "explain", file, "--row", 0, *given, "--format", "json")[1]
    decisions = {step["step"]: step["decision"] for step in json.loads(out)["steps"]}
    assert decisions["verdict"] == verdict
    assert decisions["sampling"].startswith(sampling)
    _, done, _ = run(capsys, root, file, *given)
    assert (done["rows_counted"] > 0) == (verdict == "counted")


def test_explain_names_the_bytes_of_layer_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A tagged frame: Ethernet 14, VLAN 4, checksum 4; 1,000 bytes less 22 are left."""
    rows = {
        "type": ["SFLOW_5", "IPFIX"],
        "time_flow_start_ns": [JANUARY_1 * 1_000_000] * 2,
        "src_addr": ["192.0.2.1"] * 2,
        "dst_addr": ["192.0.2.2"] * 2,
        "bytes": [1000] * 2,
        "packets": [1] * 2,
        "sampling_rate": [10] * 2,
        "layer_stack": [["Ethernet", "Dot1Q", "IPv4"], []],
        "layer_size": [[14, 4, 20], []],
    }
    file = tmp_path / "frames.parquet"
    pq.write_table(pa.table(rows), file)
    decisions = []
    for row in range(2):
        out = call(capsys, tmp_path, "explain", file, "--row", row, "--format", "json")[1]
        decisions.append({step["step"]: step["decision"] for step in json.loads(out)["steps"]})
    assert decisions[0]["layer 2"] == "22 bytes a packet, taken off"
    assert decisions[0]["sampling"] == "1 in 10: 10 packets, 9,780 bytes"
    assert "layer 2" not in decisions[1]
    assert decisions[1]["sampling"] == "1 in 10: 10 packets, 10,000 bytes"


def test_explain_of_a_row_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, flows: Path
) -> None:
    code, out, err = call(capsys, tmp_path, "explain", flows / "day0.parquet", "--row", 4)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "0 to 3" in err
