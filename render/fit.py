"""What of a table fits a terminal. Pure: texts and a width in, a choice out.

A table that fits is shown as it is. A wider one is narrowed, step by step, until it fits:

1. columns that are the same in every row go to a line beneath;
2. headers wrap at underscores, texts at spaces;
3. columns that matter less are left out, and named beneath. The ``first`` line in the header of a
   view names those that matter most; without it, it is those on the left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rich.cells import cell_len

GAP: Final = 2
_NARROWEST_TEXT: Final = 20


@dataclass(frozen=True, eq=False)
class Column:
    """One column as texts. is_text: its cells may wrap. place: 0 matters most."""

    name: str
    cells: Sequence[str]
    is_text: bool
    place: int

    @cached_property
    def width(self) -> int:
        """The width at which nothing wraps."""
        return max(map(cell_len, (self.name, *self.cells)))

    @cached_property
    def least_width(self) -> int:
        """The width below which words would be cut."""
        longest = max(map(cell_len, self.cells), default=0)
        if self.is_text:
            words = (word for cell in self.cells for word in cell.split())
            longest = max(max(map(cell_len, words), default=0), min(longest, _NARROWEST_TEXT))
        return max(longest, *map(len, _parts(self.name)))

    @property
    def is_same(self) -> bool:
        """Whether every row, of several, holds the same."""
        return len(self.cells) > 1 and len(set(self.cells)) == 1


@dataclass(frozen=True)
class Layout:
    """The columns to show with their widths, those to name once, and those that are left out."""

    shown: dict[Column, int]
    same: list[Column]
    left_out: list[Column]


def fit(columns: Sequence[Column], width: int) -> Layout:
    """Choose what is shown in so many cells. At least one column is."""
    if _total(widths := {c: c.width for c in columns}) <= width:
        return Layout(widths, [], [])
    varied = [c for c in columns if not c.is_same] or [*columns[:1]]
    same = [c for c in columns if c not in varied]
    if _total(widths := {c: c.width for c in varied}) <= width:
        return Layout(widths, same, [])
    least: dict[Column, int] = {}
    for column in sorted(varied, key=lambda c: c.place):
        with_it = least | {column: column.least_width}
        if not least or _total(with_it) <= width:
            least = with_it
    return Layout(
        _widened({c: least[c] for c in varied if c in least}, width),
        same,
        [c for c in varied if c not in least],
    )


def header(name: str, width: int) -> str:
    """A column's name, broken after underscores where it is wider."""
    lines = [""]
    for part in _parts(name):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _parts(name: str) -> list[str]:
    words = name.split("_")
    return [*(f"{word}_" for word in words[:-1]), words[-1]]


def _total(widths: dict[Column, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _widened(least: dict[Column, int], width: int) -> dict[Column, int]:
    """Share out what is left of the width, evenly, among the columns that have a use for it."""
    widths, left = dict(least), max(0, width - _total(least))
    wanting = sorted((c for c in least if c.width > least[c]), key=lambda c: c.width - least[c])
    for place, column in enumerate(wanting):
        more = min(column.width - least[column], left // (len(wanting) - place))
        widths[column] += more
        left -= more
    return widths
