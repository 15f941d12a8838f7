"""A fragment: everything one input adds to the warehouse, as one row of nested tables.

One row, so that packing many fragments into one file (one row group each) never merges inputs.
Immutable and content-addressed: the same input, dialect, rules and catalog give the same bytes.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from v6share.schemas.aggregates import FRAGMENT_TABLES
from v6share.schemas.columns import Kind, Table
from v6share.schemas.ledger import FINDINGS, FRAGMENT_LEDGERS
from v6share.schemas.row_sample import SAMPLED_ROWS

# Raised by hand whenever the same row could be counted differently.
RULES_VERSION: Final = 7


@dataclass(frozen=True, order=True)
class FragmentKey:
    """What decides a fragment's bytes."""

    input_id: str
    dialect: str
    rules_version: int
    catalog_version: str

    @property
    def fragment_id(self) -> str:
        """The fragment's address: SHA-256 over the four parts, hex."""
        parts = (self.input_id, self.dialect, str(self.rules_version), self.catalog_version)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class FragmentFile:
    """What the file of a fragment is known by: the SHA-256 of its bytes, hex, and their number."""

    sha256: str
    size: int


# How a fragment holds a list of hashes: as its bytes, 8 a hash, the lowest first. A list in a list
# takes Parquet seven times as long to read.
HASH_BYTES: Final = pa.large_binary()


# A fragment is one input, counted with one key: no row of it says which. The warehouse adds it.
_OF_THE_INPUT: Final = ("input_id", "client_key", "first_start", "last_end")


# Part of a fragment beside the aggregates: what is kept of each input by itself.
INPUT_TABLES: Final = (*FRAGMENT_LEDGERS, SAMPLED_ROWS)
# Columns that fragments of older rules lack, with what stands for them there; and tables that they
# lack, which are empty then.
COLUMNS_OF_RULES_7: Final = {FINDINGS.name: {"bytes": None, "example": ""}}
TABLES_OF_RULES_7: Final = (SAMPLED_ROWS.name,)


def in_fragment(table: Table) -> Table:
    """A table as a fragment holds it: without the columns that are the same for a whole input."""
    columns = tuple(c for c in table.columns if c.name not in _OF_THE_INPUT)
    return replace(table, columns=columns)


def _nested(table: Table) -> pa.DataType:
    hashes = {c.name for c in table.columns if c.kind is Kind.UBIGINT_LIST}
    fields = in_fragment(table).arrow_schema
    return pa.list_(pa.struct([f.with_type(HASH_BYTES) if f.name in hashes else f for f in fields]))


FRAGMENT_SCHEMA: Final = pa.schema(
    [
        pa.field("input_id", pa.string(), nullable=False),
        pa.field("dialect", pa.string(), nullable=False),
        pa.field("rules_version", pa.int64(), nullable=False),
        pa.field("catalog_version", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("rows_in", pa.int64(), nullable=False),
        pa.field("rows_counted", pa.int64(), nullable=False),
        pa.field("rows_rejected", pa.int64(), nullable=False),
        pa.field("first_start", pa.timestamp("us")),
        pa.field("last_end", pa.timestamp("us")),
        *(pa.field(t.name, _nested(t), nullable=False) for t in (*FRAGMENT_TABLES, *INPUT_TABLES)),
    ]
)

# The text of the aggregate tables, as Parquet names such columns: the same few names stand in very
# many rows, so they are written and read as dictionaries.
FRAGMENT_TEXT: Final = [
    f"{table.name}.list.element.{column.name}"
    for table in FRAGMENT_TABLES
    for column in table.columns
    if column.kind is Kind.TEXT
]
