"""The KPI board: which rows and columns of the views a reader sees first. Pure: tables in,
tables out; every figure is one that the views computed.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import pyarrow as pa

from v6share.render.units import unit_of, with_facts
from v6share.render.values import value_for_people

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]

BOARD_VIEWS: Final = (
    "kpi_headline",
    "kpi_stage1_enablement",
    "kpi_stage1_silent",
    "kpi_stage2_active_clients",
    "kpi_stage2_coverage",
    "kpi_stage3_concentration",
    "kpi_stage3_apps",
    "kpi_stage3_waterfall",
    "target_share",
    "as_of",
    "dim_vantages",
)
KPIS_OF_BOARD: Final = tuple(name for name in BOARD_VIEWS if name.startswith("kpi_"))
LISTED: Final = 10
MONTHS: Final = 6

_METRICS: Final = {
    "apps_dual_stacked": "apps dual-stacked (declared)",
    "products_dual_stacked": "products dual-stacked (declared)",
    "active_ipv6_clients_30d": "active IPv6 clients, 30 days",
    "top_apps_ipv6_share": "IPv6 share of the top apps",
}


def board(views: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The sections of the board by title, in the order of the contract; values as in the views.

    views: the whole tables of ``BOARD_VIEWS``, by name.
    """
    return {
        "headline": views["kpi_headline"],
        "stage_1_summary": _enablement_summary(views["kpi_stage1_enablement"]),
        "stage_1_not_dual_stacked": _not_dual_stacked(views["kpi_stage1_enablement"]),
        "stage_1_silent": views["kpi_stage1_silent"].select(
            ["app", "product", "region", "enabled_on", "days_since_enabled", "note"]
        ),
        "stage_2_active_clients": _active_clients(views["kpi_stage2_active_clients"]),
        "stage_2_coverage": _coverage(views["kpi_stage2_coverage"]),
        "stage_3_newest_week": _newest_week(views["kpi_stage3_concentration"]),
        "stage_3_apps_below_target": _below_target(views["kpi_stage3_apps"], views["target_share"]),
        "stage_3_convert_next": views["kpi_stage3_waterfall"].slice(0, LISTED),
    }


def titles(views: Mapping[str, pa.Table]) -> dict[str, str]:
    """What stands above each section: what is counted, of which days, and in which view it is."""
    (as_of,) = views["as_of"]["as_of"].to_pylist()
    vantages = [row["vantage"] for row in views["dim_vantages"].to_pylist() if row["feeds_kpis"]]
    denominator = _target_denominator(views["target_share"])
    month, week, weeks = (_days_to(as_of, days) for days in (30, 7, 28))
    return {
        "headline": f"Headline: the targets {_days_to(as_of, 1)} (UTC), seen from the vantages "
        f"{', '.join(sorted(vantages))} [kpi_headline]",
        "stage_1_summary": "Stage 1 summary: enabled and dual-stacked are declared in the catalog, "
        f"carrying is seen {month} [kpi_stage1_enablement]",
        "stage_1_not_dual_stacked": "Stage 1 not dual-stacked: apps and products by their "
        f"endpoints, {_days_to(as_of, 1)} [kpi_stage1_enablement]",
        "stage_1_silent": "Stage 1 silent: endpoints that are enabled but carry no IPv6, "
        f"{month} [kpi_stage1_silent]",
        "stage_2_active_clients": "Stage 2 active clients: distinct prefixes and subscribers, "
        f"{month} [kpi_stage2_active_clients]",
        "stage_2_coverage": "Stage 2 coverage: how many have native IPv6 traffic, per calendar "
        "month [kpi_stage2_coverage]",
        "stage_3_newest_week": "Stage 3 newest week: IPv6 share (strict) of the traffic of the top "
        f"apps, {week} [kpi_stage3_concentration]",
        "stage_3_apps_below_target": "Stage 3 apps below target: IPv6 share (strict) of bytes, "
        f"denominator {denominator}, {week} [kpi_stage3_apps]",
        "stage_3_convert_next": "Stage 3 convert next: what of the bytes of the top apps is not "
        f"native IPv6, {weeks} [kpi_stage3_waterfall]",
    }


def _days_to(as_of: date | None, days: int) -> str:
    if as_of is None:
        return "without a final day yet"
    return f"as of {as_of}" if days == 1 else f"{as_of - timedelta(days - 1)} to {as_of}"


def what_waits(days: Row) -> str:
    """What the next day is final by, in words. days: the row of the view as_of, with such a day."""
    words = (
        f"{days['next_day']} is final once every exporter has records after "
        f"{days['final_once']:%Y-%m-%d %H:%M}"
    )
    if not days["waiting_for"]:
        return words
    return (
        f"{words}; {days['waiting_for']:,} have none yet, furthest behind is "
        f"{days['held_back_by'] or 'one without a name'} with "
        f"{days['held_back_to']:%Y-%m-%d %H:%M} (who is silent for over 24 hours is not waited for)"
    )


def is_preliminary(days: Row) -> bool:
    """Whether no day is final while there are data. days: the row of the view as_of."""
    return days["as_of"] is None and days.get("next_day") is not None


def marked_preliminary(headline: pa.Table) -> pa.Table:
    """The headline as if the last day of data were final: rows are marked, and judge nothing."""
    rows = [
        {**row, "attained": None, "note": "; ".join(filter(None, ("preliminary", row["note"])))}
        for row in headline.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=headline.schema)


def for_people(sections: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The same board with the headline's values in their units, and coverage month by month.

    Days that stand in the titles are left out.
    """
    return {
        **sections,
        "headline": _headline_for_people(sections["headline"]),
        "stage_2_coverage": _coverage_for_people(sections["stage_2_coverage"]),
        "stage_3_newest_week": sections["stage_3_newest_week"].drop_columns("week_end"),
    }


def notes(headline: pa.Table) -> list[str]:
    """What must be read beside each headline figure."""
    return [
        f"{_METRICS.get(row['metric'], row['metric'])}: {row['note']}"
        for row in headline.to_pylist()
        if row["note"]
    ]


def _where(view: pa.Table, **wanted: str) -> Rows:
    """The rows that have these values."""
    return [row for row in view.to_pylist() if wanted.items() <= row.items()]


def _table(view: pa.Table, rows: Rows, names: tuple[str, ...]) -> pa.Table:
    """Rows of a view as a table with some of its columns, which keep their types and facts."""
    return pa.Table.from_pylist(rows, schema=pa.schema([view.schema.field(name) for name in names]))


def _enablement_summary(view: pa.Table) -> pa.Table:
    rows = []
    for level in ("app", "product", "endpoint"):
        found = _where(view, level=level)
        rows.append(
            {
                "level": level,
                "in_catalog": len(found),
                "planned": sum(row["planned"] > 0 for row in found),
                "enabled": sum(row["enabled"] > 0 for row in found),
                "carrying": sum(row["carrying"] > 0 for row in found),
                "silent": sum(row["silent"] > 0 for row in found),
                "dual_stacked": sum(bool(row["dual_stacked"]) for row in found),
                "overdue": sum(row["due"] > 0 and not row["dual_stacked"] for row in found),
            }
        )
    return pa.Table.from_pylist(rows)


def _not_dual_stacked(view: pa.Table) -> pa.Table:
    """Apps and products that are planned and not done, by name."""
    rows = [
        {**row, "id": row["product"] if row["app"] is None else row["app"]}
        for row in view.to_pylist()
        if row["level"] in ("app", "product") and row["planned"] > 0 and not row["dual_stacked"]
    ]
    rows.sort(key=lambda row: (row["level"], row["id"]))
    named = view.append_column("id", pa.nulls(view.num_rows, pa.string()))
    counts = ("status", "planned", "enabled", "carrying", "silent", "late_days")
    return _table(named, rows, ("level", "id", *counts))


def _active_clients(view: pa.Table) -> pa.Table:
    rows = _where(view, period="30_days", scope="all")
    names = ("unit", "family", "clients", "clients_union", "rotation_ratio", "penetration")
    return _table(view, rows, (*names, "standard_error"))


def _coverage(view: pa.Table) -> pa.Table:
    rows = view.to_pylist()
    newest = sorted({row["month"] for row in rows})[-MONTHS:]
    rows = [row for row in rows if row["month"] in newest]
    return _table(view, rows, ("month", "days", "dimension", "with_ipv6", "of", "share"))


def _newest_week(view: pa.Table) -> pa.Table:
    rows = _where(view, share_kind="strict")
    newest = max((row["week_end"] for row in rows), default=None)
    rows = [row for row in rows if row["week_end"] == newest]
    names = ("week_end", "basis", "denominator", "share", "ci_low", "ci_high")
    return _table(view, rows, (*names, "share_low", "share_high", "apps_at_target", "apps"))


def _below_target(view: pa.Table, target: pa.Table) -> pa.Table:
    rows = _where(view, basis="bytes", share_kind="strict", denominator=_target_denominator(target))
    # Not those without a share or a target, of which nobody can tell.
    rows = [row for row in rows if row["at_target"] is False]
    rows.sort(key=lambda row: (-row["debt"], row["app"]))
    names = ("rank", "app", "share", "ci_low", "ci_high", "target", "weight", "debt")
    chosen = _table(view, rows, names).rename_columns([*names[:-1], "debt_bytes"])
    return with_facts(chosen, "unit", {"debt_bytes": "bytes"})


def _target_denominator(target: pa.Table) -> str:
    denominators: list[str | None] = target["denominator"].to_pylist()
    return denominators[0] if denominators and denominators[0] else "all"


def _headline_for_people(view: pa.Table) -> pa.Table:
    rows = []
    for row in view.to_pylist():
        unit = unit_of(view.schema.field("value"), row)
        value, low, high, target = (
            value_for_people("", row[name], unit, row["target"])
            for name in ("value", "ci_low", "ci_high", "target")
        )
        rows.append(
            {
                "stage": row["stage"],
                "metric": _METRICS.get(row["metric"], row["metric"]),
                "value": value,
                "interval": _interval(row, low, high),
                "target": target,
                "attained": value_for_people("", row["attained"]),
            }
        )
    names = ("stage", "metric", "value", "interval", "target", "attained")
    return pa.table({name: [row[name] for row in rows] for name in names})


def _interval(row: Mapping[str, object], low: str, high: str) -> str:
    if row["ci_low"] is None:
        return "-"
    return "exact" if row["ci_low"] == row["ci_high"] else f"{low} to {high}"


def _coverage_for_people(section: pa.Table) -> pa.Table:
    """One row a month: ``12 of 20`` for each dimension."""
    months: dict[str, dict[str, str]] = {}
    for row in section.to_pylist():
        cells = months.setdefault(f"{row['month']:%Y-%m}", {"days": str(row["days"])})
        cells[row["dimension"]] = f"{row['with_ipv6']:,} of {row['of']:,}"
    names = {"app": "apps", "product": "products", "client_region": "client_regions"}
    return pa.table(
        {
            "month": pa.array(list(months), pa.string()),
            "days": pa.array([cells["days"] for cells in months.values()], pa.string()),
            **{
                title: pa.array([cells.get(name) for cells in months.values()], pa.string())
                for name, title in names.items()
            },
        }
    )
