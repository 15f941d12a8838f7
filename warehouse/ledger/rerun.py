"""Which found files need no work, because the ledger knows what they hold. Pure.

A file is left out at the first of these places that knows enough:

- ``sort_out`` here: path, size and time of change are those of a file that was seen before.
- ``Crew`` (``pipelines/crew.py``): its bytes are those of an input that counts, such as a copy.
- ``sort_outcomes`` (``outcomes.py``): another file of this run held the same bytes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput
from v6share.warehouse.ledger.known_inputs import KnownInputs

Fate = Literal["todo", "known", "sealed", "refused", "forgotten"]


@dataclass(frozen=True)
class Versions:
    """What a run counts with.

    dialect: the one that the user named, or None. earlier: the versions of this very catalog under
    earlier client keys. What they counted stays as it is, for a new key is no reason to count
    again.
    """

    rules_version: int
    catalog_version: str
    dialect: str | None = None
    earlier: frozenset[str] = frozenset()

    def now(self, key: FragmentKey) -> FragmentKey:
        """A version of an input as it would be called under the present client key."""
        if key.catalog_version not in self.earlier:
            return key
        return replace(key, catalog_version=self.catalog_version)

    def count(self, key: FragmentKey) -> bool:
        """Whether this run would count an input as ``key`` says."""
        return self._same(self.now(key)) and self.dialect in (None, key.dialect)

    def refuse(self, key: FragmentKey) -> bool:
        """Whether this run would refuse an input as ``key`` says: with the same ``--dialect``."""
        return self._same(self.now(key)) and (self.dialect or "") == key.dialect

    def _same(self, key: FragmentKey) -> bool:
        ours = (self.rules_version, self.catalog_version)
        return (key.rules_version, key.catalog_version) == ours


class CountedAlready(Mapping[str, FragmentKey]):
    """The live version of each input, as it would be called under the present client key."""

    def __init__(self, known: KnownInputs, versions: Versions) -> None:
        self._committed = known.committed
        self._versions = versions

    def __getitem__(self, input_id: str) -> FragmentKey:
        return self._versions.now(self._committed[input_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._committed)

    def __len__(self) -> int:
        return len(self._committed)


def sort_out(
    found: Iterable[FoundInput],
    known: KnownInputs,
    versions: Versions,
    *,
    include_forgotten: bool = False,
) -> dict[Fate, list[FoundInput]]:
    """The found files by what is to be done with them, each list in the given order.

    todo: new, changed, or counted by other versions. known: committed by these versions. sealed:
    committed by whatever versions, for ever.
    refused: quarantined by these versions and this ``--dialect``. forgotten: withdrawn, and to be
    left out.
    """
    refused = defaultdict(list)
    for key in known.quarantined:
        refused[key.input_id].append(key)
    sorted_out: dict[Fate, list[FoundInput]] = {
        "todo": [],
        "known": [],
        "sealed": [],
        "refused": [],
        "forgotten": [],
    }
    for one in found:
        input_id = known.input_of(one.path, one.size, one.mtime_ns)
        fate = _fate(input_id, known, refused, versions, include_forgotten=include_forgotten)
        sorted_out[fate].append(one)
    return sorted_out


def passed_over(fates: Mapping[Fate, Sequence[FoundInput]]) -> int:
    """How many of the found files need no counting."""
    return sum(len(inputs) for fate, inputs in fates.items() if fate != "todo")


def _fate(
    input_id: str | None,
    known: KnownInputs,
    refused: dict[str, list[FragmentKey]],
    versions: Versions,
    *,
    include_forgotten: bool,
) -> Fate:
    if input_id is None:
        return "todo"
    if input_id in known.sealed:
        return "sealed"
    live = known.committed.get(input_id)
    if live is not None and versions.count(live):
        return "known"
    if any(versions.refuse(key) for key in refused.get(input_id, ())):
        return "refused"
    if input_id in known.forgotten and not include_forgotten:
        return "forgotten"
    return "todo"
