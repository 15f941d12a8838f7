"""Which files a run takes of the paths, globs and days that it is given."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.pipelines import crew, flow_file
from v6share.workspace.paths import Workspace


def test_no_input(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, root, "run", tmp_path / "nothing-*")
    assert (code, out) == (ExitCode.NO_INPUT, "")
    assert "no input matched" in err


@pytest.mark.parametrize("where", ["nothing-*", "empty", "empty/*.parquet"])
def test_a_place_without_flow_files_beside_others_is_a_warning(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, where: str
) -> None:
    (flows.parent / "empty").mkdir()
    code, done, err = run(capsys, root, flows, flows.parent / where)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 3)
    assert f"{where}: no flow file there, the others are counted" in err


def test_a_named_path_that_is_not_there_stops_the_run_before_it_counts(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    (flows / "dangling.parquet").symlink_to("nowhere")
    for name in ("gone.parquet", "gone", "dangling.parquet"):
        code, out, err = call(capsys, root, "run", flows, flows / name)
        assert (code, out) == (ExitCode.USAGE, "")
        assert f"{flows / name}: no such file or directory; nothing was counted" in err
    assert not Workspace(root).journal.exists()
    code, _, err = call(capsys, root, "run", flows / "gone.parquet", flows / "nothing-*")
    assert code is ExitCode.NO_INPUT
    assert f"there is no {flows / 'gone.parquet'}." in err


def test_a_folder_that_cannot_be_read_ends_a_run_as_a_file_does(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flows / "closed").mkdir()
    scandir = os.scandir

    def guarded(path: object) -> object:
        # Who runs the tests may be root, to whom no folder is closed.
        if str(path).endswith("/closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.INPUT_FAILED, 3)
    assert "closed: cannot be read, Permission denied; what is in it is left out" in err
    code, done, _ = run(capsys, root, flows)  # nothing new, and still not all
    assert (code, done["paths_left_out"]) == (ExitCode.INPUT_FAILED, 1)
    code, out, err = call(capsys, root, "run", flows / "closed")
    assert (code, out) == (ExitCode.INPUT_FAILED, "")
    assert "closed left out, see above" in err
    assert "there is no /gone" in call(capsys, root, "run", flows / "closed", "/gone")[2]


def test_a_name_that_is_not_utf8_ends_a_run_as_a_file_that_cannot_be_read_does(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    odd = (flows / "day0.parquet").rename(flows / os.fsdecode(b"b\xffd.parquet"))
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["paths_left_out"]) == (ExitCode.INPUT_FAILED, 2, 1)
    assert "b\\xffd.parquet: left out, the name is not UTF-8; rename it" in err
    odd.rename(flows / "day0.parquet")
    assert run(capsys, root, flows)[0] is ExitCode.DONE


def test_an_odd_name_harms_only_itself(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    write_flows(flows / "line\u2028and\u0085line.parquet", start_ms=JANUARY_1 + 5 * DAY_MS)
    write_flows(flows / "odd.parquet", exporter="r\u2029outer", interval=None)
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.DONE, 5)


def test_since_and_until_choose_inputs(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    code, done, _ = run(capsys, root, flows, "--since", "2026-01-02", "--until", "2026-01-03")
    assert code is ExitCode.DONE
    assert (done["inputs_committed"], done["inputs_outside_the_span"]) == (1, 2)
    assert run(capsys, root, flows)[1]["inputs_committed"] == 2


def test_rows_that_will_not_count_stretch_no_span(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    first = pq.read_table(write_flows(tmp_path / "first.parquet"))
    later = pq.read_table(write_flows(tmp_path / "later.parquet", start_ms=JANUARY_1 + 5 * DAY_MS))
    at = later.column_names.index("packetDeltaCount")
    no_packets = later.set_column(at, later.field(at), pa.array([0] * later.num_rows))
    both = tmp_path / "both.parquet"
    pq.write_table(pa.concat_tables([first, no_packets]), both)
    assert run(capsys, root, both, "--since", "2026-01-02")[1]["inputs_outside_the_span"] == 1


def test_a_file_that_cannot_be_opened_is_chosen_whatever_its_span(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = flow_file.open_flow_file

    def guarded(path: str, dialect: str | None = None) -> object:
        # Who runs the tests may be root, to whom no file is closed.
        if path.endswith("day0.parquet"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, dialect)

    monkeypatch.setattr(flow_file, "open_flow_file", guarded)
    monkeypatch.setattr(crew, "open_flow_file", guarded)
    code, done, _ = run(capsys, root, flows, "--since", "2026-01-02")
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["inputs_failed"]) == (2, 1)
