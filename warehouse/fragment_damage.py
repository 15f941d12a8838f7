"""The fragments of inputs that count: where they are, and whether they are what was written."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import duckdb

from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.changes import live_after
from v6share.warehouse.ledger.rows import LIVE_FRAGMENTS, fragment_file
from v6share.warehouse.merge.read_fragments import (
    FragmentSource,
    FragmentUnreadable,
    check_bytes,
    check_size,
    source_of,
)
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_READERS: Final = 2


def sources_of_warehouse(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace
) -> list[FragmentSource]:
    """The fragments of the inputs that count, as the warehouse says, by path."""
    rows = connection.execute(f"{LIVE_FRAGMENTS} ORDER BY f.path, input_id").fetchall()
    return [source_of_row(workspace, row) for row in rows]


def source_of_row(workspace: Workspace, row: Sequence[Any]) -> FragmentSource:
    """The fragment that a row of ``LIVE_FRAGMENTS`` is about."""
    key, path, written = FragmentKey(*row[:4]), row[4], fragment_file(*row[5:7])
    return source_of(workspace, key, path, written, row[7])


def sources_of_journal(workspace: Workspace) -> list[FragmentSource]:
    """The same as the journal says; all of it is read, whatever state the warehouse is in.

    Raises UserError where the journal is damaged.
    """
    live = live_after(entry for entry, _ in journal.read(workspace.journal))
    counted = (one for one in live.values() if one is not None)
    return [source_of(workspace, one.key, one.path, one.fragment) for one in counted]


def known_by(source: FragmentSource) -> FragmentFile:
    """What the file of an undamaged fragment is known by. Raises OSError where it is not there.

    Where an older version committed it and did not say it, that is what the file is now.
    """
    if source.written is not None:
        return source.written
    whole = storage.read(source.file)
    return FragmentFile(hashlib.sha256(whole).hexdigest(), len(whole))


def find_lost(sources: Iterable[FragmentSource]) -> list[FragmentUnreadable]:
    """What is wrong with fragments, as far as their names and sizes tell; reads none of them."""
    return [one for one in map(_caught(check_size), sources) if one is not None]


def find_damaged(sources: Iterable[FragmentSource]) -> list[FragmentUnreadable]:
    """What is wrong with fragments, every byte of which is read."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="v6share-fragments") as readers:
        return [one for one in readers.map(_caught(check_bytes), sources) if one is not None]


def naming_all(
    error: FragmentUnreadable, workspace: Workspace, *, opens: bool
) -> FragmentUnreadable:
    """The same error, with all other fragments that count and are lost or damaged.

    Who withdraws one of them has its days made again from the others. An error that named one alone
    would name the next one when that is done, and the first one again when the next one is. opens:
    as in ``FragmentUnreadable``. Every byte of all fragments is read.
    """
    if error.source.is_new:
        return error
    damaged = find_damaged(sources_of_journal(workspace))
    others = [one for one in damaged if one.source.key != error.source.key]
    return FragmentUnreadable(error.source, error.problem, others, opens=opens)


def _caught(
    check: Callable[[FragmentSource], None],
) -> Callable[[FragmentSource], FragmentUnreadable | None]:
    """A check that gives back what it would raise."""

    def caught(source: FragmentSource) -> FragmentUnreadable | None:
        try:
            check(source)
        except FragmentUnreadable as error:
            return error
        return None

    return caught
