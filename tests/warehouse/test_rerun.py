"""What a rerun skips, and what outcomes mean for the ledger."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.warehouse.ledger.changes import plan_changes
from v6share.warehouse.ledger.journal import Commit, CommittedInput, Quarantine, Seen
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.outcomes import (
    Rewritten,
    journal_entries,
    rewritten_inputs,
    sort_outcomes,
)
from v6share.warehouse.ledger.rerun import Versions, sort_out

KEY = FragmentKey("a" * 64, "ipfix", 1, "c1")
FILE = FoundInput("/flows/a.parquet", 10, 7)
NOTHING = KnownInputs({}, {}, set(), set())
SEEN = {FILE.path: (FILE.size, FILE.mtime_ns, KEY.input_id)}
COMMITTED = replace(NOTHING, files=SEEN, committed={KEY.input_id: KEY})
SEALED = replace(COMMITTED, sealed={KEY.input_id})
REFUSED_KEY = replace(KEY, dialect="")
REFUSED = replace(NOTHING, files=SEEN, quarantined={REFUSED_KEY})
REFUSED_AS_IPFIX = replace(NOTHING, files=SEEN, quarantined={KEY})
FORGOTTEN = replace(NOTHING, files=SEEN, forgotten={KEY.input_id})
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "versions", "fate"),
    [
        (NOTHING, Versions(1, "c1"), "todo"),
        (COMMITTED, Versions(1, "c1"), "known"),
        (COMMITTED, Versions(2, "c1"), "todo"),
        (COMMITTED, Versions(1, "c2"), "todo"),
        # c1 is the same catalog under an earlier client key.
        (COMMITTED, Versions(1, "c2", earlier=frozenset({"c1"})), "known"),
        (COMMITTED, Versions(2, "c2", earlier=frozenset({"c1"})), "todo"),
        (COMMITTED, Versions(1, "c2", "goflow2", frozenset({"c1"})), "todo"),
        (SEALED, Versions(1, "c1"), "sealed"),
        (SEALED, Versions(2, "c2", "goflow2"), "sealed"),
        (REFUSED, Versions(1, "c2", earlier=frozenset({"c1"})), "refused"),
        (COMMITTED, Versions(1, "c1", "ipfix"), "known"),
        (COMMITTED, Versions(1, "c1", "goflow2"), "todo"),
        (REFUSED, Versions(1, "c1"), "refused"),
        (REFUSED, Versions(1, "c2"), "todo"),
        (REFUSED, Versions(1, "c1", "ipfix"), "todo"),
        (REFUSED_AS_IPFIX, Versions(1, "c1"), "todo"),
        (REFUSED_AS_IPFIX, Versions(1, "c1", "ipfix"), "refused"),
        (REFUSED_AS_IPFIX, Versions(1, "c1", "goflow2"), "todo"),
        (FORGOTTEN, Versions(1, "c1"), "forgotten"),
        (FORGOTTEN, Versions(2, "c2"), "forgotten"),
    ],
)
def test_what_a_rerun_skips(known: KnownInputs, versions: Versions, fate: str) -> None:
    sorted_out = sort_out([FILE], known, versions)
    assert {name for name, files in sorted_out.items() if files} == {fate}


@pytest.mark.parametrize("change", [{"size": 11}, {"mtime_ns": 8}, {"path": "/flows/b.parquet"}])
def test_a_changed_file_is_new(change: dict[str, object]) -> None:
    changed = replace(FILE, **change)
    assert sort_out([changed], COMMITTED, Versions(1, "c1"))["todo"] == [changed]


def test_forgotten_inputs_come_back_when_asked() -> None:
    fates = sort_out([FILE], FORGOTTEN, Versions(1, "c1"), include_forgotten=True)
    assert fates["todo"] == [FILE]


def test_what_comes_out_of_a_sealed_input_counts_nothing() -> None:
    """As where its file was moved, and so counted by another catalog."""
    counted = Outcome("/b.parquet", 10, 7, "fragment", replace(KEY, catalog_version="c2"))
    refused = replace(counted, path="/c.parquet", status="quarantined")
    result = sort_outcomes([counted, refused], SEALED)
    assert (result.copies, result.committed, result.refused) == ([counted, refused], [], [])


UNKNOWN_CONTENT = ("busy", "failed")


def outcome(path: str, status: str = "fragment", content: str = "a") -> Outcome:
    made = REFUSED_KEY if status == "quarantined" else KEY
    key = None if status in UNKNOWN_CONTENT else replace(made, input_id=content * 64)
    return Outcome(path, 10, 7, status, key, rows_in=5)  # type: ignore[arg-type]


def test_of_equal_contents_the_first_path_counts() -> None:
    result = sort_outcomes([outcome("/b"), outcome("/a"), outcome("/c", content="c")], NOTHING)
    assert [one.path for one in result.committed] == ["/a", "/c"]
    assert [one.path for one in result.copies] == ["/b"]


def test_what_is_committed_already_is_a_copy() -> None:
    result = sort_outcomes([outcome("/a"), outcome("/b", "known")], COMMITTED)
    assert [one.path for one in result.copies] == ["/a", "/b"]
    assert journal_entries(result, "r", AT) == [
        Seen("/a", 10, 7, KEY.input_id),
        Seen("/b", 10, 7, KEY.input_id),
    ]


def test_only_a_new_refusal_is_new() -> None:
    outcomes = [outcome("/a", "quarantined"), outcome("/b", "quarantined", "b")]
    result = sort_outcomes([*outcomes, outcome("/c", "quarantined", "b")], REFUSED)
    assert [one.path for one in result.refused_again] == ["/a"]
    assert [one.path for one in result.refused] == ["/b"]
    assert [one.path for one in result.refused_copies] == ["/c"]
    written = journal_entries(result, "r", AT)
    assert [type(entry) for entry in written] == [Seen, Quarantine, Seen]


OTHER = FoundInput("/flows/b.parquet", 10, 7)


@pytest.mark.parametrize(
    ("known", "outcomes", "unchanged", "rewritten"),
    [
        (COMMITTED, [outcome(FILE.path, content="b")], [], ["a", "b"]),
        (COMMITTED, [outcome(FILE.path)], [], None),  # counted again by newer versions
        (COMMITTED, [outcome("/new", content="b")], [], None),
        (FORGOTTEN, [outcome(FILE.path, content="b")], [], None),
        (COMMITTED, [outcome(FILE.path, "quarantined", "b")], [], None),
        # The old content is known, or found again, at another place: it was moved.
        (
            replace(COMMITTED, files=SEEN | {OTHER.path: (10, 7, "a" * 64)}),
            [outcome(FILE.path, content="b")],
            [OTHER],
            None,
        ),
        (COMMITTED, [outcome(FILE.path, content="b"), outcome("/moved", "known")], [], None),
    ],
)
def test_what_was_written_anew_in_place(
    known: KnownInputs,
    outcomes: list[Outcome],
    unchanged: list[FoundInput],
    rewritten: list[str] | None,
) -> None:
    found = rewritten_inputs(sort_outcomes(outcomes, known), unchanged, known)
    wanted = [] if rewritten is None else [Rewritten(FILE.path, *(c * 64 for c in rewritten))]
    assert found == wanted


def test_a_copy_of_a_forgotten_input_stays_out() -> None:
    result = sort_outcomes([outcome("/copy")], FORGOTTEN)
    assert (result.committed, [one.path for one in result.forgotten]) == ([], ["/copy"])
    again = sort_outcomes([outcome("/copy")], FORGOTTEN, include_forgotten=True)
    assert [one.path for one in again.committed] == ["/copy"]


@given(
    st.lists(
        st.builds(
            outcome,
            st.sampled_from([f"/{name}" for name in "abcdefgh"]),
            st.sampled_from(["fragment", "known", "quarantined", "busy", "failed"]),
            st.sampled_from("abc"),
        ),
        unique_by=lambda one: one.path,
    ),
    st.sampled_from([NOTHING, COMMITTED, REFUSED, FORGOTTEN]),
)
def test_every_outcome_has_one_fate_and_leaves_one_trace(
    outcomes: list[Outcome], known: KnownInputs
) -> None:
    result = sort_outcomes(outcomes, known)
    assert sorted(one.path for fate in vars(result).values() for one in fate) == sorted(
        one.path for one in outcomes
    )
    traces: list[str] = []
    for entry in journal_entries(result, "r", AT):
        match entry:
            case Commit():
                traces.extend(one.path for one in entry.inputs)
            case Quarantine() | Seen():
                traces.append(entry.path)
    assert sorted(traces) == sorted(
        one.path for one in outcomes if one.status not in UNKNOWN_CONTENT
    )


ONE, OTHER = FragmentFile("1" * 64, 100), FragmentFile("2" * 64, 101)


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ([ONE, ONE], False),
        ([ONE, OTHER], True),
        ([ONE, OTHER, ONE], False),
        ([None, ONE], True),  # an older release did not say which file it wrote
        ([ONE, None], False),
    ],
)
def test_another_file_of_the_same_versions_takes_the_place_of_the_first(
    files: list[FragmentFile | None], changed: bool
) -> None:
    entries = [
        Commit(
            "r", AT, (CommittedInput(**vars(KEY), path="/a", size=1, mtime_ns=1, fragment=file),)
        )
        for file in files
    ]
    (row,) = plan_changes((), entries[:1]).added
    changes = plan_changes([row], entries[1:])
    assert ([row.key for row in changes.removed], len(changes.added)) == (
        ([KEY], 1) if changed else ([], 0)
    )
    (now,) = changes.rows[KEY.input_id].values()
    assert now.fragment == next(file for file in reversed(files) if file is not None)
