"""What two sets of tables or of Parquet files differ in, in words for people.

Knows Arrow and Parquet and nothing of v6share, so that it can judge any two versions of it.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

Row: TypeAlias = dict[str, Any]

# So much of a value is shown; a sketch holds thousands of hashes.
_SHOWN: Final = 60
# Among so many rows that are only in new the one is sought that a row of old became.
_CANDIDATES: Final = 1000


@dataclass(frozen=True)
class Compared:
    """How two sets of named things compare: how many names there are, and what differs, by name.

    note: what is worth saying though it is no difference.
    """

    names: int
    different: Mapping[str, str]
    note: str = ""


def compare_tables(old: Mapping[str, pa.Table], new: Mapping[str, pa.Table]) -> Compared:
    """Compare tables by name; the rows of each must stand in an order that both sides share."""
    different = _one_sided(old, new)
    for name in old.keys() & new.keys():
        if said := table_difference(old[name], new[name]):
            different[name] = said
    rows = sum(table.num_rows for table in old.values())
    return Compared(len(old.keys() | new.keys()), different, f"{rows:,} rows")


def table_difference(old: pa.Table, new: pa.Table) -> str:
    """Say what two tables differ in: columns, types, rows, their order; empty where in nothing.

    Metadata of schemas is no part of a table. NaN equals NaN.
    """
    if not old.schema.equals(new.schema):
        return _schema_difference(old.schema, new.schema)
    if old.equals(new):
        return ""
    olds, news = _rows_by_text(old), _rows_by_text(new)
    gone, come = _without(olds, news), _without(news, olds)
    if gone or come:
        return (
            f"of {old.num_rows:,} rows {len(gone):,} are only in old, of {new.num_rows:,} rows "
            f"{len(come):,} only in new; {_first_difference(gone, come)}"
        )
    in_order = [text for text, _ in olds] == [text for text, _ in news]
    return "" if in_order else "the same rows in another order"


def _rows_by_text(table: pa.Table) -> list[tuple[str, Row]]:
    """Every row with a text that is equal where all of its values are; values may be lists."""
    return [(repr(row), row) for row in table.to_pylist()]


def _without(rows: list[tuple[str, Row]], others: list[tuple[str, Row]]) -> list[Row]:
    """Rows less others; a row that stands there twice is taken away twice only by two others."""
    left = Counter(text for text, _ in others)
    kept = []
    for text, row in rows:
        if left[text]:
            left[text] -= 1
        else:
            kept.append(row)
    return kept


def _first_difference(gone: list[Row], come: list[Row]) -> str:
    """The first row that is missing, and beside it the most similar of those that came."""
    if not gone or not come:
        return f"the first: {_shown((gone or come)[0])}"
    row = gone[0]
    like = max(come[:_CANDIDATES], key=lambda other: sum(row[name] == other[name] for name in row))
    changed = [name for name in row if repr(row[name]) != repr(like[name])]
    values = ", ".join(f"{name} {_cut(row[name])} -> {_cut(like[name])}" for name in changed)
    same = {name: value for name, value in row.items() if name not in changed}
    return f"the first: {values} where {_shown(same)}" if same else f"the first: {values}"


def _shown(row: Row) -> str:
    return ", ".join(f"{name} {_cut(value)}" for name, value in row.items())


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _schema_difference(old: pa.Schema, new: pa.Schema) -> str:
    types = [{field.name: str(field.type) for field in schema} for schema in (old, new)]
    said = [
        f"column {name}: {types[0].get(name, 'absent')} -> {types[1].get(name, 'absent')}"
        for name in dict.fromkeys([*old.names, *new.names])
        if types[0].get(name) != types[1].get(name)
    ]
    return "; ".join(said) or f"columns in another order or nullable: {old.names} -> {new.names}"


def compare_parquet(old: Path, new: Path) -> Compared:
    """Compare the Parquet files below two folders: by name, by bytes, else by what they hold.

    The same table in other bytes (checksums of pages, say) is no difference; the note counts it.
    """
    olds, news = _parquet_below(old), _parquet_below(new)
    different = _one_sided(olds, news)
    other_bytes = 0
    for name in olds & news:
        if (old / name).read_bytes() == (new / name).read_bytes():
            continue
        if said := nested_difference(pq.read_table(old / name), pq.read_table(new / name)):
            different[name] = said
        else:
            other_bytes += 1
    note = "" if different else "all by bytes"
    if other_bytes:
        note = f"{other_bytes} of the same content in other bytes"
    return Compared(len(olds | news), different, note)


def _parquet_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


def nested_difference(old: pa.Table, new: pa.Table) -> str:
    """As ``table_difference``, for rows that hold tables: says in which of these a row differs."""
    if not old.schema.equals(new.schema) or old.equals(new):
        return table_difference(old, new)
    said = [
        f"{name}: {inside}"
        for name in old.column_names
        if (inside := table_difference(_inner(old, name), _inner(new, name)))
    ]
    return "; ".join(said) or table_difference(old, new)


def _inner(table: pa.Table, name: str) -> pa.Table:
    """A column's lists of structs, end to end, as a table; another column as it is."""
    kind = table.schema.field(name).type
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return table.select([name])
    structs = pa.chunked_array([chunk.flatten() for chunk in table[name].chunks], kind.value_type)
    return pa.Table.from_struct_array(structs)


def _one_sided(old: Collection[str], new: Collection[str]) -> dict[str, str]:
    gone = {name: "only in old" for name in old if name not in new}
    return gone | {name: "only in new" for name in new if name not in old}
