"""What every peer is told, and what it says when it is done."""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One run: a generated set, which of its folders to read, and where the result goes.

    tuned: as fast as we found the engine to go, instead of as one writes it first.
    """

    data: Path
    flows: Path
    result: Path
    threads: int
    tuned: bool

    @property
    def tables(self) -> Path:
        """The prefixes, intervals and codes that were made for the peers."""
        return self.data / "peers"

    @property
    def pattern(self) -> str:
        """A glob of the flow files."""
        return str(self.flows / "*.parquet")


def read_job(doc: str | None) -> Job:
    """The job from the command line."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="a folder that bench.generate made")
    parser.add_argument("--flows", default="flows", help="which folder of it: flows or slice")
    parser.add_argument("--result", type=Path, required=True, help="the file to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tuned", action="store_true", help="not as one writes it first")
    given = parser.parse_args()
    return Job(given.data, given.data / given.flows, given.result, given.threads, given.tuned)


@dataclass
class Phases:
    """Seconds of the named phases, one after the other."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def done(self, phase: str) -> None:
        """The phase ends now; the next begins."""
        now = time.perf_counter()
        self.seconds[phase] = round(now - self._last, 4)
        self._last = now


def print_report(flows: int, phases: Phases) -> None:
    """One line of JSON on stdout."""
    print(json.dumps({"flows": flows, "seconds": phases.seconds}))
