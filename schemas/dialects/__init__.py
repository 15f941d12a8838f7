"""Dialects: how the columns of one collector's files become the canonical flow. Data, not code.

A dialect is one TOML file; ``docs/dialects.md`` shows how to write one. Here stand its model,
its validation, and the choice of a dialect by a file's columns; which columns there are stands in
``schemas/flow.py``. Nothing here opens a flow file.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, create_model, model_validator

from v6share.schemas.errors import InputRefused, UserError
from v6share.schemas.flow import FLOW_COLUMNS, Columns, InReverse
from v6share.schemas.source_kinds import DialectPart, FamilySource, Markers, Name, Source, as_tuple
from v6share.schemas.text.plain import cut
from v6share.schemas.text.toml_files import read_toml
from v6share.schemas.text.wording import did_you_mean, mistake

# No packet has more bytes of layer 2.
LARGEST_LAYER2: Final = 1000
_SHOWN_COLUMNS: Final = 40
_SHOWN_WIDTH: Final = 60


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else as_tuple(value)


Names: TypeAlias = Annotated[tuple[Name, ...], BeforeValidator(_as_names), Field(min_length=1)]
_Tables: Final = BeforeValidator(as_tuple)


class Test(DialectPart):
    """A condition on a row's source columns; of several columns, one must fulfil it.

    Exactly one of: ``in`` / ``not_in`` (text and whole numbers; null is in no list), ``present``
    (not null; a list: not empty), ``zero`` (null, empty, 0, or nothing but zeros as
    ``0000-00-00`` or ``::``). A column that the file lacks is null.
    """

    column: Names
    is_in: Markers | None = Field(default=None, alias="in")
    not_in: Markers | None = None
    present: bool | None = None
    zero: bool | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "Test":
        given = (self.is_in, self.not_in, self.present, self.zero)
        if sum(g is not None for g in given) != 1:
            raise mistake("expected exactly one of in, not_in, present, zero")
        return self


Tests: TypeAlias = Annotated[tuple[Test, ...], _Tables, Field(min_length=1)]


class Rule(DialectPart):
    """Rows for which every test of ``when`` holds. For "or", write the table again."""

    when: Tests


class Interval(DialectPart):
    """One way to know the sampling interval N = num / den, both sums of columns.

    Unknown where a column is null, or where N would be under 1. ``probability``: a column with
    1 / N. ``constant``: N itself. ``bits``: how many of the lowest bits of ``num`` are the
    interval; those above say something else.
    """

    num: Names | None = None
    den: Names | None = None
    bits: int | None = Field(default=None, ge=1, le=63)
    probability: Name | None = None
    constant: int | None = Field(default=None, ge=1)
    when: Annotated[tuple[Test, ...], _Tables] = ()

    @model_validator(mode="after")
    def _one_form(self) -> "Interval":
        if sum(f is not None for f in (self.num, self.probability, self.constant)) != 1:
            raise mistake("expected exactly one of num, probability, constant")
        for name in ("den", "bits"):
            if getattr(self, name) is not None and self.num is None:
                raise mistake(f"{name} without num")
        return self


class Headers(DialectPart):
    """Two columns with lists: names of a packet's headers, the outermost first, and their sizes.

    until: names of those at which layer 2 has ended.
    """

    names: Name
    sizes: Name
    until: Annotated[Markers, Field(min_length=1)]


class Layer2(Rule):
    """Bytes of layer 2 that every packet of these rows counts.

    With ``headers``: ``octets``, and the sizes of the headers before one of ``until``. It says
    nothing of rows that show no such header.
    """

    octets: int = Field(ge=1, le=LARGEST_LAYER2)
    headers: Headers | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``headers``."""
        return () if self.headers is None else (self.headers.names, self.headers.sizes)


class Underlay(Rule):
    """Rows whose addresses are inner ones, and the family of the outer header."""

    family: Literal["v4", "v6"]


class Inner(Rule):
    """Rows that show addresses of both families, and the family that is the inner one."""

    family: Literal["v4", "v6"]


class Reject(Rule):
    """Rows that carry no traffic to count, by the record's own word."""

    reason: Literal["action_reject", "no_data", "skip_data"]


class Finding(Rule):
    """Rows that a reader should know of."""

    name: Name


@dataclass(frozen=True)
class RuleTable:
    """What a table of rules says of the rows for which its ``when`` holds."""

    meaning: str


def _reverse_model() -> type[DialectPart]:
    """The keys of ``[reverse]``: the columns that each direction has of its own.

    Those that must be given come first, so that their absence is what is said first.
    """
    fields: dict[str, Any] = {
        column.name: (Columns.model_fields[column.name].rebuild_annotation(), default)
        for kind, default in ((InReverse.REQUIRED, ...), (InReverse.OWN, ()))
        for column in FLOW_COLUMNS.values()
        if column.reverse is kind
    }
    return create_model("Reverse", __base__=DialectPart, **fields)


# The other direction in the same record (a biflow).
Reverse: Final = _reverse_model()


class Dialect(DialectPart):
    """One dialect. ``requires``: columns that must be there; in a list, one of them must."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    title: Name
    requires: Annotated[tuple[Names, ...], _Tables, Field(min_length=1)]
    columns: Columns
    # Made from the table of columns, so a type checker does not know it: see `other_direction`.
    reverse: Reverse | None = None  # type: ignore[valid-type]
    interval: Annotated[
        tuple[Interval, ...],
        _Tables,
        RuleTable(
            "how the sampling interval is known: `num` and `den` (sums of columns; of `num` the "
            "lowest `bits`), `probability`, or `constant`; `when` is optional; the first that is "
            "known wins"
        ),
    ] = ()
    pre_scaled: Annotated[tuple[Rule, ...], _Tables, RuleTable("counters are scaled already")] = ()
    layer2: Annotated[
        tuple[Layer2, ...],
        _Tables,
        RuleTable(
            "every packet counts `octets` bytes of layer 2; with `headers`, also the `sizes` of "
            "the headers (`names`, the outermost first) before one of `until`; the first that is "
            "known wins"
        ),
    ] = ()
    inner: Annotated[
        tuple[Inner, ...],
        _Tables,
        RuleTable("addresses of both families are shown, and `family` is the inner one"),
    ] = ()
    underlay: Annotated[
        tuple[Underlay, ...],
        _Tables,
        RuleTable("addresses are inner ones, and the outer header is of `family`"),
    ] = ()
    segment_routing: Annotated[
        tuple[Rule, ...], _Tables, RuleTable("a segment routing header is shown")
    ] = ()
    egress: Annotated[
        tuple[Rule, ...], _Tables, RuleTable("observed on its way out (flowDirection 1)")
    ] = ()
    reject: Annotated[
        tuple[Reject, ...],
        _Tables,
        RuleTable("nothing to count: `reason` is `action_reject`, `no_data` or `skip_data`"),
    ] = ()
    finding: Annotated[
        tuple[Finding, ...], _Tables, RuleTable("`name` is something a reader should know of")
    ] = ()

    @cached_property
    def other_direction(self) -> Columns | None:
        """The sources of ``[reverse]``, with none for its other columns; None where it is not."""
        return None if self.reverse is None else Columns.model_construct(**dict(self.reverse))

    @cached_property
    def source_columns(self) -> frozenset[str]:
        """Every column that this dialect may read."""
        return frozenset(name for _, name in _uses(self))

    def missing(self, columns: Collection[str]) -> tuple[tuple[str, ...], ...]:
        """The requirements that a file with these columns does not meet."""
        return tuple(group for group in self.requires if not any(c in columns for c in group))


# The tables of rules by their names.
RULE_TABLES: Final = {
    name: said
    for name, field in Dialect.model_fields.items()
    for said in field.metadata
    if isinstance(said, RuleTable)
}
# Those whose `when` must hold; that of an interval may be absent.
RULE_KINDS: Final = tuple(name for name in RULE_TABLES if name != "interval")


def parse_dialect(file: str, data: bytes) -> Dialect:
    """A dialect from its TOML text. Raises CatalogError with file, line and key."""
    return read_toml(file, data).validate(Dialect)


@cache
def builtin_dialects() -> tuple[Dialect, ...]:
    """The dialects that come with the package, by name."""
    folder = resources.files(__name__)
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".toml"))
    return tuple(parse_dialect(f, (folder / f).read_bytes()) for f in files)


def dialect_named(name: str, dialects: Iterable[Dialect]) -> Dialect:
    """The dialect of that name. Raises UserError with the nearest known name."""
    by_name = {d.name: d for d in dialects}
    if name not in by_name:
        raise UserError(f'unknown dialect "{name}"{did_you_mean(name, by_name)}')
    return by_name[name]


def choose_dialect(columns: Collection[str], dialects: Sequence[Dialect]) -> Dialect:
    """The dialect whose requirements these columns meet; of several, the one that knows most.

    Raises InputRefused ``no_dialect`` where none fits, or two fit equally well.
    """
    fitting = [d for d in dialects if not d.missing(columns)]
    if not fitting:
        raise InputRefused("no_dialect", _why_none(columns, dialects))
    best = max(_known(d, columns) for d in fitting)
    first, *others = [d for d in fitting if _known(d, columns) == best]
    if others:
        names = ", ".join(d.name for d in (first, *others))
        raise InputRefused(
            "no_dialect",
            f"the dialects {names} fit the columns {_shown(columns)} equally well; give one of "
            "them a column in `requires` that the other lacks, or name one with --dialect",
        )
    return first


def require_dialect(columns: Collection[str], dialect: Dialect) -> None:
    """Raise InputRefused ``no_dialect`` where a named dialect does not fit."""
    if dialect.missing(columns):
        raise InputRefused(
            "no_dialect",
            f"found the columns {_shown(columns)}; {dialect.name} misses "
            f"{_missing(dialect, columns)}",
        )


def mapped_columns(dialect: Dialect, columns: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(canonical column or rule, source column) for every use of one of these columns."""
    pairs = dict.fromkeys(pair for pair in _uses(dialect) if pair[1] in columns)
    return tuple(pairs)


def dialects_digest(dialects: Sequence[Dialect] | None = None) -> str:
    """Hex SHA-256 of what the dialects do: titles, comments and file order do not count."""
    every = builtin_dialects() if dialects is None else dialects
    parts = sorted(
        json.dumps(d.model_dump(exclude={"title"}), sort_keys=True, ensure_ascii=False)
        for d in every
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _uses(dialect: Dialect) -> Iterator[tuple[str, str]]:
    for field, sources in dialect.columns:
        yield from ((field, name) for s in sources for name in _source_names(s))
    if dialect.reverse is not None:
        for field, sources in dialect.reverse:
            yield from ((f"reverse {field}", n) for s in sources for n in _source_names(s))
    for i in dialect.interval:
        names = (*(i.num or ()), *(i.den or ()), *((i.probability,) if i.probability else ()))
        yield from (("interval", n) for n in (*names, *_tested(i.when)))
    for kind in RULE_KINDS:
        yield from ((kind, n) for rule in getattr(dialect, kind) for n in _tested(rule.when))
    yield from (("layer2", n) for rule in dialect.layer2 for n in rule.columns)


def _source_names(source: Source | FamilySource) -> tuple[str, ...]:
    base = getattr(source, "base", None)
    return (source.column,) if base is None else (source.column, base)


def _tested(tests: Iterable[Test]) -> Iterator[str]:
    return (name for test in tests for name in test.column)


def _known(dialect: Dialect, columns: Collection[str]) -> int:
    return len(dialect.source_columns & frozenset(columns))


def _why_none(columns: Collection[str], dialects: Sequence[Dialect]) -> str:
    if not dialects:
        return f"found the columns {_shown(columns)}; no dialect is known"
    near = min(dialects, key=lambda d: (len(d.missing(columns)), -_known(d, columns), d.name))
    return (
        f"found the columns {_shown(columns)}; the nearest dialect, {near.name}, misses "
        f"{_missing(near, columns)}; "
        f"{_but_for_case(columns, dialects)}name one with --dialect, or add one (docs/dialects.md)"
    )


def _but_for_case(columns: Collection[str], dialects: Sequence[Dialect]) -> str:
    """A word where only upper and lower case stand in the way, as after Hive or Athena."""
    small = {column.lower() for column in columns}
    for dialect in dialects:
        spelled = {name for name in dialect.source_columns if name.lower() in small}
        if not dialect.missing(spelled):
            return (
                f"but for upper and lower case the columns are those of {dialect.name}: rename "
                "them in the files; or "
            )
    return ""


def _missing(dialect: Dialect, columns: Collection[str]) -> str:
    groups = (g[0] if len(g) == 1 else f"one of ({', '.join(g)})" for g in dialect.missing(columns))
    return " and ".join(groups)


def _shown(columns: Collection[str]) -> str:
    """The columns in order, bounded: a hostile file may have millions, or one of a megabyte."""
    names = [
        cut(column, _SHOWN_WIDTH) for column, _ in zip(columns, range(_SHOWN_COLUMNS), strict=False)
    ]
    more = len(columns) - len(names)
    text = ", ".join(names) or "(none)"
    return f"{text} and {more} more" if more else text
