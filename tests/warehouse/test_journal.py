# ruff: noqa: DTZ001 - times here are UTC without zone, as in the tables
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from fragment_maker import AT, input_id, quarantine
from hypothesis import given
from hypothesis import strategies as st
from syncs import note_syncs

from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentFile
from v6share.schemas.ledger import LEDGER_FINAL_DAYS, LEDGER_RUNS
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.journal import (
    ClientKey,
    Commit,
    CommittedInput,
    Decision,
    Entry,
    FinalDay,
    FinalDays,
    Forget,
    Run,
    Seen,
)
from v6share.warehouse.ledger.seals import BEGINNING, Mark

TEXT = st.text(st.characters(codec=None, exclude_characters="\0"), max_size=12)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))
NUMBERS = st.integers(0, 2**62)
FILES = st.none() | st.builds(FragmentFile, TEXT, NUMBERS)
INPUTS = st.builds(CommittedInput, TEXT, TEXT, NUMBERS, TEXT, TEXT, NUMBERS, NUMBERS, FILES)
SUMS = st.integers(0, 2**120)
DAYS = st.builds(FinalDay, st.dates(), NUMBERS, TIMES, SUMS, SUMS, SUMS, TEXT)
ENTRIES = st.one_of(
    st.builds(Commit, TEXT, TIMES, st.lists(INPUTS, max_size=3).map(tuple)),
    st.builds(Seen, TEXT, NUMBERS, NUMBERS, TEXT),
    st.builds(Forget, TEXT, TIMES, st.lists(TEXT, max_size=3).map(tuple), TEXT),
    st.builds(
        Decision,
        TEXT,
        TIMES,
        st.lists(TEXT, max_size=3).map(tuple),
        st.sampled_from(["accept", "retry"]),
        TEXT,
    ),
    st.builds(FinalDays, TIMES, st.lists(DAYS, max_size=3).map(tuple)),
    st.builds(ClientKey, TIMES, TEXT),
    st.just(quarantine("x")),
    st.just(Run("r", "c", "0", 1, "c", AT, AT, 1, 2, 3, 4, 5, 6, "committed")),
)


@given(ENTRIES)
def test_an_entry_survives_its_line(entry: Entry) -> None:
    line = journal.format_entry(entry)
    assert "\n" not in line
    assert journal.parse_entry(line.encode()) == entry


def test_run_fields_are_the_columns_of_ledger_runs() -> None:
    assert list(Run.__dataclass_fields__) == ["type", *(c.name for c in LEDGER_RUNS.columns)]


def test_fields_of_a_final_day_are_columns_of_its_table() -> None:
    columns = [column.name for column in LEDGER_FINAL_DAYS.columns]
    columns.remove("published_at")
    assert list(FinalDay.__dataclass_fields__) == columns


GOLDEN: list[tuple[Entry, str]] = [
    (
        Commit("r1", AT, (CommittedInput("ab12", "ipfix", 5, "cd34", "/f/a.parquet", 99, 17),)),
        '{"type": "commit", "run_id": "r1", "at": "2026-04-01T12:00:00.123456", "inputs": '
        '[{"input_id": "ab12", "dialect": "ipfix", "rules_version": 5, "catalog_version": "cd34", '
        '"path": "/f/a.parquet", "size": 99, "mtime_ns": 17}]}',
    ),
    (
        Commit(
            "r1",
            AT,
            (CommittedInput("ab", "ipfix", 5, "cd", "/f", 9, 17, FragmentFile("ef01", 2345)),),
        ),
        '{"type": "commit", "run_id": "r1", "at": "2026-04-01T12:00:00.123456", "inputs": '
        '[{"input_id": "ab", "dialect": "ipfix", "rules_version": 5, "catalog_version": "cd", '
        '"path": "/f", "size": 9, "mtime_ns": 17, '
        '"fragment": {"sha256": "ef01", "size": 2345}}]}',
    ),
    (
        replace(quarantine("x"), rules_version=1),
        '{"type": "quarantine", "run_id": "r1", "at": "2026-04-01T12:00:00.123456", "input_id": '
        f'"{input_id("x")}", "path": "/flows/x.parquet", "size": 99, "mtime_ns": 5, "dialect": "", '
        '"rules_version": 1, "catalog_version": "c1", "reason": "no_dialect", "detail": '
        '"columns found: a, b"}',
    ),
    (
        ClientKey(AT, "0123456789abcdef"),
        '{"type": "key", "at": "2026-04-01T12:00:00.123456", "key_id": "0123456789abcdef"}',
    ),
    (
        Seen("/copy/\udcff\u00fc", 7, 8, "ab12"),
        '{"type": "seen", "path": "/copy/\\udcff\\u00fc", "size": 7, "mtime_ns": 8, '
        '"input_id": "ab12"}',
    ),
    (
        Forget("r2", AT, ("ab12", "cd34"), "wrong clock"),
        '{"type": "forget", "run_id": "r2", "at": "2026-04-01T12:00:00.123456", "input_ids": '
        '["ab12", "cd34"], "reason": "wrong clock"}',
    ),
    (
        Decision("r2", AT, ("ab12",), "accept", "a test file"),
        '{"type": "decision", "run_id": "r2", "at": "2026-04-01T12:00:00.123456", "input_ids": '
        '["ab12"], "decision": "accept", "reason": "a test file"}',
    ),
    (
        Run("r2", "v6share run x", "0.1.0", 5, "cd34", AT, AT, 1, 2, 3, 40, 30, 10, "committed"),
        '{"type": "run", "run_id": "r2", "command": "v6share run x", "code_version": "0.1.0", '
        '"rules_version": 5, "catalog_version": "cd34", "started_at": '
        '"2026-04-01T12:00:00.123456", "finished_at": "2026-04-01T12:00:00.123456", '
        '"inputs_committed": 1, "inputs_known": 2, "inputs_quarantined": 3, "rows_in": 40, '
        '"rows_counted": 30, "rows_rejected": 10, "outcome": "committed"}',
    ),
    (
        FinalDays(AT, (FinalDay(date(2026, 3, 1), 1, datetime(2026, 3, 9, 4), 5, 2**70, 7, "ef"),)),
        '{"type": "final", "at": "2026-04-01T12:00:00.123456", "days": [{"day": "2026-03-01", '
        '"revision": 1, "changed_at": "2026-03-09T04:00:00.000000", "records": 5, '
        '"bytes": 1180591620717411303424, "ipv6_bytes": 7, "content": "ef"}]}',
    ),
]


@pytest.mark.parametrize(("entry", "line"), GOLDEN, ids=[entry.type for entry, _ in GOLDEN])
def test_the_text_of_an_entry_stays(entry: Entry, line: str) -> None:
    """Journals live for years: what an older version wrote must be read, and stay readable."""
    assert journal.format_entry(entry) == line
    assert journal.parse_entry(line.encode()) == entry


def test_a_line_that_is_nested_deep_is_no_entry() -> None:
    with pytest.raises(ValueError, match="nested hundreds deep"):
        journal.parse_entry(b"[" * 20_000 + b"]" * 20_000)


def test_times_are_stored_as_utc() -> None:
    local = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    for moment in (local, datetime(2026, 1, 1, tzinfo=UTC)):
        entry = journal.parse_entry(journal.format_entry(Forget("r", moment, (), "")).encode())
        assert isinstance(entry, Forget)
        assert entry.at == datetime(2026, 1, 1)


def some(count: int) -> list[Entry]:
    return [Seen(f"/a/{i}", i, i, input_id(str(i))) for i in range(count)]


def entries_of(path: Path, after: Mark = BEGINNING) -> list[Entry]:
    return [entry for entry, _ in journal.read(path, after)]


def test_appending_and_reading_on(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.jsonl"
    assert entries_of(path) == []
    one, two, three = some(3)
    middle = journal.append(path, [one])
    end = journal.append(path, [two, three])
    assert entries_of(path) == [one, two, three]
    assert entries_of(path, middle) == [two, three]
    assert [mark for _, mark in journal.read(path, middle)][-1] == end
    assert end.offset == path.stat().st_size


def test_every_torn_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first, second, third = some(3)
    start = journal.append(path, [first]).offset
    journal.append(path, [second])
    whole = path.read_bytes()
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        assert entries_of(path) == [first]
        journal.append(path, [third])
        assert entries_of(path) == [first, third]


def test_a_torn_end_with_a_newline_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first, second = some(2)
    journal.append(path, [first])
    path.write_bytes(path.read_bytes() + b"\0\0\0\0\n")
    assert entries_of(path) == [first]
    journal.append(path, [second])
    assert entries_of(path) == [first, second]


def test_the_name_of_a_new_journal_is_made_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    synced = note_syncs(monkeypatch, path)
    journal.append(path, some(1))
    assert (tmp_path.stat().st_ino, True) in synced


def test_a_lost_journal_is_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    applied = journal.append(path, some(1))
    path.unlink()
    with pytest.raises(UserError, match=r"not there, but .* Restore it from a backup"):
        entries_of(path, applied)
    assert entries_of(path) == []


@pytest.mark.parametrize("size", [65_536, 200_000])
def test_long_lines(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.jsonl"
    long = Seen("x" * size, 1, 1, "i")
    for _ in range(3):
        journal.append(path, [long])
    path.write_bytes(path.read_bytes() + b"y" * size)
    journal.append(path, [long])
    assert entries_of(path) == [long] * 4


@pytest.mark.parametrize(
    "line",
    [
        b"\0\0\n",
        b"{}\n",
        b'{"type": "later"}\n',
        b'{"type": []}\n',
        b'{"type": "seen", "path": "x"}\n',
        b'{"type": "forget", "run_id": "r", "at": 5, "input_ids": [], "reason": ""}\n',
        b'{"type": "forget", "run_id": "", "at": "2026-01-01", "input_ids": "ab", "reason": ""}\n',
        b'{"type": "commit", "run_id": "r", "at": "2026-01-01", "inputs": 5}\n',
        b'{"type": "commit", "run_id": "r", "at": "2026-01-01", "inputs": [{"size": 1}]}\n',
        b'{"type": "seen", "path": "x", "size": "1", "mtime_ns": 1, "input_id": "i"}\n',
        b'{"type": "seen", "path": "x", "size": 1, "mtime_ns": 1, "input_id": "i", "more": 1}\n',
        b'{"type": "final", "at": "2026-01-01", "days": ["2026-01-01"]}\n',
        b'{"type": "final", "at": "2026-01-01", "days": [{"day": 5, "revision": 0, "changed_at": '
        b'"2026-01-01", "records": 1, "bytes": 1, "ipv6_bytes": 1, "content": ""}]}\n',
        b'["seen"]\n',
    ],
)
def test_a_bad_line_inside_is_said(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    good = f"{journal.format_entry(some(1)[0])}\n".encode()
    path.write_bytes(good + line + good)
    with pytest.raises(UserError, match=rf"line 2 \(byte {len(good)}\) is not readable"):
        entries_of(path)


def test_an_offset_of_another_journal_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    end = journal.append(path, some(1))
    for offset in (end.offset + 1, end.offset - 1):
        with pytest.raises(UserError, match="rebuild"):
            entries_of(path, Mark(offset, end.seal))


def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    journal.append(path, some(1))
    before = path.read_bytes()

    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", failing)
    with pytest.raises(OSError, match="No space"):
        journal.append(path, some(2))
    assert path.read_bytes() == before


@given(
    st.lists(
        st.one_of(
            ENTRIES,
            st.builds(
                Run,
                TEXT,
                *[st.just("c")] * 2,
                st.just(1),
                st.just("c"),
                TIMES,
                TIMES,
                *[NUMBERS] * 6,
                st.just("no-op"),
            ),
        ),
        max_size=6,
    ),
    st.integers(1, 999),
)
def test_runs_backwards_are_the_runs_whatever_is_read_at_once(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], step: int
) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    path.touch()
    journal.append(path, entries)
    with path.open("ab") as file:
        file.write(b'{"type": "run", "run_id": "to')  # torn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_STEP_BYTES", step)
        found = list(journal.runs_backwards(path))
    assert found == [entry for entry in reversed(entries) if isinstance(entry, Run)]
