"""The published file and the stream, looked at from outside while files arrive."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import duckdb

from bench.feed import Sums
from bench.processes import Usage, usage

POLL_SECONDS: Final = 0.01
SAMPLE_SECONDS: Final = 0.5


def now() -> float:
    """Seconds since 1970, by a clock that nobody sets meanwhile."""
    return _CLOCK_BEGAN + time.monotonic()


_CLOCK_BEGAN: Final = time.time() - time.monotonic()


def read_published(file: Path, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Ask the published file as any reader would: open, ask, close.

    Opened again where it was replaced while it was opened. Raises duckdb.Error where that fails
    three times.
    """
    for attempt in range(3):
        try:
            with duckdb.connect(str(file), read_only=True, config={"threads": 1}) as connection:
                return connection.execute(sql, list(values)).fetchall()
        except duckdb.Error:
            if attempt == 2:
                raise
    raise AssertionError("not reached")


def newest_hour(file: Path) -> datetime:
    """The start of the hour behind the newest traffic. Raises ValueError where there is none."""
    ((newest,),) = read_published(
        file, "SELECT date_trunc('hour', max(window_start)) + INTERVAL 1 HOUR FROM traffic_5m"
    )
    if not isinstance(newest, datetime):
        raise ValueError(f"{file}: found no traffic, expected some; count something first")
    return newest


def traffic_sums(file: Path) -> Sums:
    """The sums of traffic_5m."""
    columns = ", ".join(f"coalesce(sum({name}), 0)::HUGEINT" for name in vars(Sums()))
    (values,) = read_published(file, f"SELECT {columns} FROM traffic_5m")
    return Sums(*map(int, values))


@dataclass
class Watch:
    """Looks at the published file and at the stream, in a thread of its own, until it is stopped.

    seen: when a reader first found a file, by its name. publishes: how many published files held a
    new one. samples: of the stream, since it began.
    """

    published: Path
    folder: Path
    pid: int
    seen: dict[str, float] = field(default_factory=dict)
    publishes: int = 0
    samples: list[Usage] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _stopped: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __enter__(self) -> "Watch":
        self._thread = Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        known, next_sample = self._file(), 0.0
        while not self._stopped.wait(POLL_SECONDS):
            if (found := self._file()) != known and found is not None:
                known = found
                self._read()
            if time.monotonic() >= next_sample:
                next_sample = time.monotonic() + SAMPLE_SECONDS
                self.sample()

    def _file(self) -> tuple[int, int] | None:
        with suppress(FileNotFoundError):
            status = self.published.stat()
            return status.st_ino, status.st_mtime_ns
        return None

    def _read(self) -> None:
        try:
            rows = read_published(
                self.published,
                "SELECT path FROM ledger_files WHERE status = 'committed' AND starts_with(path, ?)",
                [f"{self.folder}/"],
            )
        except duckdb.Error as error:
            self.errors.append(str(error))
            return
        at = now()
        new = [name for (path,) in rows if (name := Path(path).name) not in self.seen]
        self.publishes += bool(new)
        self.seen.update(dict.fromkeys(new, at))

    def sample(self) -> None:
        """Note what the stream uses now, where it runs."""
        if (found := usage(self.pid)) is not None:
            self.samples.append(found)
