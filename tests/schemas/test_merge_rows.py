"""Merging against a plain-Python oracle, and where 64 and 128 bits end."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from v6share.schemas import merge_rows as combining
from v6share.schemas.aggregates import CLIENTS_1D, EXPORTERS_1H, THETA_MAX, TRAFFIC_1H, TRAFFIC_5M
from v6share.schemas.columns import Column, Kind, Merge, Table
from v6share.schemas.merge_rows import SumBeyondRangeError, combine, group_rows, roll_up
from v6share.warehouse.database.arrow import insert_rows

SMALL = Table(
    "small",
    "Text, a number and every integer merge.",
    (
        Column("name", Kind.TEXT, ""),
        Column("number", Kind.SMALLINT, ""),
        Column("wide", Kind.HUGEINT, "", merge=Merge.SUM),
        Column("total", Kind.BIGINT, "", merge=Merge.SUM),
        Column("least", Kind.BIGINT, "", merge=Merge.MIN),
        Column("greatest", Kind.BIGINT, "", merge=Merge.MAX),
    ),
)
NAMES = ["", "b", "a", "ab", "Z", "é", "zz", "\U0001f600", "￮"]
LOW, HIGH = -(2**63), 2**63 - 1
Row = dict[str, Any]


def arrow(table: Table, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table.arrow_schema)


def random_rows(rng: random.Random, count: int, size: int) -> list[Row]:
    return [
        {
            "name": rng.choice(NAMES),
            "number": rng.randrange(-3, 3),
            "wide": rng.randrange(-(size**2), size**2),
            **{name: rng.randrange(-size, size) for name in ("total", "least", "greatest")},
        }
        for _ in range(count)
    ]


def oracle(rows: list[Row]) -> list[Row]:
    groups: dict[tuple[bytes, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["name"].encode(), row["number"]), []).append(row)
    how = {"wide": sum, "total": sum, "least": min, "greatest": max}
    return [
        {"name": key[0].decode(), "number": key[1]}
        | {name: merge(row[name] for row in groups[key]) for name, merge in how.items()}
        for key in sorted(groups)
    ]


@pytest.mark.parametrize("size", [10, 2**30, 2**55])
@pytest.mark.parametrize("word_bits", [63, 5])
@pytest.mark.parametrize("few_rows", [0, 1000], ids=["threads", "no threads"])
def test_equals_the_oracle_in_any_partition(
    monkeypatch: pytest.MonkeyPatch, size: int, word_bits: int, few_rows: int
) -> None:
    monkeypatch.setattr(combining, "_WORD_BITS", word_bits)
    monkeypatch.setattr(combining, "_FEW_ROWS", few_rows)
    rng = random.Random(size)
    for count in (1, 2, 40, 300):
        rows = random_rows(rng, count, size)
        wanted = oracle(rows)
        whole = combine(SMALL, [arrow(SMALL, rows)])
        assert whole.to_pylist() == wanted
        cut = rng.randrange(count)
        parts = [arrow(SMALL, rows[cut:]).slice(0), arrow(SMALL, rows[:cut])]
        assert combine(SMALL, parts).to_pylist() == wanted
        assert combine(SMALL, [combine(SMALL, [part]) for part in parts]).to_pylist() == wanted
        sliced = [arrow(SMALL, rows).slice(cut), arrow(SMALL, rows).slice(0, cut)]
        assert combine(SMALL, sliced).to_pylist() == wanted


def test_keys_of_more_bits_than_an_integer_has() -> None:
    names = [f"k{i}" for i in range(8)]
    keys = tuple(Column(name, Kind.SMALLINT, "") for name in names)
    wide = Table("wide", "80 bits.", (*keys, Column("n", Kind.BIGINT, "", merge=Merge.SUM)))
    rows = [dict.fromkeys(names, n) | {"n": 1} for n in range(600)]
    rows += [row | {name: 599 - row["k0"]} for row in rows for name in names]
    counts: dict[tuple[int, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        counts[key] = counts.get(key, 0) + 1
    found = combine(wide, [arrow(wide, rows)]).to_pylist()
    assert [(tuple(row[name] for name in names), row["n"]) for row in found] == sorted(
        counts.items()
    )


def test_keys_of_one_bit_more_than_a_word_has() -> None:
    # Six times 10 bits and one time 4: the sign of a 64-bit integer is no room.
    names = [f"k{i}" for i in range(7)]
    keys = tuple(Column(name, Kind.SMALLINT, "") for name in names)
    wide = Table("wide", "64 bits.", (*keys, Column("n", Kind.BIGINT, "", merge=Merge.SUM)))
    rows = [dict.fromkeys(names, n) | {"k6": n % 16, "n": 1} for n in reversed(range(600))]
    found = combine(wide, [arrow(wide, rows)]).column("k0").to_pylist()
    assert found == list(range(600))


def test_the_dictionaries_of_keys_ascend_and_have_no_text_without_a_row() -> None:
    def part(dictionary: list[str], numbers: list[int]) -> pa.Table:
        rest = {"number": 0, "wide": 0, "total": 1, "least": 0, "greatest": 0}
        rows = arrow(SMALL, [rest | {"name": ""} for _ in numbers])
        indices = pa.array(numbers, pa.int32())
        names = pa.DictionaryArray.from_arrays(indices, pa.array(dictionary))
        return rows.set_column(0, "name", names)

    parts = [part(["z", "none", "é"], [2, 0, 0]), part(["b", "z", "nothing"], [1, 0])]
    for some in (parts, parts[::-1]):
        found = combine(SMALL, some)
        (names,) = found["name"].chunks
        assert names.dictionary.to_pylist() == names.to_pylist() == ["b", "z", "é"]
        assert found["total"].to_pylist() == [1, 3, 1]
    assert (
        combine(SMALL, [part(["none"], [])])["name"].combine_chunks().dictionary.to_pylist() == []
    )


def test_rows_are_grouped_without_measures() -> None:
    text = pa.array(["b", "a", "b", "a", "b"]).dictionary_encode()
    groups = group_rows([text, pa.array([2, 1, 2, 0, 1], pa.int16())])
    assert [key.to_pylist() for key in groups.keys] == [["a", "a", "b", "b"], [0, 1, 1, 2]]
    assert groups.starts.tolist() == [0, 1, 2, 3]
    assert groups.order[:3].tolist() == [3, 1, 4]
    assert sorted(groups.order[3:].tolist()) == [0, 2]
    none = group_rows([text.slice(0, 0)])
    assert (len(none.order), len(none.starts), len(none.keys[0])) == (0, 0, 0)


def test_nothing_gives_nothing() -> None:
    for table in (SMALL, CLIENTS_1D):
        assert combine(table, []).num_rows == 0
        assert combine(table, [table.arrow_schema.empty_table()]).num_rows == 0


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ([HIGH, 0], True),
        ([HIGH, 1], False),
        ([LOW, 0], True),
        ([LOW, -1], False),
        ([HIGH, HIGH, LOW, LOW, 1], True),
        ([HIGH] * 5, False),
        ([2**62, 2**62 - 1], True),
        ([2**62, 2**62], False),
    ],
)
@pytest.mark.parametrize(("name", "shift"), [("total", 0), ("wide", 64)])
def test_sums_end_where_the_column_ends(
    values: list[int], fits: bool, name: str, shift: int
) -> None:
    rest = {"name": "a", "number": 1, "wide": 0, "total": 0, "least": 0, "greatest": 0}
    rows = [rest | {name: value} for value in values]
    found = arrow(SMALL, rows)
    if shift:  # The high half of 128 bits, which no Python decimal of 38 digits reaches.
        raw = b"".join((value << shift).to_bytes(16, "little", signed=True) for value in values)
        column = pa.Array.from_buffers(pa.decimal128(38, 0), len(values), [None, pa.py_buffer(raw)])
        found = found.set_column(2, "wide", column)
    if not fits:
        with pytest.raises(SumBeyondRangeError, match=f"small.{name}: .* more than"):
            combine(SMALL, [found])
        return
    connection = duckdb.connect()
    connection.execute(SMALL.ddl())
    insert_rows(connection, "small", combine(SMALL, [found]))
    assert connection.execute(f"SELECT {name} FROM small").fetchall() == [(sum(values) << shift,)]


def test_a_null_is_an_error() -> None:
    row = {"name": "a", "number": 1, "wide": 0, "total": None, "least": 0, "greatest": 0}
    with pytest.raises(ValueError, match=r"small\.total has 1 nulls"):
        combine(SMALL, [pa.table({k: pa.array([v], SMALL.arrow_schema.field(k).type)
                                  for k, v in row.items()})])  # fmt: skip


def test_hugeint_goes_into_duckdb_as_it_is() -> None:
    values = [0, 1, -1, 2**64, -(2**64), 10**38 - 1, 1 - 10**38]
    rows = [
        {"name": str(i), "number": 0, "wide": v, "total": 0, "least": 0, "greatest": 0}
        for i, v in enumerate(values)
    ]
    connection = duckdb.connect()
    connection.execute(SMALL.ddl())
    table = arrow(SMALL, rows)
    insert_rows(connection, "small", pa.concat_tables([table.slice(3), table.slice(0, 3)]))
    found = connection.execute("SELECT wide FROM small ORDER BY name").fetchall()
    assert [value for (value,) in found] == values


def test_sketches_that_are_out_of_order_are_put_in_order() -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    key = {
        "day": day,
        "vantage": "edge",
        "scope": "all",
        "id": "",
        "family": "v6",
        "unit": "prefix",
        "client_key": 0,
    }
    rows = [key | {"theta": 50, "client_hashes": [9, 3, 3, 50, 60]}]
    for some in (rows, [*rows, key | rows[0] | {"id": "beside"}]):  # united alone, and together
        for one in combine(CLIENTS_1D, [arrow(CLIENTS_1D, some)]).to_pylist():
            assert (one["theta"], one["client_hashes"]) == (50, [3, 9])
    other = key | {"theta": THETA_MAX, "client_hashes": list(range(4097))}
    (one,) = combine(CLIENTS_1D, [arrow(CLIENTS_1D, [other])]).to_pylist()
    assert (one["theta"], one["client_hashes"]) == (4096, list(range(4096)))
    none = key | {"theta": THETA_MAX, "client_hashes": []}
    (one,) = combine(CLIENTS_1D, [arrow(CLIENTS_1D, [none, none])]).to_pylist()
    assert (one["theta"], one["client_hashes"]) == (THETA_MAX, [])


def test_many_sketches_unite_as_sets_do() -> None:
    """Few hashes and many, over the bounds of what is sorted together; the oracle is Python's."""
    chance = np.random.default_rng(5)
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    rows = []
    for number in range(60):
        key = {"day": day, "vantage": "edge", "scope": "app", "family": "v6", "unit": "prefix"}
        key["client_key"] = 0
        crowd = chance.integers(0, 2**63, int(chance.choice([0, 7, 500, 20_000])), np.uint64)
        if number % 5 < 2:  # neighbours that end and begin with the same hash
            crowd = np.array([7], np.uint64)
        for _ in range(chance.integers(1, 5)):
            part = np.unique(chance.choice(crowd, min(len(crowd), 4000))) if len(crowd) else crowd
            theta = THETA_MAX if chance.random() < 0.5 else 2**62
            below = [h for h in part.tolist() if h < theta]
            rows.append(key | {"id": f"{number:02}", "theta": theta, "client_hashes": below})
    chance.shuffle(rows)
    found = combine(CLIENTS_1D, [arrow(CLIENTS_1D, rows[0::2]), arrow(CLIENTS_1D, rows[1::2])])
    for one in found.to_pylist():
        parts = [row for row in rows if row["id"] == one["id"]]
        theta = min(row["theta"] for row in parts)
        kept = sorted({h for row in parts for h in row["client_hashes"] if h < theta})
        theta = kept[4096] if len(kept) > 4096 else theta
        assert (one["theta"], one["client_hashes"]) == (theta, kept[:4096])
    sizes = [len(one["client_hashes"]) for one in found.to_pylist()]
    assert min(sizes) == 0
    assert max(sizes) == 4096


def test_more_groups_than_16_bits_tell_apart() -> None:
    """Nearly all sketches are empty, so few hashes stand beside very many groups."""
    held = {0: [5, 9], 65_535: [9], 65_536: [9, 11], 65_999: [7]}
    groups = 66_000
    ends = np.cumsum([0, *(len(held.get(group, [])) for group in range(groups))])
    columns = {
        column.name: pa.array([""]).take(pa.array(np.zeros(groups, np.int64)))
        for column in CLIENTS_1D.columns
        if column.name in CLIENTS_1D.key
    } | {
        "day": pa.array(np.zeros(groups, np.int32)).view(pa.date32()),
        "id": pa.array([f"{group:05}" for group in range(groups)]),
        "client_key": pa.array(np.zeros(groups, np.int16)),
        "theta": pa.array(np.full(groups, THETA_MAX, np.uint64)),
        "client_hashes": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()),
            pa.array([hash_ for some in held.values() for hash_ in some], pa.uint64()),
        ),
    }
    found = combine(CLIENTS_1D, [pa.table(columns)])["client_hashes"]
    assert {i: found[i].as_py() for i in held} == held
    assert pc.sum(pc.list_value_length(found)).as_py() == ends[-1]


def test_first_and_last_seen_keep_their_microseconds() -> None:
    start = datetime(2026, 3, 1, 5)  # noqa: DTZ001 - UTC without zone, as in the tables
    seen = [start + timedelta(microseconds=n) for n in (5, 1, 9)]
    measures = dict.fromkeys(("records", "packets", "bytes", "sampling_min", "sampling_max"), 1)
    rows = [
        {"window_start": start, "exporter": "e", "family": "v6", "first_seen": at, "last_seen": at}
        | measures
        for at in seen
    ]
    (one,) = combine(EXPORTERS_1H, [arrow(EXPORTERS_1H, rows)]).to_pylist()
    assert (one["first_seen"], one["last_seen"], one["records"]) == (seen[1], seen[2], 3)


def test_hours_before_1970_round_down() -> None:
    key = dict.fromkeys(TRAFFIC_5M.key[1:], "x")
    sums = dict.fromkeys((c.name for c in TRAFFIC_5M.measures), 1)
    start = datetime(1969, 12, 31, 23)  # noqa: DTZ001 - UTC without zone, as in the tables
    rows = [{"window_start": start + timedelta(minutes=5 * n)} | key | sums for n in range(24)]
    found = roll_up(TRAFFIC_1H, arrow(TRAFFIC_5M, rows), 3_600_000_000).to_pylist()
    assert [(row["window_start"], row["records"]) for row in found] == [
        (start, 12),
        (start + timedelta(hours=1), 12),
    ]
