"""A sample of the rows of each input, by which rows are found that two inputs hold.

How it is drawn stands in ``pipelines/kernels/aggregate/row_sample.py``, how two are compared in
``warehouse/merge/compare_samples.py``. It is part of fragments and of the warehouse, and never
published.
"""

from typing import Final

from v6share.schemas.columns import Column, Kind, Table

# So many rows are sampled from each edge of a file on, whatever they hold.
ALL_WITHIN: Final = 12
# Rows of one input at most. No file comes near it by chance.
MOST_SAMPLED: Final = 1024

SAMPLED_ROWS: Final = Table(
    "sampled_rows",
    "A sample of the counted rows of each input, more of those near its first and its last row.",
    (
        Column("input_id", Kind.TEXT, "SHA-256 of the input's bytes, hex"),
        Column("first_start", Kind.TIMESTAMP, "as in ledger_files"),
        Column("last_end", Kind.TIMESTAMP, "as in ledger_files"),
        Column("digest", Kind.UINTEGER, "32 bits of a keyed hash of what the row says"),
        Column("file_row", Kind.BIGINT, "the row of the file, counted from 0"),
        Column("times", Kind.BIGINT, "so many sampled rows are equal; this is the nearest", "rows"),
        Column("bytes_before", Kind.BIGINT, "scaled layer-3 bytes of all rows before it", "bytes"),
        Column("is_reverse", Kind.BOOLEAN, "it is the other direction of a record with both"),
        Column("file_rows", Kind.BIGINT, "rows of the file", "rows"),
        Column("file_bytes", Kind.BIGINT, "scaled layer-3 bytes of all rows", "bytes"),
    ),
)
