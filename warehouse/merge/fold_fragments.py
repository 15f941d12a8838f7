"""The rows of many fragments folded together, one table after the other.

Inputs of the same days share their keys, so what is read is folded as soon as it grows. The next
fold is made by a thread while the committer merges the one before: DuckDB inserts on one core.
In memory are at most two folds, the fragments of one of them, and what is read ahead of it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from v6share.schemas.aggregates import FRAGMENT_TABLES
from v6share.schemas.columns import Table
from v6share.schemas.merge_rows import combine

# Rows of fragments that are read before they are folded together, as Arrow.
FOLD_BYTES: Final = 40 << 20
# Folded rows beyond which they wait on a stage.
STAGE_BYTES: Final = 96 << 20


@dataclass(frozen=True)
class Fold:
    """Rows of one table with equal keys merged. is_last: of its table; else more will follow."""

    table: Table
    rows: pa.Table
    is_last: bool


@contextmanager
def folds_ahead(parts_of: Callable[[Table], Iterable[pa.Table]]) -> Iterator[Iterator[Fold]]:
    """The folds of all fragment tables, the next one always under way, the first one at once.

    parts_of: the rows of one table, some at a time. Whatever it raises, and SumBeyondRangeError,
    comes from the iterator.
    """
    folds = (fold for table in FRAGMENT_TABLES for fold in _folds(table, parts_of(table)))
    with ThreadPoolExecutor(1, thread_name_prefix="v6share-fold") as thread:
        upcoming = [thread.submit(next, folds, None)]

        def given() -> Iterator[Fold]:
            while (fold := upcoming.pop().result()) is not None:
                upcoming.append(thread.submit(next, folds, None))
                yield fold

        yield given()


def _folds(table: Table, parts: Iterable[pa.Table]) -> Iterator[Fold]:
    waiting: list[pa.Table] = []
    read_bytes = 0
    for rows in parts:
        if rows.num_rows:
            waiting.append(rows)
            read_bytes += rows.nbytes
        if read_bytes <= FOLD_BYTES:
            continue
        folded, read_bytes = _folded(table, waiting), 0
        if folded.nbytes > STAGE_BYTES:
            yield Fold(table, folded, is_last=False)
        else:
            waiting.append(folded)
        del folded
    is_folded = len(waiting) == 1 and read_bytes == 0
    yield Fold(table, waiting.pop() if is_folded else _folded(table, waiting), is_last=True)


def _folded(table: Table, parts: list[pa.Table]) -> pa.Table:
    rows = combine(table, _given_away(parts))
    # What it took on the way is free for what is read next, by other threads.
    pa.default_memory_pool().release_unused()
    return rows


def _given_away(parts: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield the parts and drop each from the list, so that a part is freed once it is merged."""
    while parts:
        yield parts.pop(0)
