"""Columns and tables as data: the Arrow schema, the DDL and the docs all derive from these.

A column says its type, its unit and its meaning once; nothing else in the project repeats them.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

import pyarrow as pa


class Kind(Enum):
    """A column's type: its name in DuckDB, and the Arrow type that carries it."""

    TEXT = "VARCHAR"
    TEXT_LIST = "VARCHAR[]"
    BOOLEAN = "BOOLEAN"
    SMALLINT = "SMALLINT"
    BIGINT = "BIGINT"
    UINTEGER = "UINTEGER"
    UBIGINT = "UBIGINT"
    UBIGINT_LIST = "UBIGINT[]"
    HUGEINT = "HUGEINT"
    DECIMAL = "DECIMAL(18,6)"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type; HUGEINT is carried as decimal128(38, 0), which DuckDB casts exactly."""
        return _ARROW[self]


_ARROW: Final = {
    Kind.TEXT: pa.string(),
    Kind.TEXT_LIST: pa.list_(pa.string()),
    Kind.BOOLEAN: pa.bool_(),
    Kind.SMALLINT: pa.int16(),
    Kind.BIGINT: pa.int64(),
    Kind.UINTEGER: pa.uint32(),
    Kind.UBIGINT: pa.uint64(),
    Kind.UBIGINT_LIST: pa.list_(pa.uint64()),
    Kind.HUGEINT: pa.decimal128(38, 0),
    Kind.DECIMAL: pa.decimal128(18, 6),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}


class Merge(Enum):
    """How a measure of two partial aggregates with the same key becomes one. All are monoids."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    THETA = "theta"


@dataclass(frozen=True)
class Column:
    """One column. ``merge`` is None for a key column; ``unit`` is empty where there is none."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    merge: Merge | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table: key columns and measures. ``day`` is the SQL expression of its UTC day."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    day: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the key columns, in order."""
        return tuple(c.name for c in self.columns if c.merge is None)

    @property
    def measures(self) -> tuple[Column, ...]:
        """The columns that merge."""
        return tuple(c for c in self.columns if c.merge is not None)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema, in column order, without dictionary types."""
        return pa.schema([pa.field(c.name, c.kind.arrow, c.nullable) for c in self.columns])

    def ddl(self, schema: str = "") -> str:
        """``CREATE TABLE`` for DuckDB. No keys and no indexes: uniqueness is a check."""
        lines = [
            f"  {c.name} {c.kind.value}{'' if c.nullable else ' NOT NULL'}" for c in self.columns
        ]
        name = f"{schema}.{self.name}" if schema else self.name
        return f"CREATE TABLE {name} (\n" + ",\n".join(lines) + "\n)"

    def comments(self, schema: str = "") -> tuple[str, ...]:
        """``COMMENT ON`` statements, so that the meanings travel inside the DuckDB file."""
        name = f"{schema}.{self.name}" if schema else self.name
        return (
            f"COMMENT ON TABLE {name} IS {literal(self.meaning)}",
            *(comment_on_column(f"{name}.{c.name}", c.meaning, c.unit) for c in self.columns),
        )


def comment_on_column(place: str, meaning: str, unit: str = "") -> str:
    """The statement that keeps the meaning of a column, and its unit, inside the DuckDB file.

    place: the column as SQL names it, with its table or view.
    """
    described = f"{meaning} [{unit}]" if unit else meaning
    return f"COMMENT ON COLUMN {place} IS {literal(described)}"


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
