"""Inputs to outcomes on one machine: threads that share the row groups of every input at hand.

An input is opened by one thread and counted by lanes that take its row groups one by one. It has
one lane, as long as other inputs keep the threads busy: a lane has tables of its own, and what two
have counted must be merged. Threads that find no other input help with those under way: with the
row groups that nobody reads, then with the batches that another lane has read. So no input waits
for another, a file is finished by all threads at once, and a bundle of many small files fills the
cores as well as one of a few big ones. In flight are at most one batch of rows a thread.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import closing, suppress
from itertools import count
from threading import Event
from typing import Final

import pyarrow as pa

from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.identity import Identities, Identity
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.fragment_tables import Sums, merge_accumulators
from v6share.pipelines.kernels.plan import Plan
from v6share.pipelines.meter import Meter
from v6share.pipelines.refusals import busy, failed, refused, unexpected
from v6share.pipelines.shared_input import BATCHES_OF_A_LANE, SharedInput
from v6share.pipelines.work import Work
from v6share.pipelines.write_fragment import fragment_table, write_fragment
from v6share.schemas.errors import InputRefused
from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome

_UNDER_WAY: Final = 8
# Inputs. Whatever is given back has to be had again, which takes 3 % of the time after each one.
_RELEASED_AFTER: Final = 4
# To read a batch takes a third of the time that all of its work takes.
_LANES_OF_A_GROUP: Final = 3


class Stopped(Exception):  # noqa: N818 - a way out, not an error
    """The run was interrupted."""


class Crew:
    """Threads that turn inputs into outcomes. Used from one thread; memory as the module says."""

    def __init__(
        self,
        work: Work,
        plan: Plan,
        meter: Meter,
        identities: Identities,
        committed: Mapping[str, FragmentKey],
    ) -> None:
        self._work = work
        self._committed = committed
        self._plan = plan
        self._batch_rows = work.settings.run.batch_rows
        self._meter = meter
        self._identities = identities
        self._pool = ThreadPoolExecutor(work.threads, thread_name_prefix="v6share-lane")
        self._pending: set[Future[Outcome]] = set()
        self._begun: set[FoundInput] = set()
        self._stop = Event()
        self._written = count(1)

    def submit_first(self, inputs: Sequence[FoundInput]) -> None:
        """Begin the first inputs before they are taken, as many as are under way at once."""
        for found in inputs[:_UNDER_WAY]:
            self._begun.add(found)
            self._submit(found)

    def submit(self, found: FoundInput) -> Iterator[Outcome]:
        """Submit an input, unless ``submit_first`` already did.

        Where too many are under way then, wait, and give the outcomes of those that finish.
        """
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
        self._pool.submit(self._identify_and_open, found, result)

    def _finished(self) -> Iterator[Outcome]:
        done, self._pending = wait_for(self._pending, return_when="FIRST_COMPLETED")
        for future in sorted(done, key=lambda f: f.result().path):
            yield future.result()

    def _identify_and_open(self, found: FoundInput, result: "Future[Outcome]") -> None:
        """Identify and open an input; hand its lanes to the pool, or settle it at once."""
        try:
            opened = self._open(found, result)
        except BaseException as error:
            self._finish_failed(found, result, error)
            return
        if isinstance(opened, Outcome):
            self._done(opened, result)
            return
        self._pool.submit(self._run_lane, opened)

    def _open(self, found: FoundInput, result: "Future[Outcome]") -> SharedInput | Outcome:
        try:
            identity = self._identities.of(found)
            file = open_flow_file(found.path, self._work.dialect)
        except InputRefused as why:
            return refused(self._work, found, identity, why)
        except OSError as error:
            return failed(found, error)
        key = self._work.key(identity.input_id, file.dialect)
        if self._committed.get(identity.input_id) == key:
            if not identity.is_still_that_of(found):
                return busy(found)
            return Outcome(found.path, found.size, found.mtime_ns, "known", key)
        spans = file.spans(self._batch_rows)
        most = min(
            self._work.threads,
            file.rows // (BATCHES_OF_A_LANE * self._batch_rows),
            len(spans) * _LANES_OF_A_GROUP,
        )
        return SharedInput(
            found,
            identity,
            key,
            file,
            result,
            time.time_ns() // 1_000_000,
            self._batch_rows,
            spans,
            most,
            file.rows,
        )

    def _run_lane(self, opened: SharedInput) -> None:
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
            opened.failure = opened.failure or unexpected(error)
        lanes = opened.leave()
        if lanes is not None:
            try:
                if isinstance(opened.failure, OSError | MemoryError):
                    self._done(failed(opened.found, opened.failure), opened.result)
                    return
                if opened.failure is not None:
                    raise opened.failure
                self._done(self._write(opened, lanes), opened.result)
            except BaseException as error:
                self._finish_failed(opened.found, opened.result, error, opened.identity)

    def _lane_for(self, opened: SharedInput) -> Accumulator | None:
        try:
            return opened.join(self._plan)
        except MemoryError as error:
            if not opened.joined:  # else another lane is at work, and goes on without help
                self._done(failed(opened.found, error), opened.result)
            return None
        except BaseException as error:
            # Nobody else would end this input, and the run would wait for it for ever.
            if not opened.joined:
                self._finish_failed(opened.found, opened.result, unexpected(error), opened.identity)
            return None

    def _help_later(self, opened: SharedInput) -> None:
        # The pool may be shut down already: an interrupted run needs no help.
        with suppress(RuntimeError):
            self._pool.submit(self._run_lane, opened)

    def _count(self, opened: SharedInput, lane: Accumulator) -> None:
        size_of_row = opened.found.size / max(opened.file.rows, 1)
        # Closed at once, also by an error: others wait for what this lane reads.
        with closing(opened.batches()) as batches:
            for batch in batches:
                if self._stop.is_set():
                    raise Stopped
                lane.add(batch)
                self._meter.add(rows=batch.rows, size=int(batch.rows * size_of_row))

    def _write(self, opened: SharedInput, lanes: Sequence[Accumulator]) -> Outcome:
        try:
            sums = merge_accumulators(self._plan, lanes)
            table = fragment_table(opened.key, opened.found.size, sums)
        except InputRefused:
            raise
        except Exception as error:
            raise unexpected(error) from error
        if not opened.identity.is_still_that_of(opened.found):
            return busy(opened.found)
        written = write_fragment(table, self._work.workspace.fragment(opened.key.fragment_id))
        if next(self._written) % _RELEASED_AFTER == 0:
            # Else what is free lies scattered over the heaps, and they grow from input to input.
            pa.default_memory_pool().release_unused()
        return _counted(opened.found, opened.key, sums, written)

    def _finish_failed(
        self,
        found: FoundInput,
        result: "Future[Outcome]",
        error: BaseException,
        identity: Identity | None = None,
    ) -> None:
        """End an input that failed: refused input is an outcome, anything else ends the run."""
        if isinstance(error, InputRefused) and identity is not None:
            # What was refused in its middle may have been large: the next one needs the room.
            pa.default_memory_pool().release_unused()
            self._done(refused(self._work, found, identity, error), result)
        else:
            result.set_exception(error)

    def _done(self, outcome: Outcome, result: "Future[Outcome]") -> None:
        self._meter.add(inputs=1)
        result.set_result(outcome)


def _counted(found: FoundInput, key: FragmentKey, sums: Sums, written: FragmentFile) -> Outcome:
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
        fragment=written,
    )
