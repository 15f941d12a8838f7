"""What people may call an input that is to be withdrawn, and that it then stays out."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from calls import call, committed, run
from flow_files import write_flows

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse.ledger.named_inputs import NamedInput, inputs_called, names_like

AT = datetime(2026, 1, 1)  # noqa: DTZ001 - as the ledger has it
A, B, C = "a" * 64, "b" * 64, "a1" * 32


def named(input_id: str, *paths: str) -> NamedInput:
    return NamedInput(input_id, frozenset(paths), False, AT)


INPUTS = [
    named(A, "/flows/one.parquet", "/copy/one.parquet"),
    named(B, "/flows/two.parquet"),
    named(C, "/old/two.parquet", "/old/three.parquet"),
]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("/flows/one.parquet", [A]),
        ("/copy/one.parquet", [A]),
        ("two.parquet", [B]),  # the path from the current folder, /flows, comes first
        ("one.parquet", [A]),
        ("../old/three.parquet", [C]),
        ("three.parquet", [C]),  # the base name of one input alone
        ("./three.parquet", []),  # a path that is not there
        ("/elsewhere/one.parquet", []),
        ("a" * 8, [A]),
        ("A1A1A1A1A1", [C]),
        ("a" * 7, []),
        (B, [B]),
        ("", []),
        ("two", []),
        ("%", []),
    ],
)
def test_what_a_name_means(name: str, ids: list[str]) -> None:
    from posixpath import join, normpath

    found = inputs_called(name, normpath(join("/flows", name)), INPUTS)
    assert [one.input_id for one in found] == ids


def test_a_base_name_of_two_inputs_fits_both() -> None:
    found = inputs_called("two.parquet", "/home/two.parquet", INPUTS)
    assert [one.input_id for one in found] == [B, C]


def test_what_was_perhaps_meant() -> None:
    assert names_like("thre.parquet", INPUTS) == ["/old/three.parquet"]
    assert names_like("bbb", INPUTS) == [B]
    assert names_like("nothing", INPUTS) == []


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    (tmp_path / "ws").mkdir()
    for number, name in enumerate(("one/day.parquet", "two/day.parquet", "two/night.parquet")):
        write_flows(tmp_path / name, octets=100 + number)
    folders = (str(tmp_path / "one"), str(tmp_path / "two"))
    assert cli.call(["-q", "-C", str(tmp_path / "ws"), "run", *folders]) is ExitCode.DONE
    return tmp_path


def forget(
    capsys: pytest.CaptureFixture[str], base: Path, *names: object
) -> tuple[ExitCode, str, str]:
    capsys.readouterr()
    code = cli.call(["-C", str(base / "ws"), "forget", *map(str, names)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_an_ambiguous_name_changes_nothing(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    code, _, err = forget(capsys, counted, "night.parquet", "day.parquet")
    assert code is ExitCode.USAGE
    assert "2 inputs have this name, nothing was withdrawn" in err
    assert "one/day.parquet, of 20" in err


def test_two_contents_of_one_path_are_told_by_their_ids(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    path = write_flows(counted / "two" / "night.parquet", octets=500)
    assert cli.call(["-q", "-C", str(counted / "ws"), "run", str(path)]) is ExitCode.DONE
    code, _, err = forget(capsys, counted, path)
    assert code is ExitCode.USAGE
    assert "give the id, or --older for what it held before, of the one" in err
    assert "give a whole path or the id" in forget(capsys, counted, "day.parquet")[2]


def test_of_a_file_that_was_rewritten_the_older_contents_can_be_named(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    path, root = counted / "two" / "night.parquet", counted / "ws"
    for octets in (500, 600):
        write_flows(path, octets=octets)
        assert cli.call(["-q", "-C", str(root), "run", str(path)]) is ExitCode.DONE
    assert (
        "give the id, or --older for what it held before, of the one"
        in forget(capsys, counted, path)[2]
    )
    code, out, _ = forget(capsys, counted, path, "--older", "--format", "json")
    assert code is ExitCode.DONE
    assert len(json.loads(out)["withdrawn"]) == 2
    rows = json.loads(call(capsys, root, "kpi", "ledger_families", "--format", "json")[1])
    assert [row["sampled_bytes"] for row in rows if row["sampled_bytes"] >= 1000] == [1200, 1200]
    # What lies there now is not older, and is clear by now.
    for again in (path, "night.parquet", counted / "one" / "day.parquet"):
        code, _, err = forget(capsys, counted, again, "--older")
        assert code is ExitCode.NO_INPUT
        assert "found no path at which anything counts but what lies there now" in err
    assert forget(capsys, counted, path)[0] is ExitCode.DONE


def test_it_is_said_that_a_copy_does_not_count_either(
    capsys: pytest.CaptureFixture[str], counted: Path
) -> None:
    path = counted / "two" / "night.parquet"
    copy = counted / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    assert cli.call(["-q", "-C", str(counted / "ws"), "run", str(copy)]) is ExitCode.DONE
    code, _, err = forget(capsys, counted, path)
    assert code is ExitCode.DONE
    assert "the same bytes stand under 2 paths" in err


def test_an_unknown_name_gets_the_nearest(
    capsys: pytest.CaptureFixture[str], counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = forget(capsys, counted, counted / "two" / "nihgt.parquet")
    assert code is ExitCode.NO_INPUT
    assert f"did you mean {counted}/two/night.parquet?" in err
    monkeypatch.chdir(counted / "two")
    assert forget(capsys, counted, "day.parquet")[0] is ExitCode.DONE


def test_a_name_never_falls_on_a_file_elsewhere(
    capsys: pytest.CaptureFixture[str], counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(counted / "two")
    assert forget(capsys, counted, "day.parquet")[0] is ExitCode.DONE
    code, _, err = forget(capsys, counted, "day.parquet")
    assert code is ExitCode.NO_INPUT
    assert "withdrawn already" in err
    write_flows(counted / "three" / "night.parquet", octets=5)
    monkeypatch.chdir(counted / "three")
    code, _, err = forget(capsys, counted, "night.parquet")
    assert code is ExitCode.NO_INPUT
    assert f"did you mean {counted}/two/night.parquet?" in err


def test_forgotten_inputs_stay_out_until_they_are_wanted(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    code, out, _ = call(capsys, root, "forget", flows / "day1.parquet", "--format", "json")
    assert code is ExitCode.DONE
    assert [row["paths"] for row in json.loads(out)["withdrawn"]] == [[str(flows / "day1.parquet")]]
    assert committed(capsys, root) == 2
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_forgotten"], committed(capsys, root)) == (ExitCode.DONE, 1, 2)
    assert run(capsys, root, flows, "--include-forgotten")[1]["inputs_committed"] == 1
    assert committed(capsys, root) == 3


def test_forget_changes_nothing_when_a_name_is_wrong(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    code, _, err = call(capsys, root, "forget", flows / "day1.parquet", "gone.parquet")
    assert code is ExitCode.NO_INPUT
    assert "nothing was withdrawn" in err
    assert committed(capsys, root) == 3


def test_where_nothing_was_counted_nothing_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As where somebody is in the wrong folder."""
    code = cli.call(["-C", str(tmp_path), "forget", "0123456789"])
    assert code is ExitCode.USAGE
    assert "nothing is counted here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
