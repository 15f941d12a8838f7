"""Folds: all rows of all tables in order, the next one made while one is merged, errors at hand."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
from fragment_maker import make_fragment, workspace_at

import v6share.warehouse.merge.fold_fragments as folding
from v6share.schemas.aggregates import FRAGMENT_TABLES, TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.schemas.merge_rows import combine
from v6share.warehouse.merge.fold_fragments import folds_ahead
from v6share.warehouse.merge.read_fragments import FragmentSource, open_fragments, read_parts

PATIENCE = 20


@pytest.fixture
def sources(tmp_path: Path) -> list[FragmentSource]:
    workspace = workspace_at(tmp_path)
    made = [make_fragment(workspace, f"{i}.parquet", seed=i) for i in range(4)]
    return [
        FragmentSource(one.key, workspace.fragment(one.key.fragment_id), one.path) for one in made
    ]


def test_folds_are_the_rows_of_all_tables_in_their_order(
    sources: list[FragmentSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_of(table: Table) -> list[pa.Table]:
        return list(read_parts(open_fragments(sources), table))

    expected = {table.name: combine(table, rows_of(table)) for table in FRAGMENT_TABLES}
    for stage_bytes in (folding.STAGE_BYTES, 1):
        monkeypatch.setattr(folding, "FOLD_BYTES", 1)
        monkeypatch.setattr(folding, "STAGE_BYTES", stage_bytes)
        with folds_ahead(rows_of) as folds:
            found = list(folds)
        last = [fold.table.name for fold in found if fold.is_last]
        assert last == [table.name for table in FRAGMENT_TABLES]
        assert (len(found) > len(last)) == (stage_bytes == 1)
        for table in FRAGMENT_TABLES:
            parts = [fold.rows for fold in found if fold.table is table]
            assert combine(table, parts).equals(expected[table.name])


def test_one_part_that_repeats_keys_is_folded(sources: list[FragmentSource]) -> None:
    def parts_of(table: Table) -> Iterator[pa.Table]:
        yield pa.concat_tables(read_parts(open_fragments([sources[0], sources[0]]), table))

    with folds_ahead(parts_of) as folds:
        for fold in folds:
            once = next(read_parts(open_fragments(sources[:1]), fold.table))
            assert fold.rows.num_rows == once.num_rows
            assert fold.rows.equals(combine(fold.table, [once, once]))


def test_one_fold_is_made_ahead_and_no_more() -> None:
    begun = {table.name: Event() for table in FRAGMENT_TABLES}

    def parts_of(table: Table) -> Iterator[pa.Table]:
        begun[table.name].set()
        yield table.arrow_schema.empty_table()

    first, second, third = (begun[table.name] for table in FRAGMENT_TABLES[:3])
    with folds_ahead(parts_of) as folds:
        assert first.wait(PATIENCE)
        assert next(folds).table is FRAGMENT_TABLES[0]
        assert second.wait(PATIENCE)
        assert not third.wait(0.1)
        assert next(folds).table is FRAGMENT_TABLES[1]
        assert third.wait(PATIENCE)


def test_what_fails_while_a_fold_is_made_is_raised_where_it_is_taken() -> None:
    def parts_of(table: Table) -> Iterator[pa.Table]:
        if table is not TRAFFIC_5M:
            raise ZeroDivisionError(table.name)
        yield table.arrow_schema.empty_table()

    with folds_ahead(parts_of) as folds:
        assert next(folds).table is TRAFFIC_5M
        with pytest.raises(ZeroDivisionError, match=FRAGMENT_TABLES[1].name):
            next(folds)
