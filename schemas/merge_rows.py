"""Merging partial aggregates: rows with equal keys become one, by the rules that the columns state.

Arrow in, Arrow out; no DuckDB, no files. Whoever makes a fragment merges what its threads counted
with this, and the warehouse merges the rows of many fragments. Every merge is exact and a monoid,
so the result depends on the set of rows alone, not on their order or on how they were grouped
before. Rows come out sorted by key, which packs well and lets time ranges skip.

Decided against ``GROUP BY`` inside DuckDB: eleven text columns are hashed and compared for each
row there. Here every key column is a dictionary of few values, so a whole key packs into one
integer, and sorting those is many times faster.

Loads NumPy and Arrow's compute functions, so nothing that a light command needs may import it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from v6share.schemas.aggregates import THETA_SIZE
from v6share.schemas.columns import Column, Kind, Merge, Table

_THREADS: Final = 2
# To start threads takes longer than to merge fewer rows than these.
_FEW_ROWS: Final = 4096
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())
_WORD_BITS: Final = 63
_LIMB: Final = 32
_LIMB_MASK: Final = (1 << _LIMB) - 1
# A group of more hashes is united alone; 16 bits tell so many groups apart.
_ALONE: Final = 256
_MOST_OWNERS: Final = 1 << 16

Integers = NDArray[np.int64]
Ranks = NDArray[np.int32]
Hashes = NDArray[np.uint64]
Owners = NDArray[np.uint16]
Chunks: TypeAlias = dict[str, list[pa.Array]]
# ``map``, or one that gives the results in the same order and has threads make them.
Each: TypeAlias = Callable[..., Iterable[Any]]


class SumBeyondRangeError(ArithmeticError):
    """A sum that does not fit into its column."""


@dataclass(frozen=True)
class Groups:
    """Rows by key. order: row numbers, ascending by key; starts: where in it a new key begins.

    keys: the different keys, ascending, one column for each column of the key. The text in them is
    dictionary-encoded; its dictionary ascends and has no text that is in no row.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    keys: list[pa.Array]

    @property
    def all_single(self) -> bool:
        """Whether no two rows are equal in key."""
        return len(self.starts) == len(self.order)

    @property
    def largest(self) -> int:
        """How many rows the largest group has. There must be rows."""
        return int(np.diff(self.starts, append=len(self.order)).max())


def combine(table: Table, parts: Iterable[pa.Table]) -> pa.Table:
    """The rows of all parts with equal keys merged into one, ascending by key.

    parts: tables with the columns of ``table``; text may be dictionary-encoded, and is so in the
    result. Sketches are united, cut to the least threshold and trimmed to THETA_SIZE hashes; the
    threshold becomes the smallest hash left out. Raises SumBeyondRangeError where a sum passes
    the range of its column, and ValueError for a null.

    A column is let go of as soon as it is used, which frees parts that nobody else holds.
    """
    chunks = _chunks(table, parts)
    count = sum(map(len, chunks[table.columns[0].name]))
    if not count:
        return _no_rows(table)
    with _side_by_side(count) as each:
        rows = _one_chunk(table, chunks, each)
        groups = group_rows((rows.pop(name) for name in table.key), each)
        columns = [*groups.keys, *_merged(table, rows, groups, each)]
    return lay_out(table, columns)


def roll_up(table: Table, finer: pa.Table, window_us: int) -> pa.Table:
    """A table of coarser windows from a finer one with otherwise the same columns.

    window_us: the length of the coarser windows, which start at multiples of it.
    """
    name = table.columns[0].name
    starts = _integers(finer.column(name))
    floored = pa.array(starts - starts % window_us).view(pa.timestamp("us"))
    return combine(table, [finer.set_column(0, name, floored)])


def _no_rows(table: Table) -> pa.Table:
    fields = [
        field.with_type(_DICTIONARY) if pa.types.is_string(field.type) else field
        for field in table.arrow_schema
    ]
    return pa.schema(fields).empty_table()


def lay_out(table: Table, columns: Sequence[pa.Array]) -> pa.Table:
    """A table of columns without nulls; text may be a dictionary.

    columns: those of the key, then the measures. The table has them in the order of the schema.
    """
    names = [*table.key, *(column.name for column in table.measures)]
    fields = [
        table.arrow_schema.field(name).with_type(array.type)
        for name, array in zip(names, columns, strict=True)
    ]
    return pa.table(columns, schema=pa.schema(fields)).select(table.arrow_schema.names)


def _chunks(table: Table, parts: Iterable[pa.Table]) -> Chunks:
    """The arrays of all parts, column by column."""
    chunks: Chunks = {column.name: [] for column in table.columns}
    for part in parts:
        for name, of_column in chunks.items():
            of_column.extend(part.column(name).chunks)
    return chunks


@contextmanager
def _side_by_side(rows: int) -> Iterator[Each]:
    """What works on the columns of so many rows: threads, or this one alone where rows are few."""
    if rows < _FEW_ROWS:
        yield map
        return
    with ThreadPoolExecutor(_THREADS) as threads:
        yield threads.map


def _one_chunk(table: Table, chunks: Chunks, each: Each) -> dict[str, pa.Array]:
    """All parts as one array a column, text as dictionaries; takes the arrays out of chunks."""

    def joined(column: Column) -> pa.Array:
        some, kind = chunks.pop(column.name), column.kind.arrow
        if column.kind is Kind.TEXT:
            some, kind = [_encoded(chunk) for chunk in some], _DICTIONARY
        whole = pa.chunked_array(some, kind).unify_dictionaries().combine_chunks()
        if whole.null_count:
            raise ValueError(f"{table.name}.{column.name} has {whole.null_count} nulls")
        return whole

    arrays = each(joined, table.columns)
    return {column.name: _only(array) for column, array in zip(table.columns, arrays, strict=True)}


def _encoded(chunk: pa.Array) -> pa.Array:
    return chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()


# Keys


@dataclass(frozen=True)
class _Key:
    """A key column. ranks: of each row's value among the different ones, which ascend."""

    ranks: Ranks
    values: pa.Array

    def at(self, rows: NDArray[np.intp]) -> pa.Array:
        """The key of some rows. The text that no row has is left out of the dictionary.

        The bytes of a fragment have the dictionary as it is here, so it may depend on the rows
        alone.
        """
        ranks = self.ranks[rows]
        if not pa.types.is_string(self.values.type):
            return self.values.take(pa.array(ranks))
        used = np.zeros(len(self.values), np.bool_)
        used[ranks] = True
        if used.all():
            return pa.DictionaryArray.from_arrays(ranks, self.values)
        position = np.cumsum(used, dtype=np.int32) - 1
        return pa.DictionaryArray.from_arrays(position[ranks], self.values.filter(pa.array(used)))


def group_rows(columns: Iterable[pa.Array], each: Each = map) -> Groups:
    """Sort rows by their keys, and find those that are equal.

    columns: those of the key, the leading one first. A dictionary has no text twice. each: what
    works on them, one by one.
    """
    keys = list(each(_ranked, columns))
    order, starts = _sorted(_packed(keys))
    firsts = order[starts]
    return Groups(order, starts, list(each(lambda key: key.at(firsts), keys)))


def _ranked(column: pa.Array) -> _Key:
    """Text sorts by its UTF-8 bytes, as in DuckDB."""
    encoded = _encoded(column)
    ranks, values = encoded.indices.to_numpy(), encoded.dictionary
    order = pc.sort_indices(values).to_numpy()
    if (order[1:] < order[:-1]).any():
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        ranks, values = rank[ranks], values.take(pa.array(order))
    return _Key(ranks, values)


def _sorted(words: Sequence[Integers]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order and the starts of ``Groups``."""
    order = np.lexsort(words[::-1]) if len(words) > 1 else _argsort(words[0])
    is_new = np.zeros(len(order), np.bool_)
    is_new[:1] = True
    for word in words:
        in_order = word[order]
        is_new[1:] |= in_order[1:] != in_order[:-1]
    return order, np.flatnonzero(is_new)


def _argsort(word: Integers) -> NDArray[np.intp]:
    # A fragment alone is sorted already.
    if (word[1:] >= word[:-1]).all():
        return np.arange(len(word))
    return np.argsort(word)


def _packed(keys: Sequence[_Key]) -> list[Integers]:
    """The key columns in as few 63-bit integers as hold them, the leading ones first."""
    words: list[Integers] = []
    room = 0
    for key in keys:
        bits = (len(key.values) - 1).bit_length()
        if not words or bits > room:
            words.append(key.ranks.astype(np.int64))
            room = _WORD_BITS - bits
        else:
            words[-1] = (words[-1] << bits) | key.ranks
            room -= bits
    return words


# Measures


def _merged(
    table: Table, rows: dict[str, pa.Array], groups: Groups, each: Each
) -> Iterable[pa.Array]:
    """The measures of the groups, in the order of the columns; takes them out of rows."""
    if any(column.merge is Merge.THETA for column in table.measures):
        thetas, lists = (rows.pop(column.name) for column in table.measures)
        return _united(thetas, lists, groups)
    return each(
        lambda column: _measure(table, column, rows.pop(column.name), groups), table.measures
    )


def _measure(table: Table, column: Column, values: pa.Array, groups: Groups) -> pa.Array:
    if groups.all_single:
        return values.take(pa.array(groups.order))
    try:
        if column.kind is Kind.HUGEINT:
            return _summed_huge(values, groups)
        return pa.array(_MERGES[column.merge](_integers(values), groups)).view(values.type)
    except SumBeyondRangeError as error:
        raise SumBeyondRangeError(f"{table.name}.{column.name}: {error}") from None


def _least(values: Integers, groups: Groups) -> Integers:
    least: Integers = np.minimum.reduceat(values[groups.order], groups.starts)
    return least


def _greatest(values: Integers, groups: Groups) -> Integers:
    greatest: Integers = np.maximum.reduceat(values[groups.order], groups.starts)
    return greatest


def _summed(values: Integers, groups: Groups) -> Integers:
    in_order = values[groups.order]
    if _magnitude(values) * groups.largest < 1 << 63:
        return _add(in_order, groups)
    low, high = _carried([in_order & _LIMB_MASK, in_order >> _LIMB], groups)
    return (high << _LIMB) | low


_MERGES: Final[dict[Merge | None, Callable[[Integers, Groups], Integers]]] = {
    Merge.SUM: _summed,
    Merge.MIN: _least,
    Merge.MAX: _greatest,
}


def _summed_huge(values: pa.Array, groups: Groups) -> pa.Array:
    """Sums of 128-bit integers, carried as decimal128: two's complement, the low half first."""
    halves = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, 2)
    low, high = halves[values.offset : values.offset + len(values)].T
    if ((low >> 63) == high).all() and _magnitude(low) * groups.largest < 1 << 63:
        low = _add(low[groups.order], groups)
        high = low >> 63
    else:
        low, high = low[groups.order], high[groups.order]
        limbs = [
            low & _LIMB_MASK,
            (low >> _LIMB) & _LIMB_MASK,
            high & _LIMB_MASK,
            high >> _LIMB,
        ]
        a, b, c, d = _carried(limbs, groups)
        low, high = (b << _LIMB) | a, (d << _LIMB) | c
    return wide_integers(high, low)


def wide_integers(high: Integers, low: Integers) -> pa.Array:
    """128-bit integers as a column of Kind.HUGEINT, from their halves; shapes (n,), (n,)."""
    both = np.stack([low, high], axis=1)
    return pa.Array.from_buffers(Kind.HUGEINT.arrow, len(both), [None, pa.py_buffer(both)])


def _carried(limbs: Sequence[Integers], groups: Groups) -> list[Integers]:
    """Sums of integers given as 32-bit limbs, the lowest first; the highest one has the sign.

    Exact for up to 2^31 rows: a limb's sum stays below 2^63.
    """
    sums = []
    carry: Integers = np.zeros(len(groups.starts), np.int64)
    for limb in limbs[:-1]:
        total = _add(limb, groups) + carry
        sums.append(total & _LIMB_MASK)
        carry = total >> _LIMB
    top = _add(limbs[-1], groups) + carry
    if _magnitude(top + (top < 0)) >= 1 << (_LIMB - 1):
        raise SumBeyondRangeError(f"a sum needs more than {_LIMB * len(limbs)} bits")
    return [*sums, top]


def _add(in_order: Integers, groups: Groups) -> Integers:
    added: Integers = np.add.reduceat(in_order, groups.starts)
    return added


def _magnitude(values: Integers) -> int:
    return max(-int(values.min()), int(values.max()))


def _united(thetas: pa.Array, lists: pa.ListArray, groups: Groups) -> tuple[pa.Array, pa.Array]:
    """The thresholds and hashes of the groups' sketches."""
    offsets, hashes = lists.offsets.to_numpy(), lists.values.to_numpy()
    begins, sizes = offsets[groups.order], np.diff(offsets)[groups.order]
    least = np.minimum.reduceat(thetas.to_numpy()[groups.order], groups.starts)
    bounds = np.append(groups.starts, len(groups.order))
    found: list[Hashes] = []
    counts: list[NDArray[np.intp] | list[int]] = []
    for first, behind in _neighbours(np.add.reduceat(sizes, groups.starts)):
        rows = slice(bounds[first], bounds[behind])
        if behind - first == 1:
            ranges = zip(begins[rows].tolist(), sizes[rows].tolist(), strict=True)
            kept = _distinct_below([hashes[at : at + size] for at, size in ranges], least[first])
            if len(kept) > THETA_SIZE:
                least[first] = kept[THETA_SIZE]
            found.append(kept[:THETA_SIZE])
            counts.append([len(found[-1])])
            continue
        members = np.diff(bounds[first : behind + 1])
        owners = np.repeat(np.arange(len(members), dtype=np.uint16), members)
        values, owners = _distinct_of_each(
            _ranges(hashes, begins[rows], sizes[rows]),
            np.repeat(owners, sizes[rows]),
            least[first:behind],
        )
        found.append(values)
        counts.append(np.bincount(owners, minlength=len(members)))
    ends = np.append(0, np.cumsum(np.concatenate(counts)))
    return pa.array(least), pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(np.concatenate(found)), type=lists.type
    )


def _neighbours(sizes: Integers) -> Iterator[tuple[int, int]]:
    """Groups that are united at once: of few hashes some, at most THETA_SIZE, or else one."""
    ends = np.cumsum(sizes)
    large = np.append(np.flatnonzero(sizes > _ALONE), len(sizes))
    first = 0
    while first < len(sizes):
        behind = np.searchsorted(ends, ends[first] - sizes[first] + THETA_SIZE, "right")
        behind = min(behind, large[np.searchsorted(large, first)], first + _MOST_OWNERS)
        behind = max(int(behind), first + 1)
        yield first, behind
        first = behind


def _distinct_below(parts: Sequence[Hashes], theta: Any) -> Hashes:
    """The different hashes below a threshold, ascending."""
    hashes = np.sort(np.concatenate(parts))
    hashes = hashes[: np.searchsorted(hashes, theta)]
    is_new = np.ones(len(hashes), np.bool_)
    is_new[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_new]


def _ranges(values: Hashes, begins: Integers, sizes: Integers) -> Hashes:
    """The values of several ranges, one range after the other."""
    moved = np.repeat(begins - np.cumsum(sizes) + sizes, sizes)
    return values[moved + np.arange(len(moved))]


def _distinct_of_each(hashes: Hashes, owners: Owners, thetas: Hashes) -> tuple[Hashes, Owners]:
    """The different hashes of each owner below its threshold, ascending, owner by owner."""
    below = hashes < thetas[owners]
    hashes, owners = hashes[below], owners[below]
    order = np.argsort(hashes)
    # Of 16 bits, so that NumPy sorts them by their digits.
    order = order[np.argsort(owners[order], kind="stable")]
    hashes, owners = hashes[order], owners[order]
    is_new = np.ones(len(hashes), np.bool_)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[is_new], owners[is_new]


# Arrow as NumPy


def _only(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _integers(column: pa.Array | pa.ChunkedArray) -> Integers:
    """A column of 64-bit integers or times, as they are stored."""
    values: Integers = _only(column).view(pa.int64()).to_numpy()
    return values
