"""How the columns of a view are shown, as the header of its file says: their units, and which of
them come first. Pure.

Both travel with the column as metadata of its Arrow field, through every selection and renaming.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_SECTIONS: Final = ("what", "unit", "columns", "first", "formula", "source")
_MANY: Final = 1000


def section(about: str, name: str) -> str:
    """One part of a view's header on one line, such as its ``what``; empty where it is missing."""
    others = "|".join(_SECTIONS)
    found = re.search(rf"^{name}:(.*?)(?=^(?:{others}):|\Z)", about, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def title_of(name: str, about: str) -> str:
    """What stands above a view: its name as it is typed, and what it shows."""
    what = section(about, "what")
    return f"{name}: {what}" if what else name


def parse_clauses(text: str) -> dict[str, str]:
    """What is said of each column, from ``first, second: share 0 to 1; third: bytes; a remark``."""
    said: dict[str, str] = {}
    for clause in text.split(";"):
        names, colon, words = clause.partition(":")
        if colon:
            said |= {name.strip(): words.strip() for name in names.split(",")}
    return said


def with_header(table: "pa.Table", about: str) -> "pa.Table":
    """The same rows; each column carries what the header of its view says of it."""
    first = section(about, "first").split(", ")
    places = {name: str(place) for place, name in enumerate(first) if name}
    return with_facts(
        with_facts(table, "unit", parse_clauses(section(about, "unit"))), "place", places
    )


def with_facts(table: "pa.Table", fact: str, values: Mapping[str, str]) -> "pa.Table":
    """The same rows; each column that is named carries one fact more."""
    import pyarrow as pa

    fields = [
        field.with_metadata((field.metadata or {}) | {fact.encode(): values[field.name]})
        if field.name in values
        else field
        for field in table.schema
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def place_of(field: "pa.Field", position: int) -> int:
    """How much a column matters: 0 most. Those that no header names follow, as they stand."""
    place = (field.metadata or {}).get(b"place")
    return _MANY + position if place is None else int(place)


def unit_of(field: "pa.Field", row: Mapping[str, Any]) -> str:
    """The unit of one value: ``share``, ``points``, ``bytes`` or what the header calls it.

    ``of the NAME`` is a unit that differs from row to row: the value in the column NAME tells it
    by its name, as a column does that carries no unit.
    """
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    if unit.startswith("of the "):
        return unit_of_name(str(row.get(unit.split()[2])))
    return unit.partition(" ")[0] or unit_of_name(field.name)


def unit_of_name(name: str) -> str:
    """What a name says of a unit: ``share``, ``bytes``, or nothing."""
    words = name.split("_")
    if "share" in words:
        return "share"
    return "bytes" if name == "size" or ("bytes" in words and "variance" not in words) else ""
