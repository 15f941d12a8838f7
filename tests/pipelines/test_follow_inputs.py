"""The source of a stream: paths that are looked at again and again."""

import logging
import os
from pathlib import Path

import apache_beam as beam
import pytest

from v6share.pipelines.find import find_inputs
from v6share.pipelines.follow_inputs import FollowInputs, Look
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput

PRIVATE = ("_SUCCESS", "_a.parquet", ".a.parquet", "a.parquet.tmp", "_temporary/a.parquet", "a.csv")


def look(path: Path, *excluded: Path) -> list[FoundInput]:
    return [one.value for one in Look(excluded)(str(path)).outputs]


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_look_finds_what_a_run_finds(tmp_path: Path) -> None:
    for name in ("b.parquet", "day=1/a.parq", *PRIVATE):
        write(tmp_path / name)
    write(tmp_path / "state" / "c.parquet")
    found = look(tmp_path, tmp_path / "state")
    assert [one.path for one in found] == [
        str(tmp_path / "b.parquet"),
        str(tmp_path / "day=1" / "a.parq"),
    ]
    assert found == list(find_inputs([str(tmp_path)], [tmp_path / "state"]).inputs)


def test_a_look_never_ends_the_watching(tmp_path: Path) -> None:
    """A folder that comes later is empty until then."""
    result = Look(())(str(tmp_path / "later"))
    assert not result.outputs
    assert not result.is_complete
    write(tmp_path / "later" / "a.parquet")
    result = Look(())(str(tmp_path / "later"))
    assert len(result.outputs) == 1
    assert not result.is_complete


def test_what_cannot_be_read_now_is_logged_once_and_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "a.parquet"
    os.mkfifo(place)
    watcher = Look(())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not watcher(str(place)).outputs
    assert [record.getMessage() for record in caplog.records] == [
        f"{place}: not a regular file; give files, directories or globs"
    ]
    place.unlink()
    write(place)
    assert [one.value.path for one in watcher(str(place)).outputs] == [str(place)]


@pytest.mark.parametrize(
    ("paths", "seconds", "said"),
    [
        (["/flows", "flows"], 1.0, "flows: found a relative path, expected one from the root"),
        (["./flows"], 1.0, "found a relative path"),
        ([""], 1.0, "found a relative path"),
        ([], 1.0, "found no path"),
        (["/flows"], 0.0, "found 0.0 s between two looks, expected more than 0"),
    ],
)
def test_what_would_never_find_anything_is_refused(
    paths: list[str], seconds: float, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        FollowInputs(paths, seconds)


def test_the_source_travels_in_the_global_window(tmp_path: Path) -> None:
    """And it can be given to a runner: Beam refuses there what it cannot code or compare."""
    pipeline = beam.Pipeline()
    found = pipeline | FollowInputs([str(tmp_path)], 1)
    assert not found.is_bounded
    assert found.windowing.is_default()
    assert b"v6share" in pipeline.to_runner_api().SerializeToString()
