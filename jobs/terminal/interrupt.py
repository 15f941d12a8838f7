"""Ctrl-C and SIGTERM: stop in order, but soon.

The first signal raises KeyboardInterrupt, so that bars, locks and connections are put away. What
does not come to an end by itself (a thread deep in a read or a compilation) is left behind after
a short grace, at once with a second signal. That is safe at any moment: files get their name only
when whole, the journal drops a torn line, and the warehouse rolls back.

A job that goes on for days (``ending_softly``) is only told by the first signal, and ends by itself
when it has done what it is at.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from v6share.jobs.terminal.exit_codes import ExitCode

GRACE_SECONDS: Final = 3.0
NOTHING_HALF_DONE: Final = "nothing is half done, the next run goes on from here"

# SIGHUP comes when the terminal of a job is closed.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_asked = threading.Event()
_leaving = threading.Lock()
_left = ""
# Set in a handler, so it is a plain value: an Event that the main thread waits for may be locked.
_soft: bool = False
_ending: bool = False


def install() -> None:
    """Handle the signals of this process. What the caller had us ignore stays ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    # A process that started itself anew holds them off until here: see ``hold_off``.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def hold_off() -> None:
    """Keep signals waiting, for the program that takes the place of this one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def forget() -> None:
    """Begin anew: what an earlier command of this process was asked or left is no matter."""
    global _left, _soft, _ending  # as below
    _asked.clear()
    _left = ""
    _soft = _ending = False


def was_asked() -> bool:
    """Whether a signal to stop has come; errors that follow are its consequence."""
    return _asked.is_set()


@contextmanager
def leaving(what: str) -> Iterator[None]:
    """Say what is left behind, where an interrupt ends this block."""
    global _left  # one process has one job
    _left = what
    yield
    _left = ""  # not after an error: who says it comes later


@contextmanager
def ending_softly() -> Iterator[None]:
    """Let the first signal only be noted while this block runs; see ``is_ending``."""
    global _soft, _ending  # as above
    _soft, _ending = True, False
    try:
        yield
    finally:
        _soft = False


def is_ending() -> bool:
    """Whether a signal has come in a block of ``ending_softly``."""
    return _ending


def leave() -> NoReturn:
    """Say so and end the process without waiting for any thread."""
    from v6share.jobs.terminal import messages  # here: messages ask whether a signal has come

    _leaving.acquire()  # never released: a second signal must not say it again; the process ends
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # a bar that was not put away has hidden the cursor
    messages.fail(f"interrupted; {_left}" if _left else "interrupted")
    os._exit(ExitCode.INTERRUPTED)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape of a handler
    global _ending  # as above
    if _asked.is_set() or _ending:
        leave()
    if _soft:
        _ending = True
        return
    _asked.set()
    timer = threading.Timer(GRACE_SECONDS, leave)
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt
