"""Which files were written anew in place, so that their old and new content both count. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from v6share.schemas.outcome import FoundInput
from v6share.warehouse.ledger.outcomes import Sorted
from v6share.warehouse.reads import KnownInputs


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
