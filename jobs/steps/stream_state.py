"""How a stream stands, for ``status``: one small file in the state, written after each batch."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from v6share.workspace import storage
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class StreamState:
    """How a stream stands.

    at: when this was written, UTC. batches, files, rows: since it started. lag_seconds: from the
    arrival of a file to its publication, the longest of the last published batches; None before
    any. backlog: files that wait. oldest_seconds: how long the first of them has waited.
    held_back: why nothing is published; empty where it is. catalog: what keeps a changed catalog
    from being taken over; empty where it is. ended: how it ended; empty while it is at work, and
    where it was killed.
    """

    at: datetime
    started_at: datetime
    batches: int = 0
    files: int = 0
    rows: int = 0
    lag_seconds: float | None = None
    backlog: int = 0
    oldest_seconds: float = 0.0
    held_back: str = ""
    catalog: str = ""
    ended: str = ""


def write_stream_state(workspace: Workspace, state: StreamState) -> None:
    """Keep it, in place of what was there."""
    text = json.dumps(asdict(state), default=datetime.isoformat, indent=2) + "\n"
    storage.write(workspace.stream_state, text.encode())


def read_stream_state(workspace: Workspace) -> StreamState | None:
    """What was kept last; None where no stream ever ran here, or another version wrote it."""
    try:
        fields = json.loads(storage.read(workspace.stream_state))
        for name in ("at", "started_at"):
            fields[name] = datetime.fromisoformat(fields[name])
        return StreamState(**fields)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
