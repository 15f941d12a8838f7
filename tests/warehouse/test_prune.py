"""Laws of pruning: the tables are those of all inputs, less the days that are not kept."""

import random
import shutil
from collections.abc import Collection, Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    AT,
    START,
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
    make_fragment,
    quarantine,
    workspace_at,
    write_fragment,
)

from v6share.schemas.aggregates import AGGREGATES, CLIENT_COUNTS_1D
from v6share.schemas.errors import UserError
from v6share.schemas.ledger import LEDGERS
from v6share.warehouse import base as based
from v6share.warehouse import commit as committer
from v6share.warehouse import prune as pruning
from v6share.warehouse.base import BaseUnreadable, base_in_use
from v6share.warehouse.checks import run_checks
from v6share.warehouse.commit import record
from v6share.warehouse.database import migrate as migrating
from v6share.warehouse.database.migrate import Migration, read_migrations
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.fragment_damage import sources_of_journal, sources_of_warehouse
from v6share.warehouse.kept.compare import compare_results
from v6share.warehouse.kept.refresh import refresh_results
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import known_inputs
from v6share.warehouse.ledger.quarantine_notes import refusal_file
from v6share.warehouse.ledger.quarantined import refused_inputs
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.prune import Part, Wanted, client_counts, sweep
from v6share.warehouse.rebuild import rebuild
from v6share.workspace.paths import Workspace

FIRST = START.date()
FINE = ("traffic_5m",)
HOURLY = ("traffic_1h", "rtt_1h", "health_1h")
ALL = (*AGGREGATES, CLIENT_COUNTS_1D, *LEDGERS)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = workspace_at(tmp_path / "w")
    edge = pa.Table.from_pylist(
        [{"vantage": "edge", "feeds_kpis": True}], empty_catalog()["dim_vantages"].schema
    )
    with closing(open_warehouse(workspace)) as connection:
        replace_dimensions(connection, empty_catalog() | {"dim_vantages": edge})
    return workspace


def run_entry(number: int) -> Run:
    at = AT + timedelta(days=number)
    return Run(f"p{number}", "v6share prune", "0", 1, "c1", at, at, 0, 0, 0, 0, 0, 0, "committed")


def wanted(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    kept_from: Mapping[str, date],
    sealed: Collection[str] = (),
) -> Wanted:
    """What is to go, by hand: the days before some, and the fragments of some inputs."""
    refresh_results(connection)
    sources = [
        one for one in sources_of_warehouse(connection, workspace) if one.key.input_id in sealed
    ]
    loses = "clients_1d" in kept_from
    counts = client_counts(connection, kept_from["clients_1d"]) if loses else None
    return Wanted([Part("some", None)], kept_from, sources, counts)


def prune(
    workspace: Workspace,
    kept_from: Mapping[str, date],
    sealed: Collection[Made] = (),
    number: int = 1,
) -> None:
    """Prune, and remove the files that are not needed any more."""
    ids = {one.key.input_id for one in sealed}
    with closing(open_warehouse(workspace)) as connection:
        what = wanted(connection, workspace, kept_from, ids)
    pruning.prune(workspace, what, run_entry(number))
    with closing(open_warehouse(workspace)) as connection:
        assert failed(connection) == []
        sweep(connection, workspace)


def failed(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [one.name for one in run_checks(connection) if one.blocks]


def tables(workspace: Workspace) -> dict[str, pa.Table]:
    with closing(open_warehouse(workspace)) as connection:
        return contents(connection, ALL)


def commit_all(workspace: Workspace, *made: Made) -> None:
    with closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [commit(*made)])


def expected(live: Collection[Made], horizons: Mapping[str, date]) -> dict[str, Any]:
    """The oracle: all rows of all inputs that count, less those of days that are not kept."""

    def is_kept(name: str, row: dict[str, Any]) -> bool:
        start = row.get("day") or row["window_start"].date()
        return start >= horizons.get(name, date.min)

    return {
        name: [row for row in rows if is_kept(name, row)]
        for name, rows in expected_aggregates(list(live)).items()
    }


def daily_clients(connection: duckdb.DuckDBPyConnection, until: date) -> pa.Table:
    refresh_results(connection)
    return connection.sql(
        "FROM results.kpi_stage2_daily_clients WHERE day < ? ORDER BY ALL", params=[until]
    ).to_arrow_table()


@pytest.mark.parametrize("seed", range(4))
def test_tables_are_those_of_all_inputs_less_what_is_not_kept(
    workspace: Workspace, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New, late, withdrawn and recounted inputs and prunes in any order; then made anew."""
    # The journal is applied in many transactions, each of which must be right.
    monkeypatch.setattr(committer, "SLICE_INPUTS", 1)
    rng = random.Random(seed)
    live: dict[str, Made] = {}
    sealed: set[str] = set()
    horizons: dict[str, date] = {}
    backup = workspace.state.parent / "older.duckdb"
    for step in range(11):
        young = sorted(live.keys() - sealed)
        what = rng.choice(["new", "recount", "forget", "prune"]) if len(young) > 1 else "new"
        if what == "prune":
            oldest = rng.sample(young, rng.randrange(1, len(young)))
            until = day(rng.randrange(4))
            names = [*FINE, *(HOURLY if rng.random() < 0.5 else ()), "clients_1d"]
            moved = {n: until for n in names if until > horizons.get(n, date.min)}
            prune(workspace, moved, [live[name] for name in oldest], step)
            horizons |= moved
            sealed |= set(oldest)
        elif what == "recount":
            name = rng.choice(young)
            live[name] = make_fragment(workspace, name, 50 + step, f"c{step}", rng.randrange(3))
            commit_all(workspace, live[name])
        elif what == "forget":
            with closing(open_warehouse(workspace)) as connection:
                record(connection, workspace, [forget(live.pop(rng.choice(young)))])
        else:
            some = [
                make_fragment(workspace, f"f{step}-{i}", 100 * seed + 9 * step + i, "c0", i)
                for i in range(2)
            ]
            live |= {f"f{step}-{i}": one for i, one in enumerate(some)}
            commit_all(workspace, *some)
        if step == 4:
            shutil.copy(workspace.warehouse, backup)
    with closing(open_warehouse(workspace)) as connection:
        assert found_aggregates(connection) == expected(live.values(), horizons)
        assert found_overlaps(connection) == expected_overlaps(list(live.values()))
        assert failed(connection) == []
        refresh_results(connection)
        assert [one.name for one in compare_results(connection) if not one.passed] == []
        before = contents(connection, ALL)
    assert {p.stem for p in workspace.fragments.rglob("*.parquet")}.isdisjoint(
        live[name].key.fragment_id for name in sealed
    )
    rebuild(workspace, None)
    assert_equal(tables(workspace), before)
    # An older warehouse from a backup, which knows nothing of what was pruned since.
    shutil.copy(backup, workspace.warehouse)
    assert_equal(tables(workspace), before)
    assert sources_of_ids(workspace) == {live[name].key.input_id for name in live.keys() - sealed}


def sources_of_ids(workspace: Workspace) -> set[str]:
    return {one.key.input_id for one in sources_of_journal(workspace)}


def test_counts_of_clients_stay_when_their_sketches_go(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i, first_day=i) for i in range(4)]
    commit_all(workspace, *made)
    with closing(open_warehouse(workspace)) as connection:
        before = daily_clients(connection, day(9))
        assert before.num_rows > 5
    prune(workspace, {"clients_1d": day(3)}, number=1)
    commit_all(workspace, make_fragment(workspace, "late", 7, first_day=0, days=1))
    prune(workspace, {"clients_1d": day(4)}, made[:2], number=2)
    with closing(open_warehouse(workspace)) as connection:
        # The late one is in no count of a day whose sketches were gone, and in its traffic.
        assert daily_clients(connection, day(9)).equals(before)
        ((oldest,),) = connection.execute("SELECT min(day) FROM clients_1d").fetchall()
        assert oldest >= day(4)
        assert [one.name for one in compare_results(connection) if not one.passed] == []
    rebuild(workspace, empty_catalog())
    with closing(open_warehouse(workspace)) as connection:
        assert connection.sql("FROM client_counts_1d").to_arrow_table().num_rows


def test_what_is_sealed_is_changed_by_nothing(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i, first_day=i) for i in range(3)]
    commit_all(workspace, *made)
    prune(workspace, {}, made[:2])
    before = tables(workspace)
    with closing(open_warehouse(workspace)) as connection:
        assert known_inputs(connection).sealed == {one.key.input_id for one in made[:2]}
        other = make_fragment(workspace, "f0", 99, "c2", first_day=0)
        for entry in (forget(made[0]), commit(other), quarantine("f1", "c3")):
            record(connection, workspace, [entry])
        ledger = connection.execute(
            "SELECT count(*) FROM ledger_files WHERE status = 'committed'"
        ).fetchall()
    assert ledger == [(3,)]
    assert sources_of_ids(workspace) == {made[2].key.input_id}
    assert_equal(tables(workspace), before)
    assert not refusal_file(workspace, made[1].key.input_id).exists()


def test_what_newer_versions_refused_of_a_sealed_input_needs_no_look(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f0", 0)
    commit_all(workspace, made)
    with closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [quarantine("f0", "c3")])
        assert [one.input_id for one in refused_inputs(connection)] == [made.key.input_id]
    prune(workspace, {}, [made])
    before = tables(workspace)
    assert not refusal_file(workspace, made.key.input_id).exists()
    with closing(open_warehouse(workspace)) as connection:
        assert refused_inputs(connection) == []
    rebuild(workspace, None)
    assert_equal(tables(workspace), before)


def test_notes_of_old_refusals_go_and_the_refusals_stay(workspace: Workspace) -> None:
    with closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [quarantine("bad")])
        note = refusal_file(workspace, quarantine("bad").input_id)
        assert note.exists()
    prune(workspace, {"quarantine": AT.date() + timedelta(days=1)})
    assert not note.exists()
    rebuild(workspace, None)
    assert not note.exists()
    with closing(open_warehouse(workspace)) as connection:
        assert len(known_inputs(connection).quarantined) == 1


def test_a_base_that_is_gone_or_altered_is_named(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i, days=1) for i in range(2)]
    commit_all(workspace, *made)
    prune(workspace, {}, made[:1])
    with closing(open_warehouse(workspace)) as connection:
        base = base_in_use(connection, workspace)
    assert base is not None
    whole = base.read_bytes()
    base.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BaseUnreadable, match="the base was altered"):
        rebuild(workspace, None)
    base.unlink()
    with pytest.raises(BaseUnreadable, match="the base is missing"):
        rebuild(workspace, None)
    before = tables(workspace)
    # The days of an input that is withdrawn are made again from the base.
    with (
        closing(open_warehouse(workspace)) as connection,
        pytest.raises(BaseUnreadable, match="the base is missing"),
    ):
        record(connection, workspace, [forget(made[1])])
    assert_equal(tables(workspace), before)


def test_where_tables_and_fragments_differ_nothing_goes(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i, first_day=4 * i) for i in range(2)]
    commit_all(workspace, *made)
    for table, measure in (("rtt_1h", "samples"), ("clients_1d", "theta"), ("traffic_1d", "bytes")):
        change = f"UPDATE {table} SET {measure} = {measure} {{}} 1 WHERE rowid = 0"
        with closing(open_warehouse(workspace)) as connection:
            connection.execute(change.format("-"))
        with pytest.raises(UserError, match=rf"{table} is not what .*: 2 rows .*Nothing was prun"):
            prune(workspace, {}, made[:1])
        with closing(open_warehouse(workspace)) as connection:
            connection.execute(change.format("+"))
    prune(workspace, {}, made[:1])


def test_fragments_that_do_not_add_up_are_kept(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f0", 0)
    made.row["rejects"][0]["rows"] += 1
    write_fragment(workspace, made.key, made.row)
    commit_all(workspace, made)
    with pytest.raises(UserError, match=r"do not add up: input_rejects.*Nothing was pruned"):
        prune(workspace, {}, [made])
    assert list(workspace.bases.iterdir()) == []
    with closing(open_warehouse(workspace)) as connection:
        assert known_inputs(connection).sealed == set()
    assert workspace.fragment(made.key.fragment_id).exists()


def test_a_base_of_an_older_version_is_brought_up_to_date(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_fragment(workspace, f"f{i}", i, days=1) for i in range(2)]
    commit_all(workspace, *made)
    prune(workspace, {}, made[:1])
    before = tables(workspace)
    steps = read_migrations()
    later = Migration(len(steps) + 1, "later", "CREATE TABLE private.later (i INTEGER)")
    for place in (migrating, based):
        monkeypatch.setattr(place, "read_migrations", lambda: [*steps, later])
    rebuild(workspace, None)
    assert_equal(tables(workspace), before)
    with closing(open_warehouse(workspace)) as connection:
        record(connection, workspace, [forget(made[1])])
        assert found_aggregates(connection) == expected(made[:1], {})
    names = [file.name for file in sorted(workspace.bases.iterdir())]
    assert names == [f"p1-schema-{later.version}.duckdb", "p1.duckdb"]
    prune(workspace, {"clients_1d": day(1)}, number=2)
    assert [file.name for file in workspace.bases.iterdir()] == ["p2.duckdb"]
