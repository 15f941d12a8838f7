"""How far a long job is: a bar on a terminal, else plain lines."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final

from v6share.jobs.terminal.messages import current, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PLAIN_SECONDS: Final = 5.0


class Progress(AbstractContextManager["Progress"]):
    """How far a long job is: a bar on a terminal, else a line every few seconds.

    There is no line where nothing was done since the one before. ``show`` may be called from any
    thread.
    """

    def __init__(
        self,
        what: str,
        total: int,
        total_files: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at nothing. total: in the unit of ``show``'s done, such as bytes."""
        self._what = what
        self._total = max(total, 1)
        self._total_files = total_files
        self._done = self._files = self._rows = 0
        self._said: tuple[int, int, int] | None = None
        self._clock = clock
        self._started = self._last_line = clock()
        self._lock = threading.Lock()
        self._bar: tuple[RichProgress, TaskID] | None = None

    def __enter__(self) -> "Progress":
        """Show the bar."""
        if draws(sys.stderr):
            self._bar = self._open_bar()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; the summary that follows says the same in words."""
        if self._bar is not None:
            self._bar[0].stop()

    def show(self, done: int, *, files: int = 0, rows: int = 0, total: int | None = None) -> None:
        """Show what has been done since the beginning."""
        with self._lock:
            self._done, self._files, self._rows = done, files, rows
            self._total = total or self._total
            if self._bar is not None:
                bar, task = self._bar
                bar.update(task, completed=done, total=self._total, state=self._state())
            elif self._clock() - self._last_line >= PLAIN_SECONDS:
                self._last_line = self._clock()
                self._write_line()

    def _state(self) -> str:
        parts = []
        if self._total_files:
            parts.append(f"{self._files:,} of {self._total_files:,} files")
        if self._rows:
            rate = self._rows / max(self._clock() - self._started, 1e-9)
            parts.append(f"{self._rows:,} rows, {rate:,.0f} rows/s")
        return ", ".join(parts)

    def _write_line(self) -> None:
        done = (self._done, self._files, self._rows)
        if done == self._said:
            return
        self._said = done
        share = min(self._done / self._total, 1)
        state = self._state()
        say(
            f"{self._what}: {share:.0%}{', ' if state else ''}{state}",
            progress=round(share, 4),
            files=self._files,
            files_total=self._total_files,
            rows=self._rows,
        )

    def _open_bar(self) -> "tuple[RichProgress, TaskID]":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = ("{task.description}", "{task.fields[state]}")
        bar = Progress(
            TextColumn(columns[0]),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn(columns[1]),
            console=Console(stderr=True),
            transient=True,
        )
        task = bar.add_task(self._what, total=self._total, state=self._state())
        bar.start()
        return bar, task


def draws(stream: IO[str]) -> bool:
    """Whether a bar may be drawn: a terminal that can move the cursor, and text is wanted."""
    wanted = current().log == "text" and current().verbosity >= 0
    return wanted and stream.isatty() and os.environ.get("TERM") != "dumb"
