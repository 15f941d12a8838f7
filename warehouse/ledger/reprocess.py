"""Which known inputs are to be counted again, and why an input is counted at all. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from v6share.schemas.outcome import FoundInput
from v6share.schemas.reprocess import Reprocess
from v6share.warehouse.ledger.changes import REFUSED, Changes, FileRow
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.rerun import Fate, Versions

_ALSO: Final[Mapping[Reprocess, tuple[Fate, ...]]] = {
    "missing": (),
    "failed": ("refused",),
    "all": ("refused", "known"),
}


def ask_again(
    fates: Mapping[Fate, list[FoundInput]], reprocess: Reprocess
) -> dict[Fate, list[FoundInput]]:
    """The fates of files (``sort_out``), where what is asked for again is to be done, too.

    What is to be done is in the order of the paths.
    """
    also = _ALSO[reprocess]
    todo = sorted([*fates["todo"], *(one for fate in also for one in fates[fate])])
    nothing_left: dict[Fate, list[FoundInput]] = {fate: [] for fate in also}
    return {**fates, **nothing_left, "todo": todo}


def why_counted(one: FoundInput, known: KnownInputs, ledger: Changes, versions: Versions) -> str:
    """Why a file that is to be counted is: a few words for a table.

    ledger: every row of every input. A file that was never seen as it is now is ``new`` or
    ``changed``, although its bytes may turn out to be a copy of a known input.
    """
    input_id = known.input_of(one.path, one.size, one.mtime_ns)
    if input_id is None:
        return "new" if known.last_at(one.path) is None else "changed"
    live = known.committed.get(input_id)
    if live is not None and versions.count(live):
        is_of_this_key = live.catalog_version == versions.catalog_version
        return "asked for again" if is_of_this_key else "counted with an earlier client key"
    refused = [row for row in ledger.rows[input_id].values() if row.status in REFUSED]
    by_these = [row for row in refused if versions.refuse(row.key)]
    if by_these:
        return f"quarantined: {_reasons(by_these)}"
    if live is not None:
        older = [
            *(["older rules"] if live.rules_version != versions.rules_version else []),
            *(["an older catalog"] if live.catalog_version != versions.catalog_version else []),
        ]
        return f"counted by {' and '.join(older) or f'the dialect {live.dialect}'}"
    if input_id in known.forgotten:
        return "withdrawn"
    return f"quarantined by other versions: {_reasons(refused)}" if refused else "not counted yet"


def _reasons(rows: Iterable[FileRow]) -> str:
    return ", ".join(sorted({row.reason for row in rows}))
