"""A picture of what `bench.follow --csv` measured, as SVG: lag by the minute of arrival.

    python -m bench.plot_lag lag.csv > lag.svg

Three lines: the median of the files that arrived in a minute, the 95th percentile, the longest. A
minute in which no file arrived breaks them. Files that no reader ever saw have no lag; the title
says how many these are.
"""

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.follow import percentile

WIDTH, HEIGHT = 800, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 40, 50
MINUTE: Final = 60
MOST_TICKS: Final = 8
MOST_LINES: Final = 5
# The name of a line, the share of files at most so late, its colour and its dashes. Told apart by
# dashes as well as by colour.
LINES: Final = (
    ("p50", 0.5, "#0b6e4f", ""),
    ("p95", 0.95, "#b8860b", "6 3"),
    ("max", 1.0, "#a4243b", "2 3"),
)
STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True)
class Lags:
    """Lags in seconds by the minute of arrival (seconds since 1970, UTC), and files without one."""

    by_minute: Mapping[int, Sequence[float]]
    unseen: int = 0


def read_lags(file: Path) -> Lags:
    """The lags of a file that ``bench.follow`` wrote. Raises ValueError where it holds none."""
    by_minute, unseen = defaultdict[int, list[float]](list), 0
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if not row["lag_seconds"]:
                unseen += 1
                continue
            arrived = int(datetime.fromisoformat(row["arrived"]).timestamp())
            by_minute[arrived - arrived % MINUTE].append(float(row["lag_seconds"]))
    if not by_minute:
        raise ValueError(f"{file}: found no lag, expected one at least")
    return Lags(by_minute, unseen)


@dataclass(frozen=True)
class Scale:
    """From moments (seconds since 1970) and lags (seconds) to places in the picture.

    first, last: the moments at both ends. step: the lags between two lines across; there are so
    many of them above the lowest.
    """

    first: int
    last: int
    step: float
    steps: int

    def x(self, moment: float) -> float:
        """Where a moment is."""
        share = (moment - self.first) / (self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, lag: float) -> float:
        """Where a lag is."""
        return HEIGHT - BOTTOM - lag / (self.step * self.steps) * (HEIGHT - TOP - BOTTOM)


def draw(lags: Lags) -> str:
    """The picture."""
    minutes = sorted(lags.by_minute)
    most = max(map(max, lags.by_minute.values()))
    step = next((step for step in STEPS if most / step <= MOST_LINES), STEPS[-1])
    last = max(minutes[-1], minutes[0] + MINUTE)
    scale = Scale(minutes[0], last, step, max(1, math.ceil(most / step)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{_title(lags)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, _title(lags), "start"),
        *_axes(scale),
    ]
    for number, (name, share, colour, dashes) in enumerate(LINES):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        style = f'fill="none" stroke="{colour}" stroke-width="2"{dashed}'
        for run in _runs(minutes):
            values = [percentile(lags.by_minute[minute], share) for minute in run]
            parts.append(_polyline(scale, run, values, style))
        at = WIDTH - RIGHT - 150 + 55 * number
        parts.append(f'<polyline points="{at},16 {at + 18},16" {style}/>')
        parts.append(_text(at + 22, 20, name, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(scale: Scale) -> Iterator[str]:
    """Lines across with their lags, clock times below, and what both are."""
    for lag in (i * scale.step for i in range(scale.steps + 1)):
        at = f"{scale.y(lag):.1f}"
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="#ddd"/>'
        yield _text(LEFT - 6, scale.y(lag) + 4, f"{lag:g}", "end")
    apart = MINUTE * math.ceil((scale.last - scale.first) / MINUTE / MOST_TICKS)
    for moment in range(scale.first, scale.last + 1, apart):
        clock = f"{datetime.fromtimestamp(moment, UTC):%H:%M}"
        yield _text(scale.x(moment), HEIGHT - BOTTOM + 18, clock, "middle")
    day = datetime.fromtimestamp(scale.first, UTC)
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield _text(middle, HEIGHT - 10, f"arrival, UTC, from {day:%Y-%m-%d}", "middle")
    yield (
        f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">lag, seconds</text>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _polyline(scale: Scale, minutes: Sequence[int], lags: Sequence[float], style: str) -> str:
    points = [(scale.x(at), scale.y(lag)) for at, lag in zip(minutes, lags, strict=True)]
    if len(points) == 1:  # a line of one point would not show
        points.append((points[0][0] + 4, points[0][1]))
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" {style}/>'


def _title(lags: Lags) -> str:
    files = sum(map(len, lags.by_minute.values()))
    unseen = f", {lags.unseen:,} more never published" if lags.unseen else ""
    return f"From arrival to published, by minute: {files:,} files{unseen}"


def _runs(minutes: Sequence[int]) -> Iterator[list[int]]:
    """Minutes that follow one another, each run of them."""
    run: list[int] = []
    for minute in minutes:
        if run and minute - run[-1] > MINUTE:
            yield run
            run = []
        run.append(minute)
    yield run


def main() -> None:
    """Print the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="what bench.follow --csv wrote")
    print(draw(read_lags(parser.parse_args().file)), end="")


if __name__ == "__main__":
    main()
