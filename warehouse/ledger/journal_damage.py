"""What to say of a journal that is not what was written: where, what is in doubt, what to do."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Final

from v6share.schemas.errors import UserError
from v6share.warehouse.ledger.aside import moves_of_tables
from v6share.warehouse.ledger.seals import split_seal
from v6share.workspace import storage

_DESCRIBED: Final = 3


def broken_chain(path: Path, offset: int, expected: str) -> UserError:
    """The error about a line whose seal does not follow from the lines before it.

    offset: where the line begins. expected: the seal that it should have.
    """
    data = storage.read(path)
    before, after = _lines(data[:offset]), _lines(data[offset:])
    # Lines without a seal are vouched for by the next that has one: here it does not.
    proven = len(before)
    while proven and not split_seal(before[proven - 1])[1]:
        proven -= 1
    doubtful = [*before[proven:], *after]
    seal = split_seal(after[0])[1]
    found = f"the seal {seal}" if seal else "no seal"
    twin = f"; the very same is line {before.index(after[0]) + 1}" if after[0] in before else ""
    return UserError(
        f"{path}: line {len(before) + 1} (byte {offset}): found {found}, expected {expected}"
        f"{twin}. It was changed, put in or moved, or lines before it were taken out. In doubt "
        f"{_named(doubtful, proven)}; {_proven(proven)}. Restore the journal from a backup. "
        f"{_without_backup(path, before[:proven])}"
    )


def unreadable_line(path: Path, offset: int, why: str, *, is_sealed: bool) -> UserError:
    """The error about a line that is no entry. is_sealed: and it is as it was written."""
    with storage.open_file(path) as file:
        number = len(_lines(file.read(offset))) + 1
    what = (
        "Its seal is right, so a newer v6share wrote it: use that version"
        if is_sealed
        else "Either a newer v6share wrote it (use that version), or the file is damaged (restore "
        "it from a backup)"
    )
    return UserError(f"{path}: line {number} (byte {offset}) is not readable: {why}. {what}")


def _lines(data: bytes) -> list[bytes]:
    return io.BytesIO(data).readlines()


def _named(doubtful: Sequence[bytes], proven: int) -> str:
    first, last = proven + 1, proven + len(doubtful)
    which = f"is line {first}" if first == last else f"are lines {first} to {last}"
    told = ", ".join(_described(line) for line in doubtful[:_DESCRIBED])
    return f"{which} ({told}{', ...' if len(doubtful) > _DESCRIBED else ''})"


def _described(line: bytes) -> str:
    try:
        entry = json.loads(line)
        return f"{entry['type']} {entry.get('run_id') or entry['path']}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "not readable"


def _proven(count: int) -> str:
    if not count:
        return "no line before them is proven"
    return "line 1 is as it was written" if count == 1 else f"lines 1 to {count} are as written"


def _without_backup(path: Path, proven: Sequence[bytes]) -> str:
    if not proven:
        return "Where there is none, begin a new workspace and count the flow files again"
    cut = f"truncate -s {sum(map(len, proven))} {quote(str(path))}"
    moves = moves_of_tables(path)
    do, also = (
        (f"{cut} && {moves}", ", and move aside what was made from it") if moves else (cut, "")
    )
    return (
        f"Where there is none, keep a copy, cut it there{also} (`{do}`), then `v6share rebuild`: "
        "what the lines in doubt said is given up, so run their flow files again, and withdraw "
        "again what was withdrawn"
    )


def another_journal(path: Path) -> str:
    """What to do about a journal that is not the one of which the warehouse has applied a part."""
    moves = moves_of_tables(path)
    return (
        "this is another journal, or an older one, or it is damaged. Restore the right one from a "
        "backup; or, where this one is right, move aside what was made from the other (`"
        f"{moves}`), and `v6share rebuild` makes the warehouse from this one, or "
        "says which line of it does not fit"
    )
