"""Landing folders: what is new is given, and what is settled only once it has changed."""

import os
import time
from pathlib import Path

import pytest

from v6share.pipelines import landing as under_test
from v6share.pipelines.landing import Arrival, LandingFolders, age_seconds
from v6share.schemas.outcome import FoundInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def folders(folder: Path, warnings: list[str]) -> LandingFolders:
    return LandingFolders([str(folder)], [], warnings.append)


def names(arrivals: list[Arrival]) -> list[str]:
    return [Path(one.name).name for one in arrivals]


def test_what_is_settled_is_given_again_once_it_has_changed(
    folder: Path, folders: LandingFolders
) -> None:
    assert folders.is_empty
    file = folder / "a.parquet"
    file.write_bytes(b"first")
    (arrival,) = folders.poll()
    assert (arrival.found.path, arrival.found.size) == (str(file), 5)
    folders.settle(arrival)
    assert not folders.is_empty
    assert folders.poll() == folders.sweep() == []
    file.write_bytes(b"changed in place")
    assert folders.poll() == [], "a poll looks at names alone"
    assert names(folders.sweep()) == ["a.parquet"]


def test_another_file_under_a_name_that_was_gone_is_new(
    folder: Path, folders: LandingFolders
) -> None:
    file = folder / "a.parquet"
    file.write_bytes(b"first")
    folders.settle(folders.poll()[0])
    file.unlink()
    assert folders.poll() == []
    file.write_bytes(b"second")
    assert names(folders.poll()) == ["a.parquet"]


def test_the_longest_waiting_comes_first(folder: Path, folders: LandingFolders) -> None:
    """By the time of the rename, however old the file is and whatever its name."""
    for name in ("c", "a", "b"):
        draft = folder / f".{name}"
        draft.touch()
        os.utime(draft, (1, 1))
        draft.rename(folder / f"{name}.parquet")
        time.sleep(0.05)  # the clock of a file system ticks a few hundred times a second
    assert names(folders.poll()) == ["c.parquet", "a.parquet", "b.parquet"]


def test_a_file_that_is_put_off_comes_again_later_or_once_it_has_changed(
    folder: Path, folders: LandingFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(under_test.time, "monotonic", lambda: now[0])
    file = folder / "a.parquet"
    file.write_bytes(b"half")
    folders.retry(folders.poll()[0], 5)
    assert folders.poll() == folders.sweep() == []
    now[0] += 5
    (again,) = folders.poll()
    folders.retry(again, 5)
    file.write_bytes(b"half and half")
    assert names(folders.poll()) == ["a.parquet"]


def test_a_folder_that_is_gone_is_said_once_and_its_return_as_well(
    folder: Path, folders: LandingFolders, warnings: list[str]
) -> None:
    (folder / "a.parquet").touch()
    away = folder.rename(folder.with_name("away"))
    assert folders.poll() == folders.poll() == []
    away.rename(folder)
    assert names(folders.poll()) == ["a.parquet"]
    assert [text.partition(": ")[2].partition(";")[0] for text in warnings] == [
        "is gone",
        "is there again",
    ]


def test_what_cannot_be_looked_at_is_left_out_and_counts_as_left(
    tmp_path: Path, warnings: list[str]
) -> None:
    """Such as a pipe that is named as if it were a file."""
    os.mkfifo(tmp_path / "pipe.parquet")
    folders = LandingFolders([str(tmp_path / "pipe.parquet")], [], warnings.append)
    assert folders.poll() == []
    assert folders.closed == {str(tmp_path / "pipe.parquet")}
    assert folders.poll() == []
    assert len(warnings) == 1, "once an hour is enough"
    assert "not a regular file" in warnings[0]
    (tmp_path / "pipe.parquet").unlink()
    assert folders.poll() == []
    assert not folders.closed


def test_a_file_ahead_of_the_clock_has_not_waited() -> None:
    arrival = Arrival(FoundInput("/a", 1, 1), "/a", 5_000_000_000)
    assert age_seconds(arrival, 7_500_000_000) == 2.5
    assert age_seconds(arrival, 4_000_000_000) == 0
