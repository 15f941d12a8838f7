"""Settings: ``v6share.toml``, overridden by ``V6SHARE_SECTION__KEY``, overridden by flags.

Every value keeps its place (file line, environment variable or flag), so that a mistake names
it. Nothing here reads the environment or a file: both are passed in.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

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
    ValidationError,
)

from v6share.schemas.aggregates import UNLISTED
from v6share.schemas.errors import CatalogError, Mistakes
from v6share.schemas.text.durations import EXPECTED, parse_duration
from v6share.schemas.text.toml_files import known_keys, read_toml
from v6share.schemas.text.wording import did_you_mean, found, mistake, mistakes_in, nearest

SETTINGS_FILE: Final = "v6share.toml"
_PREFIX: Final = "V6SHARE_"
_ENVIRONMENT: Final = "environment"
_COMMAND_LINE: Final = "command line"
_NUMBER: Final = re.compile(r"[+-]?\d{1,100}", re.ASCII)
_MAX_INTERVAL: Final = 2**32


def _parse_unknown(value: Any) -> Any:
    is_interval = isinstance(value, int) and not isinstance(value, bool)
    is_interval = is_interval and 1 <= value <= _MAX_INTERVAL
    if is_interval or value in ("reject", "unsampled"):
        return value
    close = nearest(value, ("reject", "unsampled")) if isinstance(value, str) else None
    hint = f'; did you mean "{close}"?' if close else ""
    expected = 'expected "reject", "unsampled" or a sampling interval from 1 to 2^32'
    raise mistake(f"found {found(value)}, {expected}{hint}")


def _parse_list(value: Any) -> Any:
    """Environment variables and flags may give a list as text with commas."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


Vantage = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=1)]


class Section(BaseModel):
    """A part of the settings: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(Section):
    """How rows without a known sampling interval count, and the size of a packet at most.

    unknown: ``reject``, ``unsampled`` (interval 1) or the interval to assume.
    max_packet_bytes: M of the bound of the sampling variance. max_interval: a larger one is counted
    with, and is a finding.
    """

    unknown: Annotated[
        Literal["reject", "unsampled"] | StrictInt, BeforeValidator(_parse_unknown)
    ] = "reject"
    max_packet_bytes: Annotated[StrictInt, Field(ge=68, le=65_575)] = 1500
    max_interval: Annotated[StrictInt, Field(ge=1, le=2**31)] = 100_000


class Time(Section):
    """What times a record may have, and where the reporting day begins.

    max_duration_hours: the longest that it may last. stale_days: the longest that it may have
    waited for its export. ahead_hours: how far it may be ahead of the clock of who reads it.
    """

    max_duration_hours: Annotated[StrictInt, Field(ge=1, le=480)] = 24
    stale_days: Annotated[StrictInt, Field(ge=1, le=36_500)] = 2
    ahead_hours: Annotated[StrictInt, Field(ge=1, le=48)] = 1
    reporting_utc_offset_minutes: Annotated[StrictInt, Field(ge=-720, le=840)] = 0


class Kpi(Section):
    """Which vantages feed the KPIs."""

    vantages: Annotated[tuple[Vantage, ...], Field(min_length=1), BeforeValidator(_parse_list)] = (
        "edge",
        UNLISTED,
    )


class Run(Section):
    """How a run works; nothing here alters a number.

    threads: 0 = all cores. batch_rows: rows in one batch. settle_seconds: an unreadable file
    that changed more recently than this is still being written.
    """

    threads: Annotated[StrictInt, Field(ge=0, le=4096)] = 0
    batch_rows: Annotated[StrictInt, Field(ge=1, le=16_777_216)] = 262_144
    settle_seconds: Annotated[StrictInt, Field(ge=0, le=86_400)] = 60


class Stream(Section):
    """How a stream works; nothing here alters a number.

    interval_seconds: between two looks into the folders, and between two batches at least.
    most_files: files in one batch. full_check_minutes: so often all days are checked, not those
    alone that changed. memory_limit_mib: above it the stream starts itself anew.
    """

    interval_seconds: Annotated[StrictInt, Field(ge=1, le=3600)] = 1
    most_files: Annotated[StrictInt, Field(ge=1, le=100_000)] = 100
    full_check_minutes: Annotated[StrictInt, Field(ge=1, le=10_080)] = 60
    memory_limit_mib: Annotated[StrictInt, Field(ge=256, le=1_048_576)] = 2048


def _refuse_other_places(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.py", name):
            raise mistake(f"found {found(name)}, expected the name of a file.py in quality/")
    return names


class Quality(Section):
    """How what is published is judged.

    gate: whether Great Expectations judges if numbers are plausible. python: files in ``quality/``
    that define expectations of one's own; no other file there is ever run.
    """

    gate: StrictBool = True
    python: Annotated[
        tuple[StrictStr, ...], BeforeValidator(_parse_list), AfterValidator(_refuse_other_places)
    ] = ()


Days = Annotated[StrictInt, Field(ge=1, le=36_500)] | None


class Retention(Section):
    """How many days ``v6share prune`` keeps what no KPI needs for longer; None keeps it for ever.

    five_minute_days: traffic_5m. hourly_days: traffic_1h, rtt_1h and health_1h; five-minute rows
    are never kept longer. sketch_days: clients_1d, of which the KPIs read 30 days. These three
    count back from the last final day of the data, the others from the clock. quarantine_days:
    notes of refused inputs. fragment_days: fragments of inputs that count.
    """

    five_minute_days: Days = None
    hourly_days: Days = None
    sketch_days: Annotated[StrictInt, Field(ge=62, le=36_500)] | None = None
    quarantine_days: Days = None
    fragment_days: Days = None


def _parse_age(value: Any) -> Any:
    duration = parse_duration(value) if isinstance(value, str) else None
    if duration is None:
        raise mistake(f"found {found(value)}, expected {EXPECTED}")
    return duration


class Check(Section):
    """What ``v6share check`` asks beside the checks; nothing here alters a number.

    max_age: how old the newest record may be, by the clock; None: it is not asked.
    """

    max_age: Annotated[timedelta | None, BeforeValidator(_parse_age)] = None


class Settings(BaseModel):
    """All settings, with the defaults of an empty file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampling: Sampling = Sampling()
    time: Time = Time()
    kpi: Kpi = Kpi()
    run: Run = Run()
    stream: Stream = Stream()
    quality: Quality = Quality()
    retention: Retention = Retention()
    check: Check = Check()


_KEYS: Final = {
    f"{section}.{key}": (section, key)
    for section, keys in known_keys(Settings).items()
    if section
    for key in keys
}
_VARIABLES: Final = {f"{_PREFIX}{s}__{k}".upper(): f"{s}.{k}" for s, k in _KEYS.values()}
_FLAGS: Final = {
    "--threads": "run.threads",
    "--unknown-sampling": "sampling.unknown",
    "--interval": "stream.interval_seconds",
    "--most-files": "stream.most_files",
    "--full-check-minutes": "stream.full_check_minutes",
    "--gate": "quality.gate",
    "--max-age": "check.max_age",
}


def parse_settings(
    text: str | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Settings:
    """The settings of a file's text, the environment and the flags; the last one wins.

    flags: by name, as ``{"--unknown-sampling": "unsampled"}``; None is "not given".
    Of ``environ`` only ``V6SHARE_SECTION__KEY`` is read. Raises CatalogError for all mistakes.
    """
    mistakes = Mistakes()
    values: dict[str, dict[str, Any]] = {}
    with mistakes.gathered():
        file = read_toml(SETTINGS_FILE, (text or "").encode())
        file.validate(Settings)
        values = {section: dict(keys) for section, keys in file.values.items()}
    for given in (*_from_environment(environ, mistakes), *_from_flags(flags)):
        section, key = _KEYS[given.key]
        with mistakes.gathered():
            _check(given, {section: {key: given.value}})
        values.setdefault(section, {})[key] = given.value
    mistakes.refuse()
    return Settings.model_validate(values)


@dataclass(frozen=True)
class _Given:
    """One value from outside the file: its dotted key, and the name and place it came by."""

    key: str
    value: Any
    place: str
    name: str


def _from_environment(environ: Mapping[str, str], mistakes: Mistakes) -> Iterator[_Given]:
    for name in sorted(environ):
        key = _VARIABLES.get(name)
        if key is not None:
            yield _Given(key, _from_text(environ[name]), _ENVIRONMENT, name)
        elif name.startswith(_PREFIX) and _looks_like_a_setting(name):
            problem = "unknown key" + did_you_mean(name, _VARIABLES)
            mistakes.add(CatalogError(_ENVIRONMENT, None, name, problem))


def _from_flags(flags: Mapping[str, Any]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            plain = _from_text(value) if isinstance(value, str) else value
            yield _Given(_FLAGS[name], plain, _COMMAND_LINE, name)


def _looks_like_a_setting(name: str) -> bool:
    """Two underscores, or the name of a setting with one of them forgotten."""
    joined = {variable.replace("__", "_") for variable in _VARIABLES}
    return "__" in name or name.upper().replace("__", "_") in joined


def _from_text(text: str) -> Any:
    """The value that a text stands for: a whole number, true or false, a TOML list, or the text."""
    if _NUMBER.fullmatch(text.strip()):
        return int(text)
    if text.strip() in ("true", "false"):
        return text.strip() == "true"
    if not text.strip().startswith("["):
        return text.strip()
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check(given: _Given, values: dict[str, Any]) -> None:
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        _, problem = next(mistakes_in(error, {}))
        raise CatalogError(given.place, None, given.name, problem) from None
