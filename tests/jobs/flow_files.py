"""Small ipfix files made by hand, and such as cannot be read."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DAY_MS = 86_400_000
JANUARY_1 = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def write_flows(
    path: Path,
    *,
    start_ms: int = JANUARY_1,
    rows: int = 4,
    octets: int = 1000,
    interval: int | None = 100,
    exporter: str = "192.0.2.1",
    direction: int | None = None,
) -> Path:
    """Flows of one second, one a minute, half of them IPv6."""
    even = [row % 2 == 0 for row in range(rows)]
    starts = [start_ms + 60_000 * row for row in range(rows)]
    table = pa.table(
        {
            "flowStartMilliseconds": pa.array(starts, pa.int64()),
            "flowEndMilliseconds": pa.array([s + 1000 for s in starts], pa.int64()),
            "sourceIPv4Address": ["198.51.100.1" if e else None for e in even],
            "destinationIPv4Address": ["203.0.113.9" if e else None for e in even],
            "sourceIPv6Address": [None if e else "2001:db8:1::1" for e in even],
            "destinationIPv6Address": [None if e else "2001:db8:2::9" for e in even],
            "protocolIdentifier": pa.array([6] * rows, pa.int64()),
            "sourceTransportPort": pa.array([443] * rows, pa.int64()),
            "destinationTransportPort": pa.array([50_000] * rows, pa.int64()),
            "octetDeltaCount": pa.array([octets] * rows, pa.int64()),
            "packetDeltaCount": pa.array([2] * rows, pa.int64()),
            "samplingInterval": pa.array([interval] * rows, pa.int64()),
            "exporterIPv4Address": [exporter] * rows,
            "flowDirection": pa.array([direction] * rows, pa.int64()),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def spoil(path: Path, *, seconds_ago: float = 3600, data: bytes = b"not Parquet") -> Path:
    """A file that is not Parquet, and was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    changed = time.time() - seconds_ago
    os.utime(path, (changed, changed))
    return path
