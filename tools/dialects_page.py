"""``docs/dialects.md``, made from a text and the schemas: ``python -m tools.dialects_page``.

The text stands beside this, in ``dialects_page.md``; the tables in it are what a dialect file is
checked against, so they cannot drift. A test compares the page with the file.
"""

import sys
from pathlib import Path
from typing import Final

from tools.markdown_table import markdown_table
from v6share.schemas.dialects import RULE_TABLES
from v6share.schemas.flow import FLOW_COLUMNS, FlowColumn
from v6share.schemas.source_kinds import FORM_MEANINGS

_TEXT: Final = Path(__file__).with_suffix(".md")
_PLACE: Final = "<!-- table: {} -->\n"


def dialects_page() -> str:
    """The whole page as Markdown. Raises ValueError where the text has no place for a table."""
    page = _TEXT.read_text(encoding="utf-8")
    tables = {"columns": _columns(), "forms": _forms(), "rules": _rules()}
    for name, table in tables.items():
        place = _PLACE.format(name)
        if place not in page:
            raise ValueError(f"{_TEXT}: expected a line {place.strip()}")
        page = page.replace(place, table)
    return page


def _columns() -> str:
    return markdown_table(
        ("column", "what", "form", "range", "unit", "other direction"),
        (
            (
                f"`{column.name}`",
                column.meaning,
                column.form.value,
                _range(column),
                column.unit,
                column.reverse.value,
            )
            for column in FLOW_COLUMNS.values()
        ),
    )


def _range(column: FlowColumn) -> str:
    if column.largest is None:
        return ""
    power = column.largest.bit_length() - 1
    is_long = power > 32 and column.largest == 2**power
    return f"0 to 2^{power}" if is_long else f"0 to {column.largest:,}"


def _forms() -> str:
    return markdown_table(
        ("form", "how its values may stand in a file"),
        ((form.value, meaning) for form, meaning in FORM_MEANINGS.items()),
    )


def _rules() -> str:
    return markdown_table(
        ("table", "says of its rows"),
        ((f"`[[{name}]]`", table.meaning) for name, table in RULE_TABLES.items()),
    )


if __name__ == "__main__":
    sys.stdout.write(dialects_page())
