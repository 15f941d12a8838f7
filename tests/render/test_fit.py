"""What of a table fits a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from v6share.render.fit import GAP, Column, fit, header


def column(name: str, *cells: str, text: bool = False, place: int = 0) -> Column:
    return Column(name, cells, text, place)


def names(columns: object) -> list[str]:
    return [one.name for one in columns]  # type: ignore[attr-defined]


APP = column("app", "video", "music", text=True, place=0)
BASIS = column("basis", "bytes", "bytes", text=True, place=2)
SHARE_LOW = column("share_low", "93.8 %", "92.3 %", place=1)
NUMERATOR = column("numerator", "3.83 GB", "1.75 GB", place=3)
TABLE = [APP, BASIS, NUMERATOR, SHARE_LOW]  # widths 5, 5, 9, 9, and three gaps of 2: 34


def test_what_fits_is_shown_as_it_is() -> None:
    layout = fit(TABLE, 34)
    assert list(layout.shown.items()) == [(APP, 5), (BASIS, 5), (NUMERATOR, 9), (SHARE_LOW, 9)]
    assert (layout.same, layout.left_out) == ([], [])


def test_what_is_the_same_everywhere_goes_first() -> None:
    layout = fit(TABLE, 33)
    assert list(layout.shown.items()) == [(APP, 5), (NUMERATOR, 9), (SHARE_LOW, 9)]
    assert (layout.same, layout.left_out) == ([BASIS], [])


def test_then_headers_wrap_at_underscores() -> None:
    layout = fit(TABLE, 24)  # 5 + 9 + 6 and two gaps
    assert list(layout.shown.items()) == [(APP, 5), (NUMERATOR, 9), (SHARE_LOW, 6)]
    assert layout.left_out == []
    assert header("share_low", 6) == "share_\nlow"
    assert header("share_low", 9) == "share_low"
    assert header("days_since_enabled", 11) == "days_since_\nenabled"


def test_then_the_columns_that_matter_least_are_left_out() -> None:
    layout = fit(TABLE, 23)
    assert (list(layout.shown), layout.left_out) == ([APP, SHARE_LOW], [NUMERATOR])


def test_a_text_wraps_and_takes_what_width_is_left() -> None:
    note = column("note", "the quick brown fox jumps over the lazy dog", "-", text=True)
    assert fit([APP, note], 40).shown == {APP: 5, note: 33}
    assert fit([APP, note], 26).left_out == [note]  # under 20 cells a text is no text


def test_words_are_not_cut_and_wide_letters_count_twice() -> None:
    assert column("note", "a " * 20 + "x" * 25, text=True).least_width == 25
    assert column("name", "视频", "a").width == 4
    assert column("n", "视频", "a").width == 4


def test_one_row_has_nothing_that_is_the_same_in_all() -> None:
    layout = fit([column("a", "1"), column("b", "2")], 3)
    assert (names(layout.shown), layout.same, names(layout.left_out)) == (["a"], [], ["b"])


@given(
    st.lists(
        st.builds(
            Column,
            st.text("ab_", min_size=1, max_size=20),
            st.tuples(st.text("a ", max_size=50), st.text("a ", max_size=50)),
            st.booleans(),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 120),
)
def test_every_column_is_shown_or_named_and_the_shown_fit(
    columns: list[Column], width: int
) -> None:
    layout = fit(columns, width)
    told = [*layout.shown, *layout.same, *layout.left_out]
    assert sorted(map(id, told)) == sorted(map(id, columns))
    assert all(shown >= one.least_width for one, shown in layout.shown.items())
    total = sum(layout.shown.values()) + GAP * (len(layout.shown) - 1)
    assert total <= width or len(layout.shown) == 1
