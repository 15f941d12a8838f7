"""The sources of a canonical column: which columns of a file a dialect names for it, and how.

Here stand the four kinds of source and the pydantic types that a column of the canonical flow
(``flow.py``) has by its form. Nothing here knows which columns there are.
"""

from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]
Marker: TypeAlias = int | str
Name: TypeAlias = Annotated[str, Field(min_length=1)]


class Form(Enum):
    """How the values of a canonical column are written in files, and so how they are read."""

    TIME = "time"
    ADDRESS = "address"
    FAMILY = "family"
    NUMBER = "number"
    PROTOCOL = "protocol"
    FLAGS = "flags"
    TEXT = "text"
    HOST = "host name"
    APP_ID = "application id"
    EXPORTER = "exporter"


# What the page of dialects says of each.
FORM_MEANINGS: Final = {
    Form.TIME: "numbers in `unit` (`s`, `ms`, `us`, `ns`), also as text or with a fraction; ISO "
    "text (UTC, unless it has a zone or `utc_offset_minutes` is given); Arrow timestamps. `base`: "
    "a column to add (in `base_unit`, else `ms`), as a boot time to an uptime; with `before = "
    "true` the value is taken from it, as a difference from the time of export. 0 and "
    "`0000-00-00 ...` are missing",
    Form.ADDRESS: "text, 4 or 16 bytes, v4-mapped, or integers (IPv4). Of text, spaces, brackets, "
    "a zone, `/32` or `/128`, and a port behind IPv4 or brackets are taken off. Either one column, "
    'or one for each family. `family = "v4"`: the column holds IPv4 alone, so 4 bytes of it are '
    "never the rest of a longer address",
    Form.FAMILY: "`{ column, v4 = [...], v6 = [...] }`: the values that tell the IP version. "
    "`weak = true`: they are often wrong, so they decide nothing where there are addresses",
    Form.NUMBER: "whole numbers, also as text. `names = { DROPPED = 128 }` reads a text as a "
    'number, `prefixes` by how it begins; `thousands = ","` reads `1,234` (also `.`, a space or '
    "`'` in its place); `times = 1000` multiplies, as milliseconds that are wanted in microseconds",
    Form.PROTOCOL: "as a number, or the name of a protocol",
    Form.FLAGS: "as a number, letters (`...AP.S.`), or a list of names",
    Form.TEXT: "text, bytes of UTF-8, or integers. What stands for nobody (`N/A`, `unknown`, `-`, "
    "`anonymous`, `none`, `null`, in any case) is none",
    Form.HOST: "as text; a port, userinfo, a scheme, brackets and the last dot are taken off, and "
    "letters beyond ASCII written as IDNA writes them",
    Form.APP_ID: "as text; bytes are an engine and a selector (RFC 6759)",
    Form.EXPORTER: "as text, or an address of any form",
}


# What firewalls and probes write where they know no user, name or application.
NOBODY: Final = frozenset(
    ("", "n/a", "na", "unknown", "<unknown>", "(unknown)", "-", "--", "anonymous", "none", "(none)",
     "null", "(null)", "nil", "undefined", "not available")
)  # fmt: skip


class DialectPart(BaseModel):
    """A table of a dialect file: unknown keys and values of another type are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def as_tuple(value: Any) -> Any:
    """A list of TOML as the tuple that a frozen model holds; anything else is left to pydantic."""
    return tuple(value) if isinstance(value, list) else value


def _as_sources(value: Any) -> Any:
    """A bare column name is short for a source without further keys."""
    if not isinstance(value, list):
        return value
    return tuple({"column": v} if isinstance(v, str) else v for v in value)


Markers: TypeAlias = Annotated[tuple[Marker, ...], BeforeValidator(as_tuple)]


class Source(DialectPart):
    """One column that may give a value. ``missing``: values that mean "none"."""

    column: Name
    missing: Markers = ()


class TimeSource(Source):
    """A time: whole or decimal numbers in ``unit``, ISO text, or Arrow timestamps.

    base: a column (in ``base_unit``) that the value is added to, as a boot time to an uptime; with
    ``before``, that it is taken from, as a difference from the time of export.
    utc_offset_minutes: of text without a zone.
    """

    unit: Unit
    base: Name | None = None
    base_unit: Unit = "ms"
    before: bool = False
    utc_offset_minutes: int = Field(default=0, ge=-1439, le=1439)


class NumberSource(Source):
    """A whole number. ``names`` and ``prefixes``: numbers for texts, and for how texts begin.

    thousands: the mark between thousands of a number that is text, such as ``1,234``.
    times: the number is multiplied by it (a time in ms that is wanted in us: 1000).
    """

    names: dict[str, int] = Field(default_factory=dict)
    prefixes: dict[str, int] = Field(default_factory=dict)
    thousands: Literal[",", ".", " ", "'"] | None = None
    times: int = Field(default=1, ge=1, le=1_000_000)


class AddressSource(Source):
    """An address. ``family``: the only one that the column holds, as its name says."""

    family: Literal["v4"] | None = None


class FamilySource(DialectPart):
    """A column that tells the IP version, and its values.

    weak: it is often wrong, so it decides nothing where there are addresses.
    """

    column: Name
    v4: Markers
    v6: Markers
    weak: bool = False


# The sources of a column by its form, best first. The form travels with the type, so that a
# column cannot have the sources of one form and be read as another.
_Sources: TypeAlias = Annotated[tuple[Source, ...], BeforeValidator(_as_sources)]
_Numbers: TypeAlias = Annotated[tuple[NumberSource, ...], BeforeValidator(_as_sources)]

Times: TypeAlias = Annotated[tuple[TimeSource, ...], BeforeValidator(_as_sources), Form.TIME]
Addresses: TypeAlias = Annotated[
    tuple[AddressSource, ...], BeforeValidator(_as_sources), Form.ADDRESS
]
Families: TypeAlias = Annotated[tuple[FamilySource, ...], BeforeValidator(as_tuple), Form.FAMILY]
Numbers: TypeAlias = Annotated[_Numbers, Form.NUMBER]
Protocols: TypeAlias = Annotated[_Numbers, Form.PROTOCOL]
Flags: TypeAlias = Annotated[_Numbers, Form.FLAGS]
Texts: TypeAlias = Annotated[_Sources, Form.TEXT]
Hosts: TypeAlias = Annotated[_Sources, Form.HOST]
AppIds: TypeAlias = Annotated[_Sources, Form.APP_ID]
Exporters: TypeAlias = Annotated[_Sources, Form.EXPORTER]
