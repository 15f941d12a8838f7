"""What to do about rows whose sampling interval nobody states. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from v6share.schemas.catalog import Exporter
from v6share.schemas.outcome import Outcome

WORTH_SAYING: Final = 0.10
_NAMED: Final = 20


def interval_advice(outcomes: Iterable[Outcome], exporters: Iterable[Exporter]) -> str | None:
    """Lines for exporters.csv, ready to paste, when over 10 % of a run's rows lack an interval.

    None where that is not so. Exporters that are listed already get a word instead of a line.
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
        parts.append("  exporter,vantage,role,sampling_interval,white_box")
        parts.extend(f"  {name},edge,,N,false" for name in sorted(new)[:_NAMED])
    if any(name in listed for name in without):
        parts.append("Exporters that are listed there need a sampling_interval in their line.")
    parts.append(
        "Or for all of them: --unknown-sampling unsampled (or an interval); [sampling] unknown "
        "in v6share.toml makes it permanent. Then run again."
    )
    return "\n".join(parts)
