"""The step that counts inputs again which count already, to see that their fragments are right.

The same input, dialect, rules and catalog give the same bytes. So nothing is changed where a
fragment is whole, whatever comes out: the new one is written apart from it and compared. A fragment
that was lost or damaged is made good: what comes out takes its place. Where these are the bytes
that the ledger knows, all is as it was. Else they were written by another release of the library
that writes Parquet, and the input is to be committed again, with its new file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from v6share.jobs.steps.count import count
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.steps.slices import slices_of
from v6share.jobs.terminal import messages
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.warehouse.fragment_damage import find_damaged, known_by, sources_of_warehouse
from v6share.warehouse.merge.read_fragments import FragmentSource
from v6share.workspace import storage


@dataclass
class Recounted:
    """What came of inputs that were counted again.

    same: those whose fragment came out byte for byte. kept: those that came out otherwise, and keep
    their fragment, which is whole. left: outcomes that are yet to be committed or reported: of
    damaged fragments that came out otherwise, and of files that could not be counted again.
    made_good: how many lost or damaged fragments are whole again, once ``left`` is committed.
    """

    same: list[Outcome] = field(default_factory=list)
    kept: list[Outcome] = field(default_factory=list)
    left: list[Outcome] = field(default_factory=list)
    made_good: int = 0

    @property
    def replaced(self) -> list[Outcome]:
        """Those that are to be committed with another fragment than before."""
        return [one for one in self.left if one.status == "fragment"]


@dataclass(frozen=True)
class _Wanted:
    """A file to count again, and the fragment that counts for it."""

    found: FoundInput
    source: FragmentSource
    is_damaged: bool

    @property
    def group(self) -> tuple[bool, str]:
        """Damaged ones first; then files of one dialect together, as they are counted at once."""
        return not self.is_damaged, self.source.key.dialect


def count_again(run: RunContext, inputs: Sequence[FoundInput]) -> Recounted:
    """Count inputs again, and make lost and damaged fragments good.

    inputs: files as the ledger knows them, whose content counts; of copies the first is counted.
    Damaged ones come first, and a kill takes back nothing of what is made good by then.
    """
    result = Recounted()
    wanted = sorted(_wanted(run, inputs), key=lambda one: (*one.group, one.found))
    if wanted:
        damaged = sum(one.is_damaged for one in wanted)
        messages.say(
            f"{len(wanted):,} inputs count already and are counted again; the fragments of "
            f"{damaged:,} of them are lost or damaged",
            inputs=len(wanted),
            damaged=damaged,
        )
    configured = replace(run.configured, workspace=run.workspace.recounting)
    # As if nothing counted, or all of them would be passed over.
    aside = replace(run, configured=configured, known=replace(run.known, committed={}))
    for (_, dialect), group in groupby(wanted, lambda one: one.group):
        by_path = {one.found.path: one for one in group}
        for some in slices_of(one.found for one in by_path.values()):
            # By the dialect that counted them: a run that named it need not be told again.
            for outcome in count(replace(aside, dialect=dialect), some):
                _settle(aside, by_path[outcome.path], outcome, result)
    storage.remove_folder(aside.workspace.fragments)
    return result


def _wanted(run: RunContext, inputs: Iterable[FoundInput]) -> list[_Wanted]:
    """The inputs with their fragments, every byte of which is read."""
    first: dict[str, FoundInput] = {}
    for one in inputs:
        input_id = run.known.input_of(one.path, one.size, one.mtime_ns)
        if input_id is not None:
            first.setdefault(input_id, one)
    live = sources_of_warehouse(run.connection, run.workspace)
    sources = [one for one in live if one.key.input_id in first]
    damaged = {one.source.key for one in find_damaged(sources)}
    return [_Wanted(first[one.key.input_id], one, one.key in damaged) for one in sources]


def _settle(aside: RunContext, wanted: _Wanted, outcome: Outcome, result: Recounted) -> None:
    """Compare what came out with what counts; where that is damaged, put it in its place."""
    if outcome.key is not None and outcome.key.input_id != wanted.source.key.input_id:
        result.left.append(_not_the_same_file(outcome))
    elif outcome.status != "fragment" or outcome.key is None:
        result.left.append(outcome)
    elif wanted.is_damaged:
        with storage.drafted(wanted.source.file) as draft:
            storage.copy(aside.workspace.fragment(outcome.key.fragment_id), draft)
        result.made_good += 1
        is_as_known = outcome.fragment == wanted.source.written
        (result.same if is_as_known else result.left).append(outcome)
    else:
        is_as_known = outcome.fragment == known_by(wanted.source)
        (result.same if is_as_known else result.kept).append(outcome)


def _not_the_same_file(outcome: Outcome) -> Outcome:
    """A file with other bytes than were counted, and yet of the same size and time of change.

    Nobody writes such a file on purpose: to count it beside the old input would count twice.
    """
    return replace(
        outcome,
        status="failed",
        key=None,
        reason="altered",
        detail="its bytes are not those that were counted, and size and time of change are; the "
        "file is damaged, or was altered and its time set back. What was counted goes on counting",
    )
