"""The exporters of an input, numbered as they are met."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from v6share.pipelines.kernels.flow_batch import U32, Coded
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import UNLISTED
from v6share.schemas.errors import InputRefused

# Characters of all their names together: a million of addresses.
_MOST_TEXT: Final = 1 << 24


@dataclass
class Exporters:
    """Numbers the exporters of an input as they are met.

    vantage, declared, override, both, timeout_ms: of each number, what the catalog says of the
    exporter: its vantage's number, its sampling interval or 0, whether that wins over the record's,
    whether it reports both directions, and its active timeout or 0. text: characters of all names.
    """

    plan: Plan
    numbers: dict[str, int] = field(default_factory=dict)
    vantage: list[int] = field(default_factory=list)
    declared: list[int] = field(default_factory=list)
    override: list[bool] = field(default_factory=list)
    both: list[bool] = field(default_factory=list)
    timeout_ms: list[int] = field(default_factory=list)
    text: int = 0

    def number(self, exporter: str) -> int:
        """Give an exporter's number, a new one where it was not met yet.

        Raises InputRefused ``too_large`` where there are too many.
        """
        known = self.numbers.get(exporter)
        if known is not None:
            return known
        self.text += len(exporter)
        _check_text(self.text)
        vantage, declared, override = self.plan.exporters.get(exporter, (UNLISTED, 0, False))
        self.numbers[exporter] = len(self.numbers)
        self.vantage.append(self.plan.vantages.index(vantage))
        self.declared.append(declared)
        self.override.append(override)
        self.both.append(exporter in self.plan.both_directions)
        self.timeout_ms.append(self.plan.active_timeouts_ms.get(exporter, 0))
        return self.numbers[exporter]

    def numbers_of(self, coded: Coded) -> U32:
        """Give each row's number; a null exporter is the empty text."""
        of_code = [self.number(v) for v in coded.values]
        if len(of_code) == 1 and (coded.codes == 0).all():
            return np.full(len(coded.codes), of_code[0], np.uint32)
        of_code.append(self.number(""))
        return np.array(of_code, np.uint32)[coded.codes]


def check_together(parts: Iterable[Exporters]) -> None:
    """Raise InputRefused ``too_large`` where several threads have met too many together."""
    _check_text(sum(map(len, set().union(*(part.numbers for part in parts)))))


def _check_text(text: int) -> None:
    if text > _MOST_TEXT:
        raise InputRefused(
            "too_large",
            f"found more than {_MOST_TEXT:,} characters in the names of exporters, expected fewer: "
            "is a column taken for exporters that is none? Else split the file",
        )
