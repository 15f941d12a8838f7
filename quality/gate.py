"""The gate: evidence goes to a process of its own, and what that says of it comes back.

The process is started as soon as it is known that it will be needed, and loads Great Expectations
meanwhile. Whatever goes wrong with it (it dies, hangs, or answers something else) is a
``GateFailed``, and never a pass.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

from pydantic import TypeAdapter, ValidationError

from v6share.quality.messages import Verdict, receive, send, send_frame
from v6share.quality.suites import Suite
from v6share.schemas.evidence import Evidence

# To start takes 4 to 9 s; on a machine that is busy, a minute.
START_SECONDS: Final = 300.0
ANSWER_SECONDS: Final = 300.0
_LAST_WORDS_BYTES: Final = 2000
_VERDICTS: Final = TypeAdapter[list[Verdict]](list[Verdict])


class GateFailed(Exception):  # noqa: N818 - a name for what happened
    """The gate could not say whether the numbers are plausible, so they are not published."""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


class Gate:
    """The gate process, from its start to its end. Use it as a context manager."""

    def __init__(
        self,
        python: Sequence[Path] = (),
        *,
        start_seconds: float = START_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Start nothing yet. python: files that define more expectations, which it runs."""
        self.python = tuple(python)
        self._start_seconds = start_seconds
        self._answer_seconds = answer_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._ready: Future[dict[str, Any]] | None = None
        # Reads what the process answers: a pipe has no time limit.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="v6share-gate")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Start the process, unless it is there, and go on meanwhile."""
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it died while nothing was asked of it
        if self._process is not None:
            return
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - until ``close``
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            # -P: nothing is imported from the folder that the command was called in.
            [sys.executable, "-P", "-m", "v6share.quality.worker", *map(str, self.python)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            # Ctrl-C in a terminal is for the run, which ends this process by closing its input.
            start_new_session=True,
        )
        self._ready = self._reader.submit(self._receive, self._process)

    def validate(
        self,
        suites: Mapping[str, Suite],
        frames: Mapping[str, Evidence],
        docs: Path | None = None,
    ) -> list[Verdict]:
        """What became of each expectation on these frames. docs: a folder for Data Docs.

        Raises GateFailed, also where an expectation has no verdict.
        """
        self.begin()
        if self._ready is not None:
            said = self._await(self._ready, self._start_seconds)
            if "ready" not in said:
                self.close()
                raise GateFailed(f"it answered something else: {str(said)[:100]}")
            self._ready = None
        asked = self._reader.submit(self._ask, suites, frames, docs)
        answer = self._await(asked, self._answer_seconds)
        if "error" in answer:
            last = _last_line(str(answer["error"])).removeprefix("ValueError: ")
            raise GateFailed(f"it failed: {last}")
        try:
            verdicts = _VERDICTS.validate_python(answer.get("verdicts"))
        except ValidationError as error:
            raise GateFailed(f"it answered something else: {error.errors()[0]['msg']}") from None
        wanted = [(name, one.name) for name in frames for one in suites[name].expectations]
        if [(one.suite, one.name) for one in verdicts] != wanted:
            raise GateFailed(f"it answered {len(verdicts)} of {len(wanted)} expectations")
        return verdicts

    def _ask(
        self, suites: Mapping[str, Suite], frames: Mapping[str, Evidence], docs: Path | None
    ) -> dict[str, Any]:
        process = cast("subprocess.Popen[bytes]", self._process)
        pipe = cast("IO[bytes]", process.stdin)
        try:
            asked = {name: suites[name].model_dump()["expectations"] for name in frames}
            keys = {name: frame.key for name, frame in frames.items()}
            send(pipe, {"suites": asked, "frames": keys, "docs": docs and str(docs)})
            for frame in frames.values():
                send_frame(pipe, frame.rows)
        except BrokenPipeError:
            raise GateFailed(self._how_it_ended(process)) from None
        return self._receive(process)

    def _receive(self, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        try:
            answer = receive(cast("IO[bytes]", process.stdout))
        except ValueError as error:
            raise GateFailed(f"it answered something else: {error}") from None
        if answer is None:
            raise GateFailed(self._how_it_ended(process))
        return answer

    def _await(self, answer: "Future[dict[str, Any]]", seconds: float) -> dict[str, Any]:
        try:
            return answer.result(seconds)
        except Late:
            self.close()
            raise GateFailed(f"it did not answer within {seconds:.0f} s") from None
        except GateFailed:
            self.close()
            raise

    def _how_it_ended(self, process: "subprocess.Popen[bytes]") -> str:
        """Why the process is gone, with its last words."""
        code = process.wait()
        words = ""
        if self._said is not None:
            self._said.seek(0)
            words = self._said.read()[-_LAST_WORDS_BYTES:].decode(errors="replace").strip()
        return f"its process ended with {code}: {_last_line(words)}"

    def close(self) -> None:
        """End the process, if there is one; it is started again where it is needed again."""
        process, self._process, self._ready = self._process, None, None
        if process is None:
            return
        process.kill()
        process.wait()
        # Whoever reads from it meets its end now.
        self._reader.shutdown(cancel_futures=True)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="v6share-gate")
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                cast("IO[bytes]", pipe).close()
        if self._said is not None:
            self._said.close()
            self._said = None
