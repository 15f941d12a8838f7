"""``v6share sample``: the same files every time, and such as a run counts."""

import json
from pathlib import Path

import pytest
from calls import call, run

from v6share.jobs.terminal.exit_codes import ExitCode


def test_a_sample_is_deterministic_and_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ("--flows", 2000, "--days", 30, "--start", "2026-01-01", "--seed", 7)
    for name in "ab":
        assert call(capsys, tmp_path, "sample", tmp_path / name, *small)[0] is ExitCode.DONE
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    code, out, _ = call(capsys, tmp_path, "sample", tmp_path / "a", *small)
    assert (code, out) == (ExitCode.USAGE, "")
    code, out, _ = call(capsys, tmp_path, "sample", tmp_path / "c", *small, "--format", "json")
    sizes = [file.stat().st_size for file in (tmp_path / "c" / "flows").rglob("*.parquet")]
    written = json.loads(out)["sample"]
    assert (written["flow_files"], written["size"]) == (len(sizes), sum(sizes))
    code, done, _ = run(capsys, tmp_path / "a", tmp_path / "a" / "flows")
    assert (code, done["inputs_quarantined"]) == (ExitCode.DONE, 0)
    # So small a sample has no rows that must be rejected, and does not say that it has.
    assert done["rows_rejected"] == 0
    text = (tmp_path / "a" / "README.md").read_text()
    assert "must be rejected" not in text
    names = {file.stem.rpartition("-")[2] for file in files}
    assert [name in names for name in ("late", "copy")] == ["*-late" in text, "*-copy" in text]
