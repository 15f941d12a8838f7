"""The figures of the trials, as tables of a page between two marks."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from faults.trials import Result, Verdict
from v6share import __version__

BEGIN: Final = "<!-- figures: written by make faults -->"
END: Final = "<!-- end of figures -->"
_VERDICTS: Final[Sequence[Verdict]] = ("equal", "found", "harmless", "as it stands", "failed")


def write_figures(page: Path, results: Sequence[Result]) -> None:
    """Put the figures between the marks of a page. Raises ValueError where it has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page}: found no {BEGIN} with {END} behind it")
    page.write_text(f"{before}{BEGIN}\n{figures(results)}{END}{after}", encoding="utf-8")


def figures(results: Sequence[Result]) -> str:
    """The tables by kind of fault and by command, and what they were made with."""
    reached = [one for one in results if one.verdict != "missed"]
    hours = sum(one.seconds for one in results) / 3600
    return (
        f"Version {__version__}, {datetime.now(UTC):%Y-%m-%d} (UTC), {os.cpu_count()} cores: "
        f"{len(reached):,} trials with {sum(one.times for one in reached):,} faults in "
        f"{hours:.1f} hours of work; in {len(results) - len(reached):,} more the command had "
        "ended before its fault.\n\n"
        + _table("fault", reached, lambda one: one.kind)
        + "\n"
        + _table("what was disturbed", reached, lambda one: one.command)
    )


def _table(title: str, results: Iterable[Result], name: Callable[[Result], str]) -> str:
    rows: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        rows[name(one)].append(one)
    head = [title, "trials", "faults", *_HEADS]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row, some in sorted(rows.items()):
        counts = [sum(one.verdict == verdict for one in some) for verdict in _VERDICTS]
        cells = [len(some), sum(one.times for one in some), *counts]
        lines.append(f"| {row} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    return "\n".join(lines) + "\n"


_HEADS: Final = (
    "rerun equal",
    "found or refused",
    "harmless",
    "counted as it stands",
    "failed",
)
