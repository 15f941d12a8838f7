"""Conservation of one commit: what ``traffic_5m`` gains is what the ledger gains, to the byte.

The check of the same name sums up both tables, which takes longer the more history there is. Here
only what a commit adds is summed up, before the transaction ends.
"""

from collections import defaultdict
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.errors import UserError

_MEASURES: Final = ("records", "packets", "bytes", "sampled_packets", "sampled_bytes")
_LOW_BITS: Final = 32

Sums = dict[tuple[str, str], int]


class NotConserved(UserError):  # noqa: N818 - a name for what is found
    """New fragments whose traffic is not what their ledgers say; nothing was committed."""


class Balance:
    """The gains of both sides, by family and measure."""

    def __init__(self, ledger_families: pa.Table | None) -> None:
        """Take the gain of the ledger: rows of ``ledger_families`` of new inputs; None for none."""
        self._left: Sums = defaultdict(int)
        for row in [] if ledger_families is None else ledger_families.to_pylist():
            if row["disposition"] == "counted":
                for measure in _MEASURES:
                    name = "rows" if measure == "records" else measure
                    self._left[row["family"], measure] += int(row[name])

    def add(self, traffic: pa.Table) -> None:
        """Take a gain of traffic: rows of ``traffic_5m``."""
        # 64 bits may not hold a sum, and Arrow would not say so: the halves are summed up.
        halves = {"family": traffic.column("family")}
        for name in _MEASURES:
            column = traffic.column(name)
            halves[f"{name} high"] = pc.shift_right(column, _LOW_BITS)
            halves[f"{name} low"] = pc.bit_wise_and(column, (1 << _LOW_BITS) - 1)
        sums = pa.table(halves).group_by("family").aggregate([(n, "sum") for n in list(halves)[1:]])
        for row in sums.to_pylist():
            for name in _MEASURES:
                gained = (row[f"{name} high_sum"] << _LOW_BITS) + row[f"{name} low_sum"]
                self._left[row["family"], name] -= gained

    def check(self) -> None:
        """Raise NotConserved where the gains differ."""
        for (family, measure), left in sorted(self._left.items()):
            if left:
                raise NotConserved(
                    f"of family {family} the ledger would gain {left:,} {measure} more than "
                    "traffic_5m (negative: fewer); expected the same, so nothing was committed. A "
                    "fragment contradicts itself: please report it, and run the files again one "
                    "at a time to find which"
                )
