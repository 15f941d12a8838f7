"""Flow files that are damaged on purpose, byte by byte, as no writer would make them."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

START_MS: Final = 1_760_000_100_000
ROWS: Final = 3000
NAMES: Final = ("a.example", "b.example", "c.example")


def flow_columns(rows: int) -> dict[str, pa.Array]:
    """Plain IPv4 flows of one second; the names alternate."""
    return {
        "flowStartMilliseconds": pa.array([START_MS] * rows),
        "flowEndMilliseconds": pa.array([START_MS + 1000] * rows),
        "sourceIPv4Address": pa.array(["11.1.0.1"] * rows),
        "destinationIPv4Address": pa.array(["40.1.2.3"] * rows),
        "octetDeltaCount": pa.array([1000] * rows),
        "packetDeltaCount": pa.array([3] * rows),
        "samplingInterval": pa.array([1] * rows),
        "serverName": pa.array([NAMES[row % 3] for row in range(rows)]),
    }


def write_stray_codes(path: Path, code: int, column: str = "serverName") -> None:
    """A file of ROWS flows in which every code of a column with three values is ``code``.

    Parquet has the codes of a page as runs behind a byte that says how many bits a code has: 2 for
    three values. Here that becomes 32 bits, and one run of ROWS times the same code.
    """
    columns = flow_columns(ROWS)
    columns[column] = columns.pop("serverName")
    schema = pa.schema([pa.field(n, c.type, nullable=False) for n, c in columns.items()])
    pq.write_table(
        pa.table(list(columns.values()), schema=schema),
        path,
        compression="none",
        write_statistics=False,
    )
    data = bytearray(path.read_bytes())
    page = pq.read_metadata(path).row_group(0).column(len(columns) - 1).data_page_offset
    at = data.index(b"\x02\x7f", page)  # 2 bits a code, and the head of the first run
    run = b"\x20" + _varint(ROWS << 1) + (code & 0xFFFFFFFF).to_bytes(4, "little")
    data[at : at + len(run)] = run
    path.write_bytes(data)


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
