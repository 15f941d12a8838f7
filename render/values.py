"""Single values as text: for people grouped, in their units and rounded; for machines exact."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from v6share.render.units import unit_of_name
from v6share.schemas.text.plain import cut

Record = Mapping[str, object]

_HASHES: Final = ("catalog_version", "input_id")
_HASH_SHOWN: Final = 12
_COMMAND_SHOWN: Final = 60
_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E", "Z")
# Columns whose numbers are names of things, and are no quantities.
_NAMING: Final = frozenset(("asn", "line", "port"))
_MOST_DIGITS: Final = 9


def value_for_people(
    name: str, value: object, unit: str | None = None, target: float | Decimal | None = None
) -> str:
    """One value as a person reads it.

    name: its column. unit: as ``unit_of`` says; None: what the name says. target: what a share is
    measured against, see ``share_for_people``.
    """
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            shown = unit_of_name(name) if unit is None else unit
            return _number_for_people(name, value, shown, target)
        case datetime():
            return _utc(value).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
        case list():
            return ", ".join(value_for_people("", item) for item in value)
        case str() if name in _HASHES:
            return shown_hash(value)
        case str() if name == "command":
            # A shell puts every file of a glob into it, and one line would be as wide as them all.
            return cut(value, _COMMAND_SHOWN)
        case dict():
            return ", ".join(f"{k}={value_for_people(k, v)}" for k, v in value.items())
    return str(value)


def shown_hash(value: str) -> str:
    """The start of a hash: enough to tell it from others, and to name an input to ``forget``."""
    return value[:_HASH_SHOWN]


def bytes_for_people(count: float | Decimal) -> str:
    """Bytes with a decimal prefix and three digits: ``8.38 MB``."""
    scaled, step = float(count), 0
    while abs(scaled) >= 999.5 and step < len(_PREFIXES) - 1:
        scaled, step = scaled / 1000, step + 1
    digits = f"{scaled:.0f}" if step == 0 else f"{scaled:.3g}"
    return f"{digits} {_PREFIXES[step]}B"


def share_for_people(share: float | Decimal, target: float | Decimal | None = None) -> str:
    """A share in percent: ``41.2 %``.

    With one digit, and with more where it would else look like nothing, like the whole or like a
    target, and is not.
    """
    value = float(share)
    marks = {0.0, 1.0, value if target is None else float(target)} - {value}
    digits = 1
    while digits < _MOST_DIGITS and _percent(value, digits) in {_percent(m, digits) for m in marks}:
        digits += 1
    return _percent(value, digits)


def _percent(share: float, digits: int) -> str:
    return f"{share * 100:.{digits}f} %"


def points_for_people(difference: float | Decimal) -> str:
    """A difference of shares in percentage points: ``-0.72 pp``."""
    return f"{float(difference) * 100:z.2f} pp"


def _number_for_people(
    name: str, value: float | Decimal, unit: str, target: float | Decimal | None
) -> str:
    number = float(value)
    if not math.isfinite(number):
        return "-"
    match unit:
        case "share":
            return share_for_people(value, target)
        case "points":
            return points_for_people(value)
        case "bytes":
            return bytes_for_people(value)
    if not _NAMING.isdisjoint(name.split("_")):
        return str(value)
    if value == int(value):
        return f"{int(value):,}"
    return f"{number:,.4g}" if abs(number) < 1000 else f"{number:,.1f}"


def _utc(moment: datetime) -> datetime:
    """Times in our tables carry no zone and are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso_time(moment: datetime) -> str:
    """A UTC time in ISO 8601, with fractions only where there are any."""
    return _utc(moment).isoformat().replace("+00:00", "Z")


def json_value(value: object) -> str:
    """One value as JSON text; decimals keep all their digits, as numbers."""
    match value:
        case Decimal():
            return format(value, "f") if value.is_finite() else "null"
        case float():
            return json.dumps(value) if abs(value) < float("inf") else "null"
        case datetime():
            return json.dumps(iso_time(value))
        case date():
            return json.dumps(value.isoformat())
        case bytes():
            return json.dumps(value.hex())
        case list() | tuple():
            return "[" + ", ".join(json_value(item) for item in value) + "]"
        case dict():
            items = (f"{json.dumps(str(k))}: {json_value(v)}" for k, v in value.items())
            return "{" + ", ".join(items) + "}"
    return json.dumps(value, ensure_ascii=False, default=str)
