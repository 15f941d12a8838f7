"""Client addresses stay in the workers: no file, no log and no error holds one that was fed.

The gate judges rows of flows, and one of the expectations here fails for each of them, so that they
are shown: in messages, in the published file, in Data Docs. What Great Expectations itself prints,
which mostly nobody reads, is kept in a file. Only the rows of a flow file that ``inspect`` and
``explain`` show, to whoever may read that file, hold addresses.

Looked for as text, in upper and lower case, and in binary: 16 bytes in both orders, and an IPv4
address as the 8 bytes that stand for it in the canonical flow.
"""

import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from flow_files import write_flows
from workspaces import make_workspace, v6share

from v6share.jobs import cli
from v6share.jobs.terminal.exit_codes import ExitCode

pytestmark = pytest.mark.long

GATE = "V6SHARE_QUALITY__GATE"
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


NO_FLOW = {
    "name": "shown",
    "severity": "warn",
    "what": "a flow has another family",
    "type": "expect_column_values_to_be_in_set",
    "kwargs": {"column": "family", "value_set": ["v5"]},
}
NO_EXPORTER = NO_FLOW | {"kwargs": {"column": "exporter", "value_set": ["another"]}}
KEEPING = """
import os

file = os.open("{said}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(file, 1)
os.dup2(file, 2)
print("from here on", flush=True)
"""
# They read no file that holds flows.
OF_NO_FLOW = {"init", "sample", "key"}
SHOW_ROWS = {"inspect", "explain"}
# The gate is the same in all commands, and takes a while to start.
JUDGING = {"run", "check", "stream"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose gate shows rows of flows, and keeps what it prints."""
    root = make_workspace(tmp_path / "ws")
    (root / "quality").mkdir()
    for name, expectation in (("flows", NO_FLOW), ("exporters", NO_EXPORTER)):
        suite = json.dumps({"expectations": [expectation]})
        (root / "quality" / f"{name}.json").write_text(suite)
    (root / "quality" / "keep.py").write_text(KEEPING.format(said=root / "said.txt"))
    (root / "v6share.toml").write_text('[quality]\ngate = true\npython = ["keep.py"]\n')
    return root


def test_no_client_address_is_left_anywhere(flows: Path, root: Path) -> None:
    good = flows / "good.parquet"
    assert held_in(good.read_bytes()) == set(CLIENTS.values())
    said, met = "", set()
    for command, *arguments in (
        ("inspect", good),
        ("explain", good, "--row", 1),
        ("inspect", flows / "bad.parquet"),
        ("explain", flows / "bad.parquet", "--row", 0),
        ("run", flows),
        ("run", flows, "--dialect", "goflow2"),
        ("kpi",),
        ("status",),
        ("check", "--docs", root / "docs"),
        ("backfill", flows, "--since", "2020-01-01", "--until", "2030-01-01", "--reprocess", "all"),
        ("reconcile", flows),
        ("stream", flows, "--once"),
        ("quarantine", "list"),
        ("quarantine", "accept", "--all"),
        ("catalog", "suggest", flows),
        ("prune",),
        ("forget", good),
        ("rebuild",),
        ("doctor",),
    ):
        log = "json" if command == "run" else "text"
        gate = {GATE: str(command in JUDGING).lower()}
        code, out, err = v6share(root, "-v", "--log", log, command, *arguments, env=gate)
        assert code in (ExitCode.DONE, ExitCode.INPUT_FAILED, ExitCode.GATE), (err, command)
        told = err if command in SHOW_ROWS else out + err
        assert held_in(told.encode()) == set(), (command, *arguments)
        if command == "explain":
            assert held_in(out.encode()) or "bad.parquet" in str(arguments[0])
        said += told
        met.add(command)
    commands = {one.callback.__name__ for one in cli.app.registered_commands}
    assert met | OF_NO_FLOW == commands | {one.name for one in cli.app.registered_groups}
    assert "quarantined" in said
    assert "check flows.shown: expected that a flow has another family, but " in said
    files = {path for path in root.rglob("*") if path.is_file()}
    assert b"from here on" in (root / "said.txt").read_bytes()
    pages = [path for path in files if path.suffix == ".html"]
    assert any(b"192.0.2.1" in path.read_bytes() for path in pages), "they show rows, too"
    for path in files:
        assert held_in(path.read_bytes()) == set(), path
