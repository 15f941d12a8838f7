"""What all tests share."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from v6share.warehouse.database import connect

# Machines are shared and the first call of a kernel compiles it: time proves nothing here. The
# examples are the same every time; a failure must be one for everybody.
settings.register_profile("v6share", deadline=None, derandomize=True)
settings.load_profile("v6share")

# A shell has its background jobs ignore Ctrl-C, and a process hands on what it ignores: without
# this the runs that a test interrupts would rightly go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every new warehouse of this process begins as a copy of one blank, made for real.

    To make its tables and views takes a third of a second, and the tests need hundreds. Programs
    that tests start make their own.
    """
    blank = tmp_path_factory.mktemp("blank") / "blank.duckdb"
    connect.make_blank(blank)

    def copy(path: Path) -> None:
        shutil.copyfile(blank, path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connect, "make_blank", copy)
        yield
