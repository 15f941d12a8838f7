"""What is written is whole and durable, or not there at all."""

import os
import time
from pathlib import Path

import pytest

from v6share.workspace import storage


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    place = tmp_path / "new" / "deep" / "file"
    storage.write(place, b"one")
    storage.write(place, b"two")
    assert storage.read(place) == b"two"
    assert names(place.parent) == ["file"]


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    place = tmp_path / "file"
    storage.write(place, b"old")

    def fail(draft: Path) -> None:
        draft.write_bytes(b"half")
        draft.with_name(draft.name + ".wal").write_bytes(b"log")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), storage.drafted(place) as draft:
        fail(draft)
    assert storage.read(place) == b"old"
    assert names(tmp_path) == ["file"]


def test_a_crash_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    """As after SIGKILL: nothing is tidied up, the next one who holds the workspace does it."""
    place = tmp_path / "file"
    storage.write(place, b"old")
    if not (child := os.fork()):
        with storage.drafted(place) as draft:
            draft.write_bytes(b"half")
            os._exit(0)
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 2
    assert storage.list_files(tmp_path) == [place]
    storage.remove_drafts(tmp_path)
    assert names(tmp_path) == ["file"]
    assert storage.read(place) == b"old"


def test_the_first_to_create_a_file_wins(tmp_path: Path) -> None:
    place = tmp_path / "key"
    assert storage.create(place, b"first", mode=0o600)
    assert not storage.create(place, b"second")
    assert storage.read(place) == b"first"
    assert place.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["key"]


@pytest.mark.parametrize("is_there", [False, True])
def test_where_links_are_unknown_a_rename_creates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    place = tmp_path / "key"
    if is_there:
        place.write_bytes(b"first")

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(target))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert storage.create(place, b"second") is not is_there
    assert storage.read(place) == (b"first" if is_there else b"second")
    assert names(tmp_path) == ["key"]


def test_appending_ends_the_file_where_it_says(tmp_path: Path) -> None:
    place = tmp_path / "journal"
    assert storage.append(place, b"one\n", 0) == 4
    assert storage.append(place, b"two\n", 4) == 8
    with place.open("ab") as file:
        file.write(b"torn")
    assert storage.append(place, b"three\n", 8) == 14
    assert storage.read(place) == b"one\ntwo\nthree\n"


def test_a_failed_append_takes_back_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "journal"
    storage.append(place, b"one\n", 0)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            storage.append(place, b"two\n", 4)
    assert storage.read(place) == b"one\n"


def test_what_is_not_there_has_no_status(tmp_path: Path) -> None:
    assert storage.status(tmp_path / "no") is None
    assert storage.list_files(tmp_path / "no") == []
    storage.remove(tmp_path / "no")
    storage.remove_folder(tmp_path / "no")
    storage.write(tmp_path / "file", b"12345")
    found = storage.status(tmp_path / "file")
    assert found is not None
    assert found.size == 5
    assert storage.exists(tmp_path / "file")
    assert not storage.exists(tmp_path / "file" / "below")


def test_a_folder_that_cannot_be_read_does_not_look_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the system's refusal is played here."""

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match=str(tmp_path)):
        storage.list_files(tmp_path)


def test_copies_of_a_held_file_share_one_descriptor(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(5):
        storage.copy_held(source, tmp_path / f"copy{i}")
        assert (tmp_path / f"copy{i}").read_bytes() == b"content"
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1


def test_only_drafts_of_some_age_go_where_others_write(tmp_path: Path) -> None:
    """A minute before the hour and a minute behind it; a clock that is ahead is not an age."""
    now = time.time()
    for name, age in (("young", 3540), ("old", 3660), ("ahead", -3660)):
        draft = tmp_path / "ab" / f".{name}.parquet.0.draft"
        storage.write(draft, b"half")
        os.utime(draft, (now - age, now - age))
    storage.remove_drafts(tmp_path, "*/", least_age_seconds=3600)
    assert names(tmp_path / "ab") == [".ahead.parquet.0.draft", ".young.parquet.0.draft"]
    storage.remove_drafts(tmp_path, "*/")
    assert names(tmp_path / "ab") == []


def test_folders_are_listed_without_files(tmp_path: Path) -> None:
    storage.write(tmp_path / "b" / "file", b"")
    storage.write(tmp_path / "a" / "file", b"")
    storage.write(tmp_path / "c", b"")
    assert storage.list_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert storage.list_folders(tmp_path / "none") == []
