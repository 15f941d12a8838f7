"""A run says which findings are new, and which only came again."""

import json
from pathlib import Path

import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode

# Fewer than the header of an IPv4 packet has.
FEW = 7
APP = '[[app]]\nid = "web"\nname = "Web"\nmatch = [{ port = 443 }]\n'


def told(err: str) -> list[str]:
    """The exporters of which a new finding is said."""
    lines = [line for line in err.splitlines() if "new finding" in line]
    return [line.partition(" of ")[2].partition(":")[0] for line in lines]


def test_a_finding_is_new_once_however_its_files_are_counted_again(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    write_flows(flows / "a.parquet", octets=FEW)
    assert told(run(capsys, root, flows)[2]) == ["192.0.2.1"]
    write_flows(flows / "b.parquet", octets=FEW, start_ms=JANUARY_1 + DAY_MS)
    write_flows(flows / "c.parquet", octets=FEW, exporter="192.0.2.2")
    assert told(run(capsys, root, flows)[2]) == ["192.0.2.2"]
    (root / "catalog").mkdir(exist_ok=True)
    (root / "catalog" / "apps.toml").write_text(APP)
    write_flows(flows / "d.parquet", octets=FEW, exporter="192.0.2.3")
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"], told(err)) == (ExitCode.DONE, 4, ["192.0.2.3"])
    # What was taken out of the tables is new when it comes back.
    assert call(capsys, root, "forget", flows / "d.parquet")[0] is ExitCode.DONE
    err = run(capsys, root, flows, "--include-forgotten")[2]
    assert told(err) == ["192.0.2.3"]


def test_status_prints_lines_for_an_exporter_of_both_directions_alone(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """As docs/findings.md says of `egress record`: of one direction nothing counts twice."""
    for direction in (1, 0):
        run(capsys, root, write_flows(tmp_path / f"{direction}.parquet", direction=direction))
        status = json.loads(call(capsys, root, "status", "--format", "json")[1])
        assert "egress record" in {one["finding"] for one in status["findings"]}
        assert len(status["both_directions"]) == (1 if direction == 0 else 0)
