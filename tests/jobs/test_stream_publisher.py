"""When a stream checks, what it checks, and what it does with what it finds."""

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from calls import call, run
from flow_files import DAY_MS, JANUARY_1, write_flows
from streams import published_paths

from v6share.jobs.steps.check_and_publish import publish_checked, refresh_and_check
from v6share.jobs.steps.gate import JobGate
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.stream_publisher import Publisher
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.open import open_warehouse
from v6share.workspace.paths import Workspace

pytestmark = pytest.mark.long


@pytest.fixture
def workspace(capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path) -> Workspace:
    """Ten days, published three times, so that there is a standby."""
    for day in range(10):
        write_flows(
            tmp_path / "flows" / f"{day}.parquet",
            start_ms=JANUARY_1 + day * DAY_MS,
            octets=1000 + day,
        )
    for part in ("[0-3]", "[4-6]", "[7-9]"):
        assert run(capsys, root, tmp_path / "flows" / f"{part}.parquet")[0] is ExitCode.DONE
    return Workspace(root)


@pytest.fixture
def connection(workspace: Workspace) -> Iterator[Connection]:
    with closing(open_warehouse(workspace)) as opened:
        yield opened


def check_to_the_end(publisher: Publisher) -> int:
    """Let it check all, a day at each call; how many calls that took."""
    for calls in range(1, 100):
        publisher.check_some(0)
        if publisher.parts is None:
            return calls
    raise AssertionError("it never ends")


def test_all_days_are_checked_one_by_one(workspace: Workspace, connection: Connection) -> None:
    publisher = Publisher(workspace, connection, JobGate(workspace))
    publisher.check_some(60)
    assert publisher.parts is None, "not due yet"
    # Ten days, what is not by day, and the end.
    assert check_to_the_end(publisher) == 12
    assert not publisher.held_back
    assert not publisher.is_anything_unchecked


def test_damage_of_a_day_that_did_not_change_is_found_in_time_and_keeps_all_back(
    capsys: pytest.CaptureFixture[str],
    workspace: Workspace,
    connection: Connection,
    tmp_path: Path,
) -> None:
    connection.execute(
        "UPDATE traffic_1h SET bytes = bytes + 1 WHERE CAST(window_start AS DATE) = '2026-01-04'"
    )
    publisher = Publisher(workspace, connection, JobGate(workspace))
    results = refresh_and_check(connection, workspace, JobGate(workspace), trusts_commits=True)
    assert not [result.name for result in results if result.blocks], "outside of what changed"
    assert check_to_the_end(publisher) == 4
    assert set(publisher.held_back.split(", ")) == {"roll_up_day", "roll_up_hour"}
    assert not publisher.publish(Phases())
    # Mended: the next check of all lets it publish again.
    connection.execute(
        "UPDATE traffic_1h SET bytes = bytes - 1 WHERE CAST(window_start AS DATE) = '2026-01-04'"
    )
    publisher.check_some(0)
    assert not publisher.held_back


def test_a_check_that_is_broken_off_is_not_done(
    workspace: Workspace, connection: Connection
) -> None:
    publisher = Publisher(workspace, connection, JobGate(workspace))
    publisher.check_some(0)
    publisher.check_some(0)
    assert publisher.parts is not None
    assert publisher.is_anything_unchecked
    before = publisher.checked_at
    publisher.take(connection)
    assert publisher.is_anything_unchecked
    assert publisher.checked_at == before
    assert check_to_the_end(publisher) == 12


def test_after_another_command_numbers_held_back_are_checked_at_once(
    workspace: Workspace, connection: Connection
) -> None:
    publisher = Publisher(workspace, connection, JobGate(workspace), held_back="roll_up_day")
    publisher.check_some(60)
    assert publisher.held_back
    publisher.take(connection)
    publisher.check_some(60)
    assert not publisher.held_back


@pytest.mark.parametrize("which", ["published", "standby"])
def test_a_damaged_block_of_a_published_file_is_found_with_the_check_of_all(
    workspace: Workspace, connection: Connection, which: str
) -> None:
    """As bit rot leaves it: size and time are as they were."""
    path = workspace.published if which == "published" else workspace.standby
    spoil_block(path)
    publisher = Publisher(workspace, connection, JobGate(workspace))
    check_to_the_end(publisher)
    assert not workspace.standby.exists()
    assert publisher.publish(Phases()) == (which == "published")
    assert all_blocks_fit(workspace.published)


def test_a_standby_that_cannot_be_read_is_replaced_by_a_whole_copy(
    workspace: Workspace, connection: Connection
) -> None:
    """The warehouse is not to be blamed for it."""
    for place in range(10):
        spoil_block(workspace.standby, place)
    connection.execute("UPDATE private.state SET value = '99999' WHERE key = 'revision'")
    results = refresh_and_check(connection, workspace, JobGate(workspace))
    assert publish_checked(connection, workspace, results).is_whole
    assert all_blocks_fit(workspace.published)


def spoil_block(path: Path, number: int = 2) -> None:
    """Change one byte in the middle of a block of 256 KiB behind the headers, without a trace."""
    import os

    status = path.stat()
    with path.open("r+b") as file:
        place = 3 * 4096 + number * 262_144 + 100_000
        if place >= status.st_size:
            return
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def all_blocks_fit(path: Path) -> bool:
    """Read every value of every table, in a copy."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    with duckdb.connect(copy, read_only=True) as published:
        for schema, name in published.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall():
            published.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {schema}.{name}").fetchall()
    copy.unlink()
    return True


def test_lag_is_that_of_files_which_change_something(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """A copy that lies there for seconds is not what was published late."""
    landing = tmp_path / "landing"
    first = write_flows(landing / "first.parquet")
    assert call(capsys, root, "stream", landing, "--once")[0] is ExitCode.DONE
    shutil.copyfile(first, landing / "copy.parquet")
    time.sleep(2)
    write_flows(landing / "second.parquet", octets=5)
    assert call(capsys, root, "stream", landing, "--once")[0] is ExitCode.DONE
    from v6share.jobs.steps.stream_state import read_stream_state

    state = read_stream_state(Workspace(root))
    assert state is not None
    assert state.lag_seconds is not None
    assert published_paths(root) == {"first.parquet", "second.parquet"}
    written = (landing / "second.parquet").stat().st_ctime
    assert state.lag_seconds <= state.at.timestamp() - written + 0.1
