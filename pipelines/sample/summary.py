"""The planted truth at the level of the KPIs: what the board has to show, before sampling."""

from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from v6share.pipelines.sample import story
from v6share.pipelines.sample.truth import APPS

_TOP: Final = 20
_SHARE_DECIMALS: Final = 6


def summarise(traffic: pa.Table, start: date, days: int, as_of: date) -> dict[str, object]:
    """Facts of the story for ``truth/story.json``. traffic: named cells of ``Truth``."""
    quarter = _previous_quarter(as_of, start)
    ranked = _ranking(_between(traffic, *quarter) if quarter else _between(traffic, start, as_of))
    top = [app for app, _ in ranked[:_TOP]]
    last_28 = _between(traffic, as_of - timedelta(days=27), as_of)
    return {
        "start": str(start),
        "days": days,
        "as_of": str(as_of),
        "ranking_quarter": [str(day) for day in quarter] if quarter else None,
        "ranking": [{"app": app, "bytes": octets} for app, octets in ranked],
        "weeks": _weeks(traffic, start, as_of, top),
        "last_28_days": {
            "top_apps_ipv6_share": _share(last_28, top),
            "apps": {app: _share(last_28, [app]) for app in APPS},
            "unclassified_part": _unclassified_part(last_28),
        },
        "stage1": _stage1(start, days, as_of),
        "regression": {
            "app": story.REGRESSION.app,
            "since": str(story.moment_date(story.REGRESSION.since, start, days)),
            "until": str(story.moment_date(story.REGRESSION.until, start, days)),
        },
    }


def undefined_kpis(start: date, days: int) -> tuple[str, ...]:
    """What a sample of this length cannot show, in words."""
    notes = []
    as_of = start + timedelta(days=days - 2)
    if days < 28:
        notes.append("under 28 days: the stages overlap and no four weeks can attain a target")
    if days < 93:
        notes.append("under 93 days: no 12 weekly differences, so the spread of weeks is undefined")
    if days < 31:
        notes.append("under 31 days: no full 30-day window of active clients")
    if _previous_quarter(as_of, start) is None:
        notes.append("no full calendar quarter before the last day: the top apps are ranked live")
    return tuple(notes)


def _previous_quarter(as_of: date, start: date) -> tuple[date, date] | None:
    """First and last day of the full quarter before as_of's, if the sample covers it."""
    this = date(as_of.year, (as_of.month - 1) // 3 * 3 + 1, 1)
    last = this - timedelta(days=1)
    first = date(last.year, last.month - 2, 1)
    return (first, last) if first >= start else None


def _between(cells: pa.Table, first: date, last: date) -> pa.Table:
    """Days from first to last, both included."""
    days = cells["day"]
    inside = pc.and_(
        pc.greater_equal(days, pa.scalar(first, pa.date32())),
        pc.less_equal(days, pa.scalar(last, pa.date32())),
    )
    return cells.filter(inside)


def _bytes(cells: pa.Table) -> int:
    return int(pc.sum(cells["bytes"]).as_py() or 0)


def _ranking(cells: pa.Table) -> list[tuple[str, int]]:
    sums = cells.group_by(["app"]).aggregate([("bytes", "sum")]).to_pylist()
    ranked = [(row["app"], row["bytes_sum"]) for row in sums if row["app"] != "unclassified"]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def _share(cells: pa.Table, apps: list[str]) -> float | None:
    """Strict IPv6 share by bytes: native IPv6 among all traffic of the apps."""
    of_apps = cells.filter(pc.is_in(cells["app"], pa.array(apps, pa.string())))
    native = of_apps.filter(pc.equal(of_apps["ip_class"], "native_v6"))
    whole = _bytes(of_apps)
    return round(_bytes(native) / whole, _SHARE_DECIMALS) if whole else None


def _unclassified_part(cells: pa.Table) -> float | None:
    """Bytes without an app that may belong to one, among all such bytes."""
    carried = pa.array(["rocev2", "overlay", "srv6", "gre", "control"], pa.string())
    countable = cells.filter(pc.invert(pc.is_in(cells["ip_class"], carried)))
    nameless = countable.filter(pc.equal(countable["app"], "unclassified"))
    whole = _bytes(countable)
    return round(_bytes(nameless) / whole, _SHARE_DECIMALS) if whole else None


def _weeks(cells: pa.Table, start: date, as_of: date, top: list[str]) -> list[dict[str, object]]:
    """Weeks of seven days, counted back from as_of; only whole ones, oldest first."""
    weeks: list[dict[str, object]] = []
    last = as_of
    while last - timedelta(days=6) >= start:
        week = _between(cells, last - timedelta(days=6), last)
        weeks.append({"ends": str(last), "top_apps_ipv6_share": _share(week, top)})
        last -= timedelta(days=7)
    return weeks[::-1]


def _stage1(start: date, days: int, as_of: date) -> dict[str, object]:
    def reached(moment: int) -> bool:
        return moment < story.NEVER and story.moment_date(moment, start, days) <= as_of

    due = [e for e in story.endpoints() if reached(e.planned)]
    missing = [e for e in due if not reached(e.enabled)]
    products = {e.product for e in due}
    apps = {e.app for e in due}
    v4_only = {app.id for app in story.APPS if app.rules == "v4_only"}
    hidden = [e for e in due if e.app in v4_only and reached(e.enabled)]
    silent = [story.SILENT, *((e.app, e.product, e.region) for e in hidden)]
    return {
        "endpoints_planned": len(due),
        "endpoints_enabled": len(due) - len(missing),
        "products_planned": len(products),
        "products_enabled": len(products - {e.product for e in missing}),
        "apps_planned": len(apps),
        "apps_enabled": len(apps - {e.app for e in missing}),
        "pilot_apps": list(story.PILOT_APPS),
        "silent": [list(key) for key in silent],
        "late": [list(story.LATE)],
        "not_enabled": [[e.app, e.product, e.region] for e in missing],
        "not_due": [list(story.NOT_DUE)],
    }
