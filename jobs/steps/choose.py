"""The step that chooses inputs by time, and opens only those whose times the ledger cannot tell."""

from collections.abc import Mapping, Sequence

from v6share.pipelines.timespan import Span, choose_inputs
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.times import CountedTimes


class LedgerTimes:
    """The times of files, as far as the ledger says them: of those that are as it knows them."""

    def __init__(self, known: KnownInputs, times: Mapping[FragmentKey, CountedTimes]) -> None:
        self._known = known
        self._times = times

    def of(self, one: FoundInput) -> CountedTimes | None:
        """The times of a file that is unchanged since an input of it was counted; else None."""
        live = self._live(one)
        return None if live is None else self._times.get(live)

    def choose(
        self, inputs: Sequence[FoundInput], span: Span, dialect: str | None
    ) -> tuple[list[FoundInput], list[FoundInput]]:
        """The inputs with flows in the span, and the others, each in the given order.

        dialect: the one that the user named, or None. A file that is opened and cannot be read is
        chosen: whoever counts it says what is wrong with it.
        """
        touches = {one: self._touches(one, span, dialect) for one in inputs}
        unsure = [one for one, answer in touches.items() if answer is None]
        touches |= dict.fromkeys(unsure, False)
        touches |= dict.fromkeys(choose_inputs(unsure, span, dialect)[0], True)
        chosen = [one for one in inputs if touches[one]]
        return chosen, [one for one in inputs if not touches[one]]

    def _live(self, one: FoundInput) -> FragmentKey | None:
        input_id = self._known.input_of(one.path, one.size, one.mtime_ns)
        return None if input_id is None else self._known.committed.get(input_id)

    def _touches(self, one: FoundInput, span: Span, dialect: str | None) -> bool | None:
        """Whether a file has flows in the span; None where only the file itself can tell."""
        live, times = self._live(one), self.of(one)
        if live is None or times is None or dialect not in (None, live.dialect):
            return None
        if span.overlaps(times.first_ms, times.last_ms):
            return True
        return False if times.are_all else None
