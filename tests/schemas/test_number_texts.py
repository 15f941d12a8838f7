"""Numbers that stand in a file as text."""

import pytest

from v6share.schemas.text.numbers import THOUSANDS, why_no_number, without_thousands


@pytest.mark.parametrize(
    ("text", "mark", "plain"),
    [
        ("1,234", ",", "1234"),
        ("-12,345,678", ",", "-12345678"),
        ("1 234 567", " ", "1234567"),
        ("1'234", "'", "1'234".replace("'", "")),
        ("999.999", ".", "999999"),
        # No number of thousands, or another mark: as it is.
        ("1,23", ",", "1,23"),
        ("1234,567", ",", "1234,567"),
        ("1,234,56", ",", "1,234,56"),
        ("1,234.567", ",", "1,234.567"),
        ("1,234", ".", "1,234"),
        (",234", ",", ",234"),
        ("1,234\n", ",", "1,234\n"),
        ("", ",", ""),
        ("12", ",", "12"),
    ],
)
def test_marks_between_thousands_are_left_out(text: str, mark: str, plain: str) -> None:
    assert without_thousands(text, mark) == plain


@pytest.mark.parametrize("mark", THOUSANDS)
def test_a_number_with_thousands_is_explained_by_its_mark(mark: str) -> None:
    assert f'`thousands = "{mark}"`' in why_no_number(f"12{mark}345")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.2 M", "it is rounded, with a unit"),
        ("3KB", "it is rounded, with a unit"),
        ("1.5", "it has decimals"),
        ("1e6", "it has decimals"),
        ("12", ""),
        ("N/A", ""),
        ("", ""),
    ],
)
def test_other_texts(text: str, said: str) -> None:
    found = why_no_number(text)
    assert found.startswith(said)
    assert bool(found) == bool(said)
