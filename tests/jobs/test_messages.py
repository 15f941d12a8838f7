"""Messages and progress on stderr."""

import errno
import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from v6share.jobs.terminal import messages
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.failures import report_failure
from v6share.jobs.terminal.invocation import Invocation
from v6share.jobs.terminal.progress import Progress
from v6share.schemas.errors import CatalogError, UserError
from v6share.workspace.lock import Holder, WorkspaceBusy


@pytest.fixture(autouse=True)
def _fresh_console() -> Iterator[None]:
    messages.configure(Invocation())
    yield
    messages.configure(Invocation())


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [
        (-1, ["error: d"]),
        (0, ["b", "warning: c", "error: d"]),
        (1, ["a", "b", "warning: c", "error: d"]),
    ],
)
def test_how_much_is_said(
    capsys: pytest.CaptureFixture[str], verbosity: int, shown: list[str]
) -> None:
    messages.configure(Invocation(verbosity=verbosity))
    messages.detail("a")
    messages.say("b")
    messages.warn("c")
    messages.fail("d")
    said = capsys.readouterr()
    assert said.err.splitlines() == shown
    assert said.out == ""


def test_no_name_can_begin_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    messages.configure(Invocation())
    messages.warn("a\nerror: disk full.parquet: quarantined\n  192.0.2.1,edge")
    assert capsys.readouterr().err.splitlines() == [
        "warning: a",
        "  error: disk full.parquet: quarantined",
        "  192.0.2.1,edge",
    ]


def test_advice_names_the_workspace_where_the_command_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    advice = "`v6share rebuild`, or `v6share init` and `v6share init /other`; `v6share -v ...`"
    for root, shown in (
        (Path(), advice),
        (
            Path("my net"),
            "`v6share -C 'my net' rebuild`, or `v6share -C 'my net' init` and "
            "`v6share init /other`; `v6share -v ...`",
        ),
    ):
        messages.configure(Invocation(root=root))
        messages.say(advice)
        assert capsys.readouterr().err == f"{shown}\n"


def test_json_lines_carry_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    messages.configure(Invocation(log="json"))
    messages.say("two\nlines", files=3)
    (line,) = capsys.readouterr().err.splitlines()
    parsed = json.loads(line)
    assert parsed.pop("time").endswith("Z")
    assert parsed == {"level": "info", "message": "two\nlines", "files": 3}


def test_a_warning_of_a_library_has_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    messages.configure(Invocation(log="json"))
    logging.getLogger("some.library").warning("odd %s", "thing")
    assert json.loads(capsys.readouterr().err)["message"] == "odd thing"


@pytest.mark.parametrize(("verbosity", "told"), [(0, ""), (1, "error: bundle failed\n")])
def test_an_error_that_beam_logs_before_it_raises_is_not_told_twice(
    capsys: pytest.CaptureFixture[str], verbosity: int, told: str
) -> None:
    messages.configure(Invocation(verbosity=verbosity))
    place = "/site-packages/apache_beam/runners/common.py"
    record = logging.LogRecord("apache_beam", logging.ERROR, place, 1, "bundle failed", (), None)
    logging.getLogger("apache_beam").handle(record)
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("what to do"), ExitCode.USAGE),
        (CatalogError("apps.toml", 3, "id", "missing key"), ExitCode.USAGE),
        (JobStopped(ExitCode.NO_INPUT, "nothing"), ExitCode.NO_INPUT),
        (JobStopped(ExitCode.GATE, "check failed"), ExitCode.GATE),
        (WorkspaceBusy(Holder(7, "host", "v6share run x", "now")), ExitCode.LOCKED),
        (RuntimeError("odd"), ExitCode.INTERNAL),
    ],
)
def test_each_error_has_its_code(
    capsys: pytest.CaptureFixture[str], error: Exception, code: ExitCode
) -> None:
    assert report_failure(error) is code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/ws/state/x"),
        RuntimeError("OSError: [Errno 28] No space left on device [while running 'X']"),
        chained(ValueError("odd"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
        RuntimeError("CHECKPOINT failed.\nCould not write file: No space left on device"),
    ],
)
def test_a_full_disk_is_told_as_such(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    assert report_failure(error) is ExitCode.INTERNAL
    err = capsys.readouterr().err
    assert err.startswith("error: no space left: ")
    assert "Nothing is half done; make room and run the same again" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/ws/state/lock"),
        OSError(errno.EROFS, os.strerror(errno.EROFS), "/ws/v6share.toml"),
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/proc/x"),
        RuntimeError('IO Error: Cannot open file "/ws/x.duckdb": Permission denied'),
    ],
)
def test_a_path_that_the_system_refuses_is_the_users_to_mend(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert report_failure(error) is ExitCode.USAGE
    err = capsys.readouterr().err
    assert re.match(r"error: .*/(ws|proc)/.*: [A-Z]\S+ .*give another place", err)
    assert err.count("\n") == 1


def test_an_error_of_the_system_that_names_no_path_is_not_expected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report_failure(FileNotFoundError("odd")) is ExitCode.INTERNAL
    assert "unexpected FileNotFoundError: odd" in capsys.readouterr().err


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_in_a_log_progress_is_a_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Progress("reading", total=200, total_files=20, clock=clock) as progress:
        for second in range(1, 21):
            clock.now = float(second)
            progress.show(10 * second, files=second, rows=100 * second)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "reading: 25%, 5 of 20 files, 500 rows, 100 rows/s"
    assert lines[-1] == "reading: 100%, 20 of 20 files, 2,000 rows, 100 rows/s"


def test_a_log_does_not_repeat_what_has_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("reading", total=200, total_files=20, clock=clock) as progress:
        for second in range(0, 60, 6):
            clock.now = float(second)
            progress.show(100 if second > 30 else 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["reading: 0%, 0 of 20 files", "reading: 50%, 0 of 20 files"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_progress_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Progress("reading", total=10, total_files=1) as progress:
        progress.show(10, files=1)
    assert "reading" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


@pytest.mark.parametrize(
    "invocation", [Invocation(verbosity=-1), Invocation(log="json")], ids=["quiet", "json"]
)
def test_no_bar_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, invocation: Invocation
) -> None:
    messages.configure(invocation)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Progress("reading", total=10, total_files=1) as progress:
        progress.show(10, files=1)
    assert terminal.getvalue() == ""
