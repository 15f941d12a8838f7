"""The pure parts of a run: what to skip, what an outcome means, what to advise, which span."""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.pipelines.timespan import Span, parse_span
from v6share.schemas.catalog.parse import Exporter, exporters_header
from v6share.schemas.catalog.suggest import directions_advice, interval_advice
from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.warehouse.ledger.journal import Commit, Quarantine, Seen
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
NOTHING = KnownInputs({}, {}, frozenset(), frozenset())
SEEN = {FILE.path: (FILE.size, FILE.mtime_ns, KEY.input_id)}
COMMITTED = replace(NOTHING, files=SEEN, committed={KEY.input_id: KEY})
REFUSED_KEY = replace(KEY, dialect="")
REFUSED = replace(NOTHING, files=SEEN, quarantined=frozenset({REFUSED_KEY}))
REFUSED_AS_IPFIX = replace(NOTHING, files=SEEN, quarantined=frozenset({KEY}))
FORGOTTEN = replace(NOTHING, files=SEEN, forgotten=frozenset({KEY.input_id}))
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "versions", "fate"),
    [
        (NOTHING, Versions(1, "c1"), "todo"),
        (COMMITTED, Versions(1, "c1"), "known"),
        (COMMITTED, Versions(2, "c1"), "todo"),
        (COMMITTED, Versions(1, "c2"), "todo"),
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
    assert [type(entry) for entry in written] == [Quarantine, Seen, Seen]


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


REQUIRED = ("exporter", "vantage", "role", "sampling_interval", "white_box")


def advised(
    rows: int,
    without: dict[str, int],
    *exporters: Exporter,
    header: tuple[str, ...] = REQUIRED,
) -> str | None:
    one = replace(outcome("/a"), rows_in=rows, rows_without_interval=without)
    return interval_advice([one], exporters, header)


def test_a_tenth_without_interval_is_not_worth_a_word() -> None:
    assert advised(100, {"192.0.2.1": 10}) is None
    assert advised(0, {}) is None
    assert advised(100, {"192.0.2.1": 11}) is not None


def test_new_exporters_get_a_line_and_listed_ones_a_word() -> None:
    listed = Exporter(exporter="192.0.2.1", vantage="edge")
    text = advised(100, {"192.0.2.1": 20, "192.0.2.2": 20, "": 10}, listed)
    assert text is not None
    assert "  192.0.2.2,edge,,N,false" in text.splitlines()
    assert "  192.0.2.1,edge,,N,false" not in text
    assert "(no exporter): 10 rows" in text
    assert "listed there need a sampling_interval" in text


def test_exporters_of_both_directions_get_a_line_or_a_word() -> None:
    new = {"exporter": "192.0.2.2", "egress_rows": 50, "rows": 100, "listed": False}
    text = directions_advice([new], (*REQUIRED, "directions"))
    assert text is not None
    assert "  192.0.2.2,edge,,,false,both" in text.splitlines()
    assert "  192.0.2.2: 50 of 100 rows are egress records" in text.splitlines()
    assert "listed there" not in text
    text = directions_advice([new | {"listed": True}], (*REQUIRED, "directions"))
    assert text is not None
    assert "listed there need the directions both" in text
    assert "false,both" not in text


def test_lines_to_paste_have_the_columns_of_the_file() -> None:
    mine = ("site", "white_box", "sampling_interval", "exporter", "role", "vantage")
    text = advised(100, {"core, old": 20}, header=mine)
    assert text is not None
    assert '  ,false,N,"core, old",,edge' in text.splitlines()
    assert "  site," not in text  # it has its header


def test_lines_for_no_file_come_with_the_header_of_the_starter_file() -> None:
    starter = (files("v6share.jobs") / "starter/exporters.csv").read_bytes()
    text = advised(100, {"192.0.2.2": 20}, header=())
    assert text is not None
    header, line = (line.strip() for line in text.splitlines() if line.count(",") > 6)
    assert header.split(",") == exporters_header(starter)
    assert line == "192.0.2.2,edge,,N,false,,,"


def test_a_file_without_the_column_directions_is_told_where_to_get_it() -> None:
    new = {"exporter": "192.0.2.2", "egress_rows": 50, "rows": 100, "listed": False}
    text = directions_advice([new], REQUIRED)
    assert text is not None
    assert "  192.0.2.2,edge,,,false,both" in text.splitlines()
    assert "put ,directions at the end of its header" in text
    assert "put ,directions" not in str(directions_advice([new], (*REQUIRED, "directions")))
    assert "put ,directions" not in str(directions_advice([new | {"exporter": ""}], REQUIRED))


def test_a_few_egress_records_are_not_worth_a_word() -> None:
    few = {"exporter": "192.0.2.2", "egress_rows": 9, "rows": 100, "listed": False}
    assert directions_advice([few], ()) is None
    assert directions_advice([few | {"egress_rows": 10}], ()) is not None
    assert directions_advice([], ()) is None


def test_span_of_days_and_times() -> None:
    assert parse_span("1970-01-02", None) == Span(86_400_000, None)
    assert parse_span(None, "1970-01-01T01:00+01:00") == Span(None, 0)
    assert parse_span(None, "1970-01-01T00:00:00.5Z") == Span(None, 500)


@pytest.mark.parametrize("text", ["", "today", "2026-13-01", "01.02.2026"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UserError, match="--since: found"):
        parse_span(text, None)


@pytest.mark.parametrize(
    ("first", "last", "overlaps"),
    [(0, 9, False), (0, 10, True), (19, 30, True), (20, 30, False), (0, 30, True)],
)
def test_the_span_is_half_open(first: int, last: int, overlaps: bool) -> None:
    assert Span(10, 20).overlaps(first, last) is overlaps
