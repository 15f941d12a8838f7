"""Small flow files that stand for far more memory or work than their size: one function each.

Every file has plain IPv4 flows of one second beside what makes it large.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START_MS: Final = 1_760_000_100_000
MIB: Final = 1 << 20


def flow_columns(rows: int) -> dict[str, pa.Array]:
    def same(value: int | str) -> pa.Array:
        return pa.repeat(pa.scalar(value), rows)

    return {
        "flowStartMilliseconds": same(START_MS),
        "flowEndMilliseconds": same(START_MS + 1000),
        "sourceIPv4Address": same("11.1.0.1"),
        "destinationIPv4Address": same("40.1.2.3"),
        "octetDeltaCount": same(1000),
        "packetDeltaCount": same(3),
        "samplingInterval": same(1),
    }


def write_table(path: Path, table: pa.Table, **options: object) -> None:
    pq.write_table(
        table,
        path,
        **{
            "compression": "zstd",
            "write_statistics": False,
            "store_schema": False,
            "row_group_size": 1 << 30,
            **options,
        },
    )


def write(path: Path, columns: dict[str, pa.Array], **options: object) -> None:
    write_table(path, pa.table(columns), **options)


def coded(value: str, rows: int) -> pa.Array:
    """The same value in every row, by a dictionary of it alone."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), pa.array([value]))


def plain_cells(path: Path) -> None:
    """One row group of 40,000 texts of 20 KB as they are: 800 MB."""
    part = pa.table(flow_columns(1000) | {"applicationName": pa.array(["d" * 20_000] * 1000)})
    write_table(path, pa.concat_tables([part] * 40), use_dictionary=False)


def plain_cells_of_two_gigabytes(path: Path) -> None:
    """20 row groups of 1,000 texts of 100 KB: 2 GB."""
    columns = flow_columns(1000) | {"applicationName": pa.array(["d" * 100_000] * 1000)}
    write_repeated(path, columns, 20, use_dictionary=False)


def coded_cells(path: Path) -> None:
    """8,000 rows of an address of 100 KB, which stands once in the file: 800 MB."""
    write(path, flow_columns(8_000) | {"sourceIPv4Address": coded("1" * 100_000, 8_000)})


def coded_cells_of_four_gigabytes(path: Path) -> None:
    """The same in 40,000 rows."""
    write(path, flow_columns(40_000) | {"sourceIPv4Address": coded("1" * 100_000, 40_000)})


def wide_cells(path: Path) -> None:
    """1,600 row groups of 60 rows, each with the same value of 1 MiB: 100 GB."""
    same = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(MIB), 60, [None, pa.py_buffer(bytes(60 * MIB))]
    )
    write_repeated(path, flow_columns(60) | {"applicationId": same}, 1600)


def shared_prefixes(path: Path) -> None:
    """16 row groups of 1,000 texts of 50 KB, each the same as the one before: 800 MB."""
    write_repeated(
        path,
        flow_columns(1000) | {"applicationName": pa.array(["a" * 50_000] * 1000)},
        16,
        use_dictionary=False,
        column_encoding={"applicationName": "DELTA_BYTE_ARRAY"},
    )


def large_dictionary(path: Path) -> None:
    """A dictionary of 60,000 texts of 1 KiB, and codes into it."""
    columns = flow_columns(60_000)
    columns["serverName"] = pa.array([f"{row:>1024}" for row in range(60_000)])
    write(path, columns, use_dictionary=["serverName"], dictionary_pagesize_limit=1 << 30)


def many_exporters(path: Path) -> None:
    """2,000 exporters with names of 20 KB: 40 MB to be kept."""
    columns = flow_columns(2000)
    columns["exporterIPv4Address"] = pa.array([f"{row:>20000}" for row in range(2000)])
    write(path, columns, use_dictionary=False)


def long_list(path: Path) -> None:
    """One row whose flags are a list of 60 million names."""
    entries = 60_000_000
    names = pa.DictionaryArray.from_arrays(np.zeros(entries, np.int8), pa.array(["SYN"]))
    columns = flow_columns(1)
    columns["tcpControlBits"] = pa.ListArray.from_arrays(pa.array([0, entries], pa.int32()), names)
    write(path, columns, use_dictionary=["tcpControlBits.list.element"])


def long_page(path: Path) -> None:
    """One page of 5,000 values of 64 KiB, all 0, in a few KB: 312 MiB."""
    rows = 5000
    zeros = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(1 << 16), rows, [None, pa.py_buffer(bytes(rows << 16))]
    )
    write(
        path,
        flow_columns(rows) | {"applicationId": zeros},
        use_dictionary=["sourceIPv4Address"],
        data_page_size=1 << 30,
        max_rows_per_page=1 << 30,
    )


def many_columns(path: Path) -> None:
    """100,000 columns. The rest of the footer is as good as none."""
    end_schema(path, LEAF * 100_000, 100_000, 100_000)


def deep_columns(path: Path) -> None:
    """A column in a column, 50,000 times. The rest of the footer is as good as none."""
    group = b"\x35\x02\x18\x01g\x15\x02\x00"
    end_schema(path, group * 50_000 + LEAF, 50_001, 1)


def many_chunks(path: Path) -> None:
    """Six row groups of 900,000 columns of three bytes each: a footer that is not too long."""
    chunks = b"\x19\xfc" + varint(900_000) + b"\x26\x00\x00" * 900_000
    end_schema(path, LEAF, 1, 1, b"\x19\x6c" + 6 * (chunks + b"\x16\x00\x16\x00\x00"))


def many_row_groups(path: Path) -> None:
    """100,000 row groups of one row."""
    write_repeated(path, flow_columns(1), 100_000)


def some_row_groups(path: Path) -> None:
    """5,000 row groups of one row: not too many, and they are counted."""
    write_repeated(path, flow_columns(1), 5_000)


def many_rows(path: Path) -> None:
    """600 row groups of one million rows."""
    write_repeated(path, flow_columns(1_000_000), 600)


def large_footer(path: Path) -> None:
    """16 MiB of metadata, that stand there twice, behind the flows."""
    table = pa.table(flow_columns(1)).replace_schema_metadata({b"note": bytes(16 * MIB)})
    pq.write_table(table, path)


def more_rows_than_said(path: Path) -> None:
    """3,000 rows; the footer says 2,999."""
    lie(path, 2999)


def fewer_rows_than_said(path: Path) -> None:
    """3,000 rows; the footer says 3,001."""
    lie(path, 3001)


REFUSED: Final[dict[Callable[[Path], None], tuple[str, str]]] = {
    plain_cells_of_two_gigabytes: ("too_large", "bytes after decompression"),
    coded_cells_of_four_gigabytes: ("too_large", "bytes of text"),
    wide_cells: ("too_large", "bytes of text"),
    large_dictionary: ("too_large", 'pages of text (most in "serverName")'),
    many_exporters: ("too_large", "the names of exporters"),
    long_list: ("too_large", "a row group with lists"),
    long_page: ("too_large", 'pages (most in "applicationId")'),
    many_columns: ("too_large", "found 100,001 columns"),
    deep_columns: ("too_large", "found 50,002 columns"),
    many_row_groups: ("too_large", "found a footer of"),
    many_chunks: ("too_large", "parts (6 row groups of 2 columns)"),
    many_rows: ("too_large", "600,000,000 rows"),
    large_footer: ("too_large", "found a footer of"),
    more_rows_than_said: ("unreadable", "hold 3,000 values, its footer says 2,999"),
    fewer_rows_than_said: ("unreadable", "hold 3,000 values, its footer says 3,001"),
}
# The rows of those that are counted.
COUNTED: Final[dict[Callable[[Path], None], int]] = {
    plain_cells: 40_000,
    coded_cells: 8_000,
    shared_prefixes: 16_000,
    some_row_groups: 5_000,
}


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def zigzag(number: int) -> bytes:
    return varint(2 * number)


def end_file(path: Path, footer: bytes, before: bytes = b"PAR1") -> None:
    path.write_bytes(before + footer + struct.pack("<I", len(footer)) + b"PAR1")


# The type, repetition and name of a column of whole numbers, and the end of the struct.
LEAF: Final = b"\x15\x02\x25\x02\x18\x01c\x00"


def end_schema(
    path: Path, columns: bytes, count: int, children: int, row_groups: bytes = b"\x19\x0c"
) -> None:
    """A file that is nothing but a footer, with a schema and no row group unless they are given."""
    root = b"\x48\x01r\x15" + zigzag(children) + b"\x00"
    schema = b"\x19\xfc" + varint(count + 1) + root + columns
    end_file(path, b"\x15\x02" + schema + b"\x16\x00" + row_groups + b"\x00")


def footer_of(data: bytes) -> tuple[bytes, bytes]:
    """What is before the footer, and the footer."""
    length = struct.unpack("<I", data[-8:-4])[0]
    return data[: -8 - length], data[-8 - length : -8]


def lie(path: Path, rows: int) -> None:
    """3,000 rows of which the footer says another number wherever it says one."""
    write(path, flow_columns(3000))
    before, footer = footer_of(path.read_bytes())
    assert footer.count(zigzag(3000)) >= 2 + len(flow_columns(1))
    end_file(path, footer.replace(zigzag(3000), zigzag(rows)), before)


def write_repeated(path: Path, columns: dict[str, pa.Array], times: int, **options: object) -> None:
    """A file of one row group, ``times`` times."""
    write(path, columns, **options)
    repeat(path, times)


def repeat(path: Path, times: int) -> None:
    """Make of a file's one row group many that share its pages.

    The footer's fourth field is the list of row groups, of which the head is one byte if there is
    one; before it stands, as the third, the number of rows.
    """
    rows = pq.read_metadata(path).num_rows
    before, footer = footer_of(path.read_bytes())
    head = b"\x16" + zigzag(rows) + b"\x19\x1c"
    assert footer.count(head) == 1
    schema, behind = footer.split(head)
    group = behind[: end_of_struct(behind)]
    many = b"\x16" + zigzag(rows * times) + b"\x19\xfc" + varint(times)
    end_file(path, schema + many + group * times + behind[len(group) :], before)


def end_of_struct(data: bytes, at: int = 0) -> int:
    """Where the struct at a byte ends, by Thrift's compact protocol."""
    while head := data[at]:
        at = end_of_value(data, at + 1, head & 15)
    return at + 1


def end_of_value(data: bytes, at: int, kind: int) -> int:
    if kind in (4, 5, 6):
        return number_at(data, at)[1]
    if kind == 8:
        length, at = number_at(data, at)
        return at + length
    if kind == 9:
        count, entry = data[at] >> 4, data[at] & 15
        count, at = number_at(data, at + 1) if count == 15 else (count, at + 1)
        for _ in range(count):
            at = end_of_value(data, at, entry)
        return at
    return end_of_struct(data, at) if kind == 12 else at


def number_at(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the low ones first, and what is behind it."""
    number, place = data[at] & 0x7F, 0
    while data[at] > 127:
        at, place = at + 1, place + 7
        number |= (data[at] & 0x7F) << place
    return number, at + 1
