"""Fragments that are no longer what was written: whatever the damage, no number comes out of it."""

import errno
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NoReturn

import duckdb
import pyarrow as pa
import pytest
from fragment_maker import (
    AT,
    Made,
    assert_equal,
    commit,
    contents,
    forget,
    make_fragment,
    stored,
    workspace_at,
)

from v6share.pipelines.write_fragment import write_fragment
from v6share.schemas.fragment import FRAGMENT_SCHEMA, FragmentFile
from v6share.warehouse import commit as committer
from v6share.warehouse.commit import record, withdraw_unapplied
from v6share.warehouse.fragment_damage import (
    find_damaged,
    find_lost,
    sources_of_journal,
    sources_of_warehouse,
)
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import Commit
from v6share.warehouse.merge import read_fragments
from v6share.warehouse.merge.read_fragments import FragmentUnreadable, open_fragment, read_parts
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def written(workspace: Workspace, made: Made) -> FragmentFile:
    """Write the fragment as a run does."""
    table = pa.Table.from_pylist([stored(made.row)], schema=FRAGMENT_SCHEMA)
    return write_fragment(table, workspace.fragment(made.key.fragment_id))


def commit_written(workspace: Workspace, *made: Made, run_id: str = "r1") -> Commit:
    inputs = (replace(one.committed(), fragment=written(workspace, one)) for one in made)
    return Commit(run_id, AT, tuple(inputs))


def file_of(workspace: Workspace, made: Made) -> Path:
    return workspace.fragment(made.key.fragment_id)


def recorded(workspace: Workspace, *entries: Commit) -> dict[str, pa.Table]:
    connection = open_warehouse(workspace)
    for entry in entries:
        record(connection, workspace, [entry])
    tables = contents(connection)
    connection.close()
    return tables


def rebuilt(workspace: Workspace) -> dict[str, pa.Table]:
    rebuild(workspace, None)
    return recorded(workspace)


def flipped(whole: bytes, positions: int) -> Iterator[bytes]:
    """The bytes with one bit changed, at places spread over all of them."""
    bits = 8 * len(whole)
    for i in range(positions):
        at = (i * (bits // positions) + 7 * i) % bits
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


@pytest.mark.parametrize(("small_bytes", "positions"), [(1 << 18, 48), (0, 16)])
def test_no_flipped_bit_gets_into_the_tables(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, small_bytes: int, positions: int
) -> None:
    """Whether the fragment is read at once, or table by table."""
    monkeypatch.setattr(read_fragments, "_SMALL_BYTES", small_bytes)
    made = [make_fragment(workspace, f"f{i}", i, rows=6) for i in range(2)]
    before = recorded(workspace, commit_written(workspace, *made))
    file = file_of(workspace, made[0])
    whole = file.read_bytes()
    for changed in flipped(whole, positions):
        file.write_bytes(changed)
        with pytest.raises(FragmentUnreadable, match="altered"):
            rebuild(workspace, None)
    file.write_bytes(whole)
    assert_equal(rebuilt(workspace), before)


def test_a_page_that_changes_after_the_fragment_was_opened_is_noticed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large fragments are read table by table; each page has a checksum of its own."""
    monkeypatch.setattr(read_fragments, "_SMALL_BYTES", 0)
    made = make_fragment(workspace, "f", 1, rows=3000, hashes=3)
    recorded(workspace, commit_written(workspace, made))
    (source,) = sources_of_journal(workspace)
    opened = open_fragment(source)
    whole = source.file.read_bytes()
    tables = committer.FRAGMENT_TABLES

    def all_tables() -> list[pa.Table]:
        return [rows for table in tables for rows in read_parts([opened], table)]

    wanted = all_tables()
    noticed = 0
    for changed in flipped(whole, 150):
        source.file.write_bytes(changed)
        try:
            found = all_tables()
        except FragmentUnreadable:
            noticed += 1
        else:
            # A bit of the header's columns or of what no reader of a table looks at.
            assert all(a.equals(b) for a, b in zip(found, wanted, strict=True))
    assert noticed > 100


@pytest.mark.parametrize("harm", ["missing", "cut", "longer", "another"])
def test_every_harm_is_told_with_what_helps(workspace: Workspace, harm: str) -> None:
    good, bad = (make_fragment(workspace, name, i) for i, name in enumerate(("good", "bad")))
    entry = commit_written(workspace, good, bad)
    recorded(workspace, entry)
    file = file_of(workspace, bad)
    whole = file.read_bytes()
    other = {
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "another": file_of(workspace, good).read_bytes(),
    }
    file.unlink() if harm == "missing" else file.write_bytes(other[harm])
    with pytest.raises(FragmentUnreadable) as caught:
        rebuild(workspace, None)
    told, known = str(caught.value), entry.inputs[1].fragment
    assert known is not None
    assert told.startswith(f"{file}: the fragment ")
    assert "/flows/bad.parquet" in told
    assert f"Put the file (SHA-256 {known.sha256}) back from a backup" in told
    assert f"`v6share forget {bad.key.input_id}`" in told


def test_damage_of_a_new_fragment_is_no_reason_to_withdraw_anything(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f", 1)
    entry = commit_written(workspace, made)
    file_of(workspace, made).write_bytes(b"")
    connection = open_warehouse(workspace)
    with pytest.raises(FragmentUnreadable, match="run its file again") as caught:
        record(connection, workspace, [entry])
    assert "forget" not in str(caught.value)
    connection.close()


def test_a_fragment_that_may_not_be_read_is_not_called_damaged(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_fragment(workspace, "f", 1)
    recorded(workspace, commit_written(workspace, made))

    def denied(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied", str(file_of(workspace, made)))

    (source,) = sources_of_journal(workspace)
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(PermissionError):
        open_fragment(source)


@pytest.mark.parametrize("touched", ["survivor", "removed"])
def test_a_day_is_not_made_again_from_a_damaged_fragment(
    workspace: Workspace, touched: str
) -> None:
    stays, goes = (make_fragment(workspace, name, i) for i, name in enumerate(("stays", "goes")))
    recorded(workspace, commit_written(workspace, stays, goes))
    alone = contents_of(workspace.root.parent / "alone", stays)
    file = file_of(workspace, stays)
    whole = file.read_bytes()
    if touched == "survivor":
        file.write_bytes(next(flipped(whole, 1)))
    else:
        # A fragment that can be read, and does not say on which days the rows are.
        written(workspace, make_fragment(workspace, "goes", 1, days=1))
    connection = open_warehouse(workspace)
    if touched == "survivor":
        with pytest.raises(FragmentUnreadable, match=stays.key.input_id):
            record(connection, workspace, [forget(goes)])
        file.write_bytes(whole)
    record(connection, workspace, [forget(goes)])
    tables = contents(connection)
    connection.close()
    for name in ("traffic_5m", "clients_1d", "rtt_1h", "exporters_1h"):
        assert tables[name].equals(alone[name]), name


def contents_of(root: Path, *made: Made) -> dict[str, pa.Table]:
    """The tables of a workspace with these fragments alone."""
    workspace = workspace_at(root)
    return recorded(workspace, commit_written(workspace, *made))


def test_digests_and_sizes_reach_warehouse_and_journal_and_come_back(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    entry = commit_written(workspace, *made)
    recorded(workspace, entry)
    wanted = {one.key: one.fragment for one in entry.inputs}
    for remade in (False, True):
        if remade:
            rebuild(workspace, None)
        connection = open_warehouse(workspace)
        found = sources_of_warehouse(connection, workspace)
        connection.close()
        assert {one.key: one.written for one in found} == wanted
    assert {one.key: one.written for one in sources_of_journal(workspace)} == wanted
    for one in made:
        whole = file_of(workspace, one).read_bytes()
        assert wanted[one.key] == FragmentFile(sha256(whole), len(whole))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_same_rows_make_the_same_bytes(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f", 1)
    assert len({written(workspace, made) for _ in range(3)}) == 1


def test_fragments_of_older_versions_are_read_as_they_are(workspace: Workspace) -> None:
    """Their entries say no digest, and their pages have no checksums."""
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    before = recorded(workspace, commit(*made))
    assert_equal(rebuilt(workspace), before)
    sources = sources_of_journal(workspace)
    assert [one.written for one in sources] == [None, None, None]
    assert not find_lost(sources)
    assert not find_damaged(sources)
    gone, cut, blank = (file_of(workspace, one) for one in made)
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    whole = blank.read_bytes()
    blank.write_bytes(whole[:3000] + bytes(3000) + whole[6000:])
    assert open_fragment(sources[2]).header.rows_in == made[2].row["rows_in"]
    assert [one.source.key for one in find_lost(sources)] == [made[0].key]
    assert {one.source.key for one in find_damaged(sources)} == {one.key for one in made}


def test_live_fragments_are_found_damaged_and_no_others(workspace: Workspace) -> None:
    made = [make_fragment(workspace, f"f{i}", i) for i in range(5)]
    recorded(workspace, commit_written(workspace, *made))
    connection = open_warehouse(workspace)
    record(connection, workspace, [forget(made[4])])
    connection.close()
    gone, cut, altered, good, forgotten = (file_of(workspace, one) for one in made)
    forgotten.unlink()
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    altered.write_bytes(next(flipped(altered.read_bytes(), 1)))
    connection = open_warehouse(workspace)
    for sources in (sources_of_warehouse(connection, workspace), sources_of_journal(workspace)):
        assert {one.source.file for one in find_lost(sources)} == {gone, cut}
        assert {one.source.file for one in find_damaged(sources)} == {gone, cut, altered}
        assert good in {one.file for one in sources}
    connection.close()


def counted_slices(monkeypatch: pytest.MonkeyPatch, inputs: int) -> None:
    monkeypatch.setattr(committer, "SLICE_INPUTS", inputs)


@pytest.mark.parametrize("slice_inputs", [1, 500])
@pytest.mark.parametrize("has_warehouse", [True, False])
def test_who_withdraws_a_damaged_input_can_rebuild(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    slice_inputs: int,
    has_warehouse: bool,
) -> None:
    """Also where the commit is long before, and where nothing is left but journal and fragments."""
    counted_slices(monkeypatch, slice_inputs)
    made = [make_fragment(workspace, f"f{i}", i) for i in range(4)]
    recorded(workspace, *(commit_written(workspace, one) for one in made))
    for one in made[:2]:
        file_of(workspace, one).write_bytes(b"damaged")
    with pytest.raises(FragmentUnreadable):
        rebuild(workspace, None)
    if has_warehouse:
        connection = open_warehouse(workspace)
        record(connection, workspace, [forget(*made[:2])])
        connection.close()
    else:
        workspace.warehouse.unlink()
        with pytest.raises(FragmentUnreadable):
            open_warehouse(workspace)
        withdraw_unapplied(workspace, [forget(*made[:2])])
    left = rebuilt(workspace)
    wanted = contents_of(workspace.root.parent / "left", *made[2:])
    for name in ("traffic_5m", "traffic_1d", "clients_1d", "ledger_families", "rejects"):
        assert left[name].equals(wanted[name]), name
    # Run again, they count as before.
    again = recorded(workspace, commit_written(workspace, *made[:2], run_id="r3"))
    assert_equal(rebuilt(workspace), again)
    all_of_them = contents_of(workspace.root.parent / "all", *made)
    assert again["traffic_5m"].equals(all_of_them["traffic_5m"])


def test_a_damaged_fragment_that_is_withdrawn_later_makes_no_day_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its days are made again when another input goes, before it goes itself."""
    counted_slices(monkeypatch, 1)
    made = [make_fragment(workspace, f"f{i}", i) for i in range(3)]
    first, second, third = (commit_written(workspace, one) for one in made)
    recorded(workspace, first, second)
    # What a killed run leaves.
    withdraw_unapplied(workspace, [forget(made[1]), third, forget(made[0])])
    file_of(workspace, made[0]).unlink()
    wanted = contents_of(workspace.root.parent / "left", made[2])
    for tables in (recorded(workspace), rebuilt(workspace)):
        for name in ("traffic_5m", "clients_1d", "ledger_families"):
            assert tables[name].equals(wanted[name]), name


def test_a_fragment_that_was_written_again_in_other_bytes_is_the_one_that_counts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another version of Parquet's writer may: the journal names both, the file is the later."""
    counted_slices(monkeypatch, 1)
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    first = commit_written(workspace, *made[:1])
    recorded(workspace, first)
    connection = open_warehouse(workspace)
    record(connection, workspace, [forget(made[0])])
    file = file_of(workspace, made[0])
    make_fragment(workspace, "f0", 0)
    whole = file.read_bytes()
    known = FragmentFile(sha256(whole), len(whole))
    assert known != first.inputs[0].fragment
    later = Commit("r3", AT, (replace(made[0].committed(), fragment=known),))
    record(connection, workspace, [later, commit_written(workspace, made[1])])
    before = contents(connection)
    connection.close()
    assert_equal(rebuilt(workspace), before)


def test_an_input_that_went_and_came_again_has_its_figures_or_is_an_error(
    workspace: Workspace,
) -> None:
    made = make_fragment(workspace, "f", 1)
    entry = commit_written(workspace, made)
    recorded(workspace, entry)
    connection = open_warehouse(workspace)
    record(connection, workspace, [forget(made), replace(entry, run_id="r3")])
    (rows_in,) = connection.execute("SELECT rows_in FROM ledger_files").fetchall()[0]
    assert rows_in == made.row["rows_in"]
    file_of(workspace, made).unlink()
    with pytest.raises(FragmentUnreadable):
        record(connection, workspace, [forget(made), replace(entry, run_id="r4")])
    connection.close()


# Private tables that later versions made, public ones, and columns.
LATER = ("kept", "touched", "unchecked", "unpublished", "sampled_rows")
LATER_PUBLIC = (
    "ledger_final_days",
    "checks",
    "check_results",
    "ledger_keys",
    "ledger_overlaps",
    "ledger_pruned",
    "client_counts_1d",
)
LATER_COLUMNS = (
    "ledger_files.client_key",
    "ledger_files.sealed_at",
    "clients_1d.client_key",
    "ledger_findings.bytes",
    "ledger_findings.example",
    "dim_exporters.active_timeout",
    "dim_endpoints.serves_dns",
)


def test_a_warehouse_of_an_older_version_learns_what_comes(workspace: Workspace) -> None:
    """It has no table of digests yet; what it holds already is read unverified."""
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    recorded(workspace, commit(made[0]))
    with duckdb.connect(workspace.warehouse) as older:
        older.execute("DROP TABLE private.fragments")
        older.execute("DROP SCHEMA results CASCADE; DROP SCHEMA definitions CASCADE")
        older.execute("".join(f"DROP TABLE private.{t};" for t in LATER))
        older.execute("".join(f"DROP TABLE {t};" for t in LATER_PUBLIC))
        for column in LATER_COLUMNS:
            table, name = column.split(".")
            older.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        older.execute("DELETE FROM private.migrations WHERE version >= 3")
    entry = commit_written(workspace, made[1])
    recorded(workspace, entry)
    connection = open_warehouse(workspace)
    found = {one.key: one.written for one in sources_of_warehouse(connection, workspace)}
    connection.close()
    assert found == {made[0].key: None, made[1].key: entry.inputs[0].fragment}


def test_the_journal_names_what_was_written(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f", 1)
    entry = commit_written(workspace, made)
    recorded(workspace, entry)
    ((found, _),) = journal.read(workspace.journal)
    assert found == entry
    known = entry.inputs[0].fragment
    assert known is not None
    text = f'"fragment": {{"sha256": "{known.sha256}", "size": {known.size}}}'
    assert text in workspace.journal.read_text()


SYSTEM: list[Exception] = [
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ESTALE, "Stale file handle"),
    OSError(errno.EMFILE, "Too many open files"),
    MemoryError("no memory"),
    pa.ArrowMemoryError("malloc of size 64 failed"),
]


def failing_for_fragments(fail: Callable[[], NoReturn]) -> Callable[[Path], BinaryIO]:
    open_file = storage.open_file
    return lambda path: fail() if path.suffix == ".parquet" else open_file(path)


@pytest.mark.parametrize("error", SYSTEM, ids=repr)
@pytest.mark.parametrize("where", ["opened", "parsed"])
def test_a_failing_system_is_no_damage_and_nothing_goes_on_without_the_fragment(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    """Neither where fragments are looked at, nor where an input is withdrawn, nor in a rebuild."""
    made = [make_fragment(workspace, f"f{i}", i) for i in range(2)]
    before = recorded(workspace, commit_written(workspace, *made))
    sources = sources_of_journal(workspace)

    def fail(*_: object, **__: object) -> NoReturn:
        raise type(error)(*error.args)  # a new one: it keeps what is open where it was raised

    with monkeypatch.context() as patch:
        if where == "opened":
            patch.setattr(storage, "open_file", failing_for_fragments(fail))
            with pytest.raises(type(error)):
                find_damaged(sources)
        else:
            patch.setattr(read_fragments.pq, "ParquetFile", fail)
        with pytest.raises(type(error)):
            open_fragment(sources[0])
        with pytest.raises(type(error)):
            rebuild(workspace, None)
        connection = open_warehouse(workspace)
        with pytest.raises(type(error)):
            record(connection, workspace, [forget(made[0])])
        connection.close()
    assert_equal(recorded(workspace), before)


def test_damaged_bytes_that_ask_for_too_much_memory_are_damage(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody said what was written, nothing else tells that they are."""
    made = make_fragment(workspace, "f", 1)
    recorded(workspace, commit(made))
    (source,) = sources_of_journal(workspace)
    assert source.written is None

    def fail(*_: object, **__: object) -> NoReturn:
        raise pa.ArrowMemoryError("malloc of size 9007199254740992 failed")

    monkeypatch.setattr(read_fragments.pq, "ParquetFile", fail)
    with pytest.raises(FragmentUnreadable, match="damaged"):
        open_fragment(source)
