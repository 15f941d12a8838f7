"""What a run says beside its numbers, and that its advice helps."""

import json
from pathlib import Path

import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


def test_rows_without_interval_come_with_lines_to_paste(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    flows = write_flows(tmp_path / "a.parquet", interval=None, exporter="192.0.2.77")
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_rejected"]) == (ExitCode.DONE, 4)
    (line,) = _lines_to_paste(err)[1:]  # beneath the header, as there is no file
    assert line.startswith("  192.0.2.77,edge,,N,false")
    assert "not one of its" not in err  # the lines say it
    code, done, _ = run(capsys, root, flows, "--unknown-sampling", "unsampled")
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 4)


def _lines_to_paste(err: str) -> list[str]:
    """What a message gives for exporters.csv: the indented lines that are no figures."""
    return [line for line in err.splitlines() if line.startswith("  ") and line.count(",") > 3]


@pytest.mark.parametrize(
    "own", [None, "override,exporter,vantage,white_box,role,sampling_interval"]
)
def test_pasted_lines_fit_the_file_that_is_there(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path, own: str | None
) -> None:
    flows = write_flows(tmp_path / "a.parquet", interval=None, exporter="192.0.2.77")
    call(capsys, root, "init")
    file = root / "catalog" / "exporters.csv"
    if own:
        file.write_text(f"{own}\n")
    lines = _lines_to_paste(run(capsys, root, flows)[2])
    with file.open("a") as catalog:
        catalog.writelines(
            f"{line}\n".replace(",N,", ",1,").replace(",N\n", ",1\n") for line in lines
        )
    code, done, err = run(capsys, root, flows)
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 4), err


def test_traffic_reported_in_both_directions_counts_once_when_declared(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    for direction in (0, 1):
        write_flows(
            tmp_path / f"flows/{direction}.parquet", exporter="2001:db8::7", direction=direction
        )
    write_flows(tmp_path / "flows/other.parquet", exporter="192.0.2.8", direction=1)
    code, done, err = run(capsys, root, tmp_path / "flows")
    assert (code, done["rows_counted"]) == (ExitCode.DONE, 12)
    assert len(_lines_to_paste(err)) == 2  # with the header, as there is no file
    assert "192.0.2.8" not in err  # only egress records: nothing is doubled
    call(capsys, root, "init")
    code, _, err = call(capsys, root, "status")
    (line,) = _lines_to_paste(err)
    assert (code, line.split(",")[0]) == (ExitCode.DONE, "  2001:db8::7")
    with (root / "catalog" / "exporters.csv").open("a") as catalog:  # as the advice says
        catalog.write(f"{line}\n")
    code, out, err = call(capsys, root, "run", tmp_path / "flows", "--format", "json")
    assert (code, "2001:db8::7" in err) == (ExitCode.DONE, False)
    done, rejects = json.loads(out)["run"], json.loads(out)["rejects"]
    assert (done["rows_in"], done["rows_counted"], done["rows_rejected"]) == (12, 8, 4)
    assert [(row["reason"], row["rows"]) for row in rejects] == [("egress_copy", 4)]
    status = json.loads(call(capsys, root, "status", "--format", "json")[1])
    assert status["both_directions"] == []
    egress = [found for found in status["findings"] if found["finding"] == "egress record"]
    assert [(found["exporter"], found["rows"]) for found in egress] == [("192.0.2.8", 4)]
    explained = call(capsys, root, "explain", tmp_path / "flows/1.parquet", "--row", 0)[1]
    assert "egress_copy" in explained


def test_without_a_catalog_the_run_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert call(capsys, root, "init")[0] is ExitCode.DONE
    _, _, err = run(capsys, root, flows)
    assert err.count("no app and no prefix there") == 1
    assert f"`v6share init {root}`" in err
    assert "no app and no prefix" not in run(capsys, root, flows)[2]  # nothing was counted
    (root / "catalog" / "apps.toml").write_text(
        '[[app]]\nid = "shop"\nname = "Shop"\nmatch = [{ port = 443 }]\n'
    )
    _, done, err = run(capsys, root, flows)
    assert (done["inputs_committed"], "no app and no prefix" in err) == (3, False)


def test_a_key_that_others_may_read_is_said(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert "client.key" not in run(capsys, root, flows)[2]
    Workspace(root).client_key.chmod(0o640)
    err = run(capsys, root, flows)[2]
    assert "client.key: found the mode 0640, expected 0600: whoever reads the key" in err


def test_before_kernels_are_compiled_the_run_says_so(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, root, flows / "day0.parquet")
    assert "compiling" not in run(capsys, root, flows / "day1.parquet")[2]  # all are kept now
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "none"))
    said = "compiling the kernels, once"
    assert run(capsys, root, flows / "day2.parquet")[2].startswith(said)
    assert said in call(capsys, root, "explain", flows / "day0.parquet", "--row", 0)[2]
    assert said not in run(capsys, root, flows)[2]  # nothing is counted


def test_an_exporter_that_fell_silent_is_said_once(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    (root / "catalog").mkdir()
    (root / "catalog" / "exporters.csv").write_text(
        "exporter,vantage,role,sampling_interval,white_box\n192.0.2.1,edge,,,\n192.0.2.7,edge,,,\n"
    )
    said = "check silent_exporters: "
    err = run(capsys, root, flows / "day0.parquet")[2]
    assert f"{said}expected that a listed exporter has sent in the newest day of the data" in err
    assert "but exporter 192.0.2.7 has not; its last record ends at: none\n" in err
    for day in (1, 2):
        assert said not in run(capsys, root, flows / f"day{day}.parquet")[2]
    # It is still shown to whoever asks.
    status = json.loads(call(capsys, root, "status", "--format", "json")[1])
    assert status["silent"] == [{"exporter": "192.0.2.7", "last_seen": None}]
    rows = json.loads(call(capsys, root, "check", "--format", "json")[1])
    assert [row["result"] for row in rows if row["check"] == "silent_exporters"] == ["warning"]
    # One more falls silent.
    later = write_flows(
        flows / "later.parquet", exporter="192.0.2.7", start_ms=JANUARY_1 + 5 * DAY_MS
    )
    err = run(capsys, root, later)[2]
    assert "but exporter 192.0.2.1 has not; its last record ends at: 2026-01-03 00:03\n" in err
