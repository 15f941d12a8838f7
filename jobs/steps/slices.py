"""The step that counts and commits many inputs in slices, so that a kill loses one slice at most.

Each slice is a transaction and has its lines in the journal, and the row of the run says what all
slices so far did. Whoever runs the same again skips what is committed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import count
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.terminal import messages
from v6share.schemas.outcome import FoundInput
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.outcomes import Sorted

SLICE_INPUTS: Final = 500
# Of flow files; about a minute of counting on two cores.
SLICE_BYTES: Final = 4 << 30


def slices_of(inputs: Iterable[FoundInput]) -> Iterator[list[FoundInput]]:
    """Inputs cut in their order: of each slice all but the last input are within both limits."""
    some: list[FoundInput] = []
    size = 0
    for one in inputs:
        some.append(one)
        size += one.size
        if len(some) >= SLICE_INPUTS or size >= SLICE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def count_in_slices(
    run: RunContext,
    inputs: Sequence[FoundInput],
    passed_over: int,
    so_far: Run | None,
    before: Sorted,
) -> tuple[Run, Sorted]:
    """Count inputs and commit them, slice by slice, in the given order.

    passed_over: as for ``commit``. so_far, before: the entry of this run, and what it has committed
    already; the entry and the result that are given back count it, too. Without inputs the run is
    noted all the same.
    """
    slices = list(slices_of(inputs)) or [[]]
    # A copy of what was committed a moment ago is no new input.
    known = known_inputs(run.connection)

    def commit_slice(number: int, so_far: Run | None) -> tuple[Run, Sorted]:
        if len(slices) > 1:
            said = number + 1
            messages.say(f"slice {said:,} of {len(slices):,}", slice=said, slices=len(slices))
        part = replace(run, known=known, recorded=[])
        committed = commit(part, count(part, slices[number]), passed_over, so_far)
        for changes in part.recorded:
            known.follow(changes)
        return committed

    entry, result = commit_slice(0, so_far)
    result = before + result
    for number in range(1, len(slices)):
        entry, more = commit_slice(number, entry)
        result = result + more
    return entry, result
