"""Commands in processes of their own, which begin at once: each is a fork of one that is warm.

This process imports v6share and compiles the kernels, once (``warm_up``). A command is a fork of it
that calls what the ``v6share`` program calls; it takes a tenth of the time of a new process. Some
commands are started as the program all the same (``afresh``), to be sure that it makes no
difference. What is asked of the files in between (``in_child``) is also asked in a fork, so that
this process never has a thread or a database open.
"""

import gc
import importlib
import logging
import os
import pickle
import pkgutil
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from faults.seam import Call, Decision, Supervisor, hold_calls

T = TypeVar("T")

# What takes a second alone takes a minute on a machine that others use.
PATIENCE_SECONDS: Final = 900.0
CLIENT_KEY: Final = bytes(range(16))
_NO_GATE: Final = {"V6SHARE_QUALITY__GATE": "false"}
_HOLDS_TIME: Final = (
    "v6share.jobs.steps.run_context",
    "v6share.jobs.commands.check",
    "v6share.workspace.lock",
)


def warm_up() -> None:
    """Load all that commands load, and compile the kernels."""
    from v6share.jobs import commands
    from v6share.jobs.terminal import process

    process.tune()
    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        importlib.import_module(module.name)
    for name in ("pipelines.beam_pipeline", "pipelines.warm", "warehouse.rebuild"):
        importlib.import_module(f"v6share.{name}")
    from v6share.pipelines.warm import compile_kernels

    compile_kernels()
    # Beam has warned of what it misses, and so set up a log; a command begins without one.
    logging.getLogger().handlers.clear()
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: negative for a signal, None where it had to be broken off."""

    code: int | None
    out: str
    err: str
    seconds: float


@dataclass
class Command:
    """A command at work. said: a file name without an ending, for what it says."""

    arguments: Sequence[str]
    said: Path
    env: Mapping[str, str] = field(default_factory=dict)
    afresh: bool = False
    held: Iterable[str] = ()
    clock_back: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        ours, theirs = socket.socketpair()
        # It may be killed before it has opened them.
        for suffix in (".out", ".err"):
            self.said.with_suffix(suffix).write_bytes(b"")
        sys.stdout.flush()
        self.began = time.monotonic()
        self.process = os.fork()
        if not self.process:
            self._become(theirs)
        theirs.close()
        # Both do it, for neither knows who is first.
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(self.process, self.process)
        self.ended = os.pidfd_open(self.process)
        self.supervisor = Supervisor(self.process, ours) if self.held else None
        ours.close()

    def _become(self, channel: socket.socket) -> NoReturn:
        """Turn this process into the command."""
        try:
            os.setpgid(0, 0)
            os.environ.update({**_NO_GATE, **self.env})
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            for number, suffix in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(self.said.with_suffix(suffix), flags, 0o644), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if self.held:
                hold_calls(self.held, channel)
            if self.afresh:
                os.execv(sys.executable, [sys.executable, "-m", "v6share", *self.arguments])
            self._call()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(99)

    def _call(self) -> None:
        import secrets

        from v6share.jobs.cli import main

        # Tables are compared, and hashes of clients are equal where keys are.
        random_bytes = secrets.token_bytes
        secrets.token_bytes = lambda nbytes=None: (
            CLIENT_KEY if nbytes == len(CLIENT_KEY) else random_bytes(nbytes)
        )
        if self.clock_back:
            _set_back(self.clock_back)
        sys.argv = ["v6share", *self.arguments]
        main()

    def serve(self, decide: Callable[[Call], Decision]) -> Ended:
        """Decide about the calls that are held, until it has ended."""
        assert self.supervisor is not None
        if not self.supervisor.serve(decide, PATIENCE_SECONDS):
            return self._broken_off()
        return self.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait until it has ended."""
        if not self.ends_within(seconds):
            return self._broken_off()
        _, status = os.waitpid(self.process, 0)
        os.close(self.ended)
        return self._ended(os.waitstatus_to_exitcode(status))

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended when so much time has passed."""
        return bool(select.select([self.ended], [], [], seconds)[0])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.process, number)

    def kill(self) -> None:
        """Kill it and the processes of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def _broken_off(self) -> Ended:
        self.kill()
        os.waitpid(self.process, 0)
        os.close(self.ended)
        return self._ended(None)

    def _ended(self, code: int | None) -> Ended:
        out, err = (
            self.said.with_suffix(suffix).read_text(encoding="utf-8", errors="replace")
            for suffix in (".out", ".err")
        )
        return Ended(code, out, err, time.monotonic() - self.began)


def _set_back(by: timedelta) -> None:
    """Let what this process reads of the clock be earlier."""
    now, now_ns = time.time, time.time_ns

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) - by

    for name in _HOLDS_TIME:
        setattr(sys.modules[name], "datetime", Earlier)  # noqa: B010 - mypy would refuse the other
    time.time = lambda: now() - by.total_seconds()
    time.time_ns = lambda: now_ns() - by // timedelta(microseconds=1) * 1000


@dataclass(frozen=True)
class Asked(Generic[T]):
    """A function that is at work in a fork of this process."""

    process: int
    pipe: int

    @classmethod
    def begin(cls, ask: Callable[[], T]) -> "Asked[T]":
        """Begin to call a function."""
        reads, writes = os.pipe()
        process = os.fork()
        if process:
            os.close(writes)
            return cls(process, reads)
        answer: tuple[bool, T | str]
        try:
            answer = (True, ask())
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(writes, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)

    def answer(self) -> T:
        """What it gives. Raises RuntimeError with what it raises."""
        with os.fdopen(self.pipe, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(self.process, 0)
        if not data:
            raise RuntimeError(f"a process that only looks ended with {status}")
        fine, value = pickle.loads(data)
        if not fine:
            raise RuntimeError(value)
        return value  # type: ignore[no-any-return]


def in_child(ask: Callable[[], T]) -> T:
    """What a function gives that is called in a fork of this process. As ``Asked``."""
    return Asked.begin(ask).answer()
