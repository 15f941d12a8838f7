"""Laws of the committer: the tables are a function of the set of live fragments."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fragment_maker import (
    AT,
    Made,
    assert_equal,
    commit,
    contents,
    empty_catalog,
    expected_aggregates,
    expected_overlaps,
    forget,
    found_aggregates,
    found_overlaps,
    input_id,
    ledgers,
    make_fragment,
    quarantine,
    stored,
    workspace_at,
    write_fragment,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import v6share.warehouse.commit as committer
import v6share.warehouse.merge.fold_fragments as folding
import v6share.warehouse.merge.read_fragments as fragments
import v6share.warehouse.merge.upsert as merging
from v6share.schemas.aggregates import AGGREGATES, TRAFFIC_5M
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FRAGMENT_SCHEMA
from v6share.schemas.ledger import LEDGERS
from v6share.warehouse.checks import run_checks
from v6share.warehouse.commit import SumTooLarge, apply, record
from v6share.warehouse.ledger.journal import Entry, Forget, Run, Seen
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.quarantine_notes import refusal_file
from v6share.warehouse.merge.balance import NotConserved
from v6share.warehouse.merge.read_fragments import FragmentUnreadable
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def after(workspace: Workspace, *commits: list[Entry]) -> dict[str, pa.Table]:
    """The tables of a fresh warehouse with these journal entries, then removed again."""
    wipe(workspace)
    connection = open_warehouse(workspace)
    for entries in commits:
        record(connection, workspace, entries)
    tables = contents(connection)
    assert failed_checks(connection) == []
    connection.close()
    return tables


def failed_checks(connection) -> list[str]:
    return [result.name for result in run_checks(connection) if result.blocks]


def wipe(workspace: Workspace) -> None:
    for file in (workspace.journal, *workspace.state.glob("warehouse.duckdb*")):
        file.unlink(missing_ok=True)


def made_several(workspace: Workspace, count: int = 6) -> list[Made]:
    return [
        make_fragment(workspace, f"f{i}", seed=i, first_day=i % 3, days=1 + i % 2)
        for i in range(count)
    ]


def test_tables_equal_the_oracle(workspace: Workspace) -> None:
    made = made_several(workspace)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(*made[:3])])
    record(connection, workspace, [commit(*made[3:])])
    assert found_aggregates(connection) == expected_aggregates(made)
    assert found_overlaps(connection) == expected_overlaps(made) != set()
    assert failed_checks(connection) == []
    connection.close()


def test_full_sketches_equal_the_oracle(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i, days=1, rows=8, hashes=6000) for i in range(5)]
    for order in (made, made[::-1]):
        wipe(workspace)
        connection = open_warehouse(workspace)
        for one in order:
            record(connection, workspace, [commit(one)])
        found = found_aggregates(connection)["clients_1d"]
        connection.close()
        assert found == expected_aggregates(made)["clients_1d"]
        assert any(len(row["client_hashes"]) == 4096 for row in found)


@dataclass(frozen=True)
class Several:
    """A few fragments, and the tables of all of them in one commit."""

    workspace: Workspace
    made: list[Made]
    tables: dict[str, pa.Table]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Several:
    workspace = workspace_at(tmp_path_factory.mktemp("several") / "w")
    made = made_several(workspace)
    return Several(workspace, made, after(workspace, [commit(*made)]))


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_order_and_partition_gives_the_same_tables(
    data: st.DataObject, several: Several
) -> None:
    made = several.made
    order = data.draw(st.permutations(made))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(made) - 1))))
    parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(made)], strict=True)]
    found = after(several.workspace, *([commit(*part)] for part in parts))
    assert_equal(found, several.tables)


def test_small_batches_give_the_same_tables(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_several(workspace)
    wanted = after(workspace, [commit(*made)])
    for kept in (0, 1, 100_000):
        monkeypatch.setattr(fragments, "KEPT_BYTES", kept)
        assert_equal(after(workspace, [commit(*made)]), wanted)
    monkeypatch.setattr(folding, "FOLD_BYTES", 1)
    assert_equal(after(workspace, [commit(*made)]), wanted)
    monkeypatch.setattr(folding, "STAGE_BYTES", 1)
    assert_equal(after(workspace, [commit(*made)]), wanted)
    # Days one by one, and each in several buckets of keys.
    monkeypatch.setattr(merging, "PART_WEIGHT", 5)
    assert_equal(after(workspace, [commit(*made)]), wanted)


def test_a_long_journal_is_applied_in_slices(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_several(workspace)
    wanted = after(workspace, *([commit(one)] for one in made), [forget(made[0])])
    monkeypatch.setattr(committer, "SLICE_INPUTS", 2)
    done = rebuild(workspace, None)
    assert done.added - done.removed == len(made) - 1
    connection = open_warehouse(workspace)
    assert_equal(contents(connection), wanted)
    connection.close()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50)), unique_by=lambda d: d[0]),
    st.integers(1, 60),
)
def test_parts_cover_each_day_once_and_are_small(days: list[tuple[int, int]], limit: int) -> None:
    weights = {date(2026, 1, 1) + timedelta(days=day): weight for day, weight in sorted(days)}
    parts = list(merging.divide_days(list(weights.items()), limit))
    for day, weight in weights.items():
        of_day = [p for p in parts if p.first_day <= day <= p.last_day]
        assert [p.bucket for p in of_day] == list(range(of_day[0].buckets))
        assert weight / of_day[0].buckets <= limit
    for part in parts:
        inside = [w for day, w in weights.items() if part.first_day <= day <= part.last_day]
        assert sum(inside) <= limit or len(inside) == 1


@pytest.mark.parametrize("staged", [False, True])
def test_parts_that_fill_row_groups(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, staged: bool
) -> None:
    """A transaction must not delete what it inserted: DuckDB 2.0.0 reads garbage then."""
    if staged:
        monkeypatch.setattr(folding, "FOLD_BYTES", 1)
        monkeypatch.setattr(folding, "STAGE_BYTES", 1)
    monkeypatch.setattr(merging, "PART_WEIGHT", 60_000)
    small = {c.name: 3 for c in TRAFFIC_5M.measures}
    made = []
    for i in range(3):
        one = make_fragment(workspace, f"f{i}", i, days=1)
        rows = one.row["traffic_5m"]
        many = [row | small | {"app": f"app{n}"} for n in range(6_000) for row in rows]
        figures = {"rows_counted": 3 * len(many), "rows_rejected": 1, "rows_in": 3 * len(many) + 1}
        row = one.row | {"traffic_5m": many} | ledgers(many, rejected=1)
        write_fragment(workspace, one.key, row | figures)
        made.append(one)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(*made[:2])])
    record(connection, workspace, [commit(made[2])])
    assert failed_checks(connection) == []
    connection.close()


def test_a_transaction_deletes_nothing_that_it_inserted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty warehouse: nothing at all. Parts share no key, and their roll-ups none."""
    made = make_fragment(workspace, "f", 1, days=1, rows=300)
    assert len(expected_aggregates([made])["traffic_1d"]) < len(made.row["traffic_5m"])

    def deleting(*_: object) -> None:
        raise AssertionError("two parts share a key")

    monkeypatch.setattr(folding, "FOLD_BYTES", 1)
    monkeypatch.setattr(folding, "STAGE_BYTES", 1)
    monkeypatch.setattr(merging, "PART_WEIGHT", 30)
    monkeypatch.setattr(merging, "delete_matching", deleting)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(made)])
    assert found_aggregates(connection) == expected_aggregates([made])
    connection.close()


def test_applying_twice_is_a_no_op(workspace: Workspace) -> None:
    made = made_several(workspace)
    once = after(workspace, [commit(*made), quarantine("bad")])
    again = commit(*made, run_id="r9", at=AT + timedelta(days=1))
    assert_equal(after(workspace, [commit(*made), quarantine("bad")], [again]), once)
    connection = open_warehouse(workspace)
    assert apply(connection, workspace).entries == 0
    assert_equal(contents(connection), once)
    connection.close()


def test_replacement_is_as_if_only_the_new_existed(workspace: Workspace) -> None:
    made = made_several(workspace)
    new = make_fragment(workspace, "f1", seed=77, catalog_version="c2", first_day=2, days=2)
    tables = after(workspace, [commit(*made)], [commit(new)])
    only_new = after(workspace, [commit(made[0], new, *made[2:])])
    for table in (*AGGREGATES, *LEDGERS[1:]):
        assert tables[table.name].equals(only_new[table.name]), table.name
    rows = tables["ledger_files"].to_pylist()
    of_input = {r["catalog_version"]: r for r in rows if r["input_id"] == input_id("f1")}
    assert {v: r["status"] for v, r in of_input.items()} == {"c1": "superseded", "c2": "committed"}
    assert of_input["c1"]["rows_in"] == made[1].row["rows_in"]


def test_going_back_to_an_old_version_replaces_again(workspace: Workspace) -> None:
    old = make_fragment(workspace, "f", seed=1)
    new = make_fragment(workspace, "f", seed=2, catalog_version="c2")
    back = after(workspace, [commit(old)], [commit(new)], [commit(old)])
    only_old = after(workspace, [commit(old)])
    for table in AGGREGATES:
        assert back[table.name].equals(only_old[table.name]), table.name
    assert sorted(back["ledger_files"].column("status").to_pylist()) == ["committed", "superseded"]


@pytest.mark.parametrize("fragment_is_gone", [False, True])
def test_forgetting_is_as_if_never_there(workspace: Workspace, fragment_is_gone: bool) -> None:
    made = made_several(workspace)
    without = after(workspace, [commit(*made[1:])])
    wipe(workspace)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(*made)])
    if fragment_is_gone:
        workspace.fragment(made[0].key.fragment_id).unlink()
    record(connection, workspace, [forget(made[0])])
    tables = contents(connection)
    connection.close()
    for table in (*AGGREGATES, *LEDGERS[1:]):
        assert tables[table.name].equals(without[table.name]), table.name
    (row,) = (r for r in tables["ledger_files"].to_pylist() if r["status"] == "forgotten")
    assert row["input_id"] == made[0].key.input_id
    assert row["reason"] == "repeats others"


@pytest.mark.parametrize("days_off", [-1, 1])
def test_sketches_a_day_off_their_flows_stay_when_that_day_is_made_again(
    workspace: Workspace, days_off: int
) -> None:
    """With a reporting offset a client's day may be the one before or after that of its flow."""
    off = make_fragment(workspace, "off", 9, first_day=2, days=1, clients_days_off=days_off)
    there = make_fragment(workspace, "f", 2, first_day=2 + days_off, days=1)
    elsewhere = make_fragment(workspace, "f", 3, "c2", first_day=2 + 4 * days_off, days=1)
    connection = open_warehouse(workspace)
    for entry, live in (
        (commit(off, there), [off, there]),
        (forget(there), [off]),
        (commit(there), [off, there]),
        (commit(elsewhere), [off, elsewhere]),
    ):
        record(connection, workspace, [entry])
        assert found_aggregates(connection) == expected_aggregates(live)
    connection.close()


@pytest.mark.parametrize("days_off", [-1, 1])
def test_sketches_a_day_off_their_flows_go_although_their_fragment_is_gone(
    workspace: Workspace, days_off: int
) -> None:
    off = make_fragment(workspace, "off", 9, first_day=2, days=1, clients_days_off=days_off)
    others = [make_fragment(workspace, f"f{i}", i, first_day=i, days=1) for i in range(5)]
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(off, *others)])
    workspace.fragment(off.key.fragment_id).unlink()
    record(connection, workspace, [forget(off)])
    assert found_aggregates(connection) == expected_aggregates(others)
    connection.close()


def test_commit_after_forget_counts_again(workspace: Workspace) -> None:
    made = made_several(workspace)
    wanted = after(workspace, [commit(*made)])
    assert_equal(after(workspace, [commit(*made)], [forget(made[2])], [commit(made[2])]), wanted)
    assert_equal(after(workspace, [commit(*made), forget(made[2]), commit(made[2])]), wanted)


def test_same_entries_in_one_or_many_commits(workspace: Workspace) -> None:
    """Random histories: one by one, all at once, and rebuilt give the same tables."""
    for seed in range(4):
        entries, live = random_history(workspace, seed)
        one_by_one = after(workspace, *([entry] for entry in entries))
        assert_equal(after(workspace, entries), one_by_one)
        applied = rebuild(workspace, empty_catalog())
        assert applied.entries == len(entries)
        connection = open_warehouse(workspace)
        assert_equal(contents(connection), one_by_one)
        assert found_aggregates(connection) == expected_aggregates(live)
        assert found_overlaps(connection) == expected_overlaps(live)
        connection.close()


def random_history(workspace: Workspace, seed: int) -> tuple[list[Entry], list[Made]]:
    rng = random.Random(seed)
    live: dict[str, Made] = {}
    entries: list[Entry] = []
    for step in range(10):
        name, version = f"s{seed}f{rng.randrange(4)}", f"c{rng.randrange(3)}"
        action = rng.choice(["commit", "commit", "commit", "forget", "quarantine", "seen"])
        if action == "commit":
            made = make_fragment(
                workspace, name, rng.randrange(10**6) if name not in live else step,
                version + str(step), rng.randrange(3), 1 + rng.randrange(3),
            )  # fmt: skip
            live[name] = made
            entries.append(commit(made, run_id=f"r{step}"))
        elif action == "forget" and live:
            gone = live.pop(rng.choice(sorted(live)))
            entries.append(forget(gone))
        elif action == "quarantine":
            entries.append(quarantine(name, version))
        else:
            entries.append(Seen(f"/copy/{name}", 1, 2, input_id(name)))
    return entries, list(live.values())


def test_a_quarantined_input_that_commits_later(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("f0")])
    file = refusal_file(workspace, input_id("f0"))
    assert "no_dialect" in file.read_text()
    made = make_fragment(workspace, "f0", 0, "c2")
    record(connection, workspace, [commit(made)])
    assert not file.exists()
    rows = connection.execute("SELECT status FROM ledger_files ORDER BY ALL").fetchall()
    assert rows == [("committed",), ("superseded",)]
    connection.close()


def test_a_quarantined_input_can_be_forgotten(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("f0"), quarantine("f1")])
    entry = Forget("r2", AT, (input_id("f0"),), "try it again")
    record(connection, workspace, [entry])
    assert connection.execute(
        "SELECT input_id, status, reason FROM ledger_files ORDER BY status"
    ).fetchall() == [
        (input_id("f0"), "forgotten", "try it again"),
        (input_id("f1"), "quarantined", "no_dialect"),
    ]
    known = known_inputs(connection)
    assert {key.input_id for key in known.quarantined} == {input_id("f1")}
    assert known.forgotten == {input_id("f0")}
    assert not refusal_file(workspace, input_id("f0")).exists()
    assert refusal_file(workspace, input_id("f1")).exists()
    connection.close()


def test_a_refused_new_version_keeps_the_old_one_counting(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    made = make_fragment(workspace, "f0", 0, "c1")
    record(connection, workspace, [commit(made)])
    record(connection, workspace, [quarantine("f0", "c2"), quarantine("f0", "c1", "ipfix")])
    rows = connection.execute("SELECT status FROM ledger_files ORDER BY ALL").fetchall()
    assert rows == [("committed",), ("quarantined",)]
    assert found_aggregates(connection) == expected_aggregates([made])
    connection.close()


def test_runs_are_recorded_once(workspace: Workspace) -> None:
    run = Run("r1", "run x", "0.1.0", 1, "c1", AT, AT, 1, 2, 3, 4, 5, 6, "committed")
    tables = after(workspace, [run], [run])
    assert tables["ledger_runs"].to_pylist() == [run.row]


def put_nulls(workspace: Workspace, made: Made, table: str, column: str) -> None:
    """Damage a fragment: no value of this column is there any more."""
    nested = FRAGMENT_SCHEMA.field(table)
    fields = [field.with_nullable(True) for field in nested.type.value_type]
    schema = FRAGMENT_SCHEMA.set(
        FRAGMENT_SCHEMA.get_field_index(table), nested.with_type(pa.list_(pa.struct(fields)))
    )
    row = stored(made.row | {table: [row | {column: None} for row in made.row[table]]})
    file = workspace.fragment(made.key.fragment_id)
    pq.write_table(pa.Table.from_pylist([row], schema=schema), file)


def test_inputs_that_stay_are_read_for_their_sums_alone(workspace: Workspace) -> None:
    """Their ledgers stand in the warehouse already, so damage there hinders nobody."""
    made = made_several(workspace, 2)
    without = after(workspace, [commit(made[1])])
    wipe(workspace)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(*made)])
    put_nulls(workspace, made[1], "rejects", "rows")
    record(connection, workspace, [forget(made[0])])
    tables = contents(connection)
    connection.close()
    for table in (*AGGREGATES, *LEDGERS[1:]):
        assert tables[table.name].equals(without[table.name]), table.name


@pytest.mark.parametrize(
    "harm", ["missing", "cut", "foreign", "null", "half a hash", "lying header"]
)
def test_an_unusable_fragment_changes_nothing(workspace: Workspace, harm: str) -> None:
    good, bad = make_fragment(workspace, "good", 1), make_fragment(workspace, "bad", 2)
    file = workspace.fragment(bad.key.fragment_id)
    if harm == "missing":
        file.unlink()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "foreign":
        file.write_bytes(workspace.fragment(good.key.fragment_id).read_bytes())
    elif harm == "null":
        put_nulls(workspace, bad, "rtt_1h", "samples")
    elif harm == "half a hash":
        row = stored(bad.row)
        row["clients_1d"][0]["client_hashes"] = b"1234"
        pq.write_table(pa.Table.from_pylist([row], schema=FRAGMENT_SCHEMA), file)
    else:
        write_fragment(workspace, bad.key, bad.row | {"first_start": AT, "last_end": AT})
    connection = open_warehouse(workspace)
    before = contents(connection)
    with pytest.raises(FragmentUnreadable, match=r"/flows/bad.parquet.*run its file again"):
        record(connection, workspace, [commit(good, bad)])
    assert_equal(contents(connection), before)
    assert not workspace.journal.exists()
    record(connection, workspace, [commit(good)])
    connection.close()


def test_a_sum_beyond_the_column_changes_nothing(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    for one in made:
        traffic = [row | {"bytes": 2**62} for row in made[0].row["traffic_5m"]]
        row = one.row | {"traffic_5m": traffic} | ledgers(traffic, rejected=0)
        write_fragment(workspace, one.key, row)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(made[0])])
    before = contents(connection), workspace.journal.read_bytes()
    with pytest.raises(SumTooLarge, match=r"f1\.parquet"):
        record(connection, workspace, [commit(made[1])])
    assert_equal(contents(connection), before[0])
    assert workspace.journal.read_bytes() == before[1]
    connection.close()


@pytest.mark.parametrize("measure", ["records", "packets", "bytes", "sampled_bytes"])
def test_a_fragment_that_contradicts_itself_is_not_committed(
    workspace: Workspace, measure: str
) -> None:
    """One unit more in one of 12 rows than its ledger says, beside a sum that 64 bits cannot hold:
    within the transaction, so neither table nor journal changes.
    """
    good, bad = (make_fragment(workspace, name, 1) for name in ("good", "bad"))
    for one, more in ((good, 0), (bad, 1)):
        traffic = [row | {"sampled_packets": 2**60} for row in one.row["traffic_5m"]]
        row = one.row | ledgers(traffic, rejected=0)
        traffic[5] = traffic[5] | {measure: traffic[5][measure] + more}
        write_fragment(workspace, one.key, row | {"traffic_5m": traffic})
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(good)])
    before = contents(connection), workspace.journal.read_bytes()
    with pytest.raises(NotConserved, match=f"gain -1 {measure} more"):
        record(connection, workspace, [commit(bad)])
    assert_equal(contents(connection), before[0])
    assert workspace.journal.read_bytes() == before[1]
    connection.close()


def test_an_applied_entry_that_is_damaged_is_said_and_not_cut_off(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "f1", 1))])
    journal = workspace.journal
    whole = journal.read_bytes()
    for damaged in (whole[:-1], whole.replace(b"}", b"]"), whole[:-9] + b"\n"):
        journal.write_bytes(damaged)
        with pytest.raises(UserError, match=r"[Rr]estore"):
            record(connection, workspace, [commit(make_fragment(workspace, "f2", 2))])
        assert journal.read_bytes() == damaged
    journal.write_bytes(whole)
    record(connection, workspace, [commit(make_fragment(workspace, "f2", 2))])
    connection.close()


def test_what_stands_in_the_journal_is_applied_before_what_is_new(workspace: Workspace) -> None:
    """The disk fails right after the append: the entry counts, and is not skipped for ever."""
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    connection = open_warehouse(workspace)
    workspace.quarantine.write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="quarantine"):
        record(connection, workspace, [quarantine("bad"), commit(made[0])])
    assert found_aggregates(connection) == expected_aggregates([])
    workspace.quarantine.unlink()
    record(connection, workspace, [commit(made[1])])
    assert found_aggregates(connection) == expected_aggregates(made)
    assert refusal_file(workspace, input_id("bad")).exists()
    assert apply(connection, workspace).entries == 0
    connection.close()


def test_names_are_data(workspace: Workspace) -> None:
    evil = "/flows/'; DROP TABLE traffic_5m; --\udcff\".parquet"
    made = make_fragment(workspace, "f", 1)
    connection = open_warehouse(workspace)
    entry = commit(made)
    (one,) = entry.inputs
    entry = type(entry)(entry.run_id, entry.at, (type(one)(**vars(one) | {"path": evil}),))
    record(connection, workspace, [entry])
    (path,) = connection.execute("SELECT path FROM ledger_files").fetchall()[0]
    assert path == "/flows/'; DROP TABLE traffic_5m; --\\xff\".parquet"
    connection.close()
    wanted = rebuild(workspace, None)
    assert wanted.added == 1
