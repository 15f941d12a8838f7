"""What workers leave for a committer: whole files in the order of time, or refused by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from v6share.pipelines.outcome_files import (
    OutcomeFile,
    distinct_outcomes,
    parse_outcome_lines,
    read_outcome_files,
    write_outcomes,
)
from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.outcome import Outcome

KEY = FragmentKey("ab" * 32, "ipfix", 1, "cd" * 32)
COUNTED = Outcome("/flows/a\u2028ü.parquet", 1, 2, "fragment", KEY, fragment=FragmentFile("ef", 9))
BUSY = Outcome("/flows/b.parquet", 3, 4, "busy", reason="busy", detail="it is still being written")
KNOWN = Outcome("/flows/0.parquet", 5, 6, "known", KEY)


def test_what_is_written_is_read_in_the_order_of_writing(tmp_path: Path) -> None:
    bundles = [(COUNTED, BUSY), (KNOWN,), (BUSY,), (COUNTED,)]
    for bundle in bundles:
        write_outcomes(tmp_path / "run", bundle)
    files = read_outcome_files(tmp_path / "run")
    assert [one.outcomes for one in files.whole] == bundles
    assert files.refused == ()
    assert [path for path, _ in files.whole] == sorted((tmp_path / "run").iterdir())
    # Nothing is removed, so who is broken off reads the same again.
    assert read_outcome_files(tmp_path / "run") == files


def test_no_outcome_makes_no_file_and_no_folder(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "run", [])
    assert list(tmp_path.iterdir()) == []
    assert read_outcome_files(tmp_path / "run") == ((), ())


def test_outcomes_are_distinct_and_by_path(tmp_path: Path) -> None:
    """An input that changed between two bundles has two outcomes; one given twice has one."""
    later = Outcome(BUSY.path, 9, 9, "known", KEY)
    files = [OutcomeFile(tmp_path, (COUNTED, BUSY)), OutcomeFile(tmp_path, (later, KNOWN, COUNTED))]
    assert distinct_outcomes(files) == [KNOWN, COUNTED, BUSY, later]
    assert distinct_outcomes([*files, *files]) == distinct_outcomes(files)


def test_whatever_is_cut_off_is_missed(tmp_path: Path) -> None:
    """Cut behind a whole line it would be another file that is whole: no byte shows the loss.

    A worker gives a file its name when it is whole, so only a copy can be cut.
    """
    write_outcomes(tmp_path, (COUNTED, BUSY))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    behind_first = data.index(b"\n") + 1
    assert parse_outcome_lines(data) == (COUNTED, BUSY)
    for end in range(len(data)):
        if end == behind_first:
            continue
        path.write_bytes(data[:end])
        ((refused, reason),) = read_outcome_files(tmp_path).refused
        assert refused == path
        assert "let that end" in reason, end
    assert path.exists()


GOOD = COUNTED.to_json().encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\n", "found invalid start byte at byte 0"),
        (GOOD + b"\n\n", "line 2: the line: "),
        (GOOD + b"\r\n", "line 1: its fields"),
        (GOOD + b"\n" + GOOD.replace(b'"size": 1', b'"size": "1"') + b"\n", "line 2: size: "),
        (
            GOOD.replace(b'"rules_version": 1', b'"rules_version": null') + b"\n",
            "key.rules_version",
        ),
        (b'{"path": "/flows/a"}\n', "line 1: size: Field required"),
    ],
)
def test_a_file_of_others_is_refused_as_a_whole(tmp_path: Path, data: bytes, said: str) -> None:
    write_outcomes(tmp_path, [BUSY])
    whole = read_outcome_files(tmp_path).whole
    path = tmp_path / f"99990101T000000.000000Z-{'0' * 32}.jsonl"
    path.write_bytes(data)
    files = read_outcome_files(tmp_path)
    assert files.whole == whole
    ((refused, reason),) = files.refused
    assert refused == path
    assert said in reason
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        f"{'0' * 32}.jsonl",
        f"20260101T000000.000000Z-{'0' * 32}.jsonl.part",
        f"20260101T000000Z-{'0' * 32}.jsonl",
        f"20260101T000000.000000Z-{'0' * 32}.jsonl\n",
    ],
)
def test_a_name_that_no_worker_gives_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD + b"\n")
    files = read_outcome_files(tmp_path)
    assert files.whole == ()
    ((path, reason),) = files.refused
    assert path == tmp_path / name
    assert "found a name that no worker gives" in reason


def test_what_is_being_written_is_no_file_yet(tmp_path: Path) -> None:
    draft = f".20260101T000000.000000Z-{'0' * 32}.jsonl.0123456789abcdef.draft"
    (tmp_path / draft).write_bytes(GOOD)
    assert read_outcome_files(tmp_path) == ((), ())


def test_who_commits_loads_neither_beam_nor_kernels() -> None:
    code = """
import sys
import v6share.pipelines.outcome_files
print([name for name in ("apache_beam", "numba") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
