"""Streams for tests: a real process that follows a folder, and what it says."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from workspaces import command

PATIENCE_SECONDS = 120


class Stream:
    """A stream at work. ``said``: its JSON lines so far, read from a file beside the workspace."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.said if line.get("event") == name]

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until an event was said so often."""
        self.wait_until(lambda: len(self.events(what)) >= times, what)

    def wait_until(self, is_true: Any, what: str = "") -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_true():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, (what, self.said)
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def streaming(
    root: Path, landing: Path, *arguments: object, env: Mapping[str, str] | None = None
) -> Iterator[Stream]:
    """A stream that follows a folder while the block runs, which begins once it does."""
    folder = landing.parent
    number = len(list(folder.glob("stream*.log")))
    log = folder / f"stream{number}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command(root, "--log", "json", "stream", landing, *arguments)],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=os.environ | dict(env or {}),
        )
        stream = Stream(process, log)
        try:
            stream.wait_for("following")
            yield stream
        finally:
            process.kill()
            process.wait()


def put(source: Path, folder: Path, name: str | None = None) -> Path:
    """Put a copy of a file into a folder as one should: written elsewhere, then renamed."""
    draft = folder.parent / f".{source.name}.part"
    draft.write_bytes(source.read_bytes())
    return draft.rename(folder / (name or source.name))


def published_paths(root: Path) -> set[str]:
    """The names of the files that readers see as committed."""
    path = root / "published" / "v6share.duckdb"
    if not path.exists():
        return set()
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT path FROM ledger_files WHERE status = 'committed'")
        return {Path(path).name for (path,) in rows.fetchall()}
