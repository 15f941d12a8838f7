"""What is derived from the schemas agrees with what it is derived from."""

import itertools
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from v6share.schemas.aggregates import FRAGMENT_TABLES, ROLL_UPS, rtt_boundaries
from v6share.schemas.columns import Kind, Merge, Table
from v6share.schemas.dimensions import DIMENSIONS
from v6share.schemas.fragment import FRAGMENT_SCHEMA, FragmentFile, FragmentKey, in_fragment
from v6share.schemas.ledger import FRAGMENT_LEDGERS, LEDGERS, REJECT_REASONS
from v6share.schemas.outcome import Outcome
from v6share.workspace.paths import Workspace

TABLES = (*FRAGMENT_TABLES, *ROLL_UPS, *LEDGERS, *DIMENSIONS)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_duckdb_gives_back_the_arrow_types(table: Table) -> None:
    with duckdb.connect() as connection:
        connection.execute(table.ddl())
        empty = pa.Table.from_pylist([], schema=table.arrow_schema)
        connection.register("empty", empty)
        connection.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM empty")
        read = connection.sql(f"SELECT * FROM {table.name}").to_arrow_table().schema
        described = connection.execute(f"DESCRIBE {table.name}").fetchall()
    assert read.names == list(table.arrow_schema.names)
    for column, (name, kind, null, *_) in zip(table.columns, described, strict=True):
        assert (name, kind) == (column.name, column.kind.value)
        assert (null == "YES") is column.nullable
        if column.kind is not Kind.HUGEINT:
            assert read.field(name).type.equals(column.kind.arrow), name


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_comments_travel_with_the_table(table: Table) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA s")
        connection.execute(table.ddl("s"))
        for comment in table.comments("s"):
            connection.execute(comment)
        query = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ?"
        said = dict(connection.execute(query, [table.name]).fetchall())
    for column in table.columns:
        assert said[column.name].startswith(column.meaning)
        assert column.unit in said[column.name]


def test_keys_come_first_and_every_measure_merges() -> None:
    for table in FRAGMENT_TABLES:
        held = in_fragment(table)
        assert tuple(held.arrow_schema.names[: len(held.key)]) == held.key
        assert all(column.merge in Merge for column in table.measures)


def test_hugeint_survives_the_way_into_duckdb() -> None:
    value = 10**38 - 1
    table = pa.table({"v": pa.array([value], Kind.HUGEINT.arrow)})
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (v HUGEINT)")
        connection.register("given", table)
        connection.execute("INSERT INTO t SELECT * FROM given")
        assert connection.execute("SELECT v FROM t").fetchall() == [(value,)]


def test_a_fragment_nests_every_table_without_what_is_the_same_for_its_input() -> None:
    for table in (*FRAGMENT_TABLES, *FRAGMENT_LEDGERS):
        nested = FRAGMENT_SCHEMA.field(table.name).type.value_type
        names = [nested.field(i).name for i in range(nested.num_fields)]
        assert names == [c.name for c in table.columns if c.name not in ("input_id", "client_key")]


def test_round_trip_buckets_are_one_percent_wide_at_most() -> None:
    bounds = rtt_boundaries()
    assert bounds[0] == 0
    assert bounds[-1] > 3_600_000_000 >= bounds[-2] or bounds[-1] == 3_600_000_000
    assert len(bounds) < 2**15, "the bucket is a SMALLINT"
    for low, high in itertools.pairwise(bounds):
        assert low < high
        # Any value v of the bucket, told as 2 * low' * high / (low' + high), is off by <= 1 %.
        smallest = low + 1
        told = 2 * smallest * high / (smallest + high)
        assert max(abs(told - v) / v for v in (smallest, high)) <= 0.01 + 1e-12


KEY = FragmentKey("ab" * 32, "ipfix", 1, "cd" * 32)
FRAGMENT = FragmentFile("ef" * 32, 9)


def test_an_outcome_survives_its_line_of_json() -> None:
    silent = {"10.0.0.1": 7}
    whole = Outcome("/ü\n\u2028.parquet", 1, 2**62, "fragment", KEY, 3, 2, 1, 2**70, silent)
    for outcome in (
        replace(whole, fragment=FRAGMENT),
        Outcome("x", 1, 2, "known", KEY),
        Outcome("x", 0, 0, "quarantined", KEY, reason="unreadable", detail='a "quoted" word'),
        Outcome("x", 0, 0, "busy", reason="busy"),
    ):
        line = outcome.to_json()
        assert "\n" not in line
        assert Outcome.from_json(line) == outcome


LINE = Outcome("x", 1, 2, "fragment", KEY, fragment=FRAGMENT).to_json()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        LINE[:-1],
        LINE + " ",
        LINE.replace('"size": 1', '"size": "1"'),
        LINE.replace('"size": 1', '"size": 1.0'),
        LINE.replace('"size": 1, ', ""),
        LINE.replace('"detail": "", ', ""),
        LINE.replace('"size": 1', '"size": 1, "sized": 1'),
        LINE.replace('"status": "fragment"', '"status": "done"'),
        LINE.replace('"status": "fragment"', '"status": "known"'),
        LINE.replace('"status": "fragment"', '"status": "busy"'),
        Outcome("x", 1, 2, "fragment", KEY).to_json(),
        Outcome("x", 1, 2, "fragment", fragment=FRAGMENT).to_json(),
        Outcome("x", 1, 2, "quarantined", reason="unreadable").to_json(),
        Outcome("x", 1, 2, "failed", KEY).to_json(),
    ],
)
def test_a_line_that_is_no_outcome_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r": |fields"):
        Outcome.from_json(line)


def test_a_fragment_id_depends_on_every_part_of_the_key() -> None:
    key = FragmentKey("a", "b", 1, "c")
    others = [FragmentKey("x", "b", 1, "c"), FragmentKey("a", "x", 1, "c")]
    others += [FragmentKey("a", "b", 2, "c"), FragmentKey("a", "b", 1, "x")]
    assert len({k.fragment_id for k in (key, *others)}) == 5
    assert FragmentKey("a", "b", 1, "c").fragment_id == key.fragment_id


def test_reject_reasons_fit_the_mask() -> None:
    assert len(REJECT_REASONS) <= 16
    assert len(set(REJECT_REASONS)) == len(REJECT_REASONS)


def test_everything_of_a_workspace_is_inside_it(tmp_path: pytest.TempPathFactory) -> None:
    work = Workspace(tmp_path)  # type: ignore[arg-type]
    fragment = work.fragment("abcdef")
    assert fragment == work.fragments / "ab" / "abcdef.parquet"
    paths = (work.settings, work.catalog, work.warehouse, work.journal, work.client_key)
    paths += (work.quarantine, work.outcomes, work.lock, work.published, fragment)
    assert all(path.is_relative_to(work.root) for path in paths)
    assert len(set(paths)) == len(paths)
    assert not list(work.root.iterdir())
