"""An example of a row that was rejected, found by the kernels that rejected it.

What is shown of it are times and counters, never an address: those of clients must not leave the
workers.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.flow_file import FlowFile, open_flow_file
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.normalise.normalise import normalise
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.dialects import Dialect
from v6share.schemas.errors import InputRefused
from v6share.schemas.flow import FLOW_COLUMNS
from v6share.schemas.ledger import REJECT_REASONS
from v6share.schemas.source_kinds import Form
from v6share.schemas.text.numbers import why_no_number
from v6share.schemas.text.plain import cut, printable

_BATCH_ROWS: Final = 65_536
# One row of ten and more is rejected: mostly it is among the first.
_MOST_ROWS: Final = 4 * _BATCH_ROWS
_SHOWN: Final = 40
_TIMES: Final = ("start", "end", "export")
_COUNTERS: Final = ("packets", "octets")
# What a reason is about, as canonical columns. Nothing of the others is shown.
_ABOUT: Final = {
    "no_time": _TIMES,
    "end_before_start": _TIMES,
    "duration_too_long": _TIMES,
    "future": _TIMES,
    "stale": _TIMES,
    "no_counters": _COUNTERS,
    "bad_counter": _COUNTERS,
    "total_counters": ("total_packets", "total_octets"),
    "counter_overflow": _COUNTERS,
}
_ADDRESSES: Final = tuple(c.name for c in FLOW_COLUMNS.values() if c.form is Form.ADDRESS)
# Text that no address is written as: a number, a rounded one, a date with its time, a word.
_PLAIN: Final = re.compile(
    r"[+-]?\d[\d,' ]*(?:\.\d*)?(?:[eE][+-]?\d+)?\s*[A-Za-z]{0,3}"
    r"|[+-]?\d{1,3}(?:\.\d{3}){1,2}"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.,]*)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|[A-Za-z/_ -]{0,20}",
    re.ASCII,
)


@dataclass(frozen=True)
class RejectedRow:
    """A row of a file, counted from 0, and its values that the reject is about, by column."""

    row: int
    values: dict[str, object]

    @property
    def in_words(self) -> str:
        """The values, as in ``octets = "1,234", packets = 3``; empty where none may be shown."""
        return in_words(self.values)

    @property
    def what_helps(self) -> str:
        """What is wrong with the first of the values that is no number; empty: nobody knows."""
        return what_helps(self.values)


def in_words(values: Mapping[str, object]) -> str:
    """Values by their column, as in ``octets = "1,234", packets = 3``."""
    return ", ".join(f"{name} = {_in_words(value)}" for name, value in values.items())


def what_helps(values: Mapping[str, object]) -> str:
    """What is wrong with the first text that is no number, and what to do; empty: nobody knows."""
    texts = (value for value in values.values() if isinstance(value, str))
    return next(filter(None, map(why_no_number, texts)), "")


def first_rejected(path: str, dialect: str, reason: str, plan: Plan) -> RejectedRow | None:
    """The first row that is rejected for a reason; None where none is found soon, or the file
    cannot be read here.
    """
    try:
        file = open_flow_file(path, dialect)
        return _first(file, reason, plan)
    except (InputRefused, OSError):
        return None


def _first(file: FlowFile, reason: str, plan: Plan) -> RejectedRow | None:
    wanted = REJECT_REASONS.index(reason)
    accumulator = Accumulator(plan, time.time_ns() // 1_000_000)
    first = 0
    for raw in file.raw_batches(range(file.row_groups), _BATCH_ROWS):
        flows = normalise(raw, file.definition)[0]  # of a biflow the half that is a row
        exporter = accumulator.exporters.numbers_of(flows.exporter)
        flows = accumulator.settled(flows, exporter)
        measures = accumulator.scale(flows, exporter, locate(flows, plan.rules))
        found = np.flatnonzero(measures.verdict == wanted)
        if len(found):
            row = int(found[0])
            one = raw.slice(row, 1)
            return RejectedRow(first + row, values_about(one, file.definition, reason))
        first += raw.num_rows
        if first >= _MOST_ROWS:
            break
    return None


def values_about(raw: pa.RecordBatch, dialect: Dialect, reason: str) -> dict[str, object]:
    """The values of a row that a reason is about, by column; none that may be an address."""
    addresses = set(_columns(dialect, _ADDRESSES))
    shown = [name for name in _columns(dialect, _ABOUT.get(reason, ())) if name not in addresses]
    return {
        name: value
        for name in dict.fromkeys(shown)
        if name in raw.schema.names and _may_be_shown(value := _value(raw.column(name)))
    }


def _columns(dialect: Dialect, canonical: Sequence[str]) -> Iterator[str]:
    """The source columns of canonical ones."""
    for name in canonical:
        for source in getattr(dialect.columns, name):
            yield source.column


def _value(column: pa.Array) -> Any:
    try:
        return column[0].as_py()
    except (ValueError, UnicodeDecodeError):  # a time that Python cannot hold, text that is none
        return b""


def _may_be_shown(value: object) -> bool:
    """Whether a value is sure to be no address: a column may hold what nobody expects there."""
    if isinstance(value, str):
        return _PLAIN.fullmatch(value) is not None
    return not isinstance(value, bytes | list | dict)


def _in_words(value: object) -> str:
    if isinstance(value, str):
        return f'"{printable(cut(value, _SHOWN))}"'
    return "null" if value is None else str(value)
