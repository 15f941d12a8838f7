"""Client addresses stay in the workers: no file, no log and no error holds one that was fed.

Looked for as text, in upper and lower case, and in binary: 16 bytes in both orders, and an IPv4
address as the 8 bytes that stand for it in the canonical flow.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from flow_files import write_flows
from workspaces import make_workspace, v6share

CLIENTS = {
    "198.51.100.1": "198.51.103.211",
    "2001:db8:1::1": "2001:db8:f00d:cafe:1234:5678:9abc:def1",
}


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """Good rows, rows that are rejected, a file that is refused, an address that cannot be read."""
    folder = tmp_path / "flows"
    table = pq.read_table(write_flows(folder / "good.parquet", rows=40))
    for old, new in CLIENTS.items():
        for name in ("sourceIPv4Address", "sourceIPv6Address"):
            column = pc.replace_substring(table.column(name), old, new)
            table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, folder / "good.parquet")
    start = table.schema.get_field_index("flowStartMilliseconds")
    late = pc.add(table.column("flowEndMilliseconds"), 90_000_000)
    pq.write_table(
        table.set_column(start, "flowStartMilliseconds", late), folder / "rejected.parquet"
    )
    pq.write_table(table.drop_columns(["destinationIPv4Address", "destinationIPv6Address"]),
        folder / "refused.parquet")  # fmt: skip
    whole = (folder / "good.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    odd = [f"{CLIENTS['198.51.100.1']}.7"] * table.num_rows
    name = "sourceIPv4Address"
    bad = table.set_column(table.schema.get_field_index(name), name, pa.array(odd))
    pq.write_table(bad, folder / "bad.parquet")
    return folder


def forms(text: str) -> Iterator[bytes]:
    address = ip_address(text)
    yield text.encode()
    yield text.upper().encode()
    if isinstance(address, IPv6Address):
        yield address.exploded.encode()
        yield address.packed
        yield address.packed[::-1]
        # Its two halves as they stand in memory.
        yield address.packed[:8][::-1] + address.packed[8:][::-1]
        yield address.packed[8:][::-1]
    else:
        assert isinstance(address, IPv4Address)
        mapped = b"\0\0\xff\xff" + address.packed
        yield mapped
        yield mapped[::-1]


def held_in(data: bytes) -> set[str]:
    return {text for text in CLIENTS.values() if any(form in data for form in forms(text))}


def test_no_client_address_is_left_anywhere(flows: Path, tmp_path: Path) -> None:
    assert held_in((flows / "good.parquet").read_bytes()) == set(CLIENTS.values())
    root = make_workspace(tmp_path / "ws")
    said = ""
    for arguments in (
        ("-v", "--log", "json", "run", flows),
        ("-v", "run", flows, "--dialect", "goflow2"),
        ("kpi",),
        ("status",),
        ("check",),
        ("stream", flows, "--once"),
        ("forget", flows / "good.parquet"),
        ("rebuild",),
        ("doctor",),
        ("reconcile", flows),
    ):
        _, out, err = v6share(root, *arguments)
        assert held_in((out + err).encode()) == set(), arguments
        said += out + err
    assert "quarantined" in said
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert held_in(path.read_bytes()) == set(), path
