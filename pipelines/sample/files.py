"""Exported records as Parquet in the ``ipfix`` dialect, in the two forms that exporters use.

``binary``: one 16-byte column per end (IPv4 mapped), times as integers. ``text``: a text column
per family and end, times as timestamps. Fixed writer options, so equal records are equal bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from v6share.pipelines.sample import addresses as plan
from v6share.pipelines.sample import story
from v6share.pipelines.sample.addresses import I64, Bool, Halves
from v6share.pipelines.sample.flows import SERVER_NAMES
from v6share.pipelines.sample.sampling import Records

ROW_GROUP_ROWS: Final = 131_072
# Small samples lie in git, so they are packed hard; big ones are there to be made fast.
HARD_LEVEL: Final = 9
HARD_UP_TO_ROWS: Final = 50_000
FAST_LEVEL: Final = 1


@dataclass(frozen=True)
class FlowFile:
    """One file to write: its records in order of time, and the exporters that they number."""

    name: str
    form: story.Form
    records: Records
    exporters: tuple[story.Exporter, ...]


def flow_table(file: FlowFile) -> pa.Table:
    """The file's columns; a column that no record of the group can have is absent."""
    records, flows = file.records, file.records.flows
    source = _toward(
        flows.to_service, (flows.client_hi, flows.client_lo), (flows.service_hi, flows.service_lo)
    )
    target = _toward(
        ~flows.to_service, (flows.client_hi, flows.client_lo), (flows.service_hi, flows.service_lo)
    )
    columns: dict[str, pa.Array] = {
        **_times(file.form, records),
        **_ends(file.form, source, target, flows.family),
        "protocolIdentifier": pa.array(flows.protocol, pa.uint8()),
        "sourceTransportPort": _ports(flows.to_service, flows.client_port, flows.service_port),
        "destinationTransportPort": _ports(
            ~flows.to_service, flows.client_port, flows.service_port
        ),
        "tcpControlBits": pa.array(records.tcp_flags, pa.uint16()),
        "packetDeltaCount": pa.array(records.packets, pa.int64()),
        "octetDeltaCount": pa.array(records.octets, pa.int64()),
        **_sampling(file),
        "tlsServerName": _numbered(SERVER_NAMES, flows.server_name),
    }
    columns |= _subscribers(flows.subscriber) | _health(file)
    return pa.table(columns)


def write_flow_table(table: pa.Table, path: Path) -> None:
    """One Parquet file. No Arrow schema in the footer: readers see plain Parquet."""
    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=HARD_LEVEL if table.num_rows <= HARD_UP_TO_ROWS else FAST_LEVEL,
        use_dictionary=False,
        version="2.6",
        data_page_version="1.0",
        write_statistics=True,
        store_schema=False,
    )


def _toward(first: Bool, client: Halves, service: Halves) -> Halves:
    """The client's address where ``first``, else the service's."""
    return np.where(first, client[0], service[0]), np.where(first, client[1], service[1])


def _times(form: story.Form, records: Records) -> dict[str, pa.Array]:
    kind = pa.timestamp("ms") if form == "text" else pa.int64()
    return {
        "flowStartMilliseconds": pa.array(records.start_ms, pa.int64()).cast(kind),
        "flowEndMilliseconds": pa.array(records.end_ms, pa.int64()).cast(kind),
    }


def _ends(form: story.Form, source: Halves, target: Halves, family: I64) -> dict[str, pa.Array]:
    columns = {}
    for end, address in (("source", source), ("destination", target)):
        if form == "binary":
            columns[f"{end}IPAddress"] = _fixed_bytes(address)
            continue
        text = _text(address)
        for name, wanted in (("IPv4", plan.V4), ("IPv6", plan.V6)):
            shown = pc.if_else(pa.array(family == wanted), text, pa.scalar(None, pa.string()))
            columns[f"{end}{name}Address"] = shown
    return columns


def _fixed_bytes(address: Halves) -> pa.Array:
    data = pa.py_buffer(plan.as_bytes(address).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(address[0]), [None, data])


def _text(address: Halves) -> pa.Array:
    """Each address as text; every distinct one is written out once."""
    high, of_high = np.unique(address[0], return_inverse=True)
    low, of_low = np.unique(address[1], return_inverse=True)
    pair, of_pair = np.unique(of_high * len(low) + of_low, return_inverse=True)
    texts = plan.as_text((high[pair // len(low)], low[pair % len(low)]))
    return pa.array(texts, pa.string()).take(pa.array(of_pair))


def _ports(first: Bool, client: I64, service: I64) -> pa.Array:
    port = np.where(first, client, service)
    return pa.array(port, pa.int32(), mask=port < 0)


def _numbered(values: tuple[str | None, ...], numbers: I64) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(numbers))


def _sampling(file: FlowFile) -> dict[str, pa.Array]:
    number = file.records.flows.exporter
    names = tuple(e.address for e in file.exporters)
    key = "exporterIPv6Address" if ":" in names[0] else "exporterIPv4Address"
    exporter = {key: _numbered(names, number)}
    rows = file.records.rows
    if file.exporters[0].declared == "selector":
        space = file.exporters[0].interval - 1
        return exporter | {
            "selectorAlgorithm": pa.array(np.full(rows, 1), pa.uint16()),
            "samplingPacketInterval": pa.array(np.full(rows, 1), pa.uint32()),
            "samplingPacketSpace": pa.array(np.full(rows, space), pa.uint32()),
        }
    shown = np.array([_shown_interval(e) for e in file.exporters])[number]
    return exporter | {"samplingInterval": pa.array(shown, pa.uint32(), mask=shown < 0)}


def _shown_interval(exporter: story.Exporter) -> int:
    """What the record says: nothing (-1), the wrong 1, or the truth."""
    return {"catalog": -1, "override": 1}.get(exporter.declared, exporter.interval)


def _subscribers(numbers: I64) -> dict[str, pa.Array]:
    if not (numbers >= 0).any():
        return {}
    distinct, of = np.unique(numbers, return_inverse=True)
    texts = [None if number < 0 else f"s{number:07x}" for number in distinct.tolist()]
    return {"subscriberId": pa.array(texts, pa.string()).take(pa.array(of))}


def _health(file: FlowFile) -> dict[str, pa.Array]:
    if not any(exporter.latency for exporter in file.exporters):
        return {}
    flows = file.records.flows
    values = {
        "rttClientMicroseconds": flows.rtt_client_us,
        "rttServerMicroseconds": flows.rtt_service_us,
        "tcpRetransmittedPackets": file.records.lost,
    }
    return {n: pa.array(v, pa.int64(), mask=v < 0) for n, v in values.items()}
