"""Fragments into tables: what is new counts in full, and others on the days that are made again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext

import duckdb
import pyarrow as pa

from v6share.schemas.aggregates import TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.schemas.ledger import LEDGER_FAMILIES
from v6share.schemas.row_sample import SAMPLED_ROWS
from v6share.warehouse.database.arrow import insert_rows
from v6share.warehouse.merge.balance import Balance
from v6share.warehouse.merge.fold_fragments import Fold, folds_ahead
from v6share.warehouse.merge.horizons import read_horizons
from v6share.warehouse.merge.overlaps import note_sampled
from v6share.warehouse.merge.read_fragments import (
    FragmentSource,
    Header,
    open_with_ledgers,
    read_parts,
)
from v6share.warehouse.merge.upsert import merge_stage, stage_rows, upsert_rows

# The rows of one aggregate table, some at a time.
RowsOf = Callable[[Table], Iterator[pa.Table]]


def merge_fragments(
    connection: duckdb.DuckDBPyConnection,
    added: Sequence[FragmentSource],
    others: RowsOf | None = None,
) -> list[Header]:
    """Merge fragments with their ledgers, one table after the other; the headers of those added.

    others: more rows, of inputs whose ledgers are there, on days that were emptied. Part of a
    transaction. Raises FragmentUnreadable, SumBeyondRangeError, and NotConserved where there are
    no others.
    """
    new, ledgers = open_with_ledgers(added)

    def parts_of(table: Table) -> Iterator[pa.Table]:
        yield from read_parts(new, table)
        if others is not None:
            yield from others(table)

    with folds_ahead(parts_of) as folds:
        balance = Balance(ledgers.get(LEDGER_FAMILIES.name), read_horizons(connection))
        # A thread makes the first fold meanwhile. Each ledger is freed once it is inserted.
        if ledgers:
            note_sampled(connection, ledgers.pop(SAMPLED_ROWS.name))
        while ledgers:
            insert_rows(connection, *ledgers.popitem())
        _merge_folds(connection, folds, balance)
    if others is None:  # else their rows are among what was merged: the checks compare then
        balance.check()
    return [one.header for one in new]


def _merge_folds(
    connection: duckdb.DuckDBPyConnection, folds: Iterable[Fold], balance: Balance
) -> None:
    """Merge folds into the tables; those of one table wait on a stage where they are many.

    balance: takes what the tables of traffic gain.
    """
    is_staged = False
    for fold in folds:
        is_weighed = fold.table is TRAFFIC_5M
        if is_weighed:
            balance.expect(fold.rows)
        if is_staged or not fold.is_last:
            stage_rows(connection, fold.table, fold.rows, anew=not is_staged)
        if fold.is_last:
            with balance.weighing(connection) if is_weighed else nullcontext():
                if is_staged:
                    merge_stage(connection, fold.table)
                else:
                    upsert_rows(connection, fold.table, fold.rows)
        is_staged = not fold.is_last
        # What one fold took is free for the next, and for the checks and the snapshot.
        pa.default_memory_pool().release_unused()
