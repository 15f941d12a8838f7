"""The exporters of an input, numbered as they are met."""

from dataclasses import dataclass, field

import numpy as np

from v6share.pipelines.kernels.flow_batch import U32, Coded
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import UNLISTED


@dataclass
class Exporters:
    """Numbers the exporters of an input as they are met.

    vantage, declared, override, both: of each number, what the catalog says of the exporter: its
    vantage's number, its sampling interval or 0, whether that wins over the record's, and whether
    it reports both directions.
    """

    plan: Plan
    numbers: dict[str, int] = field(default_factory=dict)
    vantage: list[int] = field(default_factory=list)
    declared: list[int] = field(default_factory=list)
    override: list[bool] = field(default_factory=list)
    both: list[bool] = field(default_factory=list)

    def number(self, exporter: str) -> int:
        """Give an exporter's number, a new one where it was not met yet."""
        known = self.numbers.get(exporter)
        if known is not None:
            return known
        vantage, declared, override = self.plan.exporters.get(exporter, (UNLISTED, 0, False))
        self.numbers[exporter] = len(self.numbers)
        self.vantage.append(self.plan.vantages.index(vantage))
        self.declared.append(declared)
        self.override.append(override)
        self.both.append(exporter in self.plan.both_directions)
        return self.numbers[exporter]

    def numbers_of(self, coded: Coded) -> U32:
        """Give each row's number; a null exporter is the empty text."""
        of_code = [self.number(v) for v in coded.values]
        if len(of_code) == 1 and (coded.codes == 0).all():
            return np.full(len(coded.codes), of_code[0], np.uint32)
        of_code.append(self.number(""))
        return np.array(of_code, np.uint32)[coded.codes]
