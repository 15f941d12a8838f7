"""Numbers that stand in a file as text, and why some of them are none. Pure."""

import re
from typing import Final

# What is written between thousands, by people and in reports: the marks that a dialect may name.
THOUSANDS: Final = (",", ".", " ", "'")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:([,. '])\d{3})(?:\1\d{3})*", re.ASCII)
_ROUNDED: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?\s*[kmgtpKMGTP](?:i?[bB])?", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d*[.,]\d+|[+-]?\d+(?:\.\d*)?[eE][+-]?\d+", re.ASCII)


def without_thousands(text: str, mark: str) -> str:
    """The text without its marks between thousands, where it is a whole number that has them."""
    grouped = _GROUPED.fullmatch(text)
    return text.replace(mark, "") if grouped and grouped[1] == mark else text


def why_no_number(text: str) -> str:
    """What is wrong with a text that is no whole number, and what to do; empty: nobody knows."""
    grouped = _GROUPED.fullmatch(text)
    if grouped:
        return (
            f'it has a "{grouped[1]}" between thousands: have the collector write plain digits '
            f'(where v6share is built from its sources, `thousands = "{grouped[1]}"` in a dialect '
            "reads it, too: docs/dialects.md)"
        )
    if _ROUNDED.fullmatch(text):
        return "it is rounded, with a unit: have the collector write plain digits"
    if _DECIMAL.fullmatch(text):
        return "it has decimals: have the collector write whole numbers"
    return ""
