"""What holds for the whole process of a command: its streams, its tuning and its end."""

import ctypes
import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn, cast

from v6share.jobs.terminal.exit_codes import ExitCode

if TYPE_CHECKING:
    from io import TextIOWrapper

_GARBAGE_AFTER: Final = 500_000
_M_ARENA_MAX: Final = -8  # malloc.h


def available_cores() -> int:
    """The cores that this process may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fill_streams() -> None:
    """Let streams that the caller has closed lead nowhere.

    Else the next file that is opened, a database, would take the number of stdout or stderr.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115 - for the whole process
    # What an encoding cannot say, a name in a table, is escaped.
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")


def tune() -> None:
    """Set what holds for the whole process, before a command loads anything heavy."""
    # Libraries read these when they are loaded. Arrow's own allocator gives the pages of a batch
    # back and faults them in again at the next: 3 % of a run's time, and 100 MiB more. Threads for
    # NumPy's linear algebra, of which there is none here, would spin on a core meanwhile.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A job's objects are its modules, which stay, 340,000 where Beam and Numba are among them: to
    # look for garbage there takes 0.1 s of the start and finds nothing worth having. Later it is
    # looked for as ever, only less often.
    gc.set_threshold(_GARBAGE_AFTER)
    _share_heaps()


class _WithoutPandas:
    """Finds no pandas, though it is installed for Great Expectations, in a process of its own.

    Arrow would load it with the first array that it makes of Python values: 0.2 s of every command
    for what none of them uses. And Beam would, in another thread: two that load modules of each
    other at once find them half loaded.
    """

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def do_without_pandas() -> None:
    """Let no pandas be found in this process from now on."""
    if _WithoutPandas not in sys.meta_path:
        sys.meta_path.insert(0, _WithoutPandas)


def let_pandas_be_found() -> None:
    """Undo it, where Great Expectations judges in this process: in that of a Spark session."""
    with suppress(ValueError):
        sys.meta_path.remove(_WithoutPandas)


def collect_garbage() -> None:
    """Collect what a batch has left, in a process that runs for days.

    A pipeline of Beam is made of circles, which only this frees. At the first call all that was
    loaded is set apart, so that it is not looked through each time.
    """
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()


def _share_heaps() -> None:
    """Have threads share two heaps a core, where the C library (glibc) has eight of them.

    Each heap keeps what its threads once needed: a fifth of the memory of a run over many files.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2 * available_cores())


def end(code: ExitCode) -> NoReturn:
    """End the process without the interpreter's shutdown; all work is done and on disk.

    A thread of Arrow that frees a buffer just then needs the interpreter, and without it aborts
    the process: about one run in a hundred ended with SIGABRT instead of its code.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()
    os._exit(code)
