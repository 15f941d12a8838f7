"""Prism and the example that follows a folder, each in a process group of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Flows:
    """Forty small flow files, and a workspace that counted all of them at once."""

    files: list[Path]
    catalog: Path
    root: Path


@dataclass(frozen=True)
class Group:
    """A program and whatever it starts. options: what Beam needs to reach it."""

    process: subprocess.Popen[bytes]
    log: Path
    options: tuple[str, ...] = ()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)


@contextmanager
def group(log: Path, *command: object, options: tuple[str, ...] = ()) -> Iterator[Group]:
    """Start a program in a group of its own, and kill the group at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Group(process, log, options)
    try:
        yield started
    finally:
        started.kill()


@contextmanager
def prism(binary: Path, log: Path) -> Iterator[Group]:
    """A Prism that takes jobs."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = (
        "--runner=PortableRunner",
        f"--job_endpoint=localhost:{port}",
        "--environment_type=LOOPBACK",
    )
    command = (binary, "--job_port", port, "--serve_http=false")
    with group(log, *command, options=options) as started:
        until(started, lambda: answers(port))
        yield started


@contextmanager
def following(root: Path, folder: Path, engine: Group, log: Path) -> Iterator[Group]:
    """The example, which follows a folder."""
    ours = ("--workspace", root, "--input", folder, "--interval", "0.3")
    example = ROOT / "examples" / "beam" / "follow.py"
    with group(log, sys.executable, example, *ours, *engine.options) as started:
        yield started


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


def until(started: Group, happened: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for something while a program runs."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert started.process.poll() is None, started.log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, started.log.read_text(errors="replace")[-4000:]
        time.sleep(0.05)
