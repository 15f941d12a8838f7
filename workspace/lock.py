"""One writer per workspace: an advisory file lock that says who holds it.

The kernel frees the lock when its process ends, however it ends, so there is no stale lock to
clean up. Decided against: a lock file that exists or not (it survives a crash).

A stream holds the workspace for days. Whoever waits for its turn holds a second lock meanwhile, the
mark ``wanted``, shared with others who wait. The stream looks at the mark between two batches, lets
go of the workspace until nobody waits any more, and takes it again afterwards.
"""

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from v6share.schemas.text.plain import cut
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_PRIVATE = 0o600
_POLL_SECONDS = 0.1
# Who only looks (refuse_if_held) has the lock for an instant, and must not turn a run away.
_LEAST_WAIT_SECONDS = 0.15
# Of a command that names a thousand files, so much shows whose it is.
_COMMAND_SHOWN = 120


@dataclass(frozen=True)
class Holder:
    """Who holds a workspace. ``pid`` is 0 where the holder has not written its name yet.

    gives_way: it is a stream, which lets others have their turn between two batches.
    """

    pid: int
    host: str
    command: str
    since: str
    gives_way: bool = False

    def __str__(self) -> str:
        if not self.pid:
            return "another run that is just starting"
        shown = cut(self.command, _COMMAND_SHOWN)
        return f"'{shown}' (process {self.pid} on {self.host}, since {self.since})"

    @property
    def advice(self) -> str:
        """What helps who finds nothing to read yet."""
        if self.gives_way:
            return f"{self} is at work: look again when it has counted its first files"
        return f"the workspace is held by {self}: look again when it has ended"


class WorkspaceBusy(Exception):  # noqa: N818 - not an error of ours: another run is at work
    """Another run holds the workspace (exit code 4)."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(f"the workspace is held by {holder}; {_way_in(holder)}")
        self.holder = holder


def _way_in(holder: Holder) -> str:
    if holder.gives_way:
        return "it is a stream, and lets others have their turn between two batches: --wait SECONDS"
    return "wait for it (--wait SECONDS) or try again later"


@contextmanager
def hold(
    workspace: Workspace, command: str, wait_seconds: float = 0.0, *, gives_way: bool = False
) -> Iterator[None]:
    """Hold the workspace while the block runs.

    command: the command line, shown to others. Raises WorkspaceBusy soon, or after
    ``wait_seconds``. Waiting runs are not served in order. gives_way: as in ``Holder``; such a one
    leaves no mark while it waits.
    """
    with _opened(workspace.lock) as descriptor:
        deadline = time.monotonic() + max(wait_seconds, _LEAST_WAIT_SECONDS)
        with _marking(workspace, is_marked=wait_seconds > 0 and not gives_way):
            _acquire(descriptor, workspace.lock, deadline)
        _write_holder(descriptor, command, gives_way=gives_way)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)


class StreamAtWork(WorkspaceBusy):
    """Another stream follows for this workspace: one never gives way to another."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(holder)
        self.args = (
            f"{holder} follows for this workspace already; end it first, or give it all paths: one "
            "stream does not give way to another. `v6share run --wait SECONDS` gets its turn",
        )


@contextmanager
def hold_stream(workspace: Workspace, command: str) -> Iterator[None]:
    """Be the one stream of a workspace while the block runs. Raises StreamAtWork soon."""
    with _opened(workspace.stream_lock) as descriptor:
        try:
            _acquire(descriptor, workspace.stream_lock, time.monotonic() + _LEAST_WAIT_SECONDS)
        except WorkspaceBusy as busy:
            raise StreamAtWork(busy.holder) from None
        _write_holder(descriptor, command, gives_way=True)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)


def is_wanted(workspace: Workspace) -> bool:
    """Whether somebody waits for the workspace now."""
    with _opened(workspace.wanted) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def stream_at_work(workspace: Workspace) -> Holder | None:
    """The stream of a workspace, or None; changes nothing."""
    return _holder_of(workspace.stream_lock)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    storage.make_private(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
    try:
        found = os.fstat(descriptor)
        # An earlier version made it readable: whoever reads it can hold the lock for ever.
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != _PRIVATE:
            os.fchmod(descriptor, _PRIVATE)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _marking(workspace: Workspace, *, is_marked: bool) -> Iterator[None]:
    """Hold the mark of those who wait, where one is to be left."""
    if not is_marked:
        yield
        return
    with _opened(workspace.wanted) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits only for an instant: see ``is_wanted``
        yield


def refuse_if_held(workspace: Workspace) -> None:
    """Raise WorkspaceBusy where another run holds the workspace now; changes nothing.

    A look before a job loads what it needs, which takes longer than the answer. Only ``hold``
    makes sure.
    """
    holder = present_holder(workspace)
    if holder is not None:
        raise WorkspaceBusy(holder)


def present_holder(workspace: Workspace) -> Holder | None:
    """Who holds the workspace now, or None; changes nothing."""
    return _holder_of(workspace.lock)


def _holder_of(lock: Path) -> Holder | None:
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return None  # nothing ever ran here; or the job itself says what is wrong
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(lock)
    else:
        return None
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise WorkspaceBusy(read_holder(path)) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _write_holder(descriptor: int, command: str, *, gives_way: bool) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(os.getpid(), socket.gethostname(), command, since, gives_way)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def read_holder(path: Path) -> Holder:
    """Who wrote the lock file; a nameless holder where it is empty or half written."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return Holder(0, "", "", "")
