"""What is said on stderr: messages, progress, failures. Data never passes here (see output.py).

Messages go through ``logging`` under the name ``v6share``, so that a library's warnings and ours
come out in one form: plain text, or one JSON object a line with ``--log json``.
"""

import errno
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, cast

import typer

from v6share.jobs import interrupt
from v6share.jobs.exits import ExitCode, JobStopped
from v6share.jobs.invocation import Invocation
from v6share.jobs.printable import printable
from v6share.schemas.errors import DENIED, NO_ROOM, UserError, line_that_says

if TYPE_CHECKING:
    from pydantic import ValidationError
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LOG: Final = logging.getLogger("v6share")
_LEVELS: Final = {-1: logging.ERROR, 0: logging.INFO, 1: logging.DEBUG}
_GLOBAL_OPTIONS: Final = ("-C", "-v", "--verbose", "-q", "--quiet", "--log")
PLAIN_SECONDS: Final = 5.0
_OF_A_PATH: Final = (
    *DENIED,
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
)

_current = Invocation()


def configure(invocation: Invocation) -> None:
    """Choose what is said and in which form, for the rest of the process."""
    global _current  # one process has one stderr
    _current = invocation
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if invocation.log == "json" else _TextFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    _LOG.setLevel(_LEVELS[invocation.verbosity])
    handler.addFilter(_is_worth_saying)


def detail(message: str, **fields: Any) -> None:
    """Say something that only ``-v`` shows."""
    _LOG.debug(message, extra={"fields": fields})


def say(message: str, **fields: Any) -> None:
    """Say what happened. ``fields`` stand beside the message in ``--log json``."""
    _LOG.info(message, extra={"fields": fields})


def warn(message: str, **fields: Any) -> None:
    """Say what the user should look at; the work goes on."""
    _LOG.warning(message, extra={"fields": fields})


def fail(message: str, **fields: Any) -> None:
    """Say why the work stops; ``-q`` shows it too."""
    _LOG.error(message, extra={"fields": fields})


def report_failure(error: Exception) -> ExitCode:
    """Tell the user about an error that ended the command, and choose the exit code."""
    if _current.verbosity > 0 and not isinstance(error, typer.TyperException):
        _LOG.debug("".join(traceback.format_exception(error)).rstrip())
    from v6share.warehouse.lock import WorkspaceBusy  # here: help must not load the warehouse

    match error:
        case UserError():
            fail(str(error))
            return ExitCode.USAGE
        case WorkspaceBusy():
            fail(str(error))
            return ExitCode.LOCKED
        case typer.TyperException():
            fail(_usage_message(error))
            return ExitCode.USAGE
        case JobStopped():
            fail(str(error))
            return error.code
    full = line_that_says(error, NO_ROOM)
    if full:
        fail(f"no space left: {full}. Nothing is half done; make room and run the same again")
        return ExitCode.INTERNAL
    denied = _path_refused(error)
    if denied:
        fail(
            f"{denied}. It cannot be made, read or written; give another place, or change the "
            "owner or the permissions of this one"
        )
        return ExitCode.USAGE
    if _is_damage(error):
        fail(
            f"the warehouse is damaged: {_described(error)}. `v6share rebuild` makes it again from "
            "the journal and the fragments"
        )
        return ExitCode.USAGE
    hint = "" if _current.verbosity > 0 else " (-v shows where: v6share -v ...)"
    fail(f"unexpected {_described(error)}{hint}")
    return ExitCode.INTERNAL


def report_interrupt(left: str) -> None:
    """Say that the user's wish to stop was heard, and what is left behind, if anything is."""
    fail(f"interrupted; {left}" if left else "interrupted")


def _path_refused(error: Exception) -> str:
    """What the system says of a path that a user has named or owns; empty for other errors."""
    if isinstance(error, OSError) and error.filename is not None and error.errno in _OF_A_PATH:
        return f"{error.filename}: {error.strerror}"
    return line_that_says(error, DENIED)


def _is_damage(error: Exception) -> bool:
    """DuckDB has no class of its own for a bad block, and must not be loaded to ask for it."""
    of_duckdb = type(error).__module__.rpartition(".")[2] in ("duckdb", "_duckdb")
    return of_duckdb and str(error).startswith("Corrupt database file")


def _described(error: Exception) -> str:
    first_line = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {first_line}" if first_line else name


def _usage_message(error: typer.TyperException) -> str:
    """The message of the option parser, with the nearest names and where the help is."""
    _put_in_our_words(error)
    message = error.format_message().partition(" (Possible options:")[0]
    message = message.removesuffix(".").replace("Value error, ", "")
    option = getattr(error, "option_name", None)
    near = sorted(getattr(error, "possibilities", None) or ())
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "v6share"
    if option in _GLOBAL_OPTIONS and context is not None and context.parent is not None:
        place = f"{option} DIR" if option == "-C" else option
        message += f". It stands before the command: v6share {place} {context.info_name}"
    elif near:
        message += f". Did you mean {' or '.join(near)}?"
    joint = "" if message.endswith("?") else "."
    return f"{message}{joint} See: {command} --help"


def _put_in_our_words(error: typer.TyperException) -> None:
    """A value that is not allowed: what was found and expected, as for settings and catalog."""
    cause = error.__cause__
    if type(cause).__name__ == "ValidationError":
        from v6share.schemas.mistakes import first_mistake  # here: loads pydantic, as typer has

        error.message = first_mistake(cast("ValidationError", cause), {})[1]


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Beam warns of every cloud library that is not installed, and of being interrupted.

    Its errors end the run and are told there; here they would stand twice.
    """
    if "apache_beam" not in record.pathname:
        return True
    wanted = record.levelno >= logging.ERROR and _current.verbosity > 0
    return wanted and not interrupt.was_asked()


class _StderrHandler(logging.Handler):
    """Writes to what ``sys.stderr`` is at that moment: a progress bar may stand in between."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody listens; the work goes on


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # What follows a line feed is set in: a file's name may hold one, and must not begin a line.
        message = re.sub(r"\n(?! )", "\n  ", printable(_message(record)))
        if record.levelno >= logging.ERROR:
            return f"error: {message}"
        return f"warning: {message}" if record.levelno >= logging.WARNING else message


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": _message(record),
            **getattr(record, "fields", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.exc_info and _current.verbosity > 0:
        message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return message


class Progress(AbstractContextManager["Progress"]):
    """How far a long job is: a bar on a terminal, else a line every few seconds.

    ``show`` may be called from any thread.
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
        self._clock = clock
        self._started = self._last_line = clock()
        self._lock = threading.Lock()
        self._bar: tuple[RichProgress, TaskID] | None = None

    def __enter__(self) -> "Progress":
        """Show the bar."""
        if _draws(sys.stderr):
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


def _draws(stream: IO[str]) -> bool:
    """Whether a bar may be drawn: a terminal that can move the cursor, and text is wanted."""
    wanted = _current.log == "text" and _current.verbosity >= 0
    return wanted and stream.isatty() and os.environ.get("TERM") != "dumb"
