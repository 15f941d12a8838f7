"""What the outcomes of a run mean for the ledger, and the journal entries that record it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.warehouse.ledger.journal import Commit, CommittedInput, Entry, Quarantine, Seen
from v6share.warehouse.ledger.known_inputs import KnownInputs


@dataclass
class Sorted:
    """Outcomes by what they mean for the ledger.

    committed: one outcome for each new content. copies: files whose content is committed, now or
    before, or is sealed, whatever came out. refused: one outcome for each newly refused content.
    refused_copies: other files with that content. refused_again: files whose content was refused
    before, by the same versions. forgotten: files whose content is withdrawn. busy: files still
    being written. failed: files whose bytes could not be had.
    """

    committed: list[Outcome] = field(default_factory=list)
    copies: list[Outcome] = field(default_factory=list)
    refused: list[Outcome] = field(default_factory=list)
    refused_copies: list[Outcome] = field(default_factory=list)
    refused_again: list[Outcome] = field(default_factory=list)
    forgotten: list[Outcome] = field(default_factory=list)
    busy: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)

    def __add__(self, later: "Sorted") -> "Sorted":
        """These outcomes and later ones of the same run."""
        theirs = vars(later)
        return Sorted(**{name: mine + theirs[name] for name, mine in vars(self).items()})


def sort_outcomes(
    outcomes: Iterable[Outcome], known: KnownInputs, *, include_forgotten: bool = False
) -> Sorted:
    """Sort outcomes, in the order of their paths; of equal contents the first path counts."""
    result = Sorted()
    committed, refused = set[FragmentKey](), set[FragmentKey]()
    withdrawn = set[str]() if include_forgotten else known.forgotten
    for one in sorted(outcomes, key=lambda outcome: outcome.path):
        if one.status == "busy":
            result.busy.append(one)
        elif one.status == "failed":
            result.failed.append(one)
        elif _key(one).input_id in withdrawn:
            result.forgotten.append(one)
        elif _key(one).input_id in known.sealed:
            result.copies.append(one)
        elif one.status == "quarantined":
            _refusals(result, _key(one), known, refused).append(one)
            refused.add(_key(one))
        else:
            is_known = known.committed.get(_key(one).input_id) == _key(one)
            again = one.status == "known" or is_known or _key(one) in committed
            (result.copies if again else result.committed).append(one)
            committed.add(_key(one))
    return result


def commit_of(inputs: Iterable[Outcome], run_id: str, at: datetime) -> Commit:
    """The commit of new inputs."""
    return Commit(
        run_id,
        at,
        tuple(
            CommittedInput(
                **vars(_key(one)),
                path=one.path,
                size=one.size,
                mtime_ns=one.mtime_ns,
                fragment=one.fragment,
            )
            for one in inputs
        ),
    )


def mark_unfit(outcomes: Iterable[Outcome], unfit: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes after inputs, and copies of them, did not fit beside others: these failed.

    Not quarantined: what the others hold may change, so they are tried again at every run.
    """
    gone = {one.key for one in unfit}
    return [_unfit(one) if one.key in gone else one for one in outcomes]


def _unfit(one: Outcome) -> Outcome:
    return replace(
        one,
        status="failed",
        key=None,
        reason="sum_overflow",
        detail=f"its packets or bytes sum to {one.largest_sum:,}, and with those of other inputs "
        "pass the range of a column. The counters or sampling intervals of one of them cannot be "
        "right: leave this one out, or withdraw the other (v6share forget)",
    )


def _refusals(
    result: Sorted, key: FragmentKey, known: KnownInputs, refused: set[FragmentKey]
) -> list[Outcome]:
    """Where a refused input belongs. refused: what this run has refused before it."""
    if key in known.quarantined:
        return result.refused_again
    return result.refused_copies if key in refused else result.refused


def journal_entries(result: Sorted, run_id: str, at: datetime) -> Sequence[Entry]:
    """One commit of all new inputs, the refusals, and the files that hold nothing new.

    First where refused inputs lie now: one that was moved must not look as if it were replaced.
    """
    commits = [commit_of(result.committed, run_id, at)] if result.committed else []
    return [
        *map(_seen, result.refused_again),
        *commits,
        *(_quarantine(one, run_id, at) for one in result.refused),
        *map(_seen, (*result.copies, *result.refused_copies, *result.forgotten)),
    ]


def _seen(one: Outcome) -> Seen:
    return Seen(one.path, one.size, one.mtime_ns, _key(one).input_id)


def _quarantine(one: Outcome, run_id: str, at: datetime) -> Quarantine:
    return Quarantine(
        run_id=run_id,
        at=at,
        path=one.path,
        size=one.size,
        mtime_ns=one.mtime_ns,
        reason=one.reason,
        detail=one.detail,
        **vars(_key(one)),
    )


def _key(one: Outcome) -> FragmentKey:
    if one.key is None:
        raise ValueError(f"an outcome of status {one.status} without a key: {one.path}")
    return one.key


@dataclass(frozen=True)
class Rewritten:
    """A path at which one input was found before, and another one now; both count."""

    path: str
    before: str
    now: str


def rewritten_inputs(
    result: Sorted, unchanged: Iterable[FoundInput], known: KnownInputs
) -> list[Rewritten]:
    """The newly committed inputs that took the place of another that counts.

    unchanged: the found files that are known as they stand. Content that this run found elsewhere
    was moved, as log rotation does, and is no matter.
    """
    elsewhere = {known.last_at(one.path) for one in unchanged}
    elsewhere |= {one.key.input_id for one in result.copies if one.key is not None}
    found = []
    for one in result.committed:
        before = known.last_at(one.path)
        if before in known.committed and before not in elsewhere:
            now = one.key.input_id if one.key is not None else ""
            if now != before:  # else it is the same content, counted by newer versions
                found.append(Rewritten(one.path, before, now))
    return found
