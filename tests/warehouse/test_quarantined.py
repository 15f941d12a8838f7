"""What becomes of refused inputs: acknowledged, tried again, replaced; and what is said of each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from fragment_maker import AT, commit, input_id, make_fragment, quarantine
from hypothesis import given
from hypothesis import strategies as st

from v6share.schemas.fragment import RULES_VERSION, FragmentKey
from v6share.schemas.text.plain import storable
from v6share.warehouse.commit import record
from v6share.warehouse.ledger.changes import REFUSED, Changes, FileRow, plan_changes
from v6share.warehouse.ledger.journal import (
    Commit,
    CommittedInput,
    Decision,
    Entry,
    Forget,
    Quarantine,
    Seen,
)
from v6share.warehouse.ledger.known_inputs import KnownInputs, known_inputs
from v6share.warehouse.ledger.quarantine_notes import read_refusal, refusal_file
from v6share.warehouse.ledger.quarantined import refused_inputs
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


LATER = AT + timedelta(days=1)


def decision(what: str, *names: str, reason: str = "looked at") -> Decision:
    ids = tuple(input_id(name) for name in names)
    return Decision("r2", LATER, ids, what, reason)  # type: ignore[arg-type]


def shown(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, bool]]:
    return [(one.path, one.status, one.is_acknowledged) for one in refused_inputs(connection)]


def test_what_is_acknowledged_stays_refused(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("a"), quarantine("b")])
    record(connection, workspace, [decision("accept", "a", reason="a test file")])
    assert shown(connection) == [
        ("/flows/a.parquet", "accepted", True),
        ("/flows/b.parquet", "quarantined", False),
    ]
    known = known_inputs(connection)
    assert {key.input_id for key in known.quarantined} == {input_id("a"), input_id("b")}
    note = read_refusal(workspace, input_id("a"))
    assert note["detail"] == "columns found: a, b"
    assert note["decided"] == {
        "decision": "accept",
        "reason": "a test file",
        "at": LATER.isoformat(),
    }
    connection.close()


def test_what_is_to_be_tried_again_is_still_minded_until_it_was(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("a")])
    record(connection, workspace, [decision("accept", "a"), decision("retry", "a")])
    assert known_inputs(connection).quarantined == set()
    assert shown(connection) == [("/flows/a.parquet", "awaiting_retry", False)]
    # Refused again: as if nothing had been decided.
    record(connection, workspace, [replace(quarantine("a"), run_id="r3", at=LATER)])
    assert shown(connection) == [("/flows/a.parquet", "quarantined", False)]
    assert "decided" not in read_refusal(workspace, input_id("a"))
    record(
        connection, workspace, [decision("retry", "a"), commit(make_fragment(workspace, "a", 1))]
    )
    assert shown(connection) == []
    assert not storage.exists(refusal_file(workspace, input_id("a")))
    connection.close()


def test_a_refused_file_that_holds_other_content_by_now_is_refused_no_longer(
    workspace: Workspace,
) -> None:
    connection = open_warehouse(workspace)
    bad = quarantine("a")
    record(connection, workspace, [bad, Seen("/copy/a", 99, 5, bad.input_id)])
    mended = make_fragment(workspace, "mended", 1)
    here = replace(mended.committed(), path=bad.path)
    record(connection, workspace, [Commit("r2", LATER, (here,))])
    assert shown(connection) == [(bad.path, "quarantined", False)]  # the copy is there still
    record(connection, workspace, [Seen("/copy/a", 7, 8, mended.key.input_id)])
    assert shown(connection) == []
    assert not storage.exists(refusal_file(workspace, bad.input_id))
    rows = connection.execute("SELECT status FROM ledger_files ORDER BY ALL").fetchall()
    assert sorted(rows) == [("committed",), ("superseded",)]
    record(connection, workspace, [replace(bad, at=LATER)])  # the old bytes are back
    assert shown(connection) == [(bad.path, "quarantined", False)]
    connection.close()


def test_what_another_dialect_counts_by_the_same_versions_is_not_missing(
    workspace: Workspace,
) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "a", 1))])
    record(connection, workspace, [quarantine("a", dialect="goflow2")])
    assert shown(connection) == []
    assert not storage.exists(refusal_file(workspace, input_id("a")))
    record(connection, workspace, [quarantine("a", "c2"), quarantine("a", "c3")])
    assert shown(connection) == [("/flows/a.parquet", "quarantined", False)]
    connection.close()


def test_a_rebuild_knows_what_was_decided(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("a"), quarantine("b"), quarantine("c")])
    record(connection, workspace, [decision("accept", "a"), decision("retry", "b")])
    before, notes = refused_inputs(connection), sorted(workspace.quarantine.iterdir())
    texts = [note.read_text() for note in notes]
    connection.close()
    storage.remove_folder(workspace.quarantine)
    rebuild(workspace, None)
    connection = open_warehouse(workspace)
    assert refused_inputs(connection) == before
    assert [note.read_text() for note in notes] == texts
    connection.close()


def test_a_note_that_is_gone_keeps_nobody_from_deciding(workspace: Workspace) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [quarantine("a"), quarantine("b")])
    refusal_file(workspace, input_id("a")).unlink()
    refusal_file(workspace, input_id("b")).write_text("[]")
    record(connection, workspace, [decision("accept", "a", "b")])
    assert {status for _, status, _ in shown(connection)} == {"accepted"}
    assert read_refusal(workspace, input_id("a")) == {}
    connection.close()


NAMES, PATHS = st.sampled_from("abc"), st.sampled_from(["/p", "/q", "/q\udcff"])
VERSIONS = st.sampled_from(["c1", "c2"])


def refused(name: str, path: str, version: str) -> Quarantine:
    return replace(quarantine(name, version), path=path)


def counted(name: str, path: str, version: str) -> Commit:
    key = FragmentKey(input_id(name), "ipfix", RULES_VERSION, version)
    return Commit("r1", AT, (CommittedInput(**vars(key), path=path, size=9, mtime_ns=5),))


ENTRIES = st.lists(
    st.one_of(
        st.builds(refused, NAMES, PATHS, VERSIONS),
        st.builds(counted, NAMES, PATHS, VERSIONS),
        st.builds(lambda name, path: Seen(path, 9, 5, input_id(name)), NAMES, PATHS),
        st.builds(lambda name: Forget("r3", LATER, (input_id(name),), "wrong"), NAMES),
        st.builds(decision, st.sampled_from(["accept", "retry"]), NAMES),
    ),
    max_size=12,
)


def applied_one_by_one(entries: Sequence[Entry]) -> tuple[list[FileRow], KnownInputs]:
    """What is left when each entry is a commit of its own."""
    rows: list[FileRow] = []
    seen: dict[str, str] = {}
    known = KnownInputs({}, {}, set(), set())
    for entry in entries:
        refused_ids = {row.key.input_id for row in rows if row.status in REFUSED}
        places = {path: one for path, one in seen.items() if one in refused_ids}
        changes = plan_changes(rows, [entry], places=places)
        rows = rows_of(changes)
        seen |= {storable(path): file.input_id for path, file in changes.seen.items()}
        known.follow(changes)
    return rows, known


def rows_of(changes: Changes) -> list[FileRow]:
    found = [row for versions in changes.rows.values() for row in versions.values()]
    return sorted(found, key=lambda row: str(row.key))


@given(ENTRIES)
def test_however_entries_are_cut_into_commits_the_same_is_refused(entries: list[Entry]) -> None:
    at_once = plan_changes((), entries)
    rows, followed = applied_one_by_one(entries)
    assert rows_of(at_once) == rows
    known = KnownInputs({}, {}, set(), set())
    known.follow(at_once)
    assert known == followed


@given(ENTRIES, ENTRIES)
def test_what_was_refused_and_lies_nowhere_is_not_refused(
    before: list[Entry], after: list[Entry]
) -> None:
    changes = plan_changes((), [*before, *after])
    lies = {file.input_id for file in changes.seen.values()}
    for row in rows_of(changes):
        if row.status in REFUSED:
            assert row.key.input_id in lies


@pytest.mark.parametrize("what", ["accept", "retry"])
def test_only_what_is_refused_is_decided(workspace: Workspace, what: str) -> None:
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(make_fragment(workspace, "a", 1))])
    record(connection, workspace, [decision(what, "a")])
    rows = connection.execute("SELECT status FROM ledger_files").fetchall()
    assert rows == [("committed",)]
    connection.close()
