"""What PATH means."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.pipelines.find import find_inputs
from v6share.schemas.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(root: Path, *arguments: str) -> list[str]:
    found, *_ = find_inputs([str(root / a) for a in arguments])
    return [os.path.relpath(f.path, root) for f in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    touch(
        tmp_path,
        "b.parquet",
        "a.parq",
        "day=1/c.parquet",
        "day=1/deep/d.parquet",
        "_SUCCESS",
        "_hidden.parquet",
        ".e.parquet",
        "f.parquet.tmp",
        "g.csv",
        "_temporary/h.parquet",
        ".cache/i.parquet",
        "half.tmp/j.parquet",
    )
    return tmp_path


def test_a_directory_gives_its_flow_files_in_path_order(tree: Path) -> None:
    assert names(tree, "") == ["a.parq", "b.parquet", "day=1/c.parquet", "day=1/deep/d.parquet"]


def test_a_file_is_always_tried(tree: Path) -> None:
    assert names(tree, "g.csv", "_hidden.parquet", "f.parquet.tmp") == [
        "_hidden.parquet",
        "f.parquet.tmp",
        "g.csv",
    ]


def test_globs(tree: Path) -> None:
    assert names(tree, "*.parq*") == ["a.parq", "b.parquet"]
    assert names(tree, "day=*") == ["day=1/c.parquet", "day=1/deep/d.parquet"]
    assert names(tree, "day=1/**/*.parquet") == ["day=1/c.parquet", "day=1/deep/d.parquet"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "flows[1].parquet", "flows1.parquet")
    assert names(tmp_path, "flows[1].parquet") == ["flows[1].parquet"]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"12345")
    os.utime(tmp_path / "a.parquet", ns=(0, 1_234_567_890_123_456_789))
    (found,), *_ = find_inputs([str(tmp_path)])
    assert found.size == 5
    assert found.mtime_ns == (tmp_path / "a.parquet").stat().st_mtime_ns


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.parquet")
    monkeypatch.chdir(tmp_path)
    (found,), *_ = find_inputs(["./a.parquet"])
    assert found.path == str(tmp_path / "a.parquet")


def test_arguments_without_a_match_are_named(tree: Path) -> None:
    missing, empty = str(tree / "nothing*"), str(tree / "gone.parquet")
    found, without, _ = find_inputs([missing, str(tree / "a.parq"), empty])
    assert len(found) == 1
    assert without == (missing, empty)


def test_a_link_to_a_parent_ends(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.parquet")
    (tmp_path / "in" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path, "") == ["in/a.parquet"]


def test_a_linked_directory_is_entered(tmp_path: Path) -> None:
    touch(tmp_path, "store/a.parquet")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "day").symlink_to(tmp_path / "store", target_is_directory=True)
    assert names(tmp_path, "flows") == ["flows/day/a.parquet"]


@pytest.mark.parametrize("url", ["s3://bucket/flows/", "gs://bucket/*.parquet", "abfs://c@a/x"])
def test_object_stores_come_later(url: str) -> None:
    with pytest.raises(UserError, match="cannot be read yet; copy the files"):
        find_inputs([url])


def test_an_empty_argument_is_a_mistake(tree: Path) -> None:
    with pytest.raises(UserError, match="PATH: found an empty text, expected a file"):
        find_inputs([str(tree / "a.parq"), ""])


def test_what_cannot_be_looked_at_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "loop.parquet").symlink_to("loop.parquet")
    with pytest.raises(UserError, match=r"loop\.parquet: Too many levels of symbolic links"):
        find_inputs([str(tmp_path / "loop.parquet")])


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        find_inputs([str(tmp_path / "pipe")])


@given(st.lists(st.sampled_from(["", "a.parq", "day=1", "*.parquet", "day=1/c.parquet"])))
def test_any_order_and_repetition_gives_the_same_inputs_once(
    tmp_path_factory: pytest.TempPathFactory, arguments: list[str]
) -> None:
    root = tmp_path_factory.getbasetemp() / "any-order"
    if not root.exists():
        touch(root, "a.parq", "b.parquet", "day=1/c.parquet")
    found = names(root, *arguments)
    assert found == sorted(set(found))
    assert found == names(root, *reversed(arguments), *arguments)


def test_what_is_odd_in_a_folder_is_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "good.parquet").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "loop.parquet").symlink_to("loop.parquet")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "dangling.parquet").symlink_to("nowhere")
    (tmp_path / "not-mounted").symlink_to("/nowhere/flows")
    found, empty, _ = find_inputs([str(tmp_path)], warn=said.append)
    assert [Path(one.path).name for one in found] == ["good.parquet"]
    assert empty == ()
    err = "\n".join(said)
    said.clear()
    assert "pipe.parquet: passed over, not a regular file" in err
    assert "dangling.parquet: passed over, a link to nowhere, which is not there" in err
    assert "not-mounted: passed over, a link to /nowhere/flows, which is not there" in err
    assert find_inputs([str(tmp_path / "d*.parquet")], warn=said.append)[0] == ()
    assert "dangling.parquet: passed over" in said[0]


def test_a_glob_means_nothing_private_unless_it_says_so(tree: Path) -> None:
    touch(tree, "ws/state/fragments/ab/f.parquet")
    pattern = str(tree / "**/*.parquet")
    found = find_inputs([pattern], (tree / "ws/state",)).inputs
    assert [os.path.relpath(f.path, tree) for f in found] == [
        "b.parquet",
        "day=1/c.parquet",
        "day=1/deep/d.parquet",
    ]
    assert names(tree, "_temporary/*.parquet") == ["_temporary/h.parquet"]


def test_what_a_glob_cannot_reach_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.parquet", "b/y.parquet", "_old/z.parquet", "a/n\udcffme.parquet")
    access = os.access

    def guarded(path: str, mode: int) -> bool:
        # Who runs the tests may be root, to whom no folder is closed. This one can be listed.
        closed = path.endswith(("/b", "/_old")) and mode & os.X_OK
        return not closed and access(path, mode)

    monkeypatch.setattr(os, "access", guarded)
    for pattern in ("*/*.parquet", "**/*.parquet"):
        found = find_inputs([str(tmp_path / pattern)] * 2)
        assert [Path(one.path).name for one in found.inputs] == ["x.parquet", "y.parquet"]
        assert sorted(os.path.relpath(p, tmp_path) for p in found.closed) == [
            "a/n\\xffme.parquet",
            "b",
        ]
    assert find_inputs([str(tmp_path / "b/*.parquet")]).closed == (str(tmp_path / "b"),)
    with pytest.raises(UserError, match="not UTF-8; rename it"):
        find_inputs([str(tmp_path / "a/n\udcffme.parquet")])


def test_the_folder_above_a_link_is_where_the_link_leads(tmp_path: Path) -> None:
    touch(tmp_path, "there/deep/x", "there/a.parquet")
    (tmp_path / "link").symlink_to(tmp_path / "there/deep")
    (one,) = find_inputs([str(tmp_path / "link/../a.parquet")]).inputs
    assert one.path == str(tmp_path / "there/a.parquet")


def test_a_workspace_does_not_count_its_own_files(tmp_path: Path) -> None:
    for name in ("flows.parquet", "state/fragments/ab/f.parquet", "published/x.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found, *_ = find_inputs([str(tmp_path)], (tmp_path / "state", tmp_path / "published"))
    assert [Path(one.path).name for one in found] == ["flows.parquet"]
