"""One input's sums as an immutable file: sorted, content-addressed, the same bytes every time."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from v6share.pipelines.kernels.aggregate.fragment_tables import Sums
from v6share.schemas.fragment import (
    FRAGMENT_SCHEMA,
    FRAGMENT_TEXT,
    HASH_BYTES,
    FragmentFile,
    FragmentKey,
)
from v6share.workspace import storage

if TYPE_CHECKING:
    from typing_extensions import Buffer


def fragment_table(key: FragmentKey, size: int, sums: Sums) -> pa.Table:
    """Lay an input's sums out as one row of nested tables (``FRAGMENT_SCHEMA``)."""
    values = {
        "input_id": key.input_id,
        "dialect": key.dialect,
        "rules_version": key.rules_version,
        "catalog_version": key.catalog_version,
        "size": size,
        "rows_in": sums.rows_in,
        "rows_counted": sums.rows_counted,
        "rows_rejected": sums.rows_rejected,
        "first_start": None if sums.first_ms is None else sums.first_ms * 1000,
        "last_end": None if sums.last_ms is None else sums.last_ms * 1000,
    }
    columns = [
        _nested(sums.tables[f.name], f.type)
        if f.name in sums.tables
        else pa.array([values[f.name]], f.type)
        for f in FRAGMENT_SCHEMA
    ]
    # Text may be dictionary-encoded in memory; to Parquet that is the same column.
    fields = [f.with_type(c.type) for f, c in zip(FRAGMENT_SCHEMA, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def _nested(table: pa.Table, kind: pa.DataType) -> pa.Array:
    """Turn a table into one list of structs."""
    arrays = [_stored(table[f.name].combine_chunks(), f.type) for f in kind.value_type]
    fields = [f.with_type(a.type) for f, a in zip(kind.value_type, arrays, strict=True)]
    struct = pa.StructArray.from_arrays(arrays, fields=fields)
    return pa.ListArray.from_arrays(pa.array([0, len(struct)], pa.int32()), struct)


def _stored(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Give a column as the fragment holds it; lists of hashes as their bytes, without a copy."""
    if kind != HASH_BYTES:
        return column
    ends = 8 * column.offsets.to_numpy().astype(np.int64)
    buffers = [None, pa.py_buffer(ends), column.values.buffers()[1]]
    return pa.Array.from_buffers(HASH_BYTES, len(column), buffers)


class _Hashed(io.RawIOBase):
    """What is written to a file, hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        """Yes: Arrow asks."""
        return True

    def write(self, data: "Buffer", /) -> int:
        """Write and hash all of it."""
        count = self._file.write(data)
        self._hash.update(data)
        self._size += count
        return count

    @property
    def written(self) -> FragmentFile:
        """What the file is known by."""
        return FragmentFile(self._hash.hexdigest(), self._size)


def write_fragment(table: pa.Table, path: Path) -> FragmentFile:
    """Write a fragment so that it is whole and on disk, or not there at all."""
    with storage.writing(path) as file:
        # One row group, no statistics; dictionaries of the pages only, in the order of the sorted
        # rows: nothing depends on how it was made. LZ4, for zstd takes twice the time of a small
        # fragment to save a sixth of its size. The pages have checksums, because one table of a
        # large fragment is read without hashing all of it again.
        hashed = _Hashed(file)
        pq.write_table(
            table,
            hashed,
            compression="lz4",
            use_dictionary=FRAGMENT_TEXT,
            write_statistics=False,
            write_page_checksum=True,
        )
    return hashed.written
