import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from v6share.workspace.lock import (
    StreamAtWork,
    WorkspaceBusy,
    hold,
    hold_stream,
    is_wanted,
    refuse_if_held,
    stream_at_work,
)
from v6share.workspace.paths import Workspace

HOLDER = """
import sys, time
from pathlib import Path
from v6share.workspace.paths import Workspace
from v6share.workspace.lock import hold
with hold(Workspace(Path(sys.argv[1])), "v6share run 'x'"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_the_second_is_told_who_holds_it(workspace: Workspace) -> None:
    with hold(workspace, "v6share run flows/"):
        busy = pytest.raises(WorkspaceBusy, match="v6share run flows/")
        with busy as caught, hold(workspace, "other"):
            pass
        assert caught.value.holder.pid == os.getpid()
        assert json.loads(workspace.lock.read_text()).keys() == {
            "pid",
            "host",
            "command",
            "since",
            "gives_way",
        }
    with hold(workspace, "afterwards"):
        pass


def test_a_killed_process_frees_it(workspace: Workspace) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(workspace.root)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "held\n"
    with pytest.raises(WorkspaceBusy, match=f"process {child.pid}"), hold(workspace, "second"):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    # The name of the dead one, which is longer, still stands there.
    busy = pytest.raises(WorkspaceBusy, match=f"'3rd' .process {os.getpid()}")
    with hold(workspace, "3rd"), busy:
        refuse_if_held(workspace)


def test_waiting(workspace: Workspace) -> None:
    release = threading.Event()
    held = threading.Event()

    def first() -> None:
        with hold(workspace, "first"):
            held.set()
            release.wait()

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    start = time.monotonic()
    with pytest.raises(WorkspaceBusy), hold(workspace, "second", wait_seconds=0.3):
        pass
    assert 0.3 <= time.monotonic() - start < 5
    threading.Timer(0.2, release.set).start()
    with hold(workspace, "second", wait_seconds=10):
        pass
    thread.join()


def test_who_waits_leaves_a_mark_and_keeps_no_other_from_waiting(workspace: Workspace) -> None:
    """One waits for long, another for an instant; a look, and a stream that waits, leave none."""
    assert not is_wanted(workspace)
    with hold(workspace, "v6share stream", gives_way=True):
        with pytest.raises(WorkspaceBusy, match="it is a stream"), hold(workspace, "at once"):
            pass
        waiting = threading.Thread(target=lambda: _hold_once(workspace, 60))
        waiting.start()
        until = time.monotonic() + 30
        while not is_wanted(workspace):
            assert time.monotonic() < until
            time.sleep(0.01)
        start = time.monotonic()
        with pytest.raises(WorkspaceBusy), hold(workspace, "third", wait_seconds=0.3):
            pass
        assert time.monotonic() - start < 5
        assert is_wanted(workspace), "the second one waits still"
        with pytest.raises(WorkspaceBusy), hold(workspace, "other", 0.3, gives_way=True):
            pass
    waiting.join()
    assert not is_wanted(workspace)


def _hold_once(workspace: Workspace, wait_seconds: float) -> None:
    with hold(workspace, "waiting", wait_seconds):
        pass


def test_nobody_else_may_enter_the_state(workspace: Workspace) -> None:
    """Also where an older version made it for all."""
    workspace.state.mkdir(mode=0o755)
    workspace.lock.touch(mode=0o644)
    with hold(workspace, "run"):
        assert workspace.state.stat().st_mode & 0o777 == 0o700
        assert workspace.lock.stat().st_mode & 0o777 == 0o600


def test_there_is_one_stream(workspace: Workspace) -> None:
    assert stream_at_work(workspace) is None
    with hold_stream(workspace, "v6share stream flows/"):
        holder = stream_at_work(workspace)
        assert holder is not None
        assert (holder.command, holder.gives_way) == ("v6share stream flows/", True)
        with (
            pytest.raises(StreamAtWork, match="one stream does not give way to another"),
            hold_stream(workspace, "another"),
        ):
            pass
        with hold(workspace, "run"):
            pass
    assert stream_at_work(workspace) is None


def test_a_holder_that_has_not_written_its_name(workspace: Workspace) -> None:
    with hold(workspace, "first"):
        workspace.lock.write_bytes(b'{"pid": 1')
        with pytest.raises(WorkspaceBusy, match="just starting"), hold(workspace, "second"):
            pass
    # The name of one that has ended is not taken for that of the next.
    with hold(workspace, "first"):
        pass
    descriptor = os.open(workspace.lock, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(WorkspaceBusy, match="just starting"):
        refuse_if_held(workspace)
    os.close(descriptor)


def test_a_look_is_told_who_holds_it_and_keeps_nobody_out(workspace: Workspace) -> None:
    refuse_if_held(workspace)
    assert not workspace.lock.exists()
    with hold(workspace, "first"), pytest.raises(WorkspaceBusy, match="'first'"):
        refuse_if_held(workspace)
    # Another process that looks, for longer than any look takes.
    descriptor = os.open(workspace.lock, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, [descriptor]).start()
    with hold(workspace, "second"):
        pass
