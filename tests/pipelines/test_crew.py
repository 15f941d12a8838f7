"""What becomes of single inputs: each one ends in exactly one outcome, whatever it is."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from v6share.pipelines.compile_plan import compile_plan
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.catalog.parse import parse_catalog
from v6share.schemas.errors import InputRefused, UserError
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.schemas.settings import Settings
from v6share.workspace.paths import Workspace

HOUR_NS = 3_600_000_000_000
PLAN = compile_plan(parse_catalog({}), Settings(), bytes(16))


def write_flows(path: Path, rows: int, row_group: int = 1000) -> Path:
    start = 1_750_000_000_000
    table = pa.table(
        {
            "flowStartMilliseconds": pa.array([start + i for i in range(rows)], pa.int64()),
            "flowEndMilliseconds": pa.array([start + 500 + i for i in range(rows)], pa.int64()),
            "sourceIPAddress": [f"10.0.{i >> 8 & 255}.{i & 255}" for i in range(rows)],
            "destinationIPAddress": ["198.18.0.1"] * rows,
            "protocolIdentifier": pa.array([6] * rows, pa.uint8()),
            "sourceTransportPort": pa.array([40_000] * rows, pa.uint16()),
            "destinationTransportPort": pa.array([443] * rows, pa.uint16()),
            "octetDeltaCount": pa.array([1000] * rows, pa.int64()),
            "packetDeltaCount": pa.array([2] * rows, pa.int64()),
            "samplingInterval": pa.array([10] * rows, pa.uint32()),
        }
    )
    pq.write_table(table, path, row_group_size=row_group)
    return path


def found(path: Path) -> FoundInput:
    status = path.stat()
    return FoundInput(str(path), status.st_size, status.st_mtime_ns)


def session_at(folder: Path) -> Session:
    work = Work(
        workspace=Workspace(folder / "workspace"),
        run_id="test",
        settings=Settings(),
        catalog_version="test",
        threads=3,
    )
    return Session(work, PLAN)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_at(tmp_path)


@pytest.fixture(autouse=True, scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels are compiled before anything here waits for them."""
    folder = tmp_path_factory.mktemp("compiled")
    (one,) = outcomes(session_at(folder), found(write_flows(folder / "one.parquet", 1)))
    assert one.status == "fragment"


def outcomes(session: Session, *inputs: FoundInput) -> list[Outcome]:
    def every() -> Iterator[Outcome]:
        crew = session.gather()
        for one in inputs:
            yield from crew.submit(one)
        yield from crew.drain()

    return sorted(every(), key=lambda one: one.path)


def aged(one: FoundInput) -> FoundInput:
    """The same file as if it had been written an hour ago."""
    os.utime(one.path, ns=(one.mtime_ns - HOUR_NS, one.mtime_ns - HOUR_NS))
    return found(Path(one.path))


def test_many_small_inputs_and_one_large(session: Session, tmp_path: Path) -> None:
    small = [found(write_flows(tmp_path / f"s{i:02}.parquet", 10 + i)) for i in range(30)]
    large = found(write_flows(tmp_path / "large.parquet", 9_500))
    got = outcomes(session, large, *small)
    assert [one.status for one in got] == ["fragment"] * 31
    assert sum(one.rows_counted for one in got) == 9_500 + sum(range(10, 40))
    assert all(
        session.work.workspace.fragment(one.key.fragment_id).exists() for one in got if one.key
    )


def in_batches_of(rows: int, session: Session) -> Session:
    settings = session.work.settings
    run = settings.run.model_copy(update={"batch_rows": rows})
    work = replace(session.work, settings=settings.model_copy(update={"run": run}))
    return Session(work, PLAN)


@pytest.mark.parametrize("row_group", [1000, 3000])
def test_threads_without_an_input_of_their_own_help(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row_group: int
) -> None:
    """With the row groups that nobody reads, and with the batches of one that another reads."""
    met: set[Accumulator] = set()
    add = Accumulator.add

    def meet_and_add(lane: Accumulator, batch: FlowBatch) -> None:
        met.add(lane)
        until = time.monotonic() + 0.5
        while len(met) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        add(lane, batch)

    monkeypatch.setattr(Accumulator, "add", meet_and_add)
    path = write_flows(tmp_path / "one.parquet", 3000, row_group)
    (one,) = outcomes(in_batches_of(100, session), found(path))
    assert (one.status, one.rows_in, one.rows_counted) == ("fragment", 3000, 3000)
    assert len(met) == 3


@pytest.mark.parametrize("failing", range(1, 7))
def test_a_lane_that_fails_keeps_no_other_waiting(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    add, calls = Accumulator.add, count(1)

    def add_or_fail(lane: Accumulator, batch: FlowBatch) -> None:
        time.sleep(0.02)  # so that others have nothing to do
        if next(calls) == failing:
            raise InputRefused("too_large", "more than there is room for")
        add(lane, batch)

    monkeypatch.setattr(Accumulator, "add", add_or_fail)
    path = write_flows(tmp_path / "one.parquet", 3000, 3000)
    got: list[Outcome] = []
    counting = threading.Thread(
        target=lambda: got.extend(outcomes(in_batches_of(100, session), found(path))), daemon=True
    )
    counting.start()
    counting.join(timeout=30)
    assert [(one.status, one.reason) for one in got] == [("quarantined", "too_large")]


def test_help_that_comes_too_late_changes_nothing(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads are kept busy until the third has counted its input and written it."""
    add = Accumulator.add

    def wait_and_add(lane: Accumulator, batch: FlowBatch) -> None:
        until = time.monotonic() + 30
        while batch.rows != 100 and not [*session.work.workspace.fragments.glob("*/*.parquet")]:
            assert time.monotonic() < until
            time.sleep(0.01)
        add(lane, batch)

    monkeypatch.setattr(Accumulator, "add", wait_and_add)
    alone = found(write_flows(tmp_path / "alone.parquet", 3000))
    busy = [found(write_flows(tmp_path / f"busy{i}.parquet", 50 + i)) for i in range(2)]
    got = outcomes(in_batches_of(100, session), alone, *busy)
    assert [one.rows_counted for one in got] == [3000, 50, 51]
    for one in got:
        assert one.key is not None
        fragment = pq.read_table(
            session.work.workspace.fragment(one.key.fragment_id), columns=["rows_in"]
        )
        assert fragment["rows_in"].to_pylist() == [one.rows_in]


def test_an_input_without_rows_is_counted(session: Session, tmp_path: Path) -> None:
    (one,) = outcomes(session, found(write_flows(tmp_path / "none.parquet", 0)))
    assert (one.status, one.rows_in) == ("fragment", 0)


def test_a_half_written_file_is_left_and_an_old_one_refused(
    session: Session, tmp_path: Path
) -> None:
    path = write_flows(tmp_path / "torn.parquet", 500)
    path.write_bytes(path.read_bytes()[:-100])
    assert outcomes(session, found(path))[0].status == "busy"
    (one,) = outcomes(session, aged(found(path)))
    assert (one.status, one.reason) == ("quarantined", "unreadable")
    empty = tmp_path / "empty.parquet"
    empty.touch()
    assert outcomes(session, found(empty))[0].status == "busy"
    assert outcomes(session, aged(found(empty)))[0].reason == "empty_file"


def test_a_wrong_schema_is_refused_however_young(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), path)
    (one,) = outcomes(session, found(path))
    assert (one.status, one.reason) == ("quarantined", "no_dialect")
    assert "a, b" in one.detail


def test_a_file_that_changed_since_it_was_found_is_left(session: Session, tmp_path: Path) -> None:
    path = write_flows(tmp_path / "growing.parquet", 100)
    before = found(path)
    write_flows(path, 200)
    assert outcomes(session, before)[0].status == "busy"
    path.unlink()
    assert outcomes(session, before)[0].status == "busy"


def test_bytes_that_cannot_be_had_fail(session: Session, tmp_path: Path) -> None:
    """A folder is the one thing whose bytes even root cannot read."""
    (one,) = outcomes(session, found(tmp_path))
    assert (one.status, one.key) == ("failed", None)
    assert "directory" in one.detail


def test_our_own_failure_harms_one_input_only(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = found(write_flows(tmp_path / "good.parquet", 100))
    bad = found(write_flows(tmp_path / "bad.parquet", 7_001))
    add = Accumulator.add

    def failing(lane: Accumulator, batch) -> None:
        if batch.rows == 7_001:
            raise IndexError("out of bounds")
        add(lane, batch)

    monkeypatch.setattr(Accumulator, "add", failing)
    refused, counted = outcomes(session, bad, good)
    assert (counted.status, counted.rows_counted) == ("fragment", 100)
    assert (refused.status, refused.reason) == ("quarantined", "unexpected")
    assert "IndexError at failing" in refused.detail
    assert "out of bounds" not in refused.detail, "an error's text may quote a client's address"


def test_known_content_is_not_counted_again(session: Session, tmp_path: Path) -> None:
    first = found(write_flows(tmp_path / "a.parquet", 50))
    (counted,) = outcomes(session, first)
    assert counted.key is not None
    copy = tmp_path / "b.parquet"
    copy.write_bytes(Path(first.path).read_bytes())
    knowing = Session(session.work, PLAN, committed={counted.key.input_id: counted.key})
    assert outcomes(knowing, found(copy))[0].status == "known"
    older = replace(counted.key, catalog_version="before")
    knowing = Session(session.work, PLAN, committed={counted.key.input_id: older})
    assert outcomes(knowing, found(copy))[0].status == "fragment"


def test_a_catalog_that_changed_under_way_is_not_counted_with(session: Session) -> None:
    later = replace(session.work, catalog_version="that of a catalog before")
    session.work.workspace.state.mkdir(parents=True)
    session.work.workspace.client_key.write_bytes(bytes(16))
    with pytest.raises(UserError, match="changed while the run was under way"):
        Session(later).gather()


def test_an_impossible_sum_is_refused(session: Session, tmp_path: Path) -> None:
    """2,049 rows of 2^51 packets pass 2^62; each of them alone is possible."""
    path = write_flows(tmp_path / "sum.parquet", 2_100)
    table = pq.read_table(path)
    huge = pa.array([2**51] * table.num_rows, pa.int64())
    one = pa.array([1] * table.num_rows, pa.uint32())
    for name, column in (("packetDeltaCount", huge), ("samplingInterval", one)):
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)
    (refused,) = outcomes(session, found(path))
    assert (refused.status, refused.reason) == ("quarantined", "sum_overflow")


def test_a_crew_that_is_ahead_gives_the_same_outcomes(session: Session, tmp_path: Path) -> None:
    inputs = [found(write_flows(tmp_path / f"{i:02}.parquet", 500 + i)) for i in range(20)]
    alone = outcomes(session, *inputs)
    session.start_early(inputs)
    crew = session.gather()
    ahead = [outcome for one in inputs for outcome in crew.submit(one)] + list(crew.drain())
    assert session.gather() is not crew
    session.close()
    assert sorted(ahead, key=lambda one: one.path) == alone


def test_a_crew_that_nobody_took_stops(session: Session, tmp_path: Path) -> None:
    large = found(write_flows(tmp_path / "large.parquet", 200_000, row_group=200))
    session.start_early([large])
    session.close()
    names = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert not any(name.startswith("v6share-lane") for name in names)
    assert not list(session.work.workspace.fragments.rglob("*.parquet"))


def test_an_error_of_ours_before_the_first_row_ends_the_input(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would end it, and the run would wait for it for ever."""

    def fail(self: Accumulator, plan: object) -> None:
        raise AttributeError("a slip in our own code")

    monkeypatch.setattr(Accumulator, "__init__", fail)
    (refused,) = outcomes(session, found(write_flows(tmp_path / "one.parquet", 10)))
    assert (refused.status, refused.reason) == ("quarantined", "unexpected")
