"""Conservation of one commit: what ``traffic_5m`` gains is what the ledger gains, to the byte.

The check of the same name sums up both tables, which takes longer the more history there is. Here
the hours that a commit touches are summed up, before and after, within its transaction; of days
whose rows of 5 minutes were pruned, the days in ``traffic_1d``.
"""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from v6share.schemas.aggregates import TRAFFIC_1D, TRAFFIC_5M
from v6share.schemas.columns import Table
from v6share.schemas.errors import UserError
from v6share.warehouse.merge.horizons import Horizons

_MEASURES: Final = ("records", "packets", "bytes", "sampled_packets", "sampled_bytes")
_SUMS: Final = ", ".join(f"CAST(sum({name}) AS HUGEINT)" for name in _MEASURES)
# The last window of an hour begins earlier. (An hour later there may be no time, in 9999.)
_WITHIN_THE_HOUR: Final = timedelta(minutes=59)


class NotConserved(UserError):  # noqa: N818 - a name for what is found
    """What traffic_5m would gain is not what the ledger would; nothing was committed."""


class Balance:
    """The gains of both sides, by family and measure."""

    def __init__(self, ledger_families: pa.Table | None, horizons: Horizons) -> None:
        """Take the gain of the ledger: rows of ``ledger_families`` of new inputs; None for none."""
        self._horizon = horizons.get(TRAFFIC_5M.name)
        self._left: dict[tuple[str, str], int] = defaultdict(int)
        self._hours = pa.array([], pa.timestamp("us"))
        for row in [] if ledger_families is None else ledger_families.to_pylist():
            if row["disposition"] == "counted":
                for measure in _MEASURES:
                    name = "rows" if measure == "records" else measure
                    self._left[row["family"], measure] += int(row[name])

    def expect(self, rows: pa.Table) -> None:
        """Note the hours of rows that are to be merged into ``traffic_5m``."""
        hours = pc.unique(pc.floor_temporal(rows.column("window_start"), unit="hour"))
        self._hours = pc.unique(pa.concat_arrays([self._hours, hours.cast(self._hours.type)]))

    @contextmanager
    def weighing(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Take what ``traffic_5m`` gains in the block, in the hours that were noted."""
        self._add(connection, 1)
        yield
        self._add(connection, -1)

    def _add(self, connection: duckdb.DuckDBPyConnection, sign: int) -> None:
        if self._horizon is None:
            self._add_spans(connection, sign, TRAFFIC_5M, "hour", self._hours)
            return
        is_kept = pc.greater_equal(self._hours, pa.scalar(self._horizon).cast(self._hours.type))
        self._add_spans(connection, sign, TRAFFIC_5M, "hour", self._hours.filter(is_kept))
        days = pc.unique(pc.floor_temporal(self._hours.filter(pc.invert(is_kept)), unit="day"))
        self._add_spans(connection, sign, TRAFFIC_1D, "day", days)

    def _add_spans(
        self,
        connection: duckdb.DuckDBPyConnection,
        sign: int,
        table: Table,
        unit: Literal["hour", "day"],
        starts: pa.Array,
    ) -> None:
        """Take what a table holds of spans of one length, given by their starts."""
        if not len(starts):
            return
        span = pc.min_max(starts).as_py()
        spans = pa.table({"start": starts})  # noqa: F841 - the SQL below reads it
        # The span is given as values, so that what lies outside it is never read.
        found = connection.execute(
            f"SELECT family, {_SUMS} FROM {table.name} WHERE window_start BETWEEN ? AND ? "
            f"AND date_trunc('{unit}', window_start) IN (SELECT start FROM spans) GROUP BY family",
            [span["min"], span["max"] + _WITHIN_THE_HOUR],
        ).fetchall()
        for family, *sums in found:
            for measure, total in zip(_MEASURES, sums, strict=True):
                self._left[family, measure] += sign * total

    def check(self) -> None:
        """Raise NotConserved where the gains differ."""
        for (family, measure), left in sorted(self._left.items()):
            if left:
                raise NotConserved(
                    f"of family {family} the ledger would gain {left:,} {measure} more than "
                    "traffic_5m (negative: fewer); expected the same, so nothing was committed. "
                    "Please report it, and run the files again one at a time to find which one "
                    "does it"
                )
