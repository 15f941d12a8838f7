"""What the ledger knows of inputs, so that a rerun can skip them.

A run reads it once. A stream reads it once, too, and follows with each batch what that changed: to
read it all again takes longer than to count a small file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb

from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput
from v6share.schemas.text.plain import storable
from v6share.warehouse.ledger.changes import LEFT_ALONE, Changes


@dataclass(frozen=True)
class KnownInputs:
    """What a rerun can skip.

    files: (size, mtime_ns, input_id) by path, as last seen. committed: the live version of each
    input. quarantined: the versions that refused an input, but for those that are to be tried
    again. forgotten: withdrawn inputs that are not committed again. sealed: committed inputs that
    stay as they were counted, for their fragments were pruned.
    """

    files: dict[str, tuple[int, int, str]]
    committed: dict[str, FragmentKey]
    quarantined: set[FragmentKey]
    forgotten: set[str]
    sealed: set[str] = field(default_factory=set)

    def input_of(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The input that a file holds, if it is unchanged since it was last seen."""
        found = self.files.get(storable(path))
        if found is None or found[:2] != (size, mtime_ns):
            return None
        return found[2]

    def never_seen(self, found: Iterable[FoundInput]) -> list[FoundInput]:
        """The files that were never seen as they are now, large ones first, as they are counted."""
        new = [one for one in found if self.input_of(one.path, one.size, one.mtime_ns) is None]
        return sorted(new, key=lambda one: one.order_of_work)

    def follow(self, changes: Changes) -> None:
        """Take over what a commit changed."""
        for file in changes.seen.values():
            self.files[storable(file.path)] = (file.size, file.mtime_ns, file.input_id)
        for input_id, versions in changes.rows.items():
            status = {key: row.status for key, row in versions.items()}
            live = next((key for key, what in status.items() if what == "committed"), None)
            self.committed.pop(input_id, None)
            self.forgotten.discard(input_id)
            if live is not None:
                self.committed[input_id] = live
            elif "forgotten" in status.values():
                self.forgotten.add(input_id)
            if any(row.sealed_at is not None for row in versions.values()):
                self.sealed.add(input_id)
            self.quarantined.difference_update(status)
            self.quarantined.update(key for key, what in status.items() if what in LEFT_ALONE)

    def last_at(self, path: str) -> str | None:
        """The input that was last found at a path, whatever the file there is now."""
        found = self.files.get(storable(path))
        return None if found is None else found[2]


def known_inputs(connection: duckdb.DuckDBPyConnection) -> KnownInputs:
    """All of it at once: a few hundred bytes an input."""
    files = connection.execute("SELECT path, size, mtime_ns, input_id FROM private.seen")
    known = {path: (size, mtime, input_id) for path, size, mtime, input_id in files.fetchall()}
    committed = _keys(connection, ["committed"])
    return KnownInputs(
        files=known,
        committed={key.input_id: key for key in committed},
        quarantined=set(_keys(connection, LEFT_ALONE)),
        forgotten={key.input_id for key in _keys(connection, ["forgotten"])}
        - {key.input_id for key in committed},
        sealed=_sealed(connection),
    )


def _sealed(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT input_id FROM ledger_files WHERE sealed_at IS NOT NULL")
    return {input_id for (input_id,) in rows.fetchall()}


def _keys(connection: duckdb.DuckDBPyConnection, status: Sequence[str]) -> list[FragmentKey]:
    rows = connection.execute(
        "SELECT input_id, dialect, rules_version, catalog_version FROM ledger_files "
        "WHERE list_contains(CAST(? AS VARCHAR[]), status)",
        [list(status)],
    ).fetchall()
    return [FragmentKey(*row) for row in rows]
