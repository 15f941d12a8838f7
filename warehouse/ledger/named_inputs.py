"""Which input a person means by a path, a file's name or an id."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Final

import duckdb

SHORTEST_ID: Final = 8
_HEX: Final = frozenset("0123456789abcdef")
_NEAR: Final = 3


@dataclass(frozen=True)
class NamedInput:
    """An input by all that a person may call it: its id, and the paths where it was found.

    withdrawn: forgotten; else it counts or is refused. at: when its ledger row last changed, UTC.
    here: those of the paths at which it was found last; at the others lies something else by now.
    sealed: its fragment was pruned, so that it can no longer be withdrawn.
    """

    input_id: str
    paths: frozenset[str]
    withdrawn: bool
    at: datetime
    here: frozenset[str] = frozenset()
    sealed: bool = False


def named_inputs(connection: duckdb.DuckDBPyConnection) -> list[NamedInput]:
    """Every input that counts, is refused or is withdrawn, by id."""
    rows = connection.execute(
        "SELECT input_id, list_distinct(list(f.path) || list(s.path)), "
        "bool_and(f.status = 'forgotten'), max(f.committed_at), list_distinct(list(s.path)), "
        "bool_or(sealed_at IS NOT NULL) "
        "FROM ledger_files f LEFT JOIN private.seen s USING (input_id) "
        "WHERE f.status <> 'superseded' GROUP BY input_id ORDER BY 1"
    ).fetchall()
    return [
        NamedInput(one, frozenset(paths), withdrawn, at, frozenset(here), sealed)
        for one, paths, withdrawn, at, here, sealed in rows
    ]


def inputs_called(
    name: str, absolute: str, inputs: Sequence[NamedInput], *, is_file: bool = False
) -> list[NamedInput]:
    """The inputs that a name means; more than one where it is ambiguous.

    The first way that fits decides: the path as it stands, or made absolute; an id, or its first
    8 and more digits; the base name of a path. absolute: the name as a path from the current
    folder. is_file: a file is there; then its name means that file, and none elsewhere.
    """
    ways: tuple[Callable[[NamedInput], bool], ...] = (
        lambda one: name in one.paths or absolute in one.paths,
        lambda one: _begins(one.input_id, name.lower()),
        lambda one: not is_file and any(PurePath(path).name == name for path in one.paths),
    )
    for fits in ways:
        found = [one for one in inputs if fits(one)]
        if found:
            return found
    return []


def names_like(name: str, inputs: Sequence[NamedInput]) -> list[str]:
    """The names that were perhaps meant: ids that begin so, and paths whose base name is near."""
    begun = [one.input_id for one in inputs if name and one.input_id.startswith(name.lower())]
    paths = {PurePath(path).stem: path for one in inputs for path in sorted(one.paths)}
    close = difflib.get_close_matches(PurePath(name).stem, paths, _NEAR, 0.75)
    return [*begun, *(paths[stem] for stem in close)][:_NEAR]


def _begins(input_id: str, digits: str) -> bool:
    return len(digits) >= SHORTEST_ID and _HEX.issuperset(digits) and input_id.startswith(digits)
