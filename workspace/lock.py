"""One writer per workspace: an advisory file lock that says who holds it.

The kernel frees the lock when its process ends, however it ends, so there is no stale lock to
clean up. Decided against: a lock file that exists or not (it survives a crash).
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from v6share.schemas.text.plain import cut
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_POLL_SECONDS = 0.1
# Who only looks (refuse_if_held) has the lock for an instant, and must not turn a run away.
_LEAST_WAIT_SECONDS = 0.15
# Of a command that names a thousand files, so much shows whose it is.
_COMMAND_SHOWN = 120


@dataclass(frozen=True)
class Holder:
    """Who holds a workspace. ``pid`` is 0 where the holder has not written its name yet."""

    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        if not self.pid:
            return "another run that is just starting"
        shown = cut(self.command, _COMMAND_SHOWN)
        return f"'{shown}' (process {self.pid} on {self.host}, since {self.since})"

    @property
    def advice(self) -> str:
        """What helps who finds nothing to read yet."""
        return f"the workspace is held by {self}: look again when it has ended"


class WorkspaceBusy(Exception):  # noqa: N818 - not an error of ours: another run is at work
    """Another run holds the workspace (exit code 4)."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(
            f"the workspace is held by {holder}; wait for it (--wait SECONDS) or try again later"
        )
        self.holder = holder


@contextmanager
def hold(workspace: Workspace, command: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the workspace while the block runs.

    command: the command line, shown to others. Raises WorkspaceBusy soon, or after
    ``wait_seconds``. Waiting runs are not served in order.
    """
    storage.make_folder(workspace.lock.parent)
    descriptor = os.open(workspace.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + max(wait_seconds, _LEAST_WAIT_SECONDS)
        _acquire(descriptor, workspace.lock, deadline)
        _write_holder(descriptor, command)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


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
    try:
        descriptor = os.open(workspace.lock, os.O_RDONLY)
    except OSError:
        return None  # nothing ever ran here; or the job itself says what is wrong
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(workspace.lock)
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


def _write_holder(descriptor: int, command: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(os.getpid(), socket.gethostname(), command, since)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def read_holder(path: Path) -> Holder:
    """Who wrote the lock file; a nameless holder where it is empty or half written."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Holder(0, "", "", "")
