"""Pairs of inputs that hold the same rows, kept in ``ledger_overlaps`` as inputs come and go.

A pair depends on its two inputs alone, and is found when the second of them comes. So the table is
the same whatever their order.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.ledger import LEDGER_OVERLAPS
from v6share.schemas.row_sample import SAMPLED_ROWS
from v6share.warehouse.database.arrow import delete_matching, fetch_table, insert_rows
from v6share.warehouse.database.touched import note_touched_ids
from v6share.warehouse.merge.compare_samples import (
    LEAST_IN_COMMON,
    Sample,
    SampledRow,
    overlap_of,
)

_SAMPLED: Final = f"private.{SAMPLED_ROWS.name}"

# An input by what decides which of two is the later one.
_Input = tuple[datetime, str]


def note_sampled(connection: duckdb.DuckDBPyConnection, sampled: pa.Table) -> None:
    """Keep the samples of new inputs, and the pairs that they make with each other and with all
    that are there. Part of a transaction.
    """
    if not sampled.num_rows:
        return
    insert_rows(connection, _SAMPLED, sampled)
    pairs = _alike(connection, sampled)
    samples = _samples_of(connection, {one for pair in pairs for one in pair})
    found = [
        {"input_id": later[1], "other_input_id": earlier[1], **vars(overlap)}
        for earlier, later in sorted(pairs)
        if (overlap := overlap_of(samples[earlier], samples[later])) is not None
    ]
    rows = pa.Table.from_pylist(found, schema=LEDGER_OVERLAPS.arrow_schema)
    insert_rows(connection, LEDGER_OVERLAPS.name, rows)
    _note_touched(connection, rows["input_id"].to_pylist())


def withdraw_sampled(connection: duckdb.DuckDBPyConnection, gone: Sequence[str]) -> None:
    """Drop the samples of inputs that do not count any more, and all pairs with one of them."""
    incoming = pa.table({"input_id": pa.array(gone, pa.string())})
    delete_matching(connection, _SAMPLED, "input_id", incoming)
    later = connection.execute(
        f"SELECT input_id FROM {LEDGER_OVERLAPS.name} "
        "WHERE other_input_id IN (SELECT input_id FROM incoming)"
    ).fetchall()
    for column in ("input_id", "other_input_id"):
        delete_matching(connection, LEDGER_OVERLAPS.name, column, incoming)
    _note_touched(connection, [input_id for (input_id,) in later])


def _note_touched(connection: duckdb.DuckDBPyConnection, later: Iterable[str]) -> None:
    """Note whose pairs changed: they need not be the inputs that came or went."""
    note_touched_ids(connection, [LEDGER_OVERLAPS.name], set(later))


def _alike(connection: duckdb.DuckDBPyConnection, incoming: pa.Table) -> set[tuple[_Input, _Input]]:
    """The pairs of a new input and another that share enough sampled rows to be compared.

    Equal rows have equal times, so the times of both inputs overlap. Inputs mostly come in the
    order of their times: few samples of others are read, however many there are.
    """
    span = pc.min(incoming["first_start"]).as_py(), pc.max(incoming["last_end"]).as_py()
    rows = connection.execute(
        "SELECT n.first_start, n.input_id, s.first_start, s.input_id "
        f"FROM {_SAMPLED} s JOIN incoming n ON n.digest = s.digest AND n.input_id <> s.input_id "
        "AND n.first_start <= s.last_end AND n.last_end >= s.first_start "
        # As values, too: what lies outside is never read.
        "WHERE s.last_end >= ? AND s.first_start <= ? GROUP BY ALL HAVING count(*) >= ?",
        [*span, LEAST_IN_COMMON],
    ).fetchall()
    pairs = (
        sorted([(start, one), (other_start, other)]) for start, one, other_start, other in rows
    )
    return {(earlier, later) for earlier, later in pairs}


def _samples_of(connection: duckdb.DuckDBPyConnection, inputs: set[_Input]) -> dict[_Input, Sample]:
    if not inputs:
        return {}
    rows = fetch_table(
        connection,
        f"SELECT first_start, input_id, {', '.join(SampledRow._fields)} FROM {_SAMPLED} "
        "WHERE first_start BETWEEN ? AND ? AND input_id IN (SELECT unnest(CAST(? AS VARCHAR[])))",
        [min(inputs)[0], max(inputs)[0], sorted(input_id for _, input_id in inputs)],
    )
    samples: dict[_Input, dict[int, SampledRow]] = defaultdict(dict)
    for start, input_id, *values in zip(*rows.to_pydict().values(), strict=True):
        row = SampledRow(*values)
        samples[start, input_id][row.digest] = row
    return dict(samples)
