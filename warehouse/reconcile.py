"""An independent count: plain SQL over raw flow files, beside what the ledger says of them.

And what the ledger counted, beside what the tables of traffic hold. These do not say of which input
their rows are, so the two are compared over all.

The count is made from the dialect's names of columns alone, and shares nothing with the kernels. It
knows rows, exported packets and bytes by family, and rows that say themselves that nothing can be
counted of them. It does not know a family that only a dialect's rules tell (``underlay``,
``inner``), and takes a counter that is no number for none; where a file has such, it differs, and
says by how much.
"""

# ruff: noqa: S608 - all SQL here is made of quoted names and literals

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from v6share.schemas.dialects import Dialect
from v6share.schemas.flow import Columns
from v6share.schemas.source_kinds import FamilySource, NumberSource, Source
from v6share.warehouse.database.blank import NO_DOWNLOADS
from v6share.warehouse.database.views import quoted
from v6share.warehouse.merge.horizons import read_horizons
from v6share.workspace import storage

FAMILIES: Final = ("unknown", "v4", "v6")
# Each holds all traffic, by windows of another length.
TABLES: Final = ("traffic_5m", "traffic_1h", "traffic_1d")
_MAPPED: Final = "repeat('\\x00'::BLOB, 10) || '\\xFF\\xFF'::BLOB"


class NotCounted(Exception):  # noqa: N818 - a fact about a file, which others do not share
    """Plain SQL cannot count a file; the message says why, and holds no value of the file."""


@dataclass(frozen=True)
class Sums:
    """What there is of one family: rows, packets and bytes as exported."""

    rows: int = 0
    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Counted:
    """A count of one input: by family, and rows without packets."""

    families: Mapping[str, Sums]
    zero_packets: int


@dataclass(frozen=True)
class Entry:
    """What the ledger says of an input. status, reason: as in ``ledger_files``.

    counted: what it counted of the input; None where it does not count.
    """

    status: str
    reason: str
    dialect: str
    counted: Counted | None


@dataclass(frozen=True)
class Difference:
    """A number that is one thing in the ledger, and another in the file or in the tables."""

    what: str
    family: str
    in_ledger: int
    in_file: int | None = None
    in_tables: int | None = None


def count_raw(path: str, dialect: Dialect) -> Counted:
    """Count a flow file with SQL. Raises NotCounted where DuckDB cannot, and OSError."""
    # By its descriptor: DuckDB takes a name for a pattern, and ``a[1].parquet`` for ``a1.parquet``.
    with storage.open_file(Path(path)) as file:
        name = f"/dev/fd/{file.fileno()}"
        try:
            return _count(name, dialect)
        except duckdb.Error as error:
            raise NotCounted(_in_words(error).replace(name, "the file")) from error


def _in_words(error: duckdb.Error) -> str:
    """What DuckDB says, unless it is about a value: that may be an address."""
    if isinstance(
        error, duckdb.IOException | duckdb.InvalidInputException | duckdb.BinderException
    ):
        return str(error).splitlines()[0]
    return f"DuckDB ends with {type(error).__name__}"


def _count(path: str, dialect: Dialect) -> Counted:
    with duckdb.connect(config=NO_DOWNLOADS) as connection:
        read = "FROM read_parquet(?, hive_partitioning = false)"
        described = connection.execute(f"DESCRIBE SELECT * {read}", [path]).fetchall()
        types = {name: kind for name, kind, *_ in described}
        rows = " UNION ALL ".join(_halves(dialect, types, read))
        paths = [path] * rows.count("read_parquet")
        found = connection.execute(
            f"SELECT family, count(*), coalesce(sum(packets), 0)::HUGEINT, "
            "coalesce(sum(octets), 0)::HUGEINT, count(*) FILTER (packets = 0) "
            f"FROM ({rows}) GROUP BY family",
            paths,
        ).fetchall()
    families = {family: Sums(int(n), int(p), int(o)) for family, n, p, o, _ in found}
    return Counted(families, sum(zero for *_, zero in found))


def find_in_ledger(connection: duckdb.DuckDBPyConnection, input_id: str) -> Entry | None:
    """What the ledger says of an input: the version that counts, else what became of it last."""
    rows = connection.execute(
        "SELECT status, reason, dialect FROM ledger_files WHERE input_id = ? "
        "ORDER BY status = 'committed' DESC, committed_at DESC, dialect LIMIT 1",
        [input_id],
    ).fetchall()
    if not rows:
        return None
    status, reason, dialect = rows[0]
    counted = _count_in_ledger(connection, input_id) if status == "committed" else None
    return Entry(status, reason, dialect, counted)


def _count_in_ledger(connection: duckdb.DuckDBPyConnection, input_id: str) -> Counted:
    found = connection.execute(
        "SELECT family, sum(rows)::HUGEINT, sum(sampled_packets)::HUGEINT, "
        "sum(sampled_bytes)::HUGEINT FROM ledger_families WHERE input_id = ? GROUP BY family",
        [input_id],
    ).fetchall()
    ((zero,),) = connection.execute(
        "SELECT coalesce(sum(rows), 0)::BIGINT FROM rejects "
        "WHERE input_id = ? AND reason = 'zero_packets'",
        [input_id],
    ).fetchall()
    return Counted({family: Sums(int(n), int(p), int(o)) for family, n, p, o in found}, zero)


def differences(raw: Counted, ledger: Counted) -> Iterator[Difference]:
    """Where the two are not the same."""
    for family in FAMILIES:
        one, other = raw.families.get(family, Sums()), ledger.families.get(family, Sums())
        for what in ("rows", "packets", "bytes"):
            in_file, in_ledger = getattr(one, what), getattr(other, what)
            if in_file != in_ledger:
                yield Difference(what, family, in_ledger, in_file)
    # A row is rejected for the first reason that applies to it, so there may be fewer.
    if ledger.zero_packets > raw.zero_packets:
        yield Difference("rows without packets", "", ledger.zero_packets, raw.zero_packets)


def differences_of_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[Difference]:
    """Where the tables hold other sums than the ledger counted of all inputs that count.

    Of rows, and of packets and bytes as they are scaled. Days that were pruned of a table are
    taken from that of the days.
    """
    horizons = read_horizons(connection)
    ledger = _sums(
        connection,
        "SELECT family, sum(rows), sum(packets), sum(bytes) FROM ledger_families "
        "WHERE disposition = 'counted' AND input_id IN "
        "(SELECT input_id FROM ledger_files WHERE status = 'committed') GROUP BY family",
    )
    for table in TABLES:
        rows = table
        if table in horizons:
            pruned = f"FROM traffic_1d WHERE window_start < DATE '{horizons[table]}'"
            rows = f"(FROM {table} UNION ALL {pruned})"
        held = _sums(
            connection,
            f"SELECT family, sum(records), sum(packets), sum(bytes) FROM {rows} GROUP BY family",
        )
        for family in sorted(ledger.keys() | held.keys()):
            one, other = ledger.get(family, Sums()), held.get(family, Sums())
            for what in ("rows", "packets", "bytes"):
                in_ledger, in_tables = getattr(one, what), getattr(other, what)
                if in_ledger != in_tables:
                    yield Difference(f"{what} in {table}", family, in_ledger, in_tables=in_tables)


def _sums(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Sums]:
    found = connection.execute(query).fetchall()
    return {family: Sums(int(n), int(p), int(o)) for family, n, p, o in found}


def _halves(dialect: Dialect, types: Mapping[str, str], read: str) -> Iterator[str]:
    """The flows of a file, and those of the other direction in the same records."""
    family = _family(dialect.columns, types)
    yield _flows(dialect.columns, types, family, read, "true")
    reverse = dialect.other_direction
    if reverse is None:
        return
    packets, octets = _number(reverse.packets, types), _number(reverse.octets, types)
    if (packets, octets) != ("NULL", "NULL"):
        some = f"coalesce({packets}, 0) <> 0 OR coalesce({octets}, 0) <> 0"
        yield _flows(reverse, types, family, read, some)


def _flows(
    columns: Columns, types: Mapping[str, str], family: str, read: str, condition: str
) -> str:
    return (
        f"SELECT {family} AS family, {_number(columns.packets, types)} AS packets, "
        f"{_number(columns.octets, types)} AS octets {read} WHERE {condition}"
    )


def _number(sources: Sequence[NumberSource], types: Mapping[str, str]) -> str:
    """The first of the columns that has a value, as a whole number."""
    there = [f"TRY_CAST({_digits(one)} AS HUGEINT)" for one in sources if one.column in types]
    return f"coalesce({', '.join(there)})" if there else "NULL"


def _digits(source: NumberSource) -> str:
    """The column, without the marks between thousands where it is a number that has them."""
    name, mark = quoted(source.column), source.thousands
    if mark is None:
        return name
    groups = _literal(f"[+-]?[0-9]{{1,3}}([{mark}][0-9]{{3}})+")
    plain = f"replace({name}, {_literal(mark)}, '')"
    return f"CASE WHEN regexp_full_match({name}, {groups}) THEN {plain} ELSE {name} END"


def _family(columns: Columns, types: Mapping[str, str]) -> str:
    """By the outer addresses, where a tunnel shows them; by the addresses; by what else tells."""
    told = "".join(_told(one) for one in columns.family if one.column in types)
    hint = f"CASE {told} ELSE 'unknown' END" if told else "'unknown'"
    inner = _by_addresses((*columns.src, *columns.dst), types, hint)
    return _by_addresses((*columns.outer_src, *columns.outer_dst), types, inner)


def _by_addresses(sources: Sequence[Source], types: Mapping[str, str], otherwise: str) -> str:
    """The family that these columns show, unknown where they show both; otherwise: where none."""
    kinds = [_kind(one.column, types[one.column]) for one in sources if one.column in types]
    if not kinds:
        return otherwise
    has4 = " OR ".join(f"({kind}) = 'v4'" for kind in kinds)
    has6 = " OR ".join(f"({kind}) = 'v6'" for kind in kinds)
    return (
        f"CASE WHEN ({has4}) AND ({has6}) THEN 'unknown' WHEN {has4} THEN 'v4' "
        f"WHEN {has6} THEN 'v6' ELSE {otherwise} END"
    )


def _kind(column: str, kind: str) -> str:
    """What an address column holds: v4, v6, or nothing where it is null or all zeros."""
    name = quoted(column)
    if kind == "BLOB":
        return (
            f"CASE WHEN octet_length({name}) = 4 AND {name} <> repeat('\\x00'::BLOB, 4) THEN 'v4' "
            f"WHEN octet_length({name}) = 16 AND {name}[1:12] = {_MAPPED} THEN "
            f"CASE WHEN {name}[13:16] <> repeat('\\x00'::BLOB, 4) THEN 'v4' END "
            f"WHEN octet_length({name}) = 16 AND {name} <> repeat('\\x00'::BLOB, 16) "
            "THEN 'v6' END"
        )
    if kind == "VARCHAR":
        text = f"lower(trim({name}))"
        return (
            f"CASE WHEN {text} LIKE '::ffff:%.%' AND {text} <> '::ffff:0.0.0.0' THEN 'v4' "
            f"WHEN {text} LIKE '%:%' AND {text} NOT IN ('::', '::ffff:0.0.0.0') THEN 'v6' "
            f"WHEN {text} LIKE '%.%' AND {text} <> '0.0.0.0' THEN 'v4' END"
        )
    return f"CASE WHEN {name} <> 0 THEN 'v4' END"


def _told(source: FamilySource) -> str:
    name = f"lower(trim({quoted(source.column)}::VARCHAR))"
    return "".join(
        f"WHEN {name} IN ({', '.join(_literal(str(one).lower()) for one in values)}) "
        f"THEN '{family}' "
        for family, values in (("v4", source.v4), ("v6", source.v6))
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
