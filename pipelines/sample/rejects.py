"""Rows that must be rejected, planted into text-form files: every reason that one can plant.

They are copies of good rows, spoiled in one way each, so that nothing else can be the reason.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.sample import story

ROWS_PER_REASON: Final = 6
_HUGE: Final = 2**50

Row = dict[str, Any]


@dataclass(frozen=True)
class Rejected:
    """One planted row: its reason, family as the addresses show it, counters as exported."""

    reason: str
    family: str
    packets: int
    octets: int


def plant_rejects(table: pa.Table, rng: np.random.Generator) -> tuple[pa.Table, list[Rejected]]:
    """The table with spoiled copies of its rows appended, and what was appended.

    Needs the text form. Rows of both families, where the table has them.
    """
    spoilers = tuple(_SPOILERS)
    chosen = np.sort(rng.choice(table.num_rows, len(spoilers) * ROWS_PER_REASON, replace=False))
    rows = table.take(pa.array(chosen)).to_pylist()
    planted = []
    for number, row in enumerate(rows):
        reason = spoilers[number % len(spoilers)]
        _SPOILERS[reason](row)
        planted.append(
            Rejected(
                reason,
                "v4" if row["destinationIPv4Address"] is not None else "v6",
                row["packetDeltaCount"] or 0,
                row["octetDeltaCount"] or 0,
            )
        )
    return pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)]), planted


def _bad_address(row: Row) -> None:
    # The far end stays whole, so the row still shows its family.
    if row["sourceIPv4Address"] is not None:
        row["sourceIPv4Address"] = "100.64.7"
    else:
        row["sourceIPv6Address"] = "3fff:10:1:2:3:4:5:6:7"


def _no_time(row: Row) -> None:
    row["flowStartMilliseconds"] = row["flowEndMilliseconds"] = None


def _end_before_start(row: Row) -> None:
    row["flowEndMilliseconds"] = row["flowStartMilliseconds"] - timedelta(seconds=5)


def _too_long(row: Row) -> None:
    row["flowEndMilliseconds"] = row["flowStartMilliseconds"] + timedelta(hours=31)


def _no_counters(row: Row) -> None:
    row["packetDeltaCount"] = row["octetDeltaCount"] = None


def _bad_counter(row: Row) -> None:
    row["octetDeltaCount"] = -1


def _zero_packets(row: Row) -> None:
    row["packetDeltaCount"] = 0


def _no_interval(row: Row) -> None:
    row["exporterIPv4Address"] = story.UNKNOWN_EXPORTER
    row["samplingInterval"] = None


def _overflow(row: Row) -> None:
    row["octetDeltaCount"] = _HUGE


_SPOILERS: Final = {
    "bad_address": _bad_address,
    "no_time": _no_time,
    "end_before_start": _end_before_start,
    "duration_too_long": _too_long,
    "no_counters": _no_counters,
    "bad_counter": _bad_counter,
    "zero_packets": _zero_packets,
    "no_sampling_interval": _no_interval,
    "counter_overflow": _overflow,
}
