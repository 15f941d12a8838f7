"""Inputs to outcomes on one machine: threads that share the row groups of every input at hand.

An input is opened by one thread and counted by lanes that take its row groups one by one. It has
one lane, as long as other inputs keep the threads busy: a lane has tables of its own, and what two
have counted must be merged. Threads that find no other input help with those under way: with the
row groups that nobody reads, then with the batches that another lane has read. So no input waits
for another, a file is finished by all threads at once, and a bundle of many small files fills the
cores as well as one of a few big ones. In flight are at most one batch of rows a thread.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Condition, Event, Lock
from typing import Final

import pyarrow as pa

from v6share.pipelines.fragment import fragment_table, write_fragment
from v6share.pipelines.identity import input_id_of
from v6share.pipelines.kernels.aggregate.accumulator import Lane, Plan
from v6share.pipelines.kernels.aggregate.fragment_tables import Sums, merge_lanes
from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.sources import FlowFile, open_flow_file
from v6share.pipelines.work import Work
from v6share.schemas.errors import InputRefused
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome

_UNDER_WAY: Final = 8
# Inputs. Whatever is given back has to be had again, which takes 3 % of the time after each one.
_RELEASED_AFTER: Final = 4
# For fewer a lane costs more, to make and to merge, than it saves.
_BATCHES_OF_A_LANE: Final = 2
# To read a batch takes a third of the time that all of its work takes.
_LANES_OF_A_GROUP: Final = 3
_SECOND_NS: Final = 1_000_000_000
_MAY_BE_HALF_WRITTEN: Final = ("unreadable", "empty_file")


@dataclass
class Meter:
    """How far a run is, for a progress bar: only ever read for show."""

    rows: int = 0
    inputs: int = 0
    size: int = 0
    _lock: Lock = field(default_factory=Lock)

    def add(self, rows: int = 0, inputs: int = 0, size: int = 0) -> None:
        """Add what was done."""
        with self._lock:
            self.rows += rows
            self.inputs += inputs
            self.size += size


_meters: dict[str, Meter] = {}


def meter_of(run_id: str) -> Meter:
    """Give the meter of a run in this process; workers elsewhere have their own."""
    return _meters.setdefault(run_id, Meter())


class Stopped(Exception):  # noqa: N818 - a way out, not an error
    """The run was interrupted."""


@dataclass
class _Opened:
    """An input under way: lanes draw row groups until none is left, then batches of each other's.

    most_lanes: how many may be worth their tables. rows_left: about those in no batch yet (the
    halves of biflows count twice).
    """

    found: FoundInput
    key: FragmentKey
    file: FlowFile
    result: "Future[Outcome]"
    batch_rows: int
    most_lanes: int
    rows_left: int
    next_group: int = 0
    lanes: list[Lane] = field(default_factory=list)
    joined: int = 0
    at_work: int = 0
    reading: int = 0
    waiting: int = 0
    offered: FlowBatch | None = None
    failure: BaseException | None = None
    changed: Condition = field(default_factory=Condition)

    def join(self, plan: Plan) -> Lane | None:
        """Give a lane for this input; None where it needs no further one.

        The first one is given even where there is no row group.
        """
        with self.changed:
            if self.joined and not (self.at_work and self._is_worth_it()):
                return None
            lane = Lane(plan)
            self.lanes.append(lane)
            self.joined += 1
            self.at_work += 1
            return lane

    def batches(self) -> Generator[FlowBatch]:
        """Give batches that nobody else counts, until there are none for this lane. Close it."""
        while (group := self._draw()) is not None:
            try:
                for batch in self.file.read([group], self.batch_rows):
                    if self.failure is not None:
                        return
                    if not self._offer(batch):
                        yield batch
            finally:
                with self.changed:
                    self.reading -= 1
                    self.changed.notify_all()
        while (offered := self._await_batch()) is not None:
            yield offered

    def leave(self) -> list[Lane] | None:
        """End a lane's work; the last one to end gets all lanes, and None any other.

        They are kept no longer: a thread may yet come to help, and would hold all that they hold.
        """
        with self.changed:
            self.at_work -= 1
            if self.at_work:
                return None
            lanes, self.lanes = self.lanes, []
            return lanes

    def _draw(self) -> int | None:
        """Give a row group that nobody has read; None where none is left, or one failed."""
        with self.changed:
            if not self._has_groups():
                return None
            self.next_group += 1
            self.reading += 1
            return self.next_group - 1

    def _offer(self, batch: FlowBatch) -> bool:
        """Hand a batch to a lane that waits for one; False where none does."""
        with self.changed:
            self.rows_left -= batch.rows
            if not self.waiting or self.offered is not None:
                return False
            self.offered = batch
            self.changed.notify()
            return True

    def _await_batch(self) -> FlowBatch | None:
        """Give a batch that another lane has read; None where no more can come."""
        with self.changed:
            self.waiting += 1
            self.changed.wait_for(lambda: self.offered is not None or not self.reading)
            self.waiting -= 1
            batch, self.offered = self.offered, None
            return batch

    def _has_groups(self) -> bool:
        return self.failure is None and self.next_group < self.file.row_groups

    def _is_worth_it(self) -> bool:
        return self.failure is None and self.rows_left >= _BATCHES_OF_A_LANE * self.batch_rows


class Crew:
    """Threads that turn inputs into outcomes. Used from one thread; memory as the module says."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._plan = work.plan
        self._batch_rows = work.settings.run.batch_rows
        self._meter = meter_of(work.run_id)
        self._pool = ThreadPoolExecutor(work.threads, thread_name_prefix="v6share-lane")
        self._pending: set[Future[Outcome]] = set()
        self._begun: set[FoundInput] = set()
        self._stop = Event()
        self._written = count(1)

    def begin(self, inputs: Sequence[FoundInput]) -> None:
        """Begin the first inputs before they are taken, as many as are under way at once."""
        for found in inputs[:_UNDER_WAY]:
            self._begun.add(found)
            self._submit(found)

    def take(self, found: FoundInput) -> Iterator[Outcome]:
        """Begin an input, unless it is; give outcomes that must be waited for to keep few."""
        if found in self._begun:
            return
        self._submit(found)
        while len(self._pending) > _UNDER_WAY:
            yield from self._finished()

    def drain(self) -> Iterator[Outcome]:
        """Give the outcomes of all that is under way, and end the threads."""
        while self._pending:
            yield from self._finished()
        self._pool.shutdown()

    def stop(self) -> None:
        """End the threads at their next batch."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, found: FoundInput) -> None:
        result: Future[Outcome] = Future()
        self._pending.add(result)
        self._pool.submit(self._begin, found, result)

    def _finished(self) -> Iterator[Outcome]:
        done, self._pending = wait_for(self._pending, return_when="FIRST_COMPLETED")
        for future in sorted(done, key=lambda f: f.result().path):
            yield future.result()

    def _begin(self, found: FoundInput, result: "Future[Outcome]") -> None:
        """Identify and open an input; hand its lanes to the pool, or settle it at once."""
        try:
            opened = self._open(found, result)
        except BaseException as error:
            self._settle(found, result, error)
            return
        if isinstance(opened, Outcome):
            self._done(opened, result)
            return
        self._pool.submit(self._run_lane, opened)

    def _open(self, found: FoundInput, result: "Future[Outcome]") -> _Opened | Outcome:
        try:
            input_id = input_id_of(found)
            file = open_flow_file(found.path, self._work.dialect)
        except InputRefused as refused:
            return self._refused(found, input_id, refused)
        except OSError as error:
            return _failed(found, error)
        key = self._work.key(input_id, file.dialect)
        if key in self._work.committed:
            return Outcome(found.path, found.size, found.mtime_ns, "known", key)
        most = min(
            self._work.threads,
            file.rows // (_BATCHES_OF_A_LANE * self._batch_rows),
            file.row_groups * _LANES_OF_A_GROUP,
        )
        return _Opened(found, key, file, result, self._batch_rows, most, file.rows)

    def _run_lane(self, opened: _Opened) -> None:
        """Count batches until none is left; the last lane to end writes the fragment."""
        lane = self._lane_for(opened)
        if lane is None:
            return
        if opened.joined < opened.most_lanes:
            # Behind the inputs that wait: it begins only where a thread has none of its own.
            self._help_later(opened)
        try:
            self._count(opened, lane)
        except (InputRefused, Stopped, OSError, MemoryError) as error:
            opened.failure = opened.failure or error
        except BaseException as error:
            opened.failure = opened.failure or _unexpected(error)
        lanes = opened.leave()
        if lanes is not None:
            try:
                if isinstance(opened.failure, OSError | MemoryError):
                    self._done(_failed(opened.found, opened.failure), opened.result)
                    return
                if opened.failure is not None:
                    raise opened.failure
                self._done(self._write(opened, lanes), opened.result)
            except BaseException as error:
                self._settle(opened.found, opened.result, error, opened.key)

    def _lane_for(self, opened: _Opened) -> Lane | None:
        try:
            return opened.join(self._plan)
        except MemoryError as error:
            if not opened.joined:  # else another lane is at work, and goes on without help
                self._done(_failed(opened.found, error), opened.result)
            return None

    def _help_later(self, opened: _Opened) -> None:
        # The pool may be shut down already: an interrupted run needs no help.
        with suppress(RuntimeError):
            self._pool.submit(self._run_lane, opened)

    def _count(self, opened: _Opened, lane: Lane) -> None:
        size_of_row = opened.found.size / max(opened.file.rows, 1)
        # Closed at once, also by an error: others wait for what this lane reads.
        with closing(opened.batches()) as batches:
            for batch in batches:
                if self._stop.is_set():
                    raise Stopped
                lane.add(batch)
                self._meter.add(rows=batch.rows, size=int(batch.rows * size_of_row))

    def _write(self, opened: _Opened, lanes: Sequence[Lane]) -> Outcome:
        try:
            sums = merge_lanes(self._plan, lanes)
            table = fragment_table(opened.key, opened.found.size, sums)
        except InputRefused:
            raise
        except Exception as error:
            raise _unexpected(error) from error
        if _changed(opened.found):
            return _busy(opened.found)
        write_fragment(table, self._work.workspace.fragment(opened.key.fragment_id))
        if next(self._written) % _RELEASED_AFTER == 0:
            # Else what is free lies scattered over the heaps, and they grow from input to input.
            pa.default_memory_pool().release_unused()
        return _counted(opened.found, opened.key, sums)

    def _refused(self, found: FoundInput, input_id: str, refused: InputRefused) -> Outcome:
        # Another machine's clock may be ahead by seconds, a wrong one by years.
        age_ns = abs(self._work.now_ns - found.mtime_ns)
        young = age_ns < self._work.settings.run.settle_seconds * _SECOND_NS
        # A half-written file cannot be read; one that can be read will not change its columns.
        if _changed(found) or (young and refused.reason in _MAY_BE_HALF_WRITTEN):
            return _busy(found)
        return Outcome(
            found.path,
            found.size,
            found.mtime_ns,
            "quarantined",
            self._work.refusal_key(input_id),
            reason=refused.reason,
            detail=refused.detail,
        )

    def _settle(
        self,
        found: FoundInput,
        result: "Future[Outcome]",
        error: BaseException,
        key: FragmentKey | None = None,
    ) -> None:
        """End an input that failed: refused input is an outcome, anything else ends the run."""
        if isinstance(error, InputRefused) and key is not None:
            self._done(self._refused(found, key.input_id, error), result)
        else:
            result.set_exception(error)

    def _done(self, outcome: Outcome, result: "Future[Outcome]") -> None:
        self._meter.add(inputs=1)
        result.set_result(outcome)


_ahead: dict[str, Crew] = {}


@contextmanager
def crew_ahead(work: Work, inputs: Sequence[FoundInput]) -> Iterator[None]:
    """Let a crew begin the first inputs while the runner of the pipeline is still loading.

    The pipeline's first bundle in this process takes the crew over; whatever nobody took is
    stopped at the end of the block.
    """
    crew = _ahead[work.run_id] = Crew(work)
    crew.begin(inputs)
    try:
        yield
    finally:
        if _ahead.pop(work.run_id, None) is not None:
            crew.stop()


def crew_of(work: Work) -> Crew:
    """Give the crew that is ahead in this process, or a new one."""
    return _ahead.pop(work.run_id, None) or Crew(work)


def _unexpected(error: BaseException) -> InputRefused:
    """Refuse an input at which our own code failed: it is kept aside, the others go on."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = "" if where is None else f" at {where.tb_frame.f_code.co_name}:{where.tb_lineno}"
    # The error's own text may quote a row, and rows hold addresses.
    return InputRefused("unexpected", f"{type(error).__name__}{place}; please report it")


def _changed(found: FoundInput) -> bool:
    """Tell whether the file is no longer the one that was found."""
    try:
        now = Path(found.path).stat()
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (found.size, found.mtime_ns)


def _busy(found: FoundInput, why: str = "it is still being written") -> Outcome:
    return Outcome(found.path, found.size, found.mtime_ns, "busy", reason="busy", detail=why)


def _failed(found: FoundInput, error: OSError | MemoryError) -> Outcome:
    """Its bytes could not be had, for want of permission, disk or memory: no fault of theirs."""
    if isinstance(error, FileNotFoundError):
        return _busy(found, "it disappeared while the run was under way")
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no memory"
    detail = f"its bytes cannot be read: {why}"
    return Outcome(
        found.path, found.size, found.mtime_ns, "failed", reason="unreadable", detail=detail
    )


def _counted(found: FoundInput, key: FragmentKey, sums: Sums) -> Outcome:
    return Outcome(
        found.path,
        found.size,
        found.mtime_ns,
        "fragment",
        key,
        sums.rows_in,
        sums.rows_counted,
        sums.rows_rejected,
        sums.largest_sum,
        sums.without_interval,
    )
