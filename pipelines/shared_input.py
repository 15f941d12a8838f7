"""An input that several threads count together, each with a lane of its own.

::

    row groups ──draw──▶ a lane reads a batch ──▶ another lane waits? ──no──▶ it counts the batch
                              ▲                            │yes
                              │                            ▼
                         none left                 the batch is offered
                              │                            │
                              ▼                            ▼
                      it waits for a batch ◀─────── the other counts it
                              │
             nobody reads any more, or one lane failed
                              ▼
                        the lane leaves; the last to leave merges all lanes

A lane is in one of three states: ``reading`` a row group, ``waiting`` for a batch, or counting.
``changed`` is the one lock: it guards every field below it, and is never held while a lane reads
or counts. A lane that offers a batch, ends a row group or fails must notify the waiting ones,
or they would wait for ever. At most one batch is offered at a time, so memory holds one batch a
lane and one more.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING, Final

from v6share.pipelines.flow_file import FlowFile
from v6share.pipelines.identity import Identity
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome

if TYPE_CHECKING:
    from concurrent.futures import Future

# For fewer a lane costs more, to make and to merge, than it saves.
BATCHES_OF_A_LANE: Final = 2


@dataclass
class SharedInput:
    """An input under way: lanes draw row groups until none is left, then batches of each other's.

    read_at_ms: when it is read: no record is of later. spans: the row groups, together those that
    are read together. most_lanes: how many may be worth
    their tables. rows_left: about those in no batch yet (the halves of biflows count twice).
    """

    found: FoundInput
    identity: Identity
    key: FragmentKey
    file: FlowFile
    result: "Future[Outcome]"
    read_at_ms: int
    batch_rows: int
    spans: list[list[int]]
    most_lanes: int
    rows_left: int
    next_span: int = 0
    lanes: list[Accumulator] = field(default_factory=list)
    joined: int = 0
    at_work: int = 0
    reading: int = 0
    waiting: int = 0
    offered: FlowBatch | None = None
    failure: BaseException | None = None
    changed: Condition = field(default_factory=Condition)

    def join(self, plan: Plan) -> Accumulator | None:
        """Give a lane for this input; None where it needs no further one.

        The first one is given even where there is no row group.
        """
        with self.changed:
            if self.joined and not (self.at_work and self._is_worth_it()):
                return None
            lane = Accumulator(plan, self.read_at_ms, self.file.rows)
            self.lanes.append(lane)
            self.joined += 1
            self.at_work += 1
            return lane

    def batches(self) -> Generator[FlowBatch]:
        """Give batches that nobody else counts, until there are none for this lane. Close it."""
        while (groups := self._draw()) is not None:
            try:
                for batch in self.file.read(groups, self.batch_rows):
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

    def leave(self) -> list[Accumulator] | None:
        """End a lane's work; the last one to end gets all lanes, and None any other.

        They are kept no longer: a thread may yet come to help, and would hold all that they hold.
        """
        with self.changed:
            self.at_work -= 1
            if self.at_work:
                return None
            lanes, self.lanes = self.lanes, []
            return lanes

    def _draw(self) -> list[int] | None:
        """Give row groups that nobody has read; None where none is left, or one failed."""
        with self.changed:
            if not self._has_groups():
                return None
            self.next_span += 1
            self.reading += 1
            return self.spans[self.next_span - 1]

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
        return self.failure is None and self.next_span < len(self.spans)

    def _is_worth_it(self) -> bool:
        return self.failure is None and self.rows_left >= BATCHES_OF_A_LANE * self.batch_rows
