"""What is said on stderr while a command is at work. Data goes to stdout (see ``stdout``).

Messages go through ``logging`` under the name ``v6share``, so that a library's warnings and ours
come out in one form: plain text, or one JSON object a line with ``--log json``.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, Final

from v6share.jobs.terminal import interrupt
from v6share.jobs.terminal.invocation import Invocation
from v6share.schemas.text.plain import printable

_LOG: Final = logging.getLogger("v6share")
_LEVELS: Final = {-1: logging.ERROR, 0: logging.INFO, 1: logging.DEBUG}
# Libraries that say more than our users want, as they stand in the paths of their modules.
_TALKATIVE: Final = ("apache_beam", "pyspark", "py4j", "great_expectations")

# Commands that are advised. Those that name a directory, and options, stay as they are.
_ADVISED: Final = re.compile(r"`v6share (?!-|init |sample )")

_current = Invocation()
_warned = 0


def configure(invocation: Invocation) -> None:
    """Choose what is said and in which form, for the rest of the process."""
    global _current, _warned  # one process has one stderr
    _current, _warned = invocation, 0
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if invocation.log == "json" else _TextFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    _LOG.setLevel(_LEVELS[invocation.verbosity])
    handler.addFilter(_is_worth_saying)


def current() -> Invocation:
    """How much is said in this process, and in which form."""
    return _current


def warnings_so_far() -> int:
    """How many times the user was told to look at something, with ``-q`` as well."""
    return _warned


def as_typed_here(text: str) -> str:
    """Advice in which each command names the workspace, where this one was told by ``-C``.

    Typed without it in another directory, a command would make a new workspace there.
    """
    if _current.root == Path():
        return text
    return _ADVISED.sub(lambda _: f"`v6share -C {quote(str(_current.root))} ", text)


def detail(message: str, **fields: Any) -> None:
    """Say something that only ``-v`` shows."""
    _LOG.debug(message, extra={"fields": fields})


def say(message: str, **fields: Any) -> None:
    """Say what happened. ``fields`` stand beside the message in ``--log json``."""
    _LOG.info(message, extra={"fields": fields})


def warn(message: str, **fields: Any) -> None:
    """Say what the user should look at; the work goes on."""
    global _warned
    _warned += 1
    _LOG.warning(message, extra={"fields": fields})


def fail(message: str, **fields: Any) -> None:
    """Say why the work stops; ``-q`` shows it too."""
    _LOG.error(message, extra={"fields": fields})


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Beam warns of every cloud library that is not installed; it and Spark, of being interrupted.

    Their errors end the run and are told there; here they would stand twice.
    """
    if not any(library in record.pathname for library in _TALKATIVE):
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
    message = as_typed_here(record.getMessage())
    if record.exc_info and _current.verbosity > 0:
        message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return message
