"""What stands before the command: where the workspace is and how much to say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LogForm = Literal["text", "json"]


@dataclass(frozen=True)
class Invocation:
    """The global options of one call.

    verbosity: -1 errors only, 0 normal, 1 details and tracebacks.
    command: the whole command line, for the ledger and for whoever waits for the lock.
    """

    root: Path = Path()
    verbosity: int = 0
    log: LogForm = "text"
    command: str = "v6share"
