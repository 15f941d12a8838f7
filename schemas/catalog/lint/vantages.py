"""Vantages that look misspelt, or of which none feeds the KPIs. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from v6share.schemas.aggregates import UNLISTED
from v6share.schemas.catalog.lint.places import Places
from v6share.schemas.errors import CatalogError
from v6share.schemas.settings import SETTINGS_FILE, Kpi, Settings
from v6share.schemas.text.csv_files import CsvRow
from v6share.schemas.text.toml_files import read_toml
from v6share.schemas.text.wording import did_you_mean, nearest

_ALIKE: Final = 0.75
_VARIABLE: Final = "V6SHARE_KPI__VANTAGES"
_NOT_LETTERS: Final = re.compile(r"[\W\d_]+")
_DEFAULT: Final = frozenset(Kpi().vantages)


def vantages(
    places: Places, settings_text: str | None, settings: Settings
) -> tuple[CatalogError, ...]:
    """Slips in vantages of settings and exporters; where there is none, whether any counts."""
    exporters = places.exporters
    found = (
        *_counted_vantages(settings_text, exporters, settings),
        *_vantages_of_exporters(exporters, settings),
    )
    return found or tuple(_nothing_counts(exporters, settings))


def _counted_vantages(
    text: str | None, exporters: list[CsvRow], settings: Settings
) -> Iterator[CatalogError]:
    """Vantages that are to feed the KPIs, and that no exporter has."""
    known = {row.cells["vantage"] for row in exporters} | {UNLISTED}
    for vantage in settings.kpi.vantages:
        if vantage not in known | _DEFAULT:
            hint = did_you_mean(vantage, sorted(known))
            problem = f'found "{vantage}", which is no vantage of exporters.csv{hint}'
            yield _in_settings(text, vantage, problem)


def _in_settings(text: str | None, vantage: str, problem: str) -> CatalogError:
    file = read_toml(SETTINGS_FILE, (text or "").encode())
    written = file.values.get("kpi", {}).get("vantages", [])
    names = [name.strip() for name in written] if isinstance(written, list) else []
    if vantage not in names:
        return CatalogError("environment", None, _VARIABLE, problem)
    return file.error(("kpi", "vantages", names.index(vantage)), problem)


def _vantages_of_exporters(exporters: list[CsvRow], settings: Settings) -> Iterator[CatalogError]:
    """Vantages that do not feed the KPIs and look like one that does, once each."""
    used = {row.cells["vantage"] for row in exporters}
    counted = [name for name in settings.kpi.vantages if name in used | _DEFAULT]
    told = set(counted)
    for row in exporters:
        vantage = row.cells["vantage"]
        close = nearest(vantage, counted, _ALIKE)
        if vantage in told or close is None or _differ_by_number(vantage, close):
            continue
        told.add(vantage)
        problem = f'found "{vantage}", which does not feed the KPIs; did you mean "{close}"?'
        yield row.error("vantage", problem)


def _differ_by_number(one: str, other: str) -> bool:
    """``edge-2`` beside ``edge`` is a name of its own; ``Edge`` is a slip."""
    return _NOT_LETTERS.sub("", one) == _NOT_LETTERS.sub("", other)


def _nothing_counts(exporters: list[CsvRow], settings: Settings) -> Iterator[CatalogError]:
    """No listed exporter feeds the KPIs at all."""
    used = sorted({row.cells["vantage"] for row in exporters})
    counted = settings.kpi.vantages
    if used and not set(used) & set(counted):
        yield exporters[0].error(
            "vantage",
            f"no exporter here feeds the KPIs: found {', '.join(used)}; [kpi] vantages in "
            f"{SETTINGS_FILE} counts {', '.join(counted)}",
        )
