"""System calls that are held: what is seen of them, and what may become of each."""

import errno
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.seam import (
    CHANGES,
    NO_ROOM,
    Call,
    Decision,
    Supervisor,
    hold_calls,
    part_of,
    why_unsupported,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(why_unsupported()), reason=why_unsupported()),
]


def held(work: Callable[[], None], decide: Callable[[Call], Decision]) -> int:
    """What a process ends with whose calls are held; 0, or the number of its error."""
    ours, theirs = socket.socketpair()
    process = os.fork()
    if not process:
        try:
            os.setpgid(0, 0)
            hold_calls(CHANGES, theirs)
            work()
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    theirs.close()
    assert Supervisor(process, ours).serve(decide, 60)
    ours.close()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def replace(file: Path) -> None:
    """What the storage seam does to put a file in its place."""
    draft = file.with_name("draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"12345678")
    os.fsync(descriptor)
    draft.replace(file)
    os.unlink(file.name, dir_fd=os.open(file.parent, os.O_RDONLY))


def test_every_change_is_seen_with_its_file(tmp_path: Path) -> None:
    seen = []

    def note(call: Call) -> Decision:
        if call.changes:
            seen.append((call.name, call.path))
        return "go on"

    file = tmp_path / "file"
    assert held(lambda: replace(file), note) == 0
    draft = str(tmp_path / "draft")
    assert seen == [
        ("openat", draft),
        ("write", draft),
        ("fsync", draft),
        ("rename", str(file)),
        ("unlinkat", str(file)),
    ]
    assert not file.exists()


@pytest.mark.parametrize(
    ("step", "decision", "left"),
    [("rename", "kill", b"12345678"), ("write", "kill", b""), ("write", "tear", b"1234")],
)
def test_a_process_is_killed_before_a_step_or_in_its_middle(
    tmp_path: Path, step: str, decision: Decision, left: bytes
) -> None:
    def kill(call: Call) -> Decision:
        return decision if call.name == step else "go on"

    assert held(lambda: replace(tmp_path / "file"), kill) == -signal.SIGKILL
    assert (tmp_path / "draft").read_bytes() == left
    assert not (tmp_path / "file").exists()


def test_a_step_may_fail(tmp_path: Path) -> None:
    def fail(call: Call) -> Decision:
        return NO_ROOM if call.name == "write" else "go on"

    assert held(lambda: replace(tmp_path / "file"), fail) == errno.ENOSPC


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("state/journal.jsonl", "journal"),
        ("state/warehouse.duckdb.wal", "log of the warehouse"),
        (f"state/..warehouse.duckdb.{'0' * 16}.draft.{'1' * 16}.draft", "draft of the warehouse"),
        (f"published/.v6share.duckdb.{'0' * 16}.draft", "draft of the published file"),
        (
            f"published/.v6share.duckdb.{'0' * 16}.draft.wal",
            "log of the draft of the published file",
        ),
        ("state/fragments/ab/abc.parquet", "fragment"),
        ("state/fragments/ab", "folder"),
        ("../elsewhere", ""),
    ],
)
def test_files_of_a_workspace_have_names(tmp_path: Path, path: str, part: str) -> None:
    assert part_of(os.path.normpath(tmp_path / path), tmp_path) == part
