"""What the operator knows, as frozen models: the parts of the catalog and their formats.

Each model is one table or row of a catalog file; a key that is not listed here is a mistake.
Where the file's key is in the singular (``port``) and the model's field in the plural
(``ports``), the field's alias is the file's key; code may use the field's own name.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from ipaddress import (
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import pyarrow as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from v6share.schemas.aggregates import UNCLASSIFIED, UNKNOWN, UNLISTED
from v6share.schemas.protocols import MAX_PROTOCOL, PROTOCOL_NUMBERS, WITHOUT_PORTS, parse_protocol
from v6share.schemas.text.csv_files import CsvColumns, empty_columns
from v6share.schemas.text.host_names import bare_address, host_pattern
from v6share.schemas.text.wording import did_you_mean, found, mistake

PREFIX_COLUMNS: Final = CsvColumns(("prefix", "region", "network"))
NETWORK_COLUMNS: Final = CsvColumns(
    ("network", "kind", "client_prefix_v4", "client_prefix_v6"),
    ("ipv6_since", "subscribers", "carrier"),
)
EXPORTER_COLUMNS: Final = CsvColumns(
    ("exporter", "vantage", "role", "sampling_interval", "white_box"),
    ("site", "override", "directions", "active_timeout"),
)
ENDPOINT_COLUMNS: Final = CsvColumns(("app", "product", "region", "planned_on", "enabled_on"))

_MAX_PORT: Final = 65_535
_MAX_AS: Final = 2**32 - 1
_PORT_RANGE: Final = re.compile(r"(\d+)\s*-\s*(\d+)", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER: Final = re.compile(r"\d+", re.ASCII)
_AS_NUMBER: Final = re.compile(r"(?:AS[N ]?\s*)?([1-9]\d{0,9})", re.ASCII | re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# RFC 6052, 2.2: the only lengths at which the place of the embedded IPv4 address is defined.
_NAT64_LENGTHS: Final = (32, 40, 48, 56, 64, 96)


def _parse_network(value: Any) -> Any:
    """An IP prefix from text; models that are built in code may pass the network itself."""
    if not isinstance(value, str):
        if isinstance(value, IPv4Network | IPv6Network):
            return value
        raise mistake(f'found {found(value)}, expected a prefix as text, such as "2001:db8::/32"')
    try:
        interface = ip_interface(value.strip())
    except ValueError:
        expected = 'expected a prefix, such as "192.0.2.0/24" or "2001:db8::/32"'
        raise mistake(f"found {found(value)}, {expected}") from None
    network = interface.network
    if "%" in value:
        raise mistake(f"found {found(value)}, expected a prefix without a zone (%)")
    if interface.ip != network.network_address:
        problem = f'found {found(value)}, which has host bits set; the prefix is "{network}"'
        raise mistake(problem)
    mapped = IPv6Address(int(network.network_address)).ipv4_mapped if network.version == 6 else None
    if mapped is not None and network.prefixlen >= 96:
        as_v4 = IPv4Network((mapped, network.prefixlen - 96))
        raise mistake(f'found {found(value)}, which is IPv4 in IPv6 form; write it as "{as_v4}"')
    return network


def prefix_problem(text: str) -> str | None:
    """Say what is wrong with a prefix of prefixes.csv; None where nothing is.

    Python reads network masks as well, such as ``/255.0.0.0``; here a length is a number.
    """
    try:
        _parse_network(text)
    except PydanticCustomError as error:
        return error.message()
    length = text.partition("/")[2]
    if length and not _NUMBER.fullmatch(length.strip()):
        return f"found {found(text)}, expected a prefix like 192.0.2.0/24 or 2001:db8::/32"
    return None


def _of_version(version: int) -> AfterValidator:
    def check(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
        if network.version != version:
            raise mistake(f'found "{network}", expected an IPv{version} prefix')
        return network

    return AfterValidator(check)


def _check_nat64(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if network.prefixlen not in _NAT64_LENGTHS:
        lengths = ", ".join(f"/{n}" for n in _NAT64_LENGTHS)
        raise mistake(f'found "{network}", expected one of the lengths {lengths} (RFC 6052)')
    if network.prefixlen == 96 and (int(network.network_address) >> 56) & 0xFF:
        raise mistake(f'found "{network}", whose bits 64 to 71 are not zero (RFC 6052)')
    return network


def _parse_ports(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else (value,)
    if isinstance(value, list) and not value:
        raise mistake("found an empty list, expected a port; leave the key out for any port")
    ranges = sorted(_port_range(item) for item in items)
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _port_range(item: Any) -> tuple[int, int]:
    match item:
        case bool():
            low, high = -1, -1
        case int():
            low, high = item, item
        case (int(low), int(high)) if isinstance(item, tuple):
            pass
        case str() if between := _PORT_RANGE.fullmatch(item.strip()):
            low, high = int(between[1]), int(between[2])
        case str() if _NUMBER.fullmatch(item.strip()):
            low = high = int(item)
        case _:
            low, high = -1, -1
    if not 0 <= low <= high <= _MAX_PORT:
        expected = f'expected a port (0 to {_MAX_PORT}), a range such as "8000-8010", or a list'
        raise mistake(f"found {found(item)}, {expected} of them")
    return low, high


def _parse_protocols(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else (value,)
    if isinstance(value, list) and not value:
        raise mistake("found an empty list, expected a protocol; leave the key out for any")
    return tuple(sorted({_protocol(item) for item in items}))


def _protocol(item: Any) -> int:
    number = None if isinstance(item, bool) else parse_protocol(str(item))
    if number is not None:
        return number
    hint = did_you_mean(item, PROTOCOL_NUMBERS) if isinstance(item, str) else ""
    expected = f"expected a protocol's name or number (0 to {MAX_PROTOCOL})"
    raise mistake(f"found {found(item)}, {expected}{hint if 'did you' in hint else ''}")


def _parse_day(value: Any) -> Any:
    if value == "":
        return None
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if value is None or is_day:
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise mistake(f"found {found(value)}, which is no day: {error}") from None
    raise mistake(f"found {found(value)}, expected a day such as 2026-03-31")


def _parse_cell_number(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise mistake(f"found {found(value)}, expected a whole number")


def _parse_cell_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return False
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise mistake(f"found {found(value)}, expected true, false, 1, 0, yes, no or nothing")


def _parse_cell_directions(value: Any) -> Any:
    return "one" if value is None or value == "" else value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _not_reserved(*words: str) -> AfterValidator:
    def check(text: str) -> str:
        if text in words:
            raise mistake(f'found "{text}", which is what v6share says where it does not know')
        return text

    return AfterValidator(check)


def canonical_exporter(name: str) -> str:
    """An address in its shortest form, so that one exporter has one name; other text as it is."""
    try:
        address = ip_address(bare_address(name))
    except ValueError:
        return name
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _parse_server_name(name: str) -> str:
    """The name as those of flows are written; ``*.`` may lead."""
    try:
        return host_pattern(name)
    except ValueError as error:
        raise mistake(f"found {found(name)}, which is no host name; {error}") from None


def _plain_as_number(value: Any) -> Any:
    """An AS number is a number; its usual spellings in text are answered with it."""
    if isinstance(value, str):
        spelt = _AS_NUMBER.fullmatch(value.strip())
        write = f"write {spelt[1]}" if spelt else "expected a whole number, such as 64500"
        raise mistake(f"found {found(value)}; {write}")
    return value


def _parse_app_id(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=1)]
AppId = Annotated[Text, _not_reserved(UNCLASSIFIED)]
ProductId = Annotated[Text, _not_reserved(UNCLASSIFIED)]
NetworkId = Annotated[Text, _not_reserved(UNKNOWN)]
Region = Annotated[Text, _not_reserved(UNKNOWN)]
Vantage = Annotated[Text, _not_reserved(UNLISTED)]
ServerName = Annotated[Text, AfterValidator(_parse_server_name)]
MaybeText = Annotated[Text | None, BeforeValidator(_empty_is_none)]
MaybeDay = Annotated[date | None, BeforeValidator(_parse_day)]
CellBoolean = Annotated[bool, BeforeValidator(_parse_cell_boolean)]

IpNetwork: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(_parse_network)]
IPv4Prefix = Annotated[IpNetwork, _of_version(4)]
IPv6Prefix = Annotated[IpNetwork, _of_version(6)]
Nat64Prefix = Annotated[IPv6Prefix, AfterValidator(_check_nat64)]


class Declared(BaseModel):
    """A part of the catalog: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
    )


class Match(Declared):
    """Conditions that must all hold for one side of a flow and for the flow itself.

    ports: inclusive ranges, ascending, disjoint; empty = any. protocols: numbers; empty = any.
    server_name: as flows' names are written, in lower case and IDNA in ASCII. product, region: what
    the match stands for, not conditions.
    shared: the prefix serves many apps, so it never decides by itself.
    """

    prefix: IpNetwork | None = None
    ports: Annotated[tuple[tuple[int, int], ...], BeforeValidator(_parse_ports)] = Field(
        (), alias="port"
    )
    protocols: Annotated[tuple[int, ...], BeforeValidator(_parse_protocols)] = Field(
        (), alias="protocol"
    )
    server_name: ServerName | None = None
    asn: Annotated[
        Annotated[StrictInt, Field(ge=1, le=_MAX_AS)] | None, BeforeValidator(_plain_as_number)
    ] = None
    app_name: Text | None = None
    app_id: Annotated[Text | None, BeforeValidator(_parse_app_id)] = None
    product: ProductId | None = None
    region: Region | None = None
    shared: StrictBool = False

    @model_validator(mode="after")
    def _decides(self) -> Self:
        named = bool(self.ports) or any((self.server_name, self.app_name, self.app_id))
        if not named and self.prefix is None and not self.protocols and self.asn is None:
            keys = "prefix, port, protocol, server_name, asn, app_name or app_id"
            raise mistake(f"a match without a condition would take every flow; add {keys}")
        if self.ports and self.protocols and WITHOUT_PORTS.issuperset(self.protocols):
            raise mistake(
                "found a port, and no protocol that has ports, so no flow fits; leave out port, or "
                'name a protocol such as "tcp"'
            )
        if self.shared and self.prefix is None:
            raise mistake("shared = true says something of a prefix, and there is no prefix")
        if self.shared and not named:
            raise mistake(
                "a shared prefix serves many apps, so it cannot decide one by itself; "
                "add port, server_name, app_name or app_id, or leave out shared"
            )
        return self


class App(Declared):
    """An application; the first app in file order of which a match fits is the flow's app."""

    id: AppId
    name: Text
    product: ProductId | None = None
    owner: Text | None = None
    matches: tuple[Match, ...] = Field(alias="match")


class Product(Declared):
    """A product; core ones count for global parity."""

    id: ProductId
    name: Text
    core: StrictBool = False


class Network(Declared):
    """A client network, and the length in bits of the prefix that stands for one client of it."""

    network: NetworkId
    kind: Literal["mobile", "fixed", "datacenter", "partner", "relay"]
    client_prefix_v4: Annotated[int, Field(ge=1, le=32), BeforeValidator(_parse_cell_number)]
    client_prefix_v6: Annotated[int, Field(ge=1, le=128), BeforeValidator(_parse_cell_number)]
    ipv6_since: MaybeDay = None
    subscribers: Annotated[
        Annotated[int, Field(ge=1, le=2**63 - 1)] | None, BeforeValidator(_parse_cell_number)
    ] = None
    carrier: MaybeText = None

    @model_validator(mode="before")
    @classmethod
    def _lengths(cls, values: Any) -> Any:
        lengths = {"client_prefix_v4": 32, "client_prefix_v6": 56}
        if values.get("kind") == "mobile":
            lengths["client_prefix_v6"] = 64
        return values | {n: d for n, d in lengths.items() if values.get(n) in (None, "")}


class Exporter(Declared):
    """An exporter: an address in its shortest form, or a name.

    sampling_interval: 1 in N, used where a record carries none; with ``override`` always.
    directions: ``both`` where it reports a flow on its way in and again on its way out.
    active_timeout: seconds after which it reports a connection that goes on, and begins to count
    anew; used where a record does not tell.
    """

    exporter: Annotated[Text, AfterValidator(canonical_exporter)]
    vantage: Vantage
    role: str = ""
    sampling_interval: Annotated[
        Annotated[int, Field(ge=1, le=2**32)] | None, BeforeValidator(_parse_cell_number)
    ] = None
    white_box: CellBoolean = False
    site: MaybeText = None
    override: CellBoolean = False
    directions: Annotated[Literal["one", "both"], BeforeValidator(_parse_cell_directions)] = "one"
    active_timeout: Annotated[
        Annotated[int, Field(ge=1, le=604_800)] | None, BeforeValidator(_parse_cell_number)
    ] = None

    @model_validator(mode="after")
    def _overrides_something(self) -> Self:
        if self.override and self.sampling_interval is None:
            raise mistake("override needs a sampling_interval that is to win")
        return self


class Endpoint(Declared):
    """What is to be dual-stacked: a product in a service region, for an app or for itself."""

    app: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    product: ProductId
    region: Region
    planned_on: MaybeDay = None
    enabled_on: MaybeDay = None


class Transition(Declared):
    """Prefixes of the operator's transition mechanisms, which no rule could guess."""

    nat64: tuple[Nat64Prefix, ...] = ()
    nat64_pool_v4: tuple[IPv4Prefix, ...] = ()
    map_t: tuple[IpNetwork, ...] = ()
    clat: tuple[IpNetwork, ...] = ()
    sixrd_relays: tuple[IPv4Prefix, ...] = ()
    teredo_relays: tuple[IPv4Prefix, ...] = ()
    srv6_locators: tuple[IPv6Prefix, ...] = ()


def _parse_ranking(value: Any) -> Any:
    if value in ("previous_quarter", "live"):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        if len(set(value)) == len(value):
            return tuple(value)
        twice = next(v for i, v in enumerate(value) if v in value[:i])
        raise mistake(f'found the app "{twice}" twice')
    hint = did_you_mean(value, ("previous_quarter", "live")) if isinstance(value, str) else ""
    expected = 'expected "previous_quarter", "live" or a list of app ids'
    raise mistake(f"found {found(value)}, {expected}{hint}")


# As many digits as the columns of targets hold.
_MOST: Final = 10**12 - 1
Count = Annotated[StrictInt, Field(ge=1, le=_MOST)]
Share = Annotated[Decimal, Field(gt=0, le=1, decimal_places=6)]


def _parse_share(value: Any) -> Any:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        share = Decimal(value)
        if share.is_finite() and 0 < share <= 1:
            return share
    raise mistake(f"found {found(value)}, expected a share over 0 and up to 1, such as 0.90")


class Stage1(Declared):
    """Targets of the pilot."""

    apps: Count = 5
    products: Count = 27
    by: MaybeDay = None


class Stage2(Declared):
    """Target of the expansion."""

    active_users: Count = 500_000_000
    by: MaybeDay = None


class Stage3(Declared):
    """Target of the concentration: the share of the top apps' traffic, held for some weeks."""

    top_n: Count = 20
    share: Annotated[Share, BeforeValidator(_parse_share)] = Decimal("0.90")
    weeks: Annotated[StrictInt, Field(ge=1, le=520)] = 4
    denominator: Literal["all", "enabled", "capable"] = "all"
    ranking: Annotated[
        Literal["previous_quarter", "live"] | tuple[str, ...], BeforeValidator(_parse_ranking)
    ] = "previous_quarter"
    by: MaybeDay = None


class Targets(Declared):
    """What the rollout is to reach."""

    stage1: Stage1 = Stage1()
    stage2: Stage2 = Stage2()
    stage3: Stage3 = Stage3()


class Catalog(Declared):
    """All that the operator knows. ``prefixes`` has the columns prefix, region, network."""

    apps: tuple[App, ...] = ()
    products: tuple[Product, ...] = ()
    prefixes: pa.Table = Field(default_factory=lambda: empty_columns(PREFIX_COLUMNS))
    networks: tuple[Network, ...] = ()
    exporters: tuple[Exporter, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    transition: Transition = Transition()
    targets: Targets = Targets()
