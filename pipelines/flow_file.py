"""Flow files: a Parquet file to canonical batches, bounded in memory.

Only the columns that the file's dialect knows are read. Whatever is wrong with a file ends in
``InputRefused``. The file is read, never mapped: a mapped file that shrinks kills the process.
Before pages are read, ``reading_limits`` decides from their sizes how many rows are read at once.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.kernels.normalise.addresses import is_bytes_or_text
from v6share.pipelines.kernels.normalise.bounds import check_batch, longest_text, text_bytes
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.normalise.source_types import check_types
from v6share.pipelines.page_sizes import ChunkSizes, check_footer, chunk_sizes, joined_sizes
from v6share.pipelines.reading_limits import (
    BATCH_BYTES,
    MOST_TEXT_PAGES,
    ColumnPages,
    TextRead,
    asks_for_longest,
    check_work,
    rows_at_once,
)
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
# Row groups below this part of a batch are read together: each by itself would take 0.1 ms.
_SMALL_GROUP: Final = 8
# Bytes of a value as Arrow has it; of text none can be said, and others have a length of their own.
_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_TEXT: Final = "BYTE_ARRAY"
# Everything that pyarrow is known to raise for damaged files; ArrowException covers the most.
_DAMAGE: Final = (OSError, pa.ArrowException, ValueError, MemoryError, OverflowError, TypeError)


@dataclass(frozen=True)
class FlowFile:
    """A flow file that was opened and fits a dialect. Holds no open file; threads may share it.

    columns: the names of all top-level columns, in order. text_read: how much was read so far.
    """

    path: str
    definition: Dialect
    rows: int
    row_groups: int
    columns: tuple[str, ...]
    schema: pa.Schema
    metadata: pq.FileMetaData
    text_read: TextRead

    @property
    def dialect(self) -> str:
        """The dialect's name."""
        return self.definition.name

    def read(self, row_groups: Sequence[int], batch_rows: int) -> Generator[FlowBatch, None, None]:
        """The flows of row groups behind each other, in order, at most ``batch_rows`` a batch.

        The reverse halves of a batch's biflows follow it as a batch of their own. Raises
        InputRefused, as ``raw_batches``.
        """
        row = sum(self._rows_of(group) for group in range(row_groups[0])) if row_groups else 0
        for batch in self.raw_batches(row_groups, batch_rows):
            yield from normalise(batch, self.definition, row)
            row += batch.num_rows

    def raw_batches(self, row_groups: Sequence[int], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The source columns that the dialect knows, undecoded, each code and offset in bounds.

        A batch has fewer rows where they would take more than ``BATCH_BYTES``. Raises InputRefused
        ``too_large`` where no number of rows would be few enough; ``unreadable``, also where there
        are not as many rows as the footer says: Arrow ends without a word where a damaged page
        gives none.
        """
        for groups in self._spans(row_groups, batch_rows):
            with _refusing(self.path):
                as_codes = self._dictionaries(groups)
                rows = self._rows_at_once(groups, batch_rows, as_codes)
                file = self._reader(as_codes)
            with file:
                pieces = file.iter_batches(
                    rows, row_groups=groups, columns=self._wanted, use_threads=False
                )
                checked = self._checked(pieces, sum(self._rows_of(group) for group in groups))
                yield from checked if rows == batch_rows else _gathered(checked, batch_rows)

    def spans(self, batch_rows: int) -> list[list[int]]:
        """The row groups in runs that are read together: one by one where they are large, and
        where they are small as many as fit into a batch.
        """
        return self._spans(range(self.row_groups), batch_rows)

    def _spans(self, row_groups: Sequence[int], batch_rows: int) -> list[list[int]]:
        found: list[list[int]] = []
        held = batch_rows
        for group in row_groups:
            rows = self._rows_of(group)
            small = rows * _SMALL_GROUP < batch_rows
            if found and small and held + rows <= batch_rows:
                found[-1].append(group)
                held += rows
            else:
                found.append([group])
                held = rows if small else batch_rows
        return found

    def _checked(self, pieces: Iterator[pa.RecordBatch], missing: int) -> Iterator[pa.RecordBatch]:
        """Each piece, once its codes and offsets are known to be fine; ``missing`` rows."""
        while True:
            with _refusing(self.path):
                piece = next(pieces, None)
                if piece is None:
                    if missing:
                        raise ValueError(f"found {missing:,} rows fewer than its footer says")
                    return
                check_batch(piece)
                self.text_read.add(sum(text_bytes(column) for column in piece.columns))
                missing -= piece.num_rows
            yield piece

    def _reader(self, as_codes: list[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            self.path,
            metadata=self.metadata,
            read_dictionary=as_codes,
            page_checksum_verification=True,
            # Page by page: else all columns of a row group are held at once, however large.
            pre_buffer=False,
            buffer_size=_READ_BYTES,
        )

    def _rows_of(self, group: int) -> int:
        return int(self.metadata.row_group(group).num_rows)

    def _rows_at_once(self, groups: Sequence[int], most: int, as_codes: list[str]) -> int:
        columns = []
        for number, (_, path, width, in_list) in enumerate(self._leaves):
            sizes = joined_sizes([self._sizes[group][number] for group in groups])
            columns.append(ColumnPages(path, sizes, width, in_list, path in as_codes))
        if asks_for_longest(columns, most):
            longest = self._longest_of_dictionaries(
                groups, [c.name for c in columns if c.may_be_looked_up]
            )
            columns = [replace(c, longest=longest.get(c.name)) for c in columns]
        return rows_at_once(columns, most)

    def _longest_of_dictionaries(self, groups: Sequence[int], columns: list[str]) -> dict[str, int]:
        """The bytes of the longest value in the dictionaries of some columns: one row is enough
        for Arrow to read them.
        """
        longest: dict[str, int] = {}
        with self._reader(columns) as file:
            for group in groups:
                for row in file.iter_batches(1, [group], columns, use_threads=False):
                    for name, column in zip(columns, row.columns, strict=True):
                        longest[name] = max(longest.get(name, 0), longest_text(column))
                    break
        return longest

    @cached_property
    def _wanted(self) -> list[str]:
        return [c for c in self.columns if c in self.definition.source_columns]

    @cached_property
    def _leaves(self) -> list[tuple[int, str, int, bool]]:
        """The columns that are read, as Parquet has them: (place, path, bytes of a value or 0 for
        text, whether a row may have many). A nested one is several.
        """
        schema, found = self.metadata.schema, []
        for place in range(len(schema)):
            column = schema.column(place)
            if any(column.path == w or column.path.startswith(f"{w}.") for w in self._wanted):
                is_text = column.physical_type == _TEXT
                width = 0 if is_text else _WIDTHS.get(column.physical_type, column.length)
                found.append((place, column.path, width, column.max_repetition_level > 0))
        return found

    @cached_property
    def _sizes(self) -> list[list[ChunkSizes]]:
        """Of each row group the pages of each of ``_leaves``.

        Raises InputRefused ``too_large`` where the whole file is too much work, and ValueError
        where its pages do not hold as many values as its footer says.
        """
        with pa.OSFile(self.path) as file:
            sizes = [self._sizes_of(file, group) for group in range(self.row_groups)]
            unpacked = sum(column.total for columns in sizes for column in columns)
            check_work(self.rows, unpacked, file.size())
        return sizes

    def _sizes_of(self, file: pa.NativeFile, number: int) -> list[ChunkSizes]:
        group, found = self.metadata.row_group(number), []
        for place, path, _, in_list in self._leaves:
            column = group.column(place)
            sizes = chunk_sizes(file, column)
            expected = column.num_values if in_list else group.num_rows
            if sizes.values != expected:
                raise ValueError(
                    f'the pages of the column "{path}" in row group {number} hold '
                    f"{sizes.values:,} values, its footer says {expected:,}"
                )
            found.append(sizes)
        return found

    def check_metadata(self, file: pq.ParquetFile) -> None:
        """Raise an error of pyarrow where the metadata of the columns is damaged.

        Asked for such metadata itself (``row_group(0).column(0)``), pyarrow does not raise: it ends
        the process. Its reader raises, and begins with the metadata. So it is asked for 0 rows: no
        page is read then. (``iter_batches`` of the file itself wants a row at least.)
        """
        places = [place for place, _, _, _ in self._leaves]
        # By no column the reader would divide the rows by 0.
        for group in range(self.row_groups) if places else ():
            next(file.reader.iter_batches(0, [group], places, use_threads=False), None)

    def _dictionaries(self, row_groups: Sequence[int]) -> list[str]:
        """Text to be read as codes, but none of many values: Arrow keeps all that a row group has
        until it is read. Nor of several row groups, each of which has dictionaries of its own; nor
        where values are stored by what they share with others, which Arrow does not read so.
        """
        if len(row_groups) != 1:
            return []
        sizes = self._sizes[row_groups[0]]
        few = {
            path
            for (_, path, _, _), of_column in zip(self._leaves, sizes, strict=True)
            if of_column.plain and _has_few_values(of_column)
        }
        return [name for name in self.text if name in few]

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


def _has_few_values(sizes: ChunkSizes) -> bool:
    """Whether a column is no larger than its dictionary and a code a row could be."""
    few = _DICTIONARY_BYTES + _CODE_BYTES * sizes.values
    return sizes.total <= min(few, MOST_TEXT_PAGES) and sizes.dictionary <= 2 * _DICTIONARY_BYTES


def _gathered(pieces: Iterable[pa.RecordBatch], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Pieces joined to batches, as long as they are within ``batch_rows`` and ``BATCH_BYTES``: more
    rows than one could know to fit may fit yet.
    """
    held: list[pa.RecordBatch] = []
    rows, size = 0, 0
    for piece in pieces:
        more_rows, more = piece.num_rows, piece.nbytes
        if held and (rows + more_rows > batch_rows or size + more > BATCH_BYTES):
            yield _joined(held)
            rows, size = 0, 0
        held.append(piece)
        rows, size = rows + more_rows, size + more
        # As if the next one were like it: else a batch would wait until one more is read.
        if rows + more_rows > batch_rows or size + more > BATCH_BYTES:
            yield _joined(held)
            rows, size = 0, 0
    if held:
        yield _joined(held)


def _joined(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    """The pieces as one, and none of them kept."""
    batch = held[0] if len(held) == 1 else pa.concat_batches(held)
    held.clear()
    return batch


def open_flow_file(
    path: str, dialect: str | None = None, dialects: Sequence[Dialect] | None = None
) -> FlowFile:
    """Open a flow file and find its dialect (or take the one that is named).

    Reads the footer only. Raises InputRefused (``empty_file``, ``unreadable``, ``too_large``,
    ``no_dialect``),
    and UserError where no dialect has the given name.
    """
    every = builtin_dialects() if dialects is None else tuple(dialects)
    named = None if dialect is None else dialect_named(dialect, every)
    with _refusing(path):
        if Path(path).stat().st_size == 0:
            raise InputRefused("empty_file", "found 0 bytes, expected a Parquet file")
        with pa.OSFile(path) as bytes_of_file:
            check_footer(bytes_of_file)
        # With a buffer, and not beforehand: else all columns are read to look at their metadata.
        with pq.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False) as file:
            found = _fitting(path, file.metadata, file.schema_arrow, named, every)
            found.check_metadata(file)
            in_groups = sum(file.metadata.row_group(g).num_rows for g in range(found.row_groups))
            if in_groups != found.rows:
                raise ValueError(f"its row groups have {in_groups:,} rows, it says {found.rows:,}")
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
        path,
        definition,
        metadata.num_rows,
        metadata.num_row_groups,
        columns,
        schema,
        metadata,
        TextRead(Path(path).stat().st_size),
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
