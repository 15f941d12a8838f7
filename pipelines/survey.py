"""What a look into a flow file finds. Reads whole row groups until enough rows are seen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.flow_file import FlowFile
from v6share.pipelines.kernels.flow_batch import I64, FlowBatch
from v6share.schemas.aggregates import FAMILIES
from v6share.schemas.dialects import mapped_columns
from v6share.schemas.ledger import REJECT_REASONS

ENOUGH_ROWS: Final = 2_000_000
FIRST_ROWS: Final = 5
_BATCH_ROWS: Final = 65_536
_NAMED: Final = 8


@dataclass
class Survey:
    """Figures of the rows read; packets and bytes as exported.

    sampling: rows by (exporter, interval), interval as text: ``100``, ``unknown``, ``scaled``.
    first_ms, last_ms: Unix milliseconds of the rows with usable times.
    """

    file: FlowFile
    size: int
    rows_read: int = 0
    families: dict[str, list[int]] = field(default_factory=dict)
    sampling: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None
    first_rows: list[dict[str, object]] = field(default_factory=list)

    def exporters_with(self, interval: str) -> list[str]:
        """The exporters of rows with this interval, the busiest first; the first few by name."""
        rows = Counter[str]()
        for (exporter, found), count in self.sampling.items():
            if found == interval:
                rows[exporter or "(no exporter)"] += count
        names = [name for name, _ in rows.most_common(_NAMED)]
        return [*names, f"{len(rows) - _NAMED} more"] if len(rows) > _NAMED else names

    def tables(self) -> dict[str, pa.Table | Mapping[str, object]]:
        """The findings as tables, in the order of reading."""
        return {
            "file": self._record(),
            "columns": self._columns(),
            "families": _table(
                {"family": pa.string(), "rows": pa.int64()}
                | {"sampled_packets": pa.int64(), "sampled_bytes": pa.int64()},
                [(name, *sums) for name, sums in self.families.items()],
            ),
            "sampling": _table(
                {"exporter": pa.string(), "interval": pa.string(), "rows": pa.int64()},
                [(*key, rows) for key, rows in sorted(self.sampling.items())],
            ),
            "rejects": _counted("reason", self.faults),
            "findings": _counted("finding", self.findings),
            "first_rows": pa.Table.from_pylist(self.first_rows),
        }

    def _record(self) -> Mapping[str, object]:
        used = self.file.definition.source_columns
        return {
            "path": self.file.path,
            "size": self.size,
            "dialect": self.file.dialect,
            "rows": self.file.rows,
            "row_groups": self.file.row_groups,
            "rows_read": self.rows_read,
            "first_start": _moment(self.first_ms),
            "last_end": _moment(self.last_ms),
            "columns_not_used": [name for name in self.file.columns if name not in used],
        }

    def _columns(self) -> pa.Table:
        types = {f.name: str(f.type) for f in self.file.schema}
        pairs = mapped_columns(self.file.definition, self.file.columns)
        return _table(
            {"means": pa.string(), "column": pa.string(), "type": pa.string()},
            [(meaning, column, types[column]) for meaning, column in pairs],
        )


def survey_file(file: FlowFile, size: int) -> Survey:
    """Look into a file. Raises InputRefused where its rows cannot be read."""
    survey = Survey(file, size)
    for groups in file.spans(_BATCH_ROWS):
        if survey.rows_read >= ENOUGH_ROWS:
            break
        for batch in file.read(groups, _BATCH_ROWS):
            _add(survey, batch)
    return survey


def _add(survey: Survey, batch: FlowBatch) -> None:
    survey.rows_read += batch.rows
    good = batch.faults == 0
    for code, name in enumerate(FAMILIES):
        rows = batch.family == code
        if rows.any():
            sums = survey.families.setdefault(name, [0, 0, 0])
            sums[0] += int(rows.sum())
            sums[1] += _sum(batch.packets[rows])
            sums[2] += _sum(batch.octets[rows])
    _add_faults(survey, batch)
    _add_sampling(survey, batch)
    for name, mask in batch.findings:
        survey.findings[name] += int(mask.sum())
    for name in batch.input_findings:
        survey.findings[name] += batch.rows
    if good.any():
        first, last = int(batch.start_ms[good].min()), int(batch.end_ms[good].max())
        survey.first_ms = first if survey.first_ms is None else min(first, survey.first_ms)
        survey.last_ms = last if survey.last_ms is None else max(last, survey.last_ms)
    for row in range(min(batch.rows, FIRST_ROWS - len(survey.first_rows))):
        survey.first_rows.append(_row(batch, row))


def _sum(counters: I64) -> int:
    """Whatever the counters are: 64 bits may not hold the sum of even two."""
    return (int((counters >> 32).sum()) << 32) + int((counters & 0xFFFFFFFF).sum())


def _add_faults(survey: Survey, batch: FlowBatch) -> None:
    """The lowest set bit is the reason."""
    for code, rows in zip(*np.unique(batch.faults, return_counts=True), strict=True):
        if code:
            bit = (int(code) & -int(code)).bit_length() - 1
            survey.faults[REJECT_REASONS[bit]] += int(rows)


def _add_sampling(survey: Survey, batch: FlowBatch) -> None:
    exporters = batch.exporter.codes.astype(np.int64)
    num, den = (
        np.full(batch.rows, without, np.int64) if part is None else part
        for part, without in ((batch.sampling_num, 0), (batch.sampling_den, 1))
    )
    scaled = np.zeros(batch.rows, np.int64)
    if batch.pre_scaled is not None:
        scaled = batch.pre_scaled.astype(np.int64)
    keys = np.stack([exporters, num, den, scaled])
    for key, rows in zip(*_unique_columns(keys), strict=True):
        code, n, d, is_scaled = (int(part) for part in key)
        exporter = batch.exporter.values[code] if code >= 0 else ""
        survey.sampling[exporter, _interval(n, d, bool(is_scaled))] += int(rows)


def _unique_columns(keys: I64) -> tuple[I64, I64]:
    found, counts = np.unique(keys, axis=1, return_counts=True)
    return found.T, counts


def _interval(num: int, den: int, is_scaled: bool) -> str:
    if is_scaled:
        return "scaled"
    if num == 0:
        return "unknown"
    return str(num) if den == 1 else f"{num / den:.4g}"


def _row(batch: FlowBatch, row: int) -> dict[str, object]:
    return {
        "start": _moment(int(batch.start_ms[row])),
        "end": _moment(int(batch.end_ms[row])),
        "src": _address(int(batch.src_hi[row]), int(batch.src_lo[row])),
        "src_port": _present(int(batch.src_port[row])),
        "dst": _address(int(batch.dst_hi[row]), int(batch.dst_lo[row])),
        "dst_port": _present(int(batch.dst_port[row])),
        "protocol": _present(int(batch.protocol[row])),
        "packets": int(batch.packets[row]),
        "bytes": int(batch.octets[row]),
    }


def _address(hi: int, lo: int) -> str:
    address = IPv6Address(hi << 64 | lo)
    return str(address.ipv4_mapped or address)


def _present(value: int) -> int | None:
    return None if value < 0 else value


def _moment(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # no calendar has it; the row's fault says so


def _table(columns: dict[str, pa.DataType], rows: list[tuple[object, ...]]) -> pa.Table:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table({n: pa.array(v, t) for (n, t), v in zip(columns.items(), values, strict=True)})


def _counted(name: str, counts: Counter[str]) -> pa.Table:
    return _table({name: pa.string(), "rows": pa.int64()}, list(counts.most_common()))
