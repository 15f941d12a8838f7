"""Landing folders: what is new in them, asked again and again.

Most polls look at names alone, which takes a tenth of the time that it takes to look at sizes and
times, too. A name that is *settled* is passed over: what lies there is in the ledger. A sweep looks
at every file, and finds what was changed in place. Both walk as ``find`` does, so a name means the
same to a stream as to a run.

Decided against: to be told by the system (inotify and the like). It knows nothing of network
mounts and loses events under load, so a sweep is needed all the same; names take 0.2 s per 100,000.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from v6share.pipelines.find import Search, is_missing
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class Arrival:
    """A file that waits to be counted.

    arrived_ns: since when it has stood under its name, nanoseconds since 1970 UTC: a rename sets
    the time of change of a file, whenever it was written.
    """

    found: FoundInput
    name: str
    arrived_ns: int


class LandingFolders:
    """The files below some paths. Used from one thread; keeps 200 bytes a file that is there."""

    def __init__(
        self, paths: Sequence[str], excluded: Sequence[Path], warn: Callable[[str], None]
    ) -> None:
        """Look at nothing yet. As for ``find_inputs``; each warning is given once an hour."""
        self._paths = tuple(paths)
        self._excluded = tuple(excluded)
        self._warn = warn
        self._warned: dict[str, float] = {}
        # By the name as it is walked: the size and time of change that were settled.
        self._settled: dict[str, tuple[int, int]] = {}
        # When a file is looked at again that was busy or failed, by name: a monotonic clock.
        self._later: dict[str, tuple[float, tuple[int, int]]] = {}
        self._gone: set[str] = set()
        # What had to be left out at the last look, as it cannot be read or has an odd name.
        self.closed: frozenset[str] = frozenset()

    def poll(self) -> list[Arrival]:
        """The files under names that are not settled, the longest waiting first."""
        names = self._walk()
        return self._arrivals(name for name in names if name not in self._settled)

    def sweep(self) -> list[Arrival]:
        """The files that are not as they were settled."""
        return self._arrivals(self._walk())

    def _walk(self) -> dict[str, None]:
        """The names that are there now; what is no longer there is forgotten, for another file may
        come under its name.
        """
        names = dict.fromkeys(self._names())
        for name in self._settled.keys() - names.keys():
            del self._settled[name]
        for name in self._later.keys() - names.keys():
            del self._later[name]
        return names

    @property
    def is_empty(self) -> bool:
        """Whether no file was ever there, as of the last poll or sweep."""
        return not (self._settled or self._later)

    def settle(self, arrival: Arrival) -> None:
        """Pass over a file from now on, as long as it stays as it is."""
        self._later.pop(arrival.name, None)
        self._settled[arrival.name] = (arrival.found.size, arrival.found.mtime_ns)

    def retry(self, arrival: Arrival, seconds: float) -> None:
        """Give a file again after so long, or once it has changed."""
        seen = (arrival.found.size, arrival.found.mtime_ns)
        self._later[arrival.name] = (time.monotonic() + seconds, seen)

    def _names(self) -> Iterator[str]:
        search = Search.of(self._excluded, self._warn_once)
        for argument in self._paths:
            if _is_gone(argument):
                if argument not in self._gone:
                    self._gone.add(argument)
                    self._warn(f"{argument}: is gone; it is looked for until it is there again")
                continue
            if argument in self._gone:
                self._gone.remove(argument)
                self._warn(f"{argument}: is there again")
            yield from search.expand(argument)
        self.closed = frozenset(search.closed)

    def _arrivals(self, names: Iterable[str]) -> list[Arrival]:
        search = Search.of(self._excluded, self._warn_once)
        arrivals: dict[str, Arrival] = {}
        for name in names:
            try:
                found = search.look_at(name)
            except UserError as error:
                self._warn_once(str(error))
                self.closed |= {name}
                continue
            if found is not None and not self._is_known(name, found):
                arrivals[found.path] = Arrival(found, name, _arrived_ns(name))
        return sorted(arrivals.values(), key=lambda one: (one.arrived_ns, one.found.path))

    def _is_known(self, name: str, found: FoundInput) -> bool:
        seen = (found.size, found.mtime_ns)
        due, seen_before = self._later.get(name, (0.0, None))
        is_put_off = seen == seen_before and time.monotonic() < due
        return is_put_off or self._settled.get(name) == seen

    def _warn_once(self, message: str) -> None:
        now = time.monotonic()
        if now - self._warned.get(message, -3600.0) >= 3600.0:
            self._warned[message] = now
            self._warn(message)


def _is_gone(argument: str) -> bool:
    try:
        return is_missing(argument)
    except OSError:  # a network mount that does not answer, a folder above that is closed
        return True


def _arrived_ns(name: str) -> int:
    try:
        return Path(name).stat().st_ctime_ns
    except OSError:  # gone again
        return time.time_ns()


def age_seconds(arrival: Arrival, now_ns: int) -> float:
    """How long a file has waited; 0 where its time lies ahead of the clock."""
    return max(0, now_ns - arrival.arrived_ns) / _SECOND_NS
