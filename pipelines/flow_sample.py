"""A bounded sample of flows as they were classified, for the gate to judge. No address is in it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final

import numpy as np
import pyarrow as pa

from v6share.pipelines.flow_file import FlowFile, open_flow_file
from v6share.pipelines.kernels.aggregate.accumulator import Accumulator
from v6share.pipelines.kernels.aggregate.scale_counters import COUNTED
from v6share.pipelines.kernels.classify.classify import classify
from v6share.pipelines.kernels.classify.locate import locate
from v6share.pipelines.kernels.flow_batch import FlowBatch
from v6share.pipelines.kernels.plan import Plan
from v6share.schemas.aggregates import DIRECTIONS, FAMILIES, IP_CLASSES, UNDERLAYS
from v6share.schemas.errors import InputRefused

MOST_INPUTS: Final = 20
ROWS_OF_EACH: Final = 250

_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("row", pa.int64()),
        ("exporter", pa.string()),
        ("family", pa.string()),
        ("ip_class", pa.string()),
        ("underlay", pa.string()),
        ("direction", pa.string()),
        ("app", pa.string()),
        ("network", pa.string()),
        ("protocol", pa.int64()),
        ("packets", pa.int64()),
        ("bytes", pa.int64()),
        ("bytes_per_packet", pa.float64()),
        ("duration_ms", pa.int64()),
        ("sampling_interval", pa.int64()),
    ]
)


def sample_flows(inputs: Iterable[tuple[str, str]], plan: Plan) -> pa.Table:
    """Counted flows from the middle of some inputs: 250 of each of the first 20.

    inputs: paths, with the dialects that they were counted with. row: among those looked at.
    packets, bytes: as exported; bytes of layer 3. sampling_interval: 0 where counters were scaled
    already. A file that is gone or no longer readable is passed over: it was counted as it was.
    """
    tables = [_SCHEMA.empty_table()]
    for path, dialect in list(inputs)[:MOST_INPUTS]:
        try:
            tables += _flows_of(open_flow_file(path, dialect or None), plan)
        except (InputRefused, OSError):
            continue
    return pa.concat_tables(tables)


def _flows_of(file: FlowFile, plan: Plan) -> Iterator[pa.Table]:
    if not file.row_groups:
        return
    with closing(file.read([file.row_groups // 2], ROWS_OF_EACH)) as batches:
        batch = next(batches, None)
        if batch is not None:
            yield _as_table(file.path, batch, plan)


def _as_table(path: str, batch: FlowBatch, plan: Plan) -> pa.Table:
    accumulator = Accumulator(plan, time.time_ns() // 1_000_000)
    exporter = accumulator.exporters.numbers_of(batch.exporter)
    batch = accumulator.settled(batch, exporter)
    places = locate(batch, plan.rules)
    decisions = classify(batch, plan.rules, places)
    measures = accumulator.scale(batch, exporter, places)
    rows = np.flatnonzero(measures.verdict == COUNTED)
    names = [*batch.exporter.values, ""]  # the last one for a code of -1
    networks = [network for _, network in plan.rules.clients]
    layer2 = 0 if batch.layer2_octets is None else batch.layer2_octets[rows] * batch.packets[rows]
    octets = batch.octets[rows] - layer2
    columns = {
        "path": [path] * len(rows),
        "row": batch.rows_in_file(rows),
        "exporter": [names[code] for code in batch.exporter.codes[rows]],
        "family": [FAMILIES[code] for code in batch.family[rows]],
        "ip_class": [IP_CLASSES[code] for code in decisions.ip_class[rows]],
        "underlay": [UNDERLAYS[code] for code in decisions.underlay[rows]],
        "direction": [DIRECTIONS[code] for code in decisions.direction[rows]],
        "app": [plan.rules.apps[code] for code in decisions.app[rows]],
        "network": [networks[code] for code in decisions.client[rows]],
        "protocol": batch.protocol[rows],
        "packets": batch.packets[rows],
        "bytes": octets,
        "bytes_per_packet": octets / np.maximum(batch.packets[rows], 1),
        "duration_ms": batch.end_ms[rows] - batch.start_ms[rows],
        "sampling_interval": measures.interval[rows],
    }
    return pa.table(
        [pa.array(columns[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA
    )
