"""The chain of seals: a journal is what was written, or the first line that is not is named."""

import hashlib
import re
from itertools import permutations
from pathlib import Path

import duckdb
import pytest
from fragment_maker import commit, contents, forget, input_id, make_fragment, workspace_at

from v6share.schemas.errors import UserError
from v6share.warehouse.commit import record
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import Entry, Seen
from v6share.warehouse.ledger.seals import BEGINNING, Mark
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.rebuild import rebuild
from v6share.workspace.paths import Workspace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_at(tmp_path / "w")


def some(count: int) -> list[Entry]:
    return [Seen(f"/a/{i}", i, i, input_id(str(i))) for i in range(count)]


def unsealed(entries: list[Entry]) -> bytes:
    """Lines as a version without seals wrote them."""
    return "".join(f"{journal.format_entry(entry)}\n" for entry in entries).encode()


def entries_of(path: Path, after: Mark = BEGINNING) -> list[Entry]:
    return [entry for entry, _ in journal.read(path, after)]


def seal(before: str, entry: Entry) -> str:
    """The oracle: what a seal is, in one line."""
    line = f"{before}\n{journal.format_entry(entry)}"
    return hashlib.sha256(line.encode()).hexdigest()[:32]


def test_the_text_of_a_sealed_line_stays(path: Path) -> None:
    entries = some(2)
    journal.append(path, entries)
    first = seal("", entries[0])
    second = seal(first, entries[1])
    assert path.read_text().splitlines() == [
        f'{{"type": "seen", "path": "/a/0", "size": 0, "mtime_ns": 0, '
        f'"input_id": "{input_id("0")}", "seal": "{first}"}}',
        f'{{"type": "seen", "path": "/a/1", "size": 1, "mtime_ns": 1, '
        f'"input_id": "{input_id("1")}", "seal": "{second}"}}',
    ]
    # printf '\n{"type": ... }' | sha256sum
    assert first == "2c5d7aeaba522252967c0dd2084a753c"


def test_every_other_order_and_choice_of_lines_is_noticed(path: Path) -> None:
    journal.append(path, some(3))
    lines = path.read_bytes().splitlines(keepends=True)
    for count in (2, 3):
        for choice in permutations(range(3), count):
            path.write_bytes(b"".join(lines[i] for i in choice))
            if choice == tuple(range(count)):
                assert entries_of(path) == some(count)
                continue
            with pytest.raises(UserError, match="found the seal"):
                entries_of(path)


def test_every_repeated_line_is_noticed(path: Path) -> None:
    journal.append(path, some(3))
    lines = path.read_bytes().splitlines(keepends=True)
    for repeated in range(3):
        for place in range(repeated + 1, 4):
            path.write_bytes(b"".join([*lines[:place], lines[repeated], *lines[place:]]))
            with pytest.raises(UserError, match=rf"the very same is line {repeated + 1}\."):
                entries_of(path)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    journal.append(path, some(3))
    whole = path.read_bytes()
    # Without its end the last line is a torn one.
    for position in range(0, 8 * (len(whole) - 1), 3):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"line [123] \(byte \d+\)"):
            entries_of(path)


def test_damage_is_told_with_what_is_in_doubt_and_what_helps(path: Path) -> None:
    journal.append(path, some(5))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines).replace(b"/a/2", b"/b/2"))
    with pytest.raises(UserError) as caught:
        entries_of(path)
    told = str(caught.value)
    at = len(lines[0]) + len(lines[1])
    assert told.startswith(
        f"{path}: line 3 (byte {at}): found the seal {lines[2][-35:-3].decode()}"
    )
    assert "In doubt are lines 3 to 5 (seen /b/2, seen /a/3, seen /a/4)" in told
    assert "lines 1 to 2 are as written. Restore the journal from a backup." in told
    assert f"`truncate -s {at} {path}`" in told


def test_journals_without_seals_are_read_and_sealed_from_then_on(path: Path) -> None:
    entries = some(5)
    path.write_bytes(unsealed(entries[:3]))
    assert entries_of(path) == entries[:3]
    journal.append(path, entries[3:])
    assert entries_of(path) == entries
    assert path.read_bytes().startswith(unsealed(entries[:3]))
    chain = ""
    for entry in entries[:4]:
        chain = seal(chain, entry)
    assert path.read_text().splitlines()[3].endswith(f', "seal": "{chain}"}}')


@pytest.mark.parametrize("line", [0, 1, 2])
def test_the_first_seal_vouches_for_lines_without_one(path: Path, line: int) -> None:
    path.write_bytes(unsealed(some(3)))
    journal.append(path, some(2))
    path.write_bytes(path.read_bytes().replace(b"/a/%d" % line, b"/b/%d" % line, 1))
    with pytest.raises(
        UserError, match=r"In doubt are lines 1 to 5 .* no line before them"
    ) as told:
        entries_of(path)
    assert "line 4 (byte" in str(told.value)
    assert "begin a new workspace" in str(told.value)


def test_a_line_without_a_seal_after_one_with_it_is_damage(path: Path) -> None:
    journal.append(path, some(2))
    with path.open("ab") as file:
        file.write(unsealed(some(1)))
    with pytest.raises(UserError, match=r"line 3 .* found no seal, expected [0-9a-f]{32}\. It was"):
        entries_of(path)
    with pytest.raises(UserError, match="found no seal"):
        journal.append(path, some(1))


def test_an_entry_of_a_newer_version_is_told_from_damage(path: Path) -> None:
    journal.append(path, some(1))
    line = b'{"type": "later"}'
    before = path.read_bytes()[-35:-3].decode()
    later = hashlib.sha256(f"{before}\n".encode() + line).hexdigest()[:32].encode()
    with path.open("ab") as file:
        file.write(line[:-1] + b', "seal": "' + later + b'"}\n')
    with pytest.raises(UserError, match=r"Input tag 'later'.* Its seal is right, so a newer v6"):
        entries_of(path)


def test_a_whole_last_line_that_is_no_entry_is_not_torn(path: Path) -> None:
    journal.append(path, some(2))
    path.write_bytes(path.read_bytes().replace(b'"/a/1"', b'"/a/1'))
    with pytest.raises(UserError, match="line 2"):
        entries_of(path)


def committed_and_forgotten(workspace: Workspace) -> None:
    made = make_fragment(workspace, "f1", 1)
    connection = open_warehouse(workspace)
    record(connection, workspace, [commit(made)])
    record(connection, workspace, [forget(made)])
    connection.close()


def test_an_old_commit_at_the_end_does_not_undo_a_withdrawal(workspace: Workspace) -> None:
    committed_and_forgotten(workspace)
    whole = workspace.journal.read_bytes()
    first = whole.splitlines(keepends=True)[0]
    workspace.journal.write_bytes(whole + first)
    for opening in (open_warehouse, lambda one: rebuild(one, None)):
        with pytest.raises(UserError, match=r"In doubt is line 3 \(commit r1\)") as caught:
            opening(workspace)  # type: ignore[operator]
    advised = re.search(r"`truncate -s (\d+) ", str(caught.value))
    assert advised is not None
    assert whole == workspace.journal.read_bytes()[: int(advised[1])]
    workspace.journal.write_bytes(whole)
    assert rebuild(workspace, None).removed == 0
    connection = open_warehouse(workspace)
    assert not contents(connection)["traffic_5m"].num_rows
    connection.close()


@pytest.mark.parametrize("changed", ["body", "seal", "both"])
def test_the_last_applied_line_must_be_the_one_that_was_applied(
    workspace: Workspace, changed: str
) -> None:
    committed_and_forgotten(workspace)
    whole = workspace.journal.read_bytes()
    last = whole.splitlines()[1]
    other = last
    if changed != "seal":
        other = other.replace(b"repeats others", b"repeats otherS")
    if changed != "body":
        other = other[:-3] + (b"1" if other[-3:-2] != b"1" else b"2") + other[-2:]
    workspace.journal.write_bytes(whole.replace(last, other))
    with pytest.raises(UserError, match=rf"ends at byte {len(whole)} has the seal .*Restore"):
        open_warehouse(workspace)


def test_another_journal_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    one, other = workspace_at(tmp_path / "a"), workspace_at(tmp_path / "b")
    for workspace, name in ((one, "f1"), (other, "f2")):
        made = make_fragment(workspace, name, 1)
        connection = open_warehouse(workspace)
        record(connection, workspace, [commit(made), forget(made)])
        connection.close()
    assert one.journal.stat().st_size == other.journal.stat().st_size
    one.journal.write_bytes(other.journal.read_bytes())
    with pytest.raises(UserError, match="this is another journal"):
        open_warehouse(one)


def drop_seals(workspace: Workspace, applied_lines: int) -> None:
    """Make the workspace one of a version without seals, which has applied so many lines."""
    entries = entries_of(workspace.journal)
    workspace.journal.write_bytes(unsealed(entries))
    connection = duckdb.connect(workspace.warehouse)
    write_state(connection, "journal_offset", str(len(unsealed(entries[:applied_lines]))))
    connection.execute("DELETE FROM private.state WHERE key = 'journal_seal'")
    connection.close()


@pytest.mark.parametrize("applied_lines", [1, 2])
def test_a_warehouse_of_a_version_without_seals_goes_on(
    workspace: Workspace, applied_lines: int
) -> None:
    """Whether or not that version was killed after it had written the last line."""
    committed_and_forgotten(workspace)
    drop_seals(workspace, applied_lines)
    connection = open_warehouse(workspace)
    first, second = entries_of(workspace.journal)
    assert read_state(connection, "journal_seal") == seal(seal("", first), second)
    connection.close()
    # From now on every line has a seal.
    whole = workspace.journal.read_bytes()
    workspace.journal.write_bytes(whole + whole.splitlines(keepends=True)[0])
    with pytest.raises(UserError, match=r"line 3 .* found no seal"):
        open_warehouse(workspace)
    # And the lines without one cannot change any more.
    workspace.journal.write_bytes(whole.replace(b"f1.parquet", b"f2.parquet"))
    with pytest.raises(UserError, match="this is another journal"):
        open_warehouse(workspace)
    workspace.journal.write_bytes(whole)
    connection = open_warehouse(workspace)
    record(connection, workspace, some(1))
    connection.close()
    assert entries_of(workspace.journal) == [first, second, *some(1)]
