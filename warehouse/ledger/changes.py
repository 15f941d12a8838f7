"""What journal entries do to the ledger: a pure function, without files and without a database.

Always true afterwards: at most one row per input is ``committed``; the last entry about an input
wins; the same entries a second time change nothing; what is refused lies somewhere, for a refused
input all of whose files hold other content by now is ``superseded``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, Literal

from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.text.plain import storable
from v6share.warehouse.ledger.journal import (
    ClientKey,
    Commit,
    CommittedInput,
    Decision,
    Entry,
    FinalDay,
    FinalDays,
    Forget,
    Prune,
    Quarantine,
    Run,
    Seen,
    SeenFile,
)

Status = Literal[
    "committed", "quarantined", "accepted", "awaiting_retry", "superseded", "forgotten"
]
# Not counted: nobody looked at it yet, somebody did and leaves it so, the next run tries it again.
REFUSED: Final = ("quarantined", "accepted", "awaiting_retry")
# Those of them that a run leaves alone.
LEFT_ALONE: Final = ("quarantined", "accepted")

# An input that no dialect fitted has no rows.
NO_ROWS: Final = (0, 0, 0, None, None)


@dataclass(frozen=True)
class FileRow:
    """One row of ledger_files. ``figures`` are its rows_in, rows_counted, rows_rejected,
    first_start and last_end; None until they are read from the fragment. ``fragment``: what the
    fragment's file is known by, where that was said. ``client_key``: the number of the key that
    counted then. ``sealed_at``: since when nothing changes the row any more, for its fragment may
    be gone; None before.
    """

    key: FragmentKey
    path: str
    size: int
    run_id: str
    status: Status
    reason: str
    committed_at: datetime
    figures: tuple[int, int, int, datetime | None, datetime | None] | None = None
    fragment: FragmentFile | None = None
    client_key: int = 0
    sealed_at: datetime | None = None


@dataclass
class Changes:
    """The outcome. ``rows`` holds every ledger row of every input that an entry names.

    added, removed: what becomes live and what no longer is, as net effect of all entries.
    refused: the quarantine entry per input that is newly refused; None where it no longer is.
    decided: what was decided of an input that is refused.
    places: the input that lies at a path: at those of refused inputs, and of the entries.
    final_days: by day and revision, what was published and when. keys: the ids of the client keys,
    the first one first. new_keys: since when those count that the ledger does not have yet, by
    number. sealed: inputs that are from now on. pruned: by the part, the entry that says from
    which day on it is kept. base: the entry that made the base which counts from now on.
    """

    rows: dict[str, dict[FragmentKey, FileRow]] = field(default_factory=lambda: defaultdict(dict))
    added: list[FileRow] = field(default_factory=list)
    removed: list[FileRow] = field(default_factory=list)
    refused: dict[str, Quarantine | None] = field(default_factory=dict)
    decided: dict[str, Decision] = field(default_factory=dict)
    seen: dict[str, SeenFile] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    final_days: dict[tuple[date, int], tuple[datetime, FinalDay]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    new_keys: dict[int, datetime] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    pruned: dict[str, Prune] = field(default_factory=dict)
    base: Prune | None = None

    @property
    def client_key(self) -> int:
        """The number of the key that counts now."""
        return max(0, len(self.keys) - 1)

    @property
    def first_days(self) -> list[tuple[str, date]]:
        """Of each added input that has counted rows: its path, and the UTC day of the first."""
        rows = [self.rows[one.key.input_id].get(one.key) for one in self.added]
        figures = [(row.path, row.figures[3]) for row in rows if row and row.figures]
        return [(path, first.date()) for path, first in figures if first is not None]

    @property
    def horizons(self) -> dict[str, date]:
        """From which day on parts are kept, of those of which that changes."""
        return {part: one.kept_from[part] for part, one in self.pruned.items()}

    @property
    def changes_tables(self) -> bool:
        """Whether readers would see a difference, apart from the list of runs."""
        return bool(
            self.added or self.removed or self.refused or self.decided or self.sealed or self.pruned
        )


def inputs_named(entries: Iterable[Entry]) -> set[str]:
    """The inputs whose ledger rows the entries may change."""
    named: set[str] = set()
    for entry in entries:
        match entry:
            case Commit():
                named.update(one.input_id for one in entry.inputs)
            case Quarantine():
                named.add(entry.input_id)
            case Forget() | Prune() | Decision():
                named.update(entry.input_ids)
            case Seen() | Run() | FinalDays() | ClientKey():
                pass
    return named


def paths_named(entries: Iterable[Entry]) -> set[str]:
    """The paths of which the entries say what lies there now, as they are stored."""
    paths: set[str] = set()
    for entry in entries:
        match entry:
            case Commit():
                paths.update(storable(one.path) for one in entry.inputs)
            case Quarantine() | Seen():
                paths.add(storable(entry.path))
            case Forget() | Decision() | Run() | FinalDays() | ClientKey() | Prune():
                pass
    return paths


def live_after(entries: Iterable[Entry]) -> dict[str, CommittedInput | None]:
    """Of each input that is committed or withdrawn: what counts in the end by its own fragment.

    None where nothing does, and where it is sealed: it counts by the base then.
    """
    live: dict[str, CommittedInput | None] = {}
    sealed: set[str] = set()
    for entry in entries:
        match entry:
            case Commit():
                live.update(
                    (one.input_id, one) for one in entry.inputs if one.input_id not in sealed
                )
            case Forget():
                live.update(dict.fromkeys(entry.input_ids))
            case Prune():
                live.update(dict.fromkeys(entry.input_ids))
                sealed.update(entry.input_ids)
            case Quarantine() | Seen() | Decision() | Run() | FinalDays() | ClientKey():
                pass
    return live


def plan_changes(
    rows: Iterable[FileRow],
    entries: Iterable[Entry],
    keys: Iterable[str] = (),
    places: Mapping[str, str] | None = None,
) -> Changes:
    """Apply entries, in order, to the ledger rows of the inputs that they name.

    keys: the ids of the client keys that the ledger has, the first one first. places: every path
    at which a refused input was last found, with its id; the rows must hold those inputs whose
    paths the entries name.
    """
    changes = Changes(keys=list(keys), places=dict(places or {}))
    for row in rows:
        changes.rows[row.key.input_id][row.key] = row
    before = _live(changes)
    for entry in entries:
        _apply(changes, entry)
    after = _live(changes)
    changes.added = [row for name, row in after.items() if not _same(before.get(name), row)]
    changes.removed = [row for name, row in before.items() if not _same(after.get(name), row)]
    return changes


def _same(one: FileRow | None, other: FileRow) -> bool:
    return one is not None and one.key == other.key and one.fragment == other.fragment


def _live(changes: Changes) -> dict[str, FileRow]:
    return {
        name: row
        for name, versions in changes.rows.items()
        for row in versions.values()
        if row.status == "committed"
    }


def _apply(changes: Changes, entry: Entry) -> None:
    match entry:
        case Commit():
            for one in entry.inputs:
                _commit(changes, entry, one)
        case Quarantine():
            _quarantine(changes, entry)
        case Forget():
            _forget(changes, entry)
        case Decision():
            _decide(changes, entry)
        case Seen():
            _see(changes, entry)
        case Prune():
            _prune(changes, entry)
        case Run() | FinalDays() | ClientKey():
            _note(changes, entry)


def _note(changes: Changes, entry: Run | FinalDays | ClientKey) -> None:
    """Take over what is about no input."""
    match entry:
        case Run():
            changes.runs[entry.run_id] = entry
        case FinalDays():
            _take_final_days(changes, entry)
        case ClientKey():
            _take_key(changes, entry)


def _take_final_days(changes: Changes, entry: FinalDays) -> None:
    for day in entry.days:
        changes.final_days.setdefault((day.day, day.revision), (entry.at, day))


def _take_key(changes: Changes, entry: ClientKey) -> None:
    if changes.keys[-1:] != [entry.key_id]:
        changes.new_keys[len(changes.keys)] = entry.at
        changes.keys.append(entry.key_id)


def _prune(changes: Changes, entry: Prune) -> None:
    for input_id in entry.input_ids:
        versions = changes.rows[input_id]
        if not _is_sealed(versions):
            if any(row.status in REFUSED for row in versions.values()):
                _take_back_refusal(changes, input_id)
            for key, row in versions.items():
                # What other versions refused is never tried again: nobody need look at it.
                status: Status = "superseded" if row.status in REFUSED else row.status
                versions[key] = replace(row, status=status, sealed_at=entry.at)
            changes.sealed.append(input_id)
    for part, day in entry.kept_from.items():
        before = changes.pruned.get(part)
        if before is None or before.kept_from[part] < day:
            changes.pruned[part] = entry
    changes.base = changes.base if entry.base is None else entry


def _is_sealed(versions: Mapping[FragmentKey, FileRow]) -> bool:
    """Whether an input is: then no entry changes it, also none from before it was.

    A warehouse that is made anew begins with the inputs that are sealed in the end.
    """
    return any(row.sealed_at is not None for row in versions.values())


def _commit(changes: Changes, entry: Commit, one: CommittedInput) -> None:
    _see(changes, one)
    versions = changes.rows[one.input_id]
    if _is_sealed(versions):
        return
    old = versions.get(one.key)
    if old is not None and old.status == "committed" and not _is_rewritten(old, one):
        return
    for key, row in versions.items():
        if row.status != "superseded":
            versions[key] = replace(
                row, status="superseded", run_id=entry.run_id, committed_at=entry.at
            )
    versions[one.key] = FileRow(
        one.key,
        one.path,
        one.size,
        entry.run_id,
        "committed",
        "",
        entry.at,
        fragment=one.fragment,
        client_key=changes.client_key,
    )
    _take_back_refusal(changes, one.input_id)


def _take_back_refusal(changes: Changes, input_id: str) -> None:
    changes.refused[input_id] = None
    changes.decided.pop(input_id, None)


def _is_rewritten(old: FileRow, one: CommittedInput) -> bool:
    """Whether a commit puts another file in the place of the fragment that counts already.

    The versions are the same. That is done where the old file was lost or damaged, and another
    release of the library that writes fragments lays the same rows out in other bytes.
    """
    return one.fragment is not None and one.fragment != old.fragment


def _quarantine(changes: Changes, entry: Quarantine) -> None:
    _see(changes, entry)
    versions = changes.rows[entry.input_id]
    if _is_sealed(versions):
        return
    old = versions.get(entry.key)
    if old is not None and old.status == "committed":
        return  # The very same versions have counted it: what is counted stays.
    versions[entry.key] = FileRow(
        entry.key,
        entry.path,
        entry.size,
        entry.run_id,
        "quarantined",
        entry.reason,
        entry.at,
        NO_ROWS,
        client_key=changes.client_key,
    )
    _take_back_refusal(changes, entry.input_id)
    # Where the same rules and catalog count it by another dialect, nothing is missing.
    if not any(_counts_beside(row, entry.key) for row in versions.values()):
        changes.refused[entry.input_id] = entry


def _counts_beside(row: FileRow, key: FragmentKey) -> bool:
    """Whether a row counts by the versions of a key, the dialect apart."""
    return row.status == "committed" and replace(row.key, dialect=key.dialect) == key


def _decide(changes: Changes, entry: Decision) -> None:
    status: Status = "accepted" if entry.decision == "accept" else "awaiting_retry"
    for input_id in entry.input_ids:
        versions = changes.rows[input_id]
        for key, row in versions.items():
            if row.status in REFUSED:
                versions[key] = replace(
                    row, status=status, run_id=entry.run_id, committed_at=entry.at
                )
                changes.decided[input_id] = entry


def _see(changes: Changes, file: CommittedInput | Quarantine | Seen) -> None:
    """Note which input lies at a path. A refused one that lies nowhere any more is refused no
    longer: its file was mended, or sent again.
    """
    path = storable(file.path)
    before = changes.places.get(path)
    changes.seen[file.path] = SeenFile(file.path, file.size, file.mtime_ns, file.input_id)
    changes.places[path] = file.input_id
    if before in (None, file.input_id):
        return
    versions = changes.rows.get(before, {})
    refused = [key for key, row in versions.items() if row.status in REFUSED]
    if refused and before not in changes.places.values():
        for key in refused:
            versions[key] = replace(versions[key], status="superseded")
        _take_back_refusal(changes, before)


def _forget(changes: Changes, entry: Forget) -> None:
    for input_id in entry.input_ids:
        versions = changes.rows[input_id]
        if _is_sealed(versions):
            continue
        for key, row in versions.items():
            if row.status in ("committed", *REFUSED):
                versions[key] = replace(
                    row,
                    status="forgotten",
                    reason=entry.reason,
                    run_id=entry.run_id,
                    committed_at=entry.at,
                )
                _take_back_refusal(changes, input_id)
