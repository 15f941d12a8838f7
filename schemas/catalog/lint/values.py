"""Days far away, huge sampling intervals, prefixes that are single addresses by omission. Pure."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import pyarrow.compute as pc

from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import Settings

# RFC 1883, the first specification of IPv6, is of December 1995.
_FIRST_DAY: Final = date(1995, 12, 1)
# Until a plan, or something that is said to be so already, looks like a slip in the year.
_PLANS: Final = timedelta(days=10 * 366)
_FACTS: Final = timedelta(days=366)
# Lists of transition.toml that hold prefixes; the others hold single addresses as well.
_PREFIX_LISTS: Final = ("map_t", "clat", "srv6_locators")


def days_far_away(places: Places, catalog: Catalog, today: date) -> Iterator[CatalogError]:
    """Days before IPv6 was, or so far in the future that the year looks like a slip."""
    for row, endpoint in zip(places.endpoints, catalog.endpoints, strict=True):
        for column, day, most in (
            ("planned_on", endpoint.planned_on, _PLANS),
            ("enabled_on", endpoint.enabled_on, _FACTS),
        ):
            if problem := _far_away(day, today, most):
                yield row.error(column, problem)
    for row, network in zip(places.networks, catalog.networks, strict=True):
        if problem := _far_away(network.ipv6_since, today, _FACTS):
            yield row.error("ipv6_since", problem)
    for name, stage in catalog.targets:
        if problem := _far_away(stage.by, today, _PLANS):
            yield places.toml("targets.toml").error((name, "by"), problem)


def _far_away(day: date | None, today: date, most: timedelta) -> str | None:
    if day is None or _FIRST_DAY <= day <= today + most:
        return None
    years = day.year - today.year
    ahead = f"{years} year{'' if years == 1 else 's'} ahead"
    where = "before there was IPv6" if day < _FIRST_DAY else ahead
    return f"found {day}, which is {where}; is the year right?"


def intervals_over_limit(
    places: Places, catalog: Catalog, settings: Settings
) -> Iterator[CatalogError]:
    """Declared sampling intervals that would be a finding if a record had them."""
    most = settings.sampling.max_interval
    for row, exporter in zip(places.exporters, catalog.exporters, strict=True):
        interval = exporter.sampling_interval
        if interval is not None and interval > most:
            problem = f"found {interval}, over [sampling] max_interval, which is {most}"
            yield row.error("sampling_interval", f"{problem}; is it 1 in {interval} packets?")


def prefixes_without_length(places: Places, catalog: Catalog) -> Iterator[CatalogError]:
    """Prefixes that stand without a length, and so mean one address alone."""
    for i, app in enumerate(catalog.apps):
        for j, match in enumerate(app.matches):
            if match.prefix is not None and match.prefix.num_addresses == 1:
                text = places.toml("apps.toml").values["app"][i]["match"][j]["prefix"]
                if "/" not in text:
                    yield places.in_apps(("app", i, "match", j, "prefix"), _alone(text))
    transition = places.toml("transition.toml")
    for name in _PREFIX_LISTS:
        for i, text in enumerate(transition.values.get(name, ())):
            if "/" not in text:
                yield transition.error((name, i), _alone(text))
    prefixes = catalog.prefixes
    bare = pc.invert(pc.match_substring(prefixes["prefix"], "/"))
    count = pc.sum(bare).as_py() or 0
    if count:
        row = int(pc.index(bare, True).as_py())
        more = f" (and {count - 1:,} more row{'' if count == 2 else 's'})" if count > 1 else ""
        problem = _alone(prefixes["prefix"][row].as_py(), more)
        yield places.in_prefixes(prefixes, row, "prefix", problem)


def _alone(text: str, more: str = "") -> str:
    bits = 128 if ":" in text else 32
    return (
        f'found "{text}" without a length{more}, which means this one address; write '
        f'"{text}/{bits}", or the length of the prefix'
    )
