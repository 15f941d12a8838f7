"""Flow files: a Parquet file to canonical batches, bounded in memory.

Only the columns that the file's dialect knows are read. Whatever is wrong with a file ends in
``InputRefused``. The file is read, never mapped: a mapped file that shrinks kills the process.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.kernels.normalise.addresses import is_bytes_or_text
from v6share.pipelines.kernels.normalise.bounds import check_batch
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.normalise.source_types import check_types
from v6share.schemas.dialects import (
    Dialect,
    builtin_dialects,
    choose_dialect,
    dialect_named,
    require_dialect,
)
from v6share.schemas.errors import InputRefused
from v6share.schemas.flow import FLOW_COLUMNS
from v6share.schemas.source_kinds import Form
from v6share.schemas.text.plain import cut

_LONGEST_DETAIL: Final = 300
_READ_BYTES: Final = 1 << 20
# Writers end a dictionary at 1 or 2 MiB, and spell the values out from there on.
_DICTIONARY_BYTES: Final = 2 << 20
_CODE_BYTES: Final = 3
# Everything that pyarrow is known to raise for damaged files; ArrowException covers the most.
_DAMAGE: Final = (OSError, pa.ArrowException, ValueError, MemoryError, OverflowError, TypeError)


@dataclass(frozen=True)
class FlowFile:
    """A flow file that was opened and fits a dialect. Holds no open file; threads may share it.

    columns: the names of all top-level columns, in order.
    """

    path: str
    definition: Dialect
    rows: int
    row_groups: int
    columns: tuple[str, ...]
    schema: pa.Schema
    metadata: pq.FileMetaData

    @property
    def dialect(self) -> str:
        """The dialect's name."""
        return self.definition.name

    def read(self, row_groups: Sequence[int], batch_rows: int) -> Generator[FlowBatch, None, None]:
        """The flows of some row groups, in order, at most ``batch_rows`` a batch.

        The reverse halves of a batch's biflows follow it as a batch of their own. Raises
        InputRefused ``unreadable``.
        """
        for batch in self.raw_batches(row_groups, batch_rows):
            yield from normalise(batch, self.definition)

    def raw_batches(self, row_groups: Sequence[int], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The source columns that the dialect knows, undecoded, each code and offset in bounds.

        Raises InputRefused ``unreadable``, also where there are fewer rows than the footer says:
        Arrow ends without a word where a damaged page gives none.
        """
        wanted = [c for c in self.columns if c in self.definition.source_columns]
        with _refusing(self.path):
            file = pq.ParquetFile(
                self.path,
                metadata=self.metadata,
                read_dictionary=self._dictionaries(row_groups),
                page_checksum_verification=True,
                # Page by page: else all columns of a row group are held at once, however large.
                pre_buffer=False,
                buffer_size=_READ_BYTES,
            )
        missing = sum(self.metadata.row_group(number).num_rows for number in row_groups)
        with file:
            batches = file.iter_batches(
                batch_rows, row_groups=list(row_groups), columns=wanted, use_threads=False
            )
            while True:
                with _refusing(self.path):
                    batch = next(batches, None)
                    if batch is None:
                        if missing:
                            raise ValueError(f"found {missing:,} rows fewer than its footer says")
                        return
                    check_batch(batch)
                    missing -= batch.num_rows
                yield batch

    def check_metadata(self, file: pq.ParquetFile) -> None:
        """Raise an error of pyarrow where the metadata of text columns is damaged.

        Asked for such metadata itself (``row_group(0).column(0)``), pyarrow does not raise: it ends
        the process. Its reader raises, and begins with the metadata. So it is asked for 0 rows: no
        page is read then. (``iter_batches`` of the file itself wants a row at least.)
        """
        places = [self._places[name] for name in self.text]
        # By no column the reader would divide the rows by 0.
        for group in range(self.row_groups) if places else ():
            next(file.reader.iter_batches(0, [group], places, use_threads=False), None)

    def _dictionaries(self, row_groups: Sequence[int]) -> list[str]:
        """Text to be read as codes, but none of many values: Arrow keeps all that a row group has
        until it is read.
        """
        groups = [self.metadata.row_group(number) for number in row_groups]
        return [name for name in self.text if not self._has_many_values(name, groups)]

    def _has_many_values(self, column: str, groups: Sequence[pq.RowGroupMetaData]) -> bool:
        """Whether a column is larger than its dictionary and a code a row could be."""
        place = self._places[column]
        return any(
            group.column(place).total_uncompressed_size
            > _DICTIONARY_BYTES + _CODE_BYTES * group.num_rows
            for group in groups
        )

    @cached_property
    def text(self) -> list[str]:
        """Text that is looked at value by value; addresses are parsed faster row by row."""
        columns = self.definition.columns
        addresses = {
            source.column
            for name, sources in columns
            if FLOW_COLUMNS[name].form is Form.ADDRESS
            for source in sources
        }
        times = {s.column for sources in (columns.start, columns.end) for s in sources}
        known = self.definition.source_columns - addresses - times
        return [f.name for f in self.schema if f.name in known and is_bytes_or_text(f.type)]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where the metadata of each column stands: a nested one has several."""
        schema = self.metadata.schema
        return {schema.column(place).path: place for place in range(len(schema))}


def open_flow_file(
    path: str, dialect: str | None = None, dialects: Sequence[Dialect] | None = None
) -> FlowFile:
    """Open a flow file and find its dialect (or take the one that is named).

    Reads the footer only. Raises InputRefused (``empty_file``, ``unreadable``, ``no_dialect``),
    and UserError where no dialect has the given name.
    """
    every = builtin_dialects() if dialects is None else tuple(dialects)
    named = None if dialect is None else dialect_named(dialect, every)
    with _refusing(path):
        if Path(path).stat().st_size == 0:
            raise InputRefused("empty_file", "found 0 bytes, expected a Parquet file")
        with pq.ParquetFile(path) as file:
            found = _fitting(path, file.metadata, file.schema_arrow, named, every)
            found.check_metadata(file)
    return found


def _fitting(
    path: str,
    metadata: pq.FileMetaData,
    schema: pa.Schema,
    named: Dialect | None,
    every: Sequence[Dialect],
) -> FlowFile:
    """The file under the dialect that is named, or else fits. Raises InputRefused."""
    columns = tuple(schema.names)
    if named is not None:
        require_dialect(columns, named)
    definition = choose_dialect(columns, every) if named is None else named
    check_types(schema, definition)
    return FlowFile(
        path, definition, metadata.num_rows, metadata.num_row_groups, columns, schema, metadata
    )


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """What pyarrow and the operating system say about a damaged file, as a refusal."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            # The system's word, not the file's: nothing is known about the bytes.
            raise
        said = " ".join(str(error).replace(path, "the file").split()) or type(error).__name__
        detail = f"not readable as Parquet: {cut(said, _LONGEST_DETAIL)}"
        raise InputRefused("unreadable", detail) from error
