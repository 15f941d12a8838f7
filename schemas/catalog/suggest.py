"""What to do about apps, prefixes, sampling intervals, directions that nobody states. Pure."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from v6share.schemas.catalog.models import EXPORTER_COLUMNS, Catalog, Exporter
from v6share.schemas.outcome import Outcome

WORTH_SAYING: Final = 0.10
_NAMED: Final = 20


def catalog_advice(catalog: Catalog, folder: Path) -> str | None:
    """How to get a catalog, where there is none by which a flow could be told from another.

    folder: where its files belong, below the workspace.
    """
    if catalog.apps or catalog.prefixes.num_rows:
        return None
    return (
        f"{folder}: no app and no prefix there, so every flow is `unclassified` and "
        "every region and network `unknown`. Fill in apps.toml and prefixes.csv first (`v6share "
        f"init {folder.parent}` writes commented ones where they are missing), then run again"
    )


def interval_advice(
    outcomes: Iterable[Outcome], exporters: Iterable[Exporter], header: Sequence[str]
) -> str | None:
    """Lines for exporters.csv, ready to paste, when over 10 % of a run's rows lack an interval.

    None where that is not so. Exporters that are listed already get a word instead of a line.
    header: the columns of exporters.csv; none where there is no such file.
    """
    without: Counter[str] = Counter()
    rows = 0
    for one in outcomes:
        rows += one.rows_in
        without.update(one.rows_without_interval)
    if not rows or without.total() <= WORTH_SAYING * rows:
        return None
    listed = {exporter.exporter for exporter in exporters}
    share = without.total() / rows
    parts = [
        f"{without.total():,} of {rows:,} rows ({share:.0%}) state no sampling interval, from:",
        *(f"  {name or '(no exporter)'}: {n:,} rows" for name, n in without.most_common(_NAMED)),
    ]
    new = [name for name in without if name and name not in listed]
    if new:
        parts.append(
            "Lines for catalog/exporters.csv; put the true interval for N, 1 if unsampled:"
        )
        parts.extend(_lines(header, sorted(new)[:_NAMED], {"sampling_interval": "N"}))
    if any(name in listed for name in without):
        parts.append("Exporters that are listed there need a sampling_interval in their line.")
    parts.append(
        "Or for all of them: --unknown-sampling unsampled (or an interval); [sampling] unknown "
        "in v6share.toml makes it permanent. Then run again."
    )
    return "\n".join(parts)


def directions_advice(exporters: Iterable[Mapping[str, Any]], header: Sequence[str]) -> str | None:
    """What to write in exporters.csv for exporters that seem to report each flow twice.

    exporters: rows of ``StatusReport.both_directions``. An exporter of which less than 10 % of the
    rows are egress records does not: both halves of the same flows would be about as many.
    header: as for ``interval_advice``.
    """
    found = [one for one in exporters if one["egress_rows"] >= WORTH_SAYING * one["rows"]]
    if not found:
        return None
    parts = [
        "These exporters report traffic coming in and traffic going out. Where that is the same "
        "traffic, it counts twice:",
        *(
            f"  {one['exporter'] or '(no exporter)'}: {one['egress_rows']:,} of {one['rows']:,} "
            "rows are egress records"
            for one in found[:_NAMED]
        ),
    ]
    named = [one for one in found if one["exporter"]]
    new = [one["exporter"] for one in named if not one["listed"]]
    if new:
        parts.append("Lines for catalog/exporters.csv, which leave the second report out:")
        parts.extend(_lines(header, new[:_NAMED], {"directions": "both"}))
    if any(one["listed"] for one in named):
        parts.append("Exporters that are listed there need the directions both in their line.")
    if named and header and "directions" not in header:
        parts.append(
            "That file has no column directions yet: put ,directions at the end of its header, and "
            "a comma at the end of each line that is there."
        )
    parts.append(
        "Then run over the same files again. Where each flow is reported once, here or there, "
        "leave it as it is."
    )
    return "\n".join(parts)


def _lines(header: Sequence[str], exporters: Iterable[str], known: Mapping[str, str]) -> list[str]:
    """Lines of exporters.csv, one an exporter, in the columns of the file as it is or will be.

    known: cells by column. The header comes first where there is none to paste below.
    """
    columns = header or EXPORTER_COLUMNS.known
    columns = [*columns, *(name for name in known if name not in columns)]
    usual = {"vantage": "edge", "white_box": "false", **known}
    rows = [{"exporter": name, **usual} for name in exporters]
    lines = [_csv_line([row.get(column, "") for column in columns]) for row in rows]
    return lines if header else [_csv_line(columns), *lines]


def _csv_line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return f"  {out.getvalue()}"
